"""Runs with real processes: how they end, what they see, and what is left after anything was killed."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.model import AgentId, KeyText, Run, RunId, TaskId
from claw_files.processes import LOST, StartOrder
from claw_files.processes.process_runner import ProcessRunner
from claw_files.system import procfs
from claw_files.system.clock import SystemClock
from claw_files.system.processes import SystemProcesses
from claw_files.system.procfs import with_our_programs
from claw_files.testing.patience import until
from tests.proofs import is_tried

ID = RunId("tc-1.1-s1")
CAP_BYTES = 65536


class Bench:
    """A workspace with a runtime in it."""

    def __init__(self, root: Path, environ: dict[str, str] | None = None) -> None:
        self.root = root
        self.runtime = ProcessRunner(
            str(root), SystemProcesses(), SystemClock(), environ or dict(os.environ), timedelta(seconds=0.3), CAP_BYTES
        )

    @property
    def folder(self) -> str:
        return str(self.root / "runs" / ID)

    def start(self, *command: str, run_id: str = ID, timeout: float = 30, **more: Any) -> bool:
        run = Run(
            id=RunId(run_id),
            agent=AgentId("peter"),
            key=KeyText("tc-1.1"),
            task=TaskId("TC-1"),
            generation=3,
            started=datetime.now(UTC),
            timeout=timedelta(seconds=timeout),
        )
        return self.runtime.start(StartOrder(run=run, workspace=str(self.root), command=command, **more))

    def over(self, run_id: str = ID) -> Run:
        until(lambda: not self.look(run_id).alive, "its end")
        return self.look(run_id)

    def look(self, run_id: str = ID) -> Run:
        run = self.runtime.look(RunId(run_id))
        assert run is not None
        return run

    def text(self, name: str, run_id: str = ID) -> str:
        return (self.root / "runs" / run_id / name).read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for run in made.runtime.live():
        made.runtime.stop(run.id)
        until(lambda run=run: not made.look(run.id).alive, "its end")


def sh(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def py(script: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(script), *args)


def pids(file: Path, count: int) -> list[int]:
    until(lambda: file.exists() and len(file.read_text().split()) >= count, "what it writes")
    return [int(word) for word in file.read_text().split()]


def is_there(pid: int) -> bool:
    """Zombies included: a process that nobody collected is still in /proc."""
    return os.path.exists(f"/proc/{pid}")


FAMILY = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    def note():
        with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()}\\n")
    note()
    if os.fork() == 0:
        note()
        if os.fork() == 0:
            os.setsid()
            os.environ.clear()
            if os.fork() == 0: note()
            else: os._exit(0)
    time.sleep(300)
"""


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 0", 0, "exited"),
        ("exit 3", 3, "exited"),
        ("kill -SEGV $$", -11, "ended by SIGSEGV"),
        ("exec >&- 2>&-; sleep 0.2; exit 5", 5, "exited"),
    ],
)
def test_a_run_tells_how_it_ended(bench: Bench, script: str, code: int, reason: str) -> None:
    assert bench.start(*sh(script))

    run = bench.over()

    assert (run.exit, run.reason) == (code, reason)
    assert run.ended is not None
    assert run.started is not None
    assert run.ended.utcoffset() == timedelta(0)
    assert (run.task, run.generation, run.command) == ("TC-1", 3, sh(script))


def test_the_time_limit_ends_an_agent_that_ignores_term_and_all_it_started(bench: Bench, tmp_path: Path) -> None:
    bench.start(*py(FAMILY, str(tmp_path / "pids")), timeout=1)
    family = pids(tmp_path / "pids", 3)
    assert all(is_there(pid) for pid in family)

    run = bench.over()

    assert (run.exit, run.reason) == (-9, "timed out")
    assert [pid for pid in family if is_there(pid)] == []


def test_an_agent_gets_term_first_and_time_to_tidy_up(bench: Bench) -> None:
    bench.start(*sh("trap 'echo tidied; exit 4' TERM; echo ready; while :; do sleep 0.02; done"), timeout=1)

    run = bench.over()

    assert (run.exit, run.reason) == (4, "timed out")
    assert "tidied" in run.tail


