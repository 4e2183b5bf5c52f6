"""Doing it once: what other tools do twice, for the dead, for a stranger with an old number, or all at once."""

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, State
from claw_files.doctor.claim_proof import tidied
from claw_files.services.admin import daemon_state
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.storage.locks import Locks
from claw_files.system import kernel
from claw_files.system.procfs import of_run, supervisor_of
from claw_files.testing.patience import until
from tests.support.office import TEAM, Office, python

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PETER, SAM = AgentId("peter"), AgentId("sam")
FORK = multiprocessing.get_context("fork")
HOURLY = TEAM + '[schedules.tidy]\ncron = "30 * * * *"\ndo = { task = "Tidy up" }\n'


def at_once(act: Callable[[], object], processes: int = 5) -> None:
    """Let so many processes do it at the same time; what they are refused is no failure."""
    children = [FORK.Process(target=refused, args=(act,), daemon=True) for _ in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * processes


def refused(act: Callable[[], object]) -> None:
    with suppress(ClawError):
        act()


def made(office: Office) -> list[str]:
    """The tasks of the schedule."""
    return [name for name in office.names("status") if "tidy" in name]


def test_a_due_time_that_two_schedulers_see_makes_one_task(tmp_path: Path) -> None:
    """openclaw#42640, getpaseo/paseo#2819: a gateway and a second process, or one before and after its restart, both
    saw that a job was due, and it fired twice.

    Here: a due time is the name of one file; five heartbeats at once, beside one who deletes the locks, make one task.
    """
    office = Office(tmp_path / "sam", HOURLY)
    office.tick()
    office.clock.advance(HOUR)
    office.settle()

    with tidied(str(office.root)):
        at_once(lambda: office.app().heartbeat.tick())
    office.tick(MINUTE)

    assert len(made(office)) == 1
    assert len([line for line in office.lines if "TIDY" in line]) == 1


def test_a_recurring_task_is_made_once_wherever_its_maker_is_killed(tmp_path: Path) -> None:
    """taskwarrior #1538, cronie #197: work that comes back was made a second time when whoever made it was cut off and
    began anew.

    Here: ids follow from the due time. The heartbeat is killed at every one of its renames; the next one makes one.
    """
    deaths = 0
    for step in range(1, 40):
        office = Office(tmp_path / f"sam-{step}", HOURLY)
        office.tick()
        office.clock.advance(HOUR)
        office.settle()
        child = FORK.Process(target=tick_and_die, args=(office, step))
        child.start()
        child.join()
        office.settle()

        for _ in range(2):
            office.tick(MINUTE)

        assert (len(made(office)), len(office.lines)) == (1, 1), f"killed at rename {step}"
        if child.exitcode == 0:
            break
        deaths += 1
    assert deaths > 4


def tick_and_die(office: Office, step: int) -> None:
    """A tick that is killed at its rename number `step`."""
    real, left = kernel.place, [step]

    def place(*names: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*names)

    kernel.place = place  # this process ends with it
    office.app().heartbeat.tick()


def test_a_mailbox_goes_on_where_it_was_after_all_memory_is_gone(office: Office) -> None:
    """agent-relay#1240: a restart of the broker set its cursor back, and the mailbox stood still behind a message that
    had been handled.

    Here: there is no cursor. What was read lies in another folder; with all of .clawfiles deleted nothing comes again
    and nothing is stuck.
    """
    for number in range(3):
        office.clock.advance(timedelta(microseconds=7))  # a message's name is when it was sent
        office.app("sam").messages.send(SAM, PETER, f"number {number}")
    (first, *_) = office.app("peter").messages.inbox(PETER)[:1]
    office.app("peter").messages.finish(PETER, first.id)
    office.app("sam").messages.send(SAM, PETER, "number 3")
    shutil.rmtree(office.root / ".clawfiles")

    office.tick(MINUTE)
    (new,) = office.app("peter").messages.inbox(PETER)

    assert "number 3" in new.body
    assert office.app("peter").messages.inbox(PETER) == []
    assert [len(office.box("peter", box)) for box in ("new", "cur", "done")] == [0, 3, 1]


LEAVES = python(
    "import os, subprocess, sys, time\n"
    "sys.stdin.read()\n"
    "for how in ({}, dict(start_new_session=True), dict(start_new_session=True, env={})):\n"
    "    left = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'], **how)\n"
    "    open('left', 'a').write(f'{left.pid}\\n')\n"
    "while not os.path.exists('go'): time.sleep(0.01)"
)


def left_by(office: Office) -> list[int]:
    until(lambda: office.exists("left") and len(office.read("left").split()) == 3, "what it starts")
    return [int(word) for word in office.read("left").split()]


def test_processes_of_an_agent_do_not_outlive_its_run(tmp_path: Path) -> None:
    """berabuddies/agentflow#41, silverstein/minutes#592, SWE-agent/mini-swe-agent#826: a time limit or an end reached
    the agent alone; what it had started went on, held its ports, and was there after weeks.

    Here: everything below the run ends with it, in a session of its own and with an empty environment, too; and when
    its supervisor is killed, the next tick ends what is left, but for what had left both its session and its
    environment.
    """
    for is_killed in (False, True):
        office = Office(tmp_path / f"sam-{is_killed}", f"{TEAM}\n[agents.coder]\n{LEAVES}\n")
        try:
            office.delegated("coder", type=None)
            office.tick()
            left, folder = left_by(office), str(office.root / "runs/tc-1.1-s1")
            hidden = left.pop() if is_killed else None
            if is_killed:
                os.kill(until(lambda folder=folder: supervisor_of(folder), "its supervisor"), signal.SIGKILL)
            else:
                office.write("go", "")

            def ended(left: list[int] = left, office: Office = office) -> bool:
                office.app().heartbeat.tick()
                return not any(is_alive(pid) for pid in left)

            until(ended, "the end of what was left")
            assert of_run(folder) == set()
            if hidden:
                os.kill(hidden, signal.SIGKILL)
        finally:
            office.write("go", "")
            office.stop()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_a_number_that_was_given_out_again_is_nobodys_life(tmp_path: Path) -> None:
    """Signet-AI/signetai#1926, openclaw#4015, #88342, #5006, getpaseo/paseo#5128: a file named the process that had
    the lock; after a restart of the container another program had that number, and the service never started, or a
    stranger was killed.

    Here: a number in a file is for people. The kernel says who holds a lock and what belongs to a run; a stranger with
    the old number keeps nothing from starting and is left alone.
    """
    waits = python("import os, sys, time\nsys.stdin.read()\nwhile not os.path.exists('go'): time.sleep(0.01)")
    office = Office(tmp_path / "sam", f"{TEAM}\n[agents.coder]\n{waits}\n")
    stranger = FORK.Process(target=signal.pause, daemon=True)
    stranger.start()
    try:
        office.delegated("coder", type=None)
        office.tick()
        folder = str(office.root / "runs/tc-1.1-s1")
        supervisor = until(lambda: supervisor_of(folder), "its supervisor")
        for pid in (supervisor, *of_run(folder)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not of_run(folder) and supervisor_of(folder) is None, "its end")
        told = office.read("runs/tc-1.1-s1/run.md").splitlines()
        told = [f"pid: {stranger.pid}" if line.startswith("pid:") else line for line in told]
        (office.root / "runs/tc-1.1-s1/run.md").write_text("\n".join(told) + "\n")
        for name in ("daemon", "tick"):
            signed = json.dumps({"pid": stranger.pid, "who": "clawfiles daemon", "since": "2026-03-07T08:00:00Z"})
            office.write(f".clawfiles/locks/{name}.lock", signed)

        acts = office.acts(MINUTE)

        assert acts[0] == "fail TC-1", acts
        assert stranger.is_alive()
        assert not daemon_state.is_running(str(office.root))
        Locks(str(office.root)).acquire("daemon", timedelta(0), "a new daemon").close()
    finally:
        stranger.kill()
        office.write("go", "")
        office.stop()


def test_a_run_that_is_stopped_or_slow_is_not_declared_dead(tmp_path: Path) -> None:
    """dagucloud/dagu PR #1773: a detector of zombies killed live runs, because a file's time was old, a heartbeat came
    late, or the process was busy.

    Here: no time says that a run is dead. One whose supervisor and agent stand still for nine hours, and whose lock
    file somebody deleted, is alive, goes on and ends as it likes.
    """
    works = python(
        "import os, sys, time\nsys.stdin.read()\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
        "open('status/tc-1.md', 'a').write('\\nStatus: DONE - PR #1\\n')"
    )
    office = Office(tmp_path / "sam", f"{TEAM}\n[agents.coder]\n{works}\n")
    folder = str(office.root / "runs/tc-1.1-s1")
    stopped: set[int] = set()
    try:
        office.delegated("coder", type=None)
        office.tick()
        stopped = {until(lambda: supervisor_of(folder), "its supervisor"), *until(lambda: of_run(folder), "its agent")}
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        (office.root / ".clawfiles/runs/tc-1.1-s1.lock").unlink()

        acts = [act for _ in range(9) for act in office.acts(HOUR)]

        assert not {act.split()[0] for act in acts} & {"fail", "retry", "deliver", "resend", "dead-letter"}, acts
        assert office.audit(action="run lost") == []
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        office.write("go", "")
        office.runs_end()
        office.tick(MINUTE)
        assert office.state("TC-1") is State.DONE
        assert office.names("runs") == ["tc-1.1-s1"]
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        office.write("go", "")
        office.stop()


def test_tasks_that_failed_together_are_retried_at_different_times(tmp_path: Path) -> None:
    """Astro-Han/pawwork#1348, block/buzz#5557: after an outage all clients tried again at the same instant, and again,
    and kept the service down.

    Here: each pause is longer by up to a quarter that depends on the task: of twelve workers that failed together none
    comes back before its time, and never half of them in one minute.
    """
    worker = f'[agents.coder]\nkind = "worker"\n{python("raise SystemExit(1)")}\n[routes]\nx = {{ to = ["coder"] }}\n'
    limits = "[limits]\nruns = 50\nspawns_per_minute = 1000\nbreaker = 100\n"
    office = Office(
        tmp_path / "sam", TEAM.partition("[routes]")[0] + worker + limits + '[heartbeat]\nbackoff = "40m"\n'
    )
    for number in range(12):
        order = SpawnOrder(text="look", label=f"l{number}", size="L", worker=AgentId("coder"), type="x")
        office.app("sam").delegations.spawn(order, SAM)
    office.tick()
    office.runs_end()

    first = office.acts(MINUTE)
    tries = []
    for minute in range(60):
        tries += [minute for act in office.acts(MINUTE) if act.startswith("retry ")]
        office.runs_end()

    assert len([act for act in first if act.startswith("fail ")]) == 12, first
    assert len(tries) == 12, tries
    assert min(tries) >= 38
    assert max(map(tries.count, tries)) < 6
