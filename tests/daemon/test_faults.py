"""What can make a watcher blind: noticed within seconds, watched again, told in the status, nothing missed for good."""

import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from claw_files.doctor.claim_proof import tidied
from tests.daemon.conftest import TEAM, Home

NOTICED, AGAIN = 5.0, 10.0

# Runs the real program with a fault that a test cannot bring about from outside.
SABOTAGE = """
import sys, threading, time, os
from claw_files.daemon import observers
from claw_files.cli import main

made = []
class KernelObserver(observers.KernelObserver):
    def __init__(self, tell):
        super().__init__(tell)
        made.append(self)
observers.KernelObserver = KernelObserver

def raising(self, event):
    if "poison" in str(event.src_path) or "poison" in str(event.dest_path):
        raise RuntimeError("a handler that raises")
    dispatch(self, event)
dispatch, observers._Handler.dispatch = observers._Handler.dispatch, raising

def kill_an_emitter():
    while not os.path.exists("kill-emitter"): time.sleep(0.05)
    emitter = next(it for it in made[-1]._observer.emitters if it.watch.path.endswith("/status"))
    emitter.stop()
def kill_the_reader():
    while not os.path.exists("kill-reader"): time.sleep(0.05)
    made[-1]._observer._inotify_fd.stop()
threading.Thread(target=kill_an_emitter, daemon=True).start()
threading.Thread(target=kill_the_reader, daemon=True).start()
main()
"""


