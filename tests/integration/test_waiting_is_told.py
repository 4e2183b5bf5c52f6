"""A command that waits says what for, and until when: on standard error, after two seconds."""

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.storage.locks import Locks
from claw_files.testing.patience import until
from tests.daemon.conftest import Home

SLEEPS = "import time\ntime.sleep(300)\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    from tests.support.office import python

    made = Home(
        tmp_path / "team",
        f"""
[workspace]
coordinator = "sam"
[limits]
spawns_per_minute = 1
[agents.dimitrios]
kind = "human"
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
reports_to = "sam"
[agents.research]
kind = "worker"
{python(SLEEPS)}
""",
    )
    yield made
    app = made.app()
    for run in app.runtime.live():
        app.runtime.stop(run.id)
    until(lambda: not app.runtime.live(), "no run is left")
    made.close()


def said(process: "subprocess.Popen[bytes]") -> str:
    """The first line on its standard error, which stays open."""
    assert process.stderr is not None
    return process.stderr.readline().decode()


def test_a_spawn_that_may_not_start_yet_says_what_holds_it_and_until_when(home: Home) -> None:
    home.ok("spawn", "first", "--label", "first", "--size", "S")

    process = home.popen("spawn", "second", "--label", "second", "--size", "S", "--wait", "--agent", "sam")

    assert re.match(r"TC-2 waits for limits\.spawns_per_minute since .* until \d.*", said(process))


def test_a_spawn_whose_run_goes_on_names_the_run(home: Home) -> None:
    process = home.popen("spawn", "first", "--label", "first", "--size", "S", "--wait", "--agent", "sam")

    assert re.match(r"waiting for tc-1\.1-s1, until \d.* at most\n", said(process))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("ask", "peter", "Which host?", "--wait", "3s"), r"waiting for peter to answer \S+, until \d"),
        (("inbox", "--wait", "--timeout", "3s"), r"waiting for a message to sam, until \d"),
        (("inbox", "--wait"), "waiting for a message to sam, for as long as it takes"),
    ],
)
def test_a_command_that_waits_for_an_answer_names_the_agent(home: Home, command: tuple[str, ...], words: str) -> None:
    assert re.match(words, said(home.popen(*command, "--agent", "sam")))


def test_a_command_that_waits_for_a_lock_names_its_holder(home: Home) -> None:
    home.ok("task", "new", "A bug", "--to", "peter")
    locks = Locks(str(home.root))
    with locks.hold("tc-1", timedelta(seconds=1), "somebody: edits by hand"):
        process = home.popen("claim", "TC-1", "--agent", "peter")
        line = said(process)

    assert process.wait(60) == 0
    assert re.match(
        r"waiting for the lock tc-1 of somebody: edits by hand \(process \d+ since .*\), at most \d+ s", line
    )


def test_stop_says_that_it_waits_for_a_slow_daemon(home: Home) -> None:
    home.start()
    home.ok("spawn", "first", "--label", "first", "--size", "S")
    home.until(lambda: bool(home.app().runtime.live()), "it runs")

    assert re.match(r"waiting for process \d+ to end, until \d", said(home.popen("daemon", "stop", "--drain", "30s")))


def test_with_json_standard_error_is_left_to_errors(home: Home) -> None:
    done = home.run("ask", "peter", "Which host?", "--wait", "3s", "--json")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_that_does_not_wait_says_nothing(home: Home) -> None:
    done = home.run("ask", "peter", "Which host?")

    assert done.stderr == ""
    assert home.run("inbox").stderr == ""