CLIENT = """
    import signal, subprocess, sys

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    def end(*_):
        print("child", child.poll(), flush=True)  # None: nobody has told it
        child.kill()
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("ignores", [False, True])
def test_one_that_is_to_be_asked_alone_is_asked_before_what_it_started(tmp_path: Path, ignores: bool) -> None:
    bench = Bench(tmp_path)
    bench.runtime = ProcessRunner(str(tmp_path), SystemProcesses(), SystemClock(), os.environ, timedelta(seconds=2))
    script = CLIENT.replace("SIGTERM, end", "SIGTERM, signal.SIG_IGN").replace("signal.pause()", "child.wait()")
    bench.start(*py(script if ignores else CLIENT), alone=True)
    log = tmp_path / "runs" / ID / "stdout.log"
    until(lambda: log.exists() and log.read_text() == "ready\n", "it is ready")

    bench.runtime.stop(RunId(ID))
    run = bench.over()

    assert run.reason == "stopped"
    assert ignores or bench.text("stdout.log") == "ready\nchild None\n"


def test_processes_of_an_agent_end_with_its_run(bench: Bench, tmp_path: Path) -> None:
    bench.start(*sh(f"setsid sleep 300 & echo $! > {tmp_path}/pids; exit 0"))

    run = bench.over()

    assert (run.exit, run.reason) == (0, "exited")
    assert not any(is_there(pid) for pid in pids(tmp_path / "pids", 1))


def test_a_run_that_an_agent_starts_outlives_it(bench: Bench, tmp_path: Path) -> None:
    starter = f"""
        import sys; sys.path.insert(0, {os.getcwd()!r}); sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_supervisor import Bench; from pathlib import Path
        Bench(Path(sys.argv[1])).start("/bin/sh", "-c", "sleep 0.7; exit 6", run_id="inner")
    """
    bench.start(*py(starter, str(tmp_path)), env=("PYTHONPATH",))
    assert bench.over().exit == 0, bench.text("stderr.log")

    assert bench.look("inner").alive
    assert bench.over("inner").exit == 6


def test_a_flood_is_capped_and_does_not_block_the_agent(bench: Bench) -> None:
    bench.start(*sh("echo FIRST; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo LAST; exit 7"))

    assert bench.over().exit == 7
    log = bench.text("stdout.log")
    assert log.startswith("FIRST\nxxx")
    assert log.endswith("xxx\nLAST\n")
    assert "bytes left out" in log
    assert len(log) <= CAP_BYTES + 100


def test_an_agent_that_floods_for_ever_ends_at_its_limit(bench: Bench) -> None:
    bench.start("yes", timeout=1)

    assert bench.over().reason == "timed out"
    assert len(bench.text("stdout.log")) <= CAP_BYTES + 100


def test_the_last_lines_are_told_without_their_control_characters(bench: Bench) -> None:
    bench.start(
        *py(r"import sys; sys.stdout.buffer.write(b'a\x1b]52;c;aGk=\x07b\rc\x9b\xff\xe2\x80\xae\n```\nexit: 0\n---\n')")
    )

    run = bench.over()

    text = bench.text("run.md")
    assert [ch for ch in text if not ch.isprintable() and ch != "\n"] == []
    assert "a\\x1b]52;c;aGk=\\x07b\\rc" in text
    assert "````text\n" in text
    assert run.exit == 0
    assert "```\nexit: 0\n---" in run.tail


def test_an_agent_sees_what_it_may_see_and_nothing_else(tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/h",
        "SECRET": "s",
        "KEY": "k",
        "CLAWFILES_TASK": "TC-9",
        "LANG": "C",
    }
    bench = Bench(tmp_path, environ)
    bench.start("env", "-0", env=("KEY", "ABSENT"), label="mail", extra={"CLAWFILES_CHAIN": "sam"})
    bench.over()

    seen = dict(line.split("=", 1) for line in bench.text("stdout.log").split("\0") if line)

    assert seen == {
        "PATH": with_our_programs(environ["PATH"]), "HOME": "/h", "KEY": "k", "LANG": "C", "CLAWFILES_TASK": "TC-1",
        "CLAWFILES_WORKSPACE": str(tmp_path), "CLAWFILES_AGENT": "peter", "CLAWFILES_RUN": ID,
        "CLAWFILES_RUN_DIR": bench.folder,
        "CLAWFILES_GENERATION": "3", "CLAWFILES_LABEL": "mail", "CLAWFILES_CHAIN": "sam",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ("stdin", ("cat",)),
        ("file", ("cat", "{message_file}")),
        ("file", sh('cat "$CLAWFILES_MESSAGE_FILE"')),
        ("env", sh('printf %s "$CLAWFILES_MESSAGE"')),
    ],
)
def test_the_message_reaches_the_agent_as_it_is(bench: Bench, given: str, command: tuple[str, ...]) -> None:
    message = "--output=x; touch PWNED $(touch PWNED)\n{task} `touch PWNED` \x1b[2J ü\n"
    bench.start(*command, message=message, given=given)

    assert bench.over().exit == 0
    assert bench.text("stdout.log") == message
    assert (bench.root / "runs" / ID / "message.md").stat().st_mode & 0o777 == 0o600
    assert not list(bench.root.rglob("PWNED"))


def test_without_the_message_on_stdin_there_is_nothing_to_read(bench: Bench) -> None:
    bench.start("cat", message="hello", given="file")

    assert bench.over().exit == 0
    assert bench.text("stdout.log") == ""


def test_a_placeholder_value_is_one_argument_and_is_never_expanded_again(tmp_path: Path) -> None:
    root = tmp_path / "w; touch PWNED $(touch PWNED) {task}"
    root.mkdir()
    bench = Bench(root)
    bench.start("printf", "%s\\n", "{workspace}", "{task}:{label}", "{unknown} {0} {", "{run_dir}", label="{task}")
    bench.over()

    assert bench.text("stdout.log").splitlines() == [
        str(root), "TC-1:{task}", "{unknown} {0} {", f"{root}/runs/{ID}",
    ]  # fmt: skip
    assert not list(tmp_path.rglob("PWNED"))


@pytest.mark.parametrize(
    "command", [("no-such-program",), ("/no/such",), ("./agent",), ("bin/agent",), ("",), (), ("/",)]
)
def test_a_program_that_cannot_run_is_a_run_that_ends_with_the_reason(bench: Bench, command: tuple[str, ...]) -> None:
    assert bench.start(*command)

    run = bench.over()

    assert run.ended is not None
    assert run.exit is None
    assert (run.reason or "").startswith("could not start: ")


@pytest.mark.parametrize(("path", "program"), [(".::/bin", "agent"), ("{root}:/bin", "./agent")])
def test_no_program_is_found_relative_to_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, program: str
) -> None:
    (tmp_path / "agent").write_text("#!/bin/sh\n")
    (tmp_path / "agent").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    bench = Bench(tmp_path, {"PATH": path.format(root=tmp_path)})
    bench.start(program)

    assert (bench.over().reason or "").startswith("could not start: ")


def test_a_missing_working_folder_is_named(bench: Bench) -> None:
    bench.start("true", cwd="../gone")

    reason = bench.over().reason or ""
    assert reason.startswith("could not start: ")
    assert "gone" in reason


def test_a_stop_ends_the_run_even_if_the_agent_has_stopped_itself(bench: Bench, tmp_path: Path) -> None:
    bench.start(*sh(f"trap 'exit 4' TERM; echo $$ > {tmp_path}/pids; kill -STOP $$; sleep 300"))
    (agent,) = pids(tmp_path / "pids", 1)
    until(lambda: "State:\tT" in Path(f"/proc/{agent}/status").read_text(), "it stands still")

    assert bench.runtime.stop(ID)

    assert (bench.over().reason, bench.look().exit) == ("stopped", 4)
    assert not bench.runtime.stop(ID)


def test_a_supervisor_that_is_told_to_end_ends_its_run_first(bench: Bench) -> None:
    bench.start("sleep", "300")
    until(lambda: bench.look().pid, "its start")

    until(lambda: SystemProcesses().ask_to_end(bench.folder), "a supervisor that can be asked")

    assert bench.over().reason == "stopped"
    assert not (bench.root / "runs" / ID / "stop").exists()


def test_a_supervisor_waits_for_a_slow_starter(tmp_path: Path) -> None:
    class Slow(SystemProcesses):
        def detach(self, argv: Sequence[str], env: Mapping[str, str], given: Sequence[int]) -> None:
            super().detach(argv, env, given)
            time.sleep(0.3)

    bench = Bench(tmp_path)
    bench.runtime = ProcessRunner(str(tmp_path), Slow(), SystemClock(), dict(os.environ))

    assert bench.start(*sh("exit 2"))
    assert bench.over().exit == 2


def test_a_stop_request_written_by_hand_is_enough(bench: Bench) -> None:
    bench.start("sleep", "300")
    (bench.root / "runs" / ID / "stop").touch()

    assert bench.over().reason == "stopped"


def test_an_agent_inherits_no_descriptor_no_ignored_signal_and_dumps_no_core(bench: Bench) -> None:
    leak = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leak, True)
    before = os.listdir("/proc/self/fd")
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        bench.start("ls", "/proc/self/fd", run_id="fds")
        bench.start("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status", run_id="signals")
        bench.start(*sh("ulimit -c"), run_id="core")
        assert os.listdir("/proc/self/fd") == before
    finally:
        signal.signal(signal.SIGHUP, old)
        os.close(leak)

    said = [(bench.over(name), bench.text("stdout.log", name).split())[1] for name in ("fds", "signals", "core")]
    assert said[0] == ["0", "1", "2", "3"], "3 is what ls itself opened"
    assert int(said[1][1], 16) == 0
    assert int(said[1][3], 16) & ~(0b11 << 31) == 0  # 32 and 33 are the C library's own: nobody can set them back
    assert said[2] == ["0"]


def test_no_child_stays_with_the_starter_and_ctrl_c_there_reaches_no_agent(bench: Bench) -> None:
    script = f"""
        import sys, time; sys.path.insert(0, {os.getcwd()!r}); sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_supervisor import Bench; from pathlib import Path
        Bench(Path(sys.argv[1])).start("/bin/sh", "-c", "sleep 0.5; exit 6")
        print(open(f"/proc/self/task/{{__import__('os').getpid()}}/children").read(), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(py(script, str(bench.root)), stdout=subprocess.PIPE, text=True, process_group=0) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline().split() == []
        os.killpg(starter.pid, signal.SIGINT)
    bench.over()

    assert bench.look().exit == 6


def test_an_agent_dies_with_its_supervisor_and_the_run_is_lost_then_ended(bench: Bench) -> None:
    bench.start(*sh("echo working; exec sleep 300"))
    agent = until(lambda: bench.look().pid, "its start")
    until(lambda: "working" in bench.text("stdout.log"), "its work")
    assert bench.look().start_id == procfs.start_id(agent)
    kill_supervisor(bench)
    until(lambda: not is_there(agent) or not procfs.of_run(bench.folder), "its end")

    run = bench.over()
    assert (run.alive, run.ended, run.reason) == (False, None, LOST)
    assert [run.id for run in bench.runtime.live()] == [ID]

    ended = bench.runtime.end_lost(ID)
    assert ended is not None
    assert ended.ended
    assert (bench.look().reason, bench.look().alive) == (LOST, False)
    assert "working" in bench.look().tail
    assert bench.runtime.live() == []
    assert bench.runtime.end_lost(ID) == bench.look()


def test_a_program_that_outlives_its_killed_supervisor_is_alive_until_the_run_is_ended(
    bench: Bench, tmp_path: Path
) -> None:
    bench.start(*sh(f"setsid sleep 300 & echo $! > {tmp_path}/pids; wait"))
    (orphan,) = pids(tmp_path / "pids", 1)
    kill_supervisor(bench)

    run = until(lambda: (run := bench.look()).reason == LOST and run, "it is lost")
    assert run.alive
    assert run.ended is None
    assert not bench.start("true"), "a lost run is not started over"

    ended = bench.runtime.end_lost(ID)
    assert ended is not None
    assert ended.ended
    assert not procfs.of_run(bench.folder)
    assert not bench.look().alive
    until(lambda: not is_there(orphan), "the end of the orphan")


def test_a_lost_run_in_one_workspace_has_nothing_to_do_with_the_same_run_id_in_another(tmp_path: Path) -> None:
    ours, theirs = Bench(tmp_path / "ours"), Bench(tmp_path / "theirs")
    for bench in (ours, theirs):
        bench.root.mkdir()
        bench.start(*sh("while [ ! -e go ]; do sleep 0.02; done; exit 8"))
        until(lambda bench=bench: bench.look().pid, "its start")

    kill_supervisor(ours)

    assert ours.over().reason == LOST
    assert (ended := ours.runtime.end_lost(ID)) is not None
    assert ended.ended
    assert theirs.look().alive
    (theirs.root / "go").touch()
    assert theirs.over().exit == 8


def kill_supervisor(bench: Bench) -> None:
    supervisor = until(lambda: procfs.supervisor_of(bench.folder), "its supervisor")
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: procfs.supervisor_of(bench.folder) != supervisor, "the end of its supervisor")


