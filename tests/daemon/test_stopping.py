"""Draining: no new work, time for what runs, the rest saved and ended, nothing left behind."""

import json
import os
import signal

import pytest

from claw_files.core.model import RunId, State, TaskId
from tests.daemon.conftest import AT_ONCE_SECONDS, TEAM, Home
from tests.support.office import python

# Agents that do not want to end.
STUBBORN = {
    "floods": "import sys\nwhile True: sys.stdout.write('y' * 4096 + '\\\\n')",
    "deaf": "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
    "forks": "import os, time\nfor _ in range(5): os.fork()\ntime.sleep(600)",
    "leaves": (
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\n"
        "time.sleep(600)"
    ),
}
PARTIAL = """
import os, time
with open(os.path.join(os.environ["CLAWFILES_RUN_DIR"], "partial.md"), "w") as file:
    file.write("half of the review: the login is fine")
print("reading the checkout", flush=True)
time.sleep(600)
"""
STUBBORN_TEAM = (
    TEAM
    + "".join(f"[agents.{name}]\n{python(script)}\n" for name, script in STUBBORN.items())
    + f"[agents.half]\n{python(PARTIAL)}\n[agents.research]\nkind = 'worker'\n{python(PARTIAL)}\n"
    + "[limits]\nruns = 8\n"
)


@pytest.fixture
def busy(home: Home) -> Home:
    home.write("clawfiles.toml", STUBBORN_TEAM)
    return home


def drain(home: Home) -> None:
    """SIGTERM, and wait until it has begun to drain."""
    home.signal(signal.SIGTERM)
    home.until(lambda: home.state.draining_until, "it drains")


def processes_of(home: Home) -> list[int]:
    """Everything that a run of this home started, by its environment, and every supervisor of one."""
    mark = os.fsencode(f"={home.root}/runs/")
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read():
                        found.append(int(name))
            except OSError:
                continue
    return found


def test_a_draining_daemon_refuses_new_work_and_takes_what_agents_say(home: Home) -> None:
    home.start()
    task = home.new("slow")
    home.until(lambda: home.state.runs, "it runs")
    open_task = home.ok("task", "new", "later").strip()
    drain(home)

    for refused in (
        ("delegate", open_task, "--to", "coder"),
        ("task", "new", "X", "--to", "coder"),
        ("ask", "coder", "are you there?"),
        ("spawn", "X", "--label", "x", "--size", "S"),
    ):
        answer = home.run(*refused, "--json")
        assert answer.returncode == 7, refused
        error = json.loads(answer.stderr)["error"]
        assert error["code"] == "draining" and 0 <= error["seconds"] <= 60, error
    home.ok("send", "iris", "the staging host is back")
    home.ok("claim", task, by="slow")
    home.ok("progress", task, "half way", by="slow")
    home.ok("checkpoint", "save", "next: the retry", by="slow")
    home.write("go", "")

    assert home.ends() == 0
    assert home.task(task) is State.DONE
    assert home.run("delegate", open_task, "--to", "coder").returncode == 0


def test_a_heartbeat_beside_a_draining_daemon_starts_nothing(home: Home) -> None:
    home.start()
    first, second = home.new("slow"), home.new("slow")
    home.until(lambda: home.state.waiting, "one waits")
    drain(home)

    home.ok("heartbeat")
    home.write("go", "")

    assert home.ends() == 0
    assert home.task(first) is State.DONE
    assert home.task(second) is State.BACKLOG
    home.ok("heartbeat")
    home.until(lambda: home.task(second) is not State.BACKLOG, "the next heartbeat starts it")


def test_a_run_that_outlasts_the_drain_is_saved_and_ended(busy: Home) -> None:
    home = busy
    home.start()
    task = home.new("half")
    home.ok("spawn", "look into the mail", "--label", "mail", "--size", "S")
    home.until(lambda: all(home.names(f"runs/{run}").count("partial.md") for run in home.live()), "both are half way")
    home.until(lambda: len(home.state.runs) == 2, "both run")

    home.ok("daemon", "stop", "--drain", "1s")

    assert home.ends() == 0
    assert processes_of(home) == []
    checkpoint = home.read("checkpoints/half.md")
    assert task in checkpoint and "half of the review" in checkpoint and "reading the checkout" in checkpoint
    worker = home.read("checkpoints/subagent-mail.md")
    assert "status: partial" in worker and "half of the review" in worker


def stop(home: Home) -> None:
    """End the daemon without waiting for what runs."""
    home.ok("daemon", "stop", "--drain", "0")
    assert home.ends() == 0


def test_restarts_of_the_daemon_never_make_a_dead_letter(busy: Home) -> None:
    home = busy
    task = home.new("half")
    for attempt in range(1, 5):  # three failures would be the end of it
        run = f"{task.lower()}.{attempt}-s1"
        home.start()
        home.until(lambda run=run: home.names(f"runs/{run}").count("partial.md"), "it is half way")
        stop(home)
        assert home.app().runtime.look(RunId(run)).reason == "drained"

    message = home.read("runs/" + run + "/message.md")
    assert "attempt 4" in message and f"ended run {task.lower()}.3-s1" in message and "checkpoints/half.md" in message
    assert f"Left of run {task.lower()}.3-s1" in home.read("checkpoints/half.md")
    found = home.app().workspace.load(TaskId(task)).task
    assert (found.attempt, found.failures) == (4, 0)
    assert home.audit(action="fail") == []
    begun_again = {line["why"] for line in home.audit(action="again", task=task)}  # two lines: the task, its check time
    assert len(begun_again) == 3


