"""The workday of the example workspace, once, by the real command; then its files and what it told are looked at."""

import itertools
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from claw_files.core.errors import InvalidFile, RunFailed
from claw_files.demo import day, run, stage
from claw_files.testing.patience import until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "claw_files"]
ENV = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")} | {
    "PYTHONPATH": str(ROOT)
}


def processes_of(folder: Path) -> list[int]:
    """Pids of living processes that were told that `folder` is their workspace."""
    wanted = f"CLAWFILES_WORKSPACE={folder}".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if wanted in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                found.append(int(name))
        except OSError:
            continue
    return found


class Workday(Protocol):
    """What the fixture in conftest.py gives."""

    folder: Path
    printed: str

    def text(self, path: str) -> str: ...
    def head(self, path: str) -> dict[str, object]: ...
    def runs(self, agent: str) -> list[dict[str, object]]: ...
    def journal(self) -> list[dict[str, str]]: ...


def at(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def test_three_workers_run_at_the_same_time(workday: Workday) -> None:
    runs = [run for agent in ("email", "calendar", "tasks") for run in workday.runs(agent)]

    assert len(runs) == 3
    assert max(at(run["started"]) for run in runs) < min(at(run["ended"]) for run in runs)


@pytest.mark.parametrize("label", ["email", "calendar", "tasks"])
def test_a_worker_writes_its_own_result_and_says_which_run_it_is_of(workday: Workday, label: str) -> None:
    result = workday.head(f"checkpoints/subagent-{label}.md")

    assert (result["label"], result["status"], result["agent"]) == (label, "done", label)
    assert result["run"] == workday.runs(label)[0]["run"]
    assert set(result) >= {"task", "completed", "outputs", "usage"}


def test_the_report_combines_what_the_three_found_and_reaches_the_person_once(workday: Workday) -> None:
    told = workday.text("announcements.md")

    assert workday.text("reports/morning.md").count("## ") == 3
    for part in day.REPORT:
        assert part in workday.text("reports/morning.md")
        assert told.count(part) == 1
    assert "Jürgen Weiß (Steuerbüro)" in told


def test_the_urgent_task_is_claimed_reviewed_and_done_with_its_pull_request(workday: Workday) -> None:
    task = workday.head("status/tc-89.md")
    steps = [(line["action"], line["actor"]) for line in workday.journal() if line["task"] == "TC-89"]

    assert (task["status"], task["assignee"], task["outputs"]) == ("done", "peter", ["PR #142"])
    order = [
        steps.index(step) for step in (("delegate", "sam"), ("claim", "peter"), ("done", "peter"), ("approve", "sam"))
    ]
    assert order == sorted(order)


def test_the_look_at_ten_finds_it_in_progress_and_waits_until_eleven(workday: Workday) -> None:
    assert re.search(r"^10:\d\d +heartbeat +TC-89 is in progress: wait until 11:00$", workday.printed, re.MULTILINE)


def test_the_person_is_told_once_that_it_is_done(workday: Workday) -> None:
    assert workday.text("announcements.md").count("PR #142") == 1


def test_a_task_whose_agent_always_dies_becomes_a_dead_letter_with_its_history(workday: Workday) -> None:
    runs = workday.runs("importer")
    letter = workday.head("dead-letter/tc-90.md")

    assert [run["exit"] for run in runs] == [-signal.SIGKILL, 1, 1]
    assert (letter["status"], letter["failures"]) == ("dead", 3)
    assert not (workday.folder / "status/tc-90.md").exists()
    assert "the supplier's server does not answer" in workday.text("dead-letter/tc-90.md")


def test_attempts_are_made_after_growing_pauses(workday: Workday) -> None:
    runs = workday.runs("importer")
    pauses = [
        (at(later["started"]) - at(earlier["ended"])).total_seconds() for earlier, later in itertools.pairwise(runs)
    ]

    assert pauses[0] >= 1
    assert pauses[1] >= 2


def test_a_workflow_sends_the_letters_that_could_be_written_after_the_person_agreed(workday: Workday) -> None:
    steps = [(line["action"], line["task"]) for line in workday.journal() if str(line["task"]).startswith("TC-91")]

    assert workday.head("status/tc-91.md")["status"] == "done"
    assert workday.head("status/tc-91.md")["summary"] == "results in flows/tc-91/; letter: 2 of 3 succeeded"
    assert {path.name for path in (workday.folder / "flows/tc-91").glob("letter-*.md")} == {
        "letter-1.md",
        "letter-3.md",
    }
    assert steps.index(("done", "TC-91-APPROVE")) < steps.index(("step", "TC-91-SEND"))
    assert "Anna Petrova has no address" in workday.text("announcements.md")
    assert re.search(
        r"^\d\d:\d\d +dimitrios +\$ clawfiles done TC-91-APPROVE --answer send$", workday.printed, re.MULTILINE
    )
    assert "letter   done  2 of 3" in workday.printed


def test_the_person_is_told_once_of_the_dead_letter(workday: Workday) -> None:
    assert len(re.findall(r"TC-90\b[^\n]*dead", workday.text("announcements.md"))) == 1


def test_news_inside_the_quiet_hours_wait_for_the_brief_which_is_delivered_once(workday: Workday) -> None:
    told = workday.text("announcements.md")
    briefs = list((workday.folder / "briefs").iterdir())
    handed_over = [line for line in workday.journal() if line["action"] == "brief handed over"]

    assert told.count(day.NIGHT_NEWS) == 1
    assert len(briefs) == 1
    assert day.NIGHT_NEWS in briefs[0].read_text(encoding="utf-8")
    assert len(handed_over) == 1
    assert told.index(day.NIGHT_NEWS) < told.index(day.REPORT[0])


def test_nothing_is_announced_in_quiet_hours(workday: Workday) -> None:
    window = tomllib.loads(workday.text("clawfiles.toml"))["quiet_hours"]["windows"][0]
    first = at(workday.journal()[0]["timestamp"]).astimezone(day.ZONE)
    end = datetime.combine(first.date(), time.fromisoformat(window.partition("-")[2]), day.ZONE)
    handed_over = [at(line["timestamp"]) for line in workday.journal() if line["action"].endswith("handed over")]

    assert len(handed_over) >= 3
    assert min(handed_over) >= (end if end > first else end + timedelta(days=1))


def test_the_ledger_holds_headings_only(workday: Workday) -> None:
    lines = [line for line in workday.text("HEARTBEAT.md").splitlines() if line.strip()]

    assert lines
    assert all(line.startswith("#") for line in lines)


def test_no_process_is_left(workday: Workday) -> None:
    assert processes_of(workday.folder) == []


def test_the_clock_that_is_shown_never_goes_back_and_the_end_says_where_to_look(workday: Workday) -> None:
    clocks = re.findall(r"^(\d\d:\d\d) ", workday.printed, re.MULTILINE)

    assert clocks == sorted(clocks)
    assert "07:30" <= clocks[0] < "08:45"  # on a slow machine the first line is shown later
    for word in ("clawfiles log", "docs/tutorial/", "PR #142"):
        assert word in workday.printed
    assert "\033" not in workday.printed


def test_agents_use_nothing_of_ours_but_the_command() -> None:
    for script in sorted((ROOT / "workspace-example").rglob("*.py")):
        assert "claw_files" not in script.read_text(encoding="utf-8"), script


# --- what goes wrong


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")

    done = subprocess.run([*COMMAND, "demo", "--keep", str(tmp_path)], env=ENV, capture_output=True, text=True)

    assert done.returncode == 5
    assert str(tmp_path) in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_day_that_does_not_end_as_it_should_is_a_failure_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day, "LIMIT_SECONDS", -1)

    with pytest.raises(RunFailed, match=r"TC-89 is not done.*day") as failure:
        run(lambda *_: None, str(tmp_path / "day"))

    assert failure.value.exit_status == 8
    assert (tmp_path / "day/clawfiles.toml").exists()