def test_a_live_run_survives_the_loss_of_our_own_folder(bench: Bench) -> None:
    bench.start(*sh("while [ ! -e go ]; do sleep 0.02; done; exit 8"))
    until(lambda: bench.look().pid, "its start")

    shutil.rmtree(bench.root / ".clawfiles")

    assert bench.look().alive
    assert bench.look().reason is None
    assert [run.id for run in bench.runtime.live()] == [ID]
    assert bench.runtime.end_lost(ID) == bench.look(), "it is not lost"
    assert not bench.start("true")
    assert bench.start("true", run_id="other")
    bench.over("other")
    assert [run.id for run in bench.runtime.live()] == [ID]
    (bench.root / "go").touch()
    assert bench.over().exit == 8
    assert bench.runtime.live() == []


def test_an_agent_that_tidies_its_run_folder_away_has_its_end_told_all_the_same(bench: Bench) -> None:
    bench.start(*sh(f"sleep 0.2; rm -r {bench.root}/runs/{ID}; exit 9"))

    until(lambda: (run := bench.runtime.look(ID)) is not None and run.ended, "its end")
    assert bench.over().exit == 9


STARTER = """
    import os, signal, sys
    sys.path.insert(0, sys.argv[3]); sys.path.insert(0, sys.argv[4])
    from test_supervisor import Bench; from pathlib import Path
    left = int(sys.argv[2])
    def wrapped(call):
        def counted(*args, **more):
            global left
            left -= 1
            if left == 0: os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)
        return counted
    bench = Bench(Path(sys.argv[1]))
    for name in "mkdir open fsync rename replace unlink close pipe posix_spawn waitpid stat".split():
        setattr(os, name, wrapped(getattr(os, name)))
    started = bench.start("/bin/sh", "-c", "echo ran >> ran; exit 0")
    print(started)
"""