def test_a_heartbeat_begins_again_what_a_drain_ended(busy: Home) -> None:
    home = busy
    home.start()
    task = home.new("slow")
    home.until(lambda: home.state.runs, "it runs")
    first = home.app().workspace.load(TaskId(task)).task.generation
    stop(home)

    home.write("go", "")
    home.ok("heartbeat")

    home.until(lambda: home.task(task) is State.DONE, "it is done at the second attempt")
    found = home.app().workspace.load(TaskId(task)).task
    assert (found.attempt, found.failures) == (2, 0)
    assert found.generation > first


def test_a_drained_worker_is_told_where_its_partial_result_lies(busy: Home) -> None:
    home = busy
    home.start()
    home.ok("spawn", "look into the mail", "--label", "mail", "--size", "S")
    home.until(lambda: any(home.names(f"runs/{run}").count("partial.md") for run in home.live()), "it is half way")
    stop(home)

    home.start()

    home.until(lambda: home.state.runs, "it runs again")
    (run,) = home.state.runs
    message = home.read(f"runs/{run}/message.md")
    (aside,) = home.names("checkpoints/old")
    assert run.endswith(".2-s1")
    assert f"checkpoints/old/{aside}" in message
    assert "half of the review" in home.read(f"checkpoints/old/{aside}")


def test_a_run_that_somebody_killed_before_the_drain_has_failed(busy: Home) -> None:
    home = busy
    home.start()
    home.new("deaf")
    home.until(lambda: home.state.runs, "it runs")
    (run,) = home.state.runs
    (home.root / f"runs/{run}/stop").touch()
    stop(home)

    assert home.app().runtime.look(RunId(run)).reason == "stopped"
    home.ok("heartbeat")
    assert home.audit(action="fail")


def test_no_process_is_left_of_agents_that_do_not_end(busy: Home) -> None:
    home = busy
    home.start()
    for name in STUBBORN:
        home.new(name)
    home.until(lambda: len(home.state.runs) == len(STUBBORN), "all run")
    home.until(lambda: len(processes_of(home)) > 20, "the forks have forked")

    home.ok("daemon", "stop", "--drain", "0")

    assert home.ends() == 0
    assert processes_of(home) == []
    assert home.live() == []


def test_a_second_sigterm_ends_the_wait(home: Home) -> None:
    home.start()
    home.new("slow")
    home.until(lambda: home.state.runs, "it runs")
    drain(home)

    home.signal(signal.SIGTERM)

    assert home.ends() == 0
    assert processes_of(home) == []


def test_a_daemon_killed_in_its_drain_leaves_nobody_refused(home: Home) -> None:
    home.start()
    home.new("slow")
    home.until(lambda: home.state.runs, "it runs")
    drain(home)
    home.kill()

    home.new("coder")
    home.start()

    home.new("coder")
    home.until(lambda: home.lines() == 1, "both of coder's are done")


# --- the configuration


def test_a_saved_configuration_is_in_force_at_once(home: Home) -> None:
    home.start()

    home.write("clawfiles.toml", home.read("clawfiles.toml") + "[agents.anna]\n" + python("open('anna-was-here', 'w')"))
    home.until(lambda: home.log("reload"), "it is read", AT_ONCE_SECONDS)

    home.new("anna")
    home.until(lambda: home.names(".").count("anna-was-here"), "anna is woken")


def test_a_broken_configuration_is_told_and_the_one_before_stays_in_force(home: Home) -> None:
    home.start()
    good = home.read("clawfiles.toml")
    task = home.new("iris")

    home.write("clawfiles.toml", good + "\n[agents.anna]\nkind = 3\n")
    home.until(lambda: home.state.reload_error, "it is told", AT_ONCE_SECONDS)
    home.write(f"status/{task.lower()}.md", f"{task}: DONE\n")

    home.until(lambda: home.audit(action="close", task=task), "work goes on")
    assert "agents.anna.kind" in str(home.state.reload_error)
    assert [name[:7] for name in home.names("inbox/sentry/new")] == ["config."]
    home.write("clawfiles.toml", good)
    home.until(lambda: home.state.reload_error is None, "it is right again", AT_ONCE_SECONDS)


def test_sighup_reads_it_again(home: Home) -> None:
    home.start()
    good = home.read("clawfiles.toml")
    home.write("clawfiles.toml", good + "\nnonsense\n")
    os.utime(home.root / "clawfiles.toml", (1, 1))

    home.signal(signal.SIGHUP)

    home.until(lambda: home.state.reload_error, "it is told", AT_ONCE_SECONDS)
    assert home.daemon.poll() is None