def test_a_configuration_that_the_demo_does_not_know_is_named() -> None:
    with pytest.raises(InvalidFile, match="check"):
        stage.compress('ack = "5m"', {'check = "30m"': 'check = "6s"'})


def test_a_day_that_failed_leaves_its_folder_and_names_it_and_an_interrupted_one_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(RunFailed), stage.workspace(None) as failed:
        raise RunFailed("demo", "the day went wrong")
    with pytest.raises(KeyboardInterrupt), stage.workspace(None) as interrupted:
        raise KeyboardInterrupt
    with stage.workspace(None) as ended:
        assert Path(ended, "HEARTBEAT.md").exists()

    assert Path(failed, "HEARTBEAT.md").exists()
    assert not Path(interrupted).exists()
    assert not Path(ended).exists()


def test_an_agent_at_work_is_ended_with_the_demo(tmp_path: Path) -> None:
    with stage.workspace(str(tmp_path / "day")) as folder, stage.commands() as path:
        env = stage.environment(folder, path)
        with pytest.raises(KeyboardInterrupt), stage.everything_ended(folder):
            subprocess.run(["clawfiles", "delegate", "TC-89", "--agent", "sam"], env=env, check=True)
            until(lambda: _agents_of(Path(folder)), "peter is at work")
            raise KeyboardInterrupt

        assert processes_of(Path(folder)) == []


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A demo in whose folder an agent is at work, and the folder."""
    folder = tmp_path / "day"
    demo = subprocess.Popen([*COMMAND, "demo", "--keep", str(folder)], env=ENV, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _agents_of(folder), "an agent is at work")
        yield demo, folder
    finally:
        demo.kill()
        demo.wait()


def _agents_of(folder: Path) -> list[int]:
    found = []
    for pid in processes_of(folder):
        try:
            if b"CLAWFILES_RUN=" in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(
    begun: tuple[subprocess.Popen[bytes], Path], sign: signal.Signals
) -> None:
    demo, folder = begun

    demo.send_signal(sign)

    assert demo.wait(30) == 130
    # A supervisor writes its run's end and then has a few instructions left.
    until(lambda: not processes_of(folder), "nothing of it is left")
