"""What the process runner promises: one start for each run id, and a true account of what lives."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claw_files.core.errors import BadId, BadValue
from claw_files.core.model import AgentId, KeyText, Run, RunId, TaskId
from claw_files.processes import StartOrder
from claw_files.processes.process_runner import ProcessRunner
from claw_files.system.clock import SystemClock
from claw_files.system.processes import SystemProcesses
from claw_files.testing.patience import until


@pytest.fixture
def runtime(tmp_path: Path) -> ProcessRunner:
    return ProcessRunner(str(tmp_path), SystemProcesses(), SystemClock(), os.environ)


def order(root: Path, run_id: str = "tc-1.1-s1", *command: str, message: str = "hello") -> StartOrder:
    run = Run(
        id=RunId(run_id),
        agent=AgentId("peter"),
        key=KeyText("tc-1.1"),
        task=TaskId("TC-1"),
        started=datetime.now(UTC),
        timeout=timedelta(seconds=20),
    )
    return StartOrder(run=run, workspace=str(root), command=command or ("true",), message=message)


def over(runtime: ProcessRunner, run_id: str = "tc-1.1-s1") -> Run | None:
    until(lambda: (run := runtime.look(RunId(run_id))) is None or not run.alive, f"the end of {run_id}")
    return runtime.look(RunId(run_id))


def test_a_run_is_started_at_most_once_for_its_id(runtime: ProcessRunner, tmp_path: Path) -> None:
    started = [runtime.start(order(tmp_path)) for _ in range(3)]

    assert sum(started) == 1
    assert not any(started[1:])
    over(runtime)
    assert not runtime.start(order(tmp_path))


def test_a_run_that_was_never_started_is_none_and_nothing_can_be_done_to_it(runtime: ProcessRunner) -> None:
    assert runtime.look(RunId("tc-9.1-s1")) is None
    assert runtime.end_lost(RunId("tc-9.1-s1")) is None
    assert runtime.stop(RunId("tc-9.1-s1")) is False
    assert runtime.live() == []


def test_a_started_run_is_live_until_its_end(runtime: ProcessRunner, tmp_path: Path) -> None:
    assert runtime.start(order(tmp_path, "tc-1.1-s1", "sleep", "20"))

    assert [run.id for run in runtime.live()] == ["tc-1.1-s1"]
    assert runtime.stop(RunId("tc-1.1-s1")) is True
    over(runtime)
    assert runtime.live() == []


def test_a_run_that_is_not_lost_is_left_alone_by_end_lost(runtime: ProcessRunner, tmp_path: Path) -> None:
    assert runtime.start(order(tmp_path, "tc-1.1-s1", "sleep", "20"))

    run = runtime.end_lost(RunId("tc-1.1-s1"))

    assert run is not None and run.alive and run.ended is None
    runtime.stop(RunId("tc-1.1-s1"))
    over(runtime)


def test_ids_that_could_be_paths_and_text_with_nul_are_refused(runtime: ProcessRunner, tmp_path: Path) -> None:
    for run_id in ("../x", "-x", "", "a/b", "x\0"):
        with pytest.raises(BadId):
            runtime.start(order(tmp_path, run_id))
    with pytest.raises(BadValue):
        runtime.start(order(tmp_path, "tc-1.1-s1", "echo", "a\0b"))
    with pytest.raises(BadValue):
        runtime.start(order(tmp_path, message="a\0b"))
    assert list(tmp_path.iterdir()) == []


def test_an_agent_finds_the_programs_beside_our_python_although_the_path_lacks_them(tmp_path: Path) -> None:
    from claw_files.system.procfs import with_our_programs

    ours = os.path.dirname(os.path.abspath(sys.executable))

    assert with_our_programs("/usr/bin:/bin") == f"/usr/bin:/bin:{ours}"
    assert with_our_programs(f"/usr/bin:{ours}") == f"/usr/bin:{ours}"
    assert with_our_programs("") == ours
