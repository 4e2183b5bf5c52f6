"""A real daemon: it reacts, is alone, counts its lives, and can be stopped and killed at any moment."""

import json
import os
import signal
import time

from claw_files.core.model import State
from claw_files.system.procfs import supervisor_of
from tests.daemon.conftest import AT_ONCE_SECONDS, Home


def test_an_agents_saved_file_is_acted_on_at_once(home: Home) -> None:
    task = home.new("iris")
    home.start()

    home.write(f"status/{task.lower()}.md", f"{task}: IN PROGRESS\n")
    home.until(lambda: home.audit(action="record"), "the first words are written down", AT_ONCE_SECONDS)
    home.write(f"status/{task.lower()}.md", f"{task}: DONE\n")

    home.until(lambda: home.lines() == 0, "the line goes", AT_ONCE_SECONDS)


def test_the_end_of_a_run_starts_the_next_message_of_the_lane_at_once(home: Home) -> None:
    home.start()
    first, second = home.new("slow"), home.new("slow")
    home.until(lambda: len(home.state.runs) == 1 and home.state.waiting, "one runs, one waits")

    home.write("go", "")

    home.until(
        lambda: home.task(first) is State.DONE and home.task(second) is State.DONE, "both are done", AT_ONCE_SECONDS
    )
    starts = [line["timestamp"] for line in home.audit(action="wake")]
    assert len(starts) == 2


def test_a_due_time_wakes_the_daemon_without_a_file_change(home: Home) -> None:
    home.write("clawfiles.toml", home.read("clawfiles.toml") + '\n[heartbeat]\nack = "1s"\n[daemon]\nrescan = "1h"\n')
    task = home.new("iris")
    home.start()

    home.until(lambda: home.audit(action="resend", task=task), "the message is sent again", AT_ONCE_SECONDS)


def test_a_dropped_event_is_handled_at_once_also_what_was_dropped_while_no_daemon_ran(home: Home) -> None:
    home.add("clawfiles.toml", '[events.alarm]\ndo = { task = "Look" }\n')
    home.write("events/alarm.early.json", '{"key": 1}')
    home.start()
    home.until(lambda: home.names("events/done"), "what lay there is handled", AT_ONCE_SECONDS)
    home.write("events/new/alarm.late.json", '{"key": 2}')
    home.until(lambda: len(home.names("events/done")) == 2, "what is dropped is handled", AT_ONCE_SECONDS)

    home.kill()
    home.write("events/again.json", '{"type": "alarm", "key": 1}')
    home.write("events/more.json", '{"type": "alarm", "key": 3}')
    home.start()
    home.until(lambda: len(home.names("events/done")) == 4, "the next one goes on", AT_ONCE_SECONDS)

    assert sum(name.startswith("tc-alarm-") for name in home.names("status")) == 3


def test_a_second_daemon_says_who_has_the_workspace_and_exits_7(home: Home) -> None:
    pid = home.start()

    second = home.run("daemon", "run")

    assert second.returncode == 7
    assert f"process {pid}" in second.stderr
    assert home.state.pid == pid


def test_status_exits_0_while_one_runs_and_3_when_none_does(home: Home) -> None:
    assert home.run("daemon", "status").returncode == 3
    pid = home.start()

    found = home.run("daemon", "status", "--json")

    assert found.returncode == 0
    assert json.loads(found.stdout)["pid"] == pid
    assert json.loads(found.stdout)["watch"]["backend"] == "events"


def test_each_life_has_an_epoch_more_also_without_the_copy(home: Home) -> None:
    home.start()
    home.kill()
    (home.root / ".clawfiles/epoch").unlink()
    home.start()
    home.kill()
    (home.root / "audit").rename(home.root / "audit-of-old")
    home.start()

    assert home.state.epoch == "3"
    assert [line["epoch"] for line in home.audit(action="daemon start")] == ["3"]


def test_files_that_a_daemon_writes_bear_its_epoch(home: Home) -> None:
    home.start()
    home.kill()
    home.start()

    home.new("iris")
    home.ok("delegate", home.ok("task", "new", "B").strip(), "--to", "coder")

    home.until(lambda: home.audit(action="close"), "coder is done")
    assert {line["epoch"] for line in home.audit(action="close")} == {"2"}


def test_a_killed_daemons_run_is_adopted_by_the_next_one(home: Home) -> None:
    home.start()
    task = home.new("slow")
    home.until(lambda: home.state.runs, "it runs")
    home.kill()
    assert home.live() == [f"{task.lower()}.1-s1"]

    home.start()
    assert home.state.runs == (f"{task.lower()}.1-s1",)
    home.write("go", "")

    home.until(lambda: home.lines() == 0, "it ends as if nothing had happened")
    assert home.task(task) is State.DONE
    assert len(home.audit(action="wake", task=task)) == 1


def test_a_run_whose_supervisor_was_killed_with_the_daemon_is_lost(home: Home) -> None:
    home.start()
    task = home.new("slow")
    home.until(lambda: home.state.runs, "it runs")
    supervisor = supervisor_of(str(home.root / "runs" / f"{task.lower()}.1-s1"))
    assert supervisor is not None
    home.kill()
    os.kill(supervisor, signal.SIGKILL)
    home.start()

    home.until(lambda: home.audit(action="run lost", task=task), "the run is declared lost")
    home.until(lambda: home.audit(action="fail", task=task), "its attempt has failed")


def test_stopped_means_no_process_no_lock_and_exit_0(home: Home) -> None:
    home.start()

    home.ok("daemon", "stop")

    assert home.ends() == 0
    assert home.status() is None
    assert home.ok("daemon", "stop") == "no daemon runs\n"


def test_a_stopped_and_continued_daemon_goes_on_as_if_nothing_had_been(home: Home) -> None:
    task = home.new("iris")
    home.start()
    home.signal(signal.SIGSTOP)
    home.write(f"status/{task.lower()}.md", f"{task}: DONE\n")
    time.sleep(3.5)

    home.signal(signal.SIGCONT)

    home.until(lambda: home.lines() == 0, "the line goes", AT_ONCE_SECONDS)
    assert home.state.watch.faults == {}


def test_a_cron_heartbeat_beside_the_daemon_does_no_harm(home: Home) -> None:
    home.start()
    tasks = [home.new("coder") for _ in range(3)]

    for _ in range(5):
        home.ok("heartbeat")

    home.until(lambda: home.lines() == 0, "all are done")
    assert all(len(home.audit(action="wake", task=task)) == 1 for task in tasks)


def test_the_heartbeat_alone_goes_on_where_the_daemon_stopped(home: Home) -> None:
    task = home.new("iris")
    home.start()
    home.write(f"status/{task.lower()}.md", f"{task}: IN PROGRESS\n")
    home.until(lambda: home.audit(action="record"), "the first words are written down")
    home.kill()

    home.write(f"status/{task.lower()}.md", f"{task}: DONE\n")
    home.ok("heartbeat")

    assert home.lines() == 0
    assert home.task(task) is State.DONE


def test_a_wrong_configuration_is_refused_at_the_start(home: Home) -> None:
    home.write("clawfiles.toml", "[workspace]\n")

    assert home.run("daemon", "run").returncode == 6