def start(home: Home, before: tuple[str, ...] = ()) -> None:
    """A daemon that a test can sabotage, in the home's own folder."""
    args = ["-c", SABOTAGE, "-C", str(home.root), "daemon", "run", "--log", "json"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (home.root.parent / "daemon.log").open("ab") as log:
        pipes = {"stdout": subprocess.PIPE, "stderr": log}
        process = subprocess.Popen([*before, sys.executable, *args], env=env, cwd=home.root, **pipes)
    home.processes.append(process)
    home.until(lambda: (s := home.status()) is not None and s.watch.last_canary is not None, "the daemon sees")


def faults(home: Home, name: str) -> int:
    return home.state.watch.faults.get(name, 0)


def sees(home: Home) -> None:
    """Whatever happened, a saved file is acted on at once again."""
    task = home.new("iris")
    home.write(f"status/{task.lower()}.md", f"{task}: IN PROGRESS\n")
    home.until(lambda: home.audit(action="record", task=task), "a saved file is seen", AGAIN)


def test_a_handler_that_raises_is_noticed_and_watched_anew(home: Home) -> None:
    home.write("status/x.txt", "")
    start(home)

    home.write("status/poison.md", "x")

    home.until(lambda: faults(home, "dead"), "the dead thread is noticed", NOTICED)
    sees(home)


def test_a_dead_emitter_is_noticed_and_watched_anew(home: Home) -> None:
    home.write("status/x.txt", "")
    start(home)

    home.write("kill-emitter", "")

    home.until(lambda: faults(home, "dead"), "the dead emitter is noticed", NOTICED)
    sees(home)


def test_a_dead_reader_of_events_is_noticed_and_watched_anew(home: Home) -> None:
    start(home)

    home.write("kill-reader", "")

    home.until(lambda: faults(home, "dead"), "the dead reader is noticed", NOTICED)
    sees(home)


def may_unshare() -> bool:
    probe = ["unshare", "--user", "--map-root-user", "sh", "-c", "echo 9 > /proc/sys/user/max_inotify_watches"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


needs_a_namespace = pytest.mark.skipif(not may_unshare(), reason="needs user namespaces")


def limited(setting: str, value: int) -> tuple[str, ...]:
    script = f'echo {value} > /proc/sys/user/{setting}; exec "$@"'
    return ("unshare", "--user", "--map-root-user", "sh", "-c", script, "-")


@needs_a_namespace
@pytest.mark.parametrize(("setting", "value"), [("max_inotify_watches", 1), ("max_inotify_instances", 0)])
def test_with_no_watches_left_the_folders_are_polled(home: Home, setting: str, value: int) -> None:
    home.start(before=limited(setting, value))

    home.until(lambda: home.state.watch.backend == "polling", "it polls", NOTICED)
    assert faults(home, "no-watches") == 1
    sees(home)


def overflow_limit() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest.mark.skipif(overflow_limit() > 100_000, reason="a queue that long is not filled in a test")
def test_an_overflow_of_the_kernels_queue_is_noticed_and_nothing_is_missed(home: Home) -> None:
    task = home.new("iris")
    start(home)
    home.signal(signal.SIGSTOP)
    for number in range(overflow_limit() // 2 + 2_000):  # an event for the creation, one for the end
        fd = os.open(home.root / "status" / f"x-{number}.txt", os.O_CREAT | os.O_WRONLY)
        os.close(fd)
    home.write(f"status/{task.lower()}.md", f"{task}: DONE\n")
    home.signal(signal.SIGCONT)

    home.until(lambda: faults(home, "overflow"), "the overflow is noticed", NOTICED)
    home.until(lambda: home.lines() == 0, "what was saved meanwhile is acted on", AGAIN)
    sees(home)


def test_a_root_that_is_moved_away_and_back_is_waited_for(home: Home) -> None:
    home.start()
    aside = home.root.with_name("aside")

    home.root.rename(aside)
    home.until(lambda: home.log("no workspace"), "it is told", NOTICED)
    assert home.daemon.poll() is None
    aside.rename(home.root)  # with what the daemon had said of itself: that is there at once

    home.until(lambda: (said := home.status()) is not None and said.epoch == "2", "it is back", AGAIN)
    assert faults(home, "no-workspace") == 1
    sees(home)


def test_a_root_that_is_deleted_and_made_again_is_watched_again(home: Home) -> None:
    home.start()

    while home.root.exists():  # the daemon may write in between
        shutil.rmtree(home.root, ignore_errors=True)
    home.until(lambda: home.log("no workspace"), "it is told", NOTICED)
    assert not home.root.exists()
    home.write("clawfiles.toml", TEAM)

    home.until(lambda: home.status() is not None, "it goes on", AGAIN)
    assert faults(home, "no-workspace") == 1
    sees(home)


def test_a_daemon_without_a_workspace_still_ends_when_asked(home: Home) -> None:
    home.start()
    home.root.rename(home.root.with_name("aside"))
    home.until(lambda: home.log("no workspace"), "it is told", NOTICED)

    home.signal(signal.SIGTERM)

    assert home.ends() == 0
    home.root.with_name("aside").rename(home.root)


def test_a_folder_that_is_deleted_and_made_again_is_seen_again(home: Home) -> None:
    home.new("iris")
    start(home)
    (home.root / "status").rename(home.root / "status-of-old")
    (home.root / "status").mkdir()
    home.until(lambda: home.log("start"), "it runs")

    sees(home)


def test_a_second_daemon_is_refused_even_if_lock_files_are_deleted(home: Home) -> None:
    home.start()

    with tidied(str(home.root), ("locks",)):
        assert home.run("daemon", "run").returncode == 7
    assert home.run("daemon", "run").returncode == 7


def test_a_change_without_an_event_is_found_by_the_rescan_and_counted(home: Home) -> None:
    """A write through a memory mapping is told to nobody who watches the folder, before the file is closed."""
    home.write("clawfiles.toml", home.read("clawfiles.toml") + '\n[daemon]\nrescan = "2s"\n')
    task = home.new("iris")
    start(home)
    with (home.root / f"status/{task.lower()}.md").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = f"{task}: DONE\n".encode().ljust(len(mapped), b"\n")
        mapped.flush()

        home.until(lambda: home.lines() == 0, "the rescan finds it", AGAIN)
        home.until(lambda: home.state.watch.missed >= 1, "and counts it", AGAIN)


def test_polling_by_choice_sees_as_well(home: Home) -> None:
    home.write("clawfiles.toml", home.read("clawfiles.toml") + '\n[daemon]\nwatch = "polling"\n')
    start(home)

    assert home.state.watch.backend == "polling"
    sees(home)


def test_a_status_folder_that_is_away_for_a_while_costs_nobody_a_claim(home: Home) -> None:
    """As git does it when it switches branches: told, waited for, and gone on with by itself."""
    home.start()
    task = home.new("iris")
    home.ok("claim", task, by="iris")

    (home.root / "status").rename(home.root / "away")
    home.until(lambda: any("status/ is missing" in str(line) for line in home.log("problems")), "it is told")
    (home.root / "away").rename(home.root / "status")
    home.until(lambda: home.state.last_tick and not home.state.last_tick.problems, "it goes on")

    home.ok("done", task, by="iris")
    home.until(lambda: home.lines() == 0, "it is closed")
    assert len(home.audit(action="deliver", task=task)) == 1
    assert home.audit(action="escalate", task=task) == []


def test_a_status_file_that_is_gone_for_a_moment_is_no_news(home: Home) -> None:
    home.new("sam", "Keeps status/ from being empty")
    home.start()
    task = home.new("iris")
    home.ok("claim", task, by="iris")
    path = home.root / f"status/{task.lower()}.md"
    for pause in (0.02, 0.02, 0.3, 0.3):  # an editor that deletes before it writes
        held = path.read_bytes()
        path.unlink()
        time.sleep(pause)
        path.write_bytes(held)
        time.sleep(0.2)

    home.ok("done", task, by="iris")

    assert home.audit(action="escalate", task=task) == []
    assert len(home.audit(action="deliver", task=task)) == 1
