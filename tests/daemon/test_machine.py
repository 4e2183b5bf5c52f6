"""What a machine does to a daemon: folders that may not be written, a full disk, a clock that is moved, two at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.core.model import State
from tests.daemon.conftest import ROOT, Home

# For root no folder is read-only: without this right it is a user like any other.
BOUND = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner") if os.geteuid() == 0 else ()
FAKETIME = next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), "")


@pytest.fixture
def locked_up(home: Home) -> Iterator[list[Path]]:
    """Folders that are read-only until the test is over."""
    paths = list[Path]()
    yield paths
    for path in paths:
        path.chmod(0o755)


@pytest.mark.skipif(BOUND and not shutil.which("setpriv"), reason="needs setpriv: nothing is read-only for root")
def test_a_workspace_that_may_not_be_written_is_refused_in_one_sentence(home: Home, locked_up: list[Path]) -> None:
    locked_up.append(home.root)
    home.root.chmod(0o555)

    daemon = home.popen("daemon", "run", before=BOUND)
    _, err = daemon.communicate(timeout=30)

    assert daemon.returncode == 6
    assert err.decode().count("\n") <= 2 and "ermission" in err.decode() and "Traceback" not in err.decode()


@pytest.mark.skipif(BOUND and not shutil.which("setpriv"), reason="needs setpriv: nothing is read-only for root")
def test_a_read_only_folder_is_reported_once_and_written_again_when_writable(home: Home, locked_up: list[Path]) -> None:
    first, second = home.new("iris"), home.new("iris")
    home.start(before=BOUND)
    (home.root / "status").chmod(0o555)
    locked_up.append(home.root / "status")

    with (home.root / f"status/{first.lower()}.md").open("a") as file:
        file.write("\nStatus: IN PROGRESS\n")
    home.until(lambda: home.log("problems"), "it is told")
    home.write(f"inbox/iris/new/{second.lower()}.txt", "")  # the rest goes on
    home.until(lambda: home.state.last_tick and home.state.last_tick.problems, "and stands in the status")
    (home.root / "status").chmod(0o755)

    home.until(lambda: home.audit(action="record", task=first), "it is written down")
    assert len(home.log("problems")) == 1
    assert home.daemon.poll() is None


def mounting() -> tuple[str, ...]:
    """What a process is started with to have mounts of its own; nothing where that is not allowed."""
    for way in (("unshare", "-m"), ("unshare", "--user", "--map-root-user", "-m")):
        script = [*way, "mount", "-t", "tmpfs", "none", "/mnt"]
        if shutil.which("unshare") and subprocess.run(script, capture_output=True).returncode == 0:
            return way
    return ()


@pytest.mark.skipif(not mounting(), reason="needs mounts of its own: unshare -m, and a user who may")
def test_a_full_disk_is_reported_and_survived_without_a_restart(tmp_path: Path) -> None:
    """On a small file system that only the processes of this test see."""
    (tmp_path / "team").mkdir()
    script = 'mount -t tmpfs -o size=2m,mode=700 none "$1/team" && exec "$2" -m tests.daemon.full_disk "$1/team"'

    done = subprocess.run(
        [*mounting(), "sh", "-c", script, "-", str(tmp_path), sys.executable], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


class MovedClock:
    """The clock of a daemon, set by a file."""

    def __init__(self, home: Home) -> None:
        self._path = home.root.parent / "clock"
        self.set("+0")
        self.env = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self._path), "FAKETIME_NO_CACHE": "1"}
        self.env |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def set(self, text: str) -> None:
        other = self._path.with_suffix(".new")
        other.write_text(f"{text}\n")
        other.rename(self._path)


needs_faketime = pytest.mark.skipif(not FAKETIME, reason="needs libfaketime, on Debian: apt-get install libfaketime")


@needs_faketime
def test_a_clock_that_is_set_a_day_ahead_makes_due_what_is_due_then_and_starts_nothing_twice(home: Home) -> None:
    clock = MovedClock(home)
    home.start(**clock.env)
    running, waiting = home.new("slow"), home.new("iris")
    home.until(lambda: home.state.runs, "slow's runs")

    clock.set("+1d")

    home.until(lambda: home.audit(action="resend", task=waiting), "the acknowledgement is overdue")
    home.write(f"status/{waiting.lower()}.md", f"{waiting}: DONE\n")
    home.until(lambda: home.audit(action="close", task=waiting), "a saved file is acted on")
    assert home.live() == [f"{running.lower()}.1-s1"]
    home.write("go", "")
    home.until(lambda: home.lines() == 0, "slow's ends as if nothing had been")
    assert home.task(running) is State.DONE
    assert len(home.audit(action="wake")) == 1


@needs_faketime
def test_a_clock_that_is_put_a_day_back_delays_nothing(home: Home) -> None:
    clock = MovedClock(home)
    home.start(**clock.env)
    running, waiting = home.new("slow"), home.new("iris")
    home.until(lambda: home.state.runs, "slow's runs")

    clock.set("-1d")

    home.write(f"status/{waiting.lower()}.md", f"{waiting}: DONE\n")
    home.until(lambda: home.audit(action="close", task=waiting), "a saved file is acted on")
    later = home.new("coder")
    home.until(lambda: home.audit(action="close", task=later), "new work is begun and finished")
    home.write("go", "")
    home.until(lambda: home.lines() == 0, "what ran before ends as if nothing had been")
    assert home.task(running) is State.DONE
    assert sorted(line["task"] for line in home.audit(action="wake")) == sorted([running, later])
    assert home.log("close")[0]["at"] < home.log("start")[0]["at"]


def at_the_same_instant(home: Home, times: int) -> None:
    for _ in range(times):
        both = [home.popen("daemon", "run") for _ in range(2)]
        home.until(lambda both=both: any(one.poll() is not None for one in both), "one gives up")
        lives = [one for one in both if one.poll() is None]
        gone = next(one for one in both if one not in lives)
        home.until(lambda: home.status() is not None, "the other says how it is")

        assert gone.returncode == 7
        assert [one.pid for one in lives] == [home.state.pid]
        assert f"process {lives[0].pid}" in gone.communicate()[1].decode()
        lives[0].kill()
        lives[0].wait()
    assert [line["epoch"] for line in home.audit(action="daemon start")] == [str(n) for n in range(1, times + 1)]


def test_one_of_two_daemons_started_at_the_same_instant_continues(home: Home) -> None:
    at_the_same_instant(home, 2)


@pytest.mark.slow
def test_of_two_daemons_started_at_the_same_instant_one_lives_twenty_times(home: Home) -> None:
    at_the_same_instant(home, 20)