def starter(root: Path, step: int) -> subprocess.Popen[str]:
    here = [os.getcwd(), os.path.dirname(__file__)]
    return subprocess.Popen(py(STARTER, str(root), str(step), *here), stdout=subprocess.PIPE, text=True)


@pytest.mark.proof
def test_wherever_the_starter_is_killed_the_run_happens_once(tmp_path: Path) -> None:
    kills = orphaned = 0
    for step in filter(is_tried, range(1, 200)):
        root = tmp_path / str(step)
        root.mkdir()
        with starter(root, step) as process:
            process.wait()
        bench = Bench(root)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
        found = until(lambda bench=bench: bench.runtime.look(ID) or bench.start(*sh("echo ran >> ran")), "its start")
        orphaned += found is not True
        run = bench.over()
        assert (run.exit, run.reason) == (0, "exited"), f"step {step}"
        assert (root / "ran").read_text() == "ran\n", f"step {step}"
    assert kills > 8
    assert orphaned > 0, "some of the kills came after the folder was in place"


def test_of_many_starters_of_one_run_exactly_one_starts_it_even_while_lock_files_vanish(tmp_path: Path) -> None:
    for round_ in range(2):
        root = tmp_path / str(round_)
        root.mkdir()
        starters = [starter(root, 0) for _ in range(6)]
        while any(process.poll() is None for process in starters):
            for lock in root.glob(".clawfiles/runs/*.lock"):
                lock.unlink(missing_ok=True)
        answers = [process.communicate()[0].strip() for process in starters]
        assert sorted(answers) == ["False"] * 5 + ["True"]
        assert Bench(root).over().exit == 0
        assert (root / "ran").read_text() == "ran\n"
        until(lambda root=root: not any((root / ".clawfiles" / "runs-new").iterdir()), "nothing half made is left")
