"""A real daemon looks into compartments: it wakes who is in one, and acts when a file in one is saved."""

import os
import stat
from pathlib import Path

from claw_files.app.wiring import App
from claw_files.core.model import State, TaskId
from tests.daemon.conftest import AT_ONCE_SECONDS, TEAM, WAITS, WRITES, Home
from tests.support.office import python


def at(home: Home) -> App:
    return App(str(home.root), os.environ, "shield")


def state(home: Home, task: str) -> State:
    workspace = at(home).workspace
    return workspace.in_force(workspace.load(TaskId(task)).task).state


def with_shield(home: Home, runtime: str) -> Path:
    home.write("clawfiles.toml", f"{TEAM}\n[agents.shield]\ncompartment = true\n{runtime}\n[daemon]\nrescan = '1h'\n")
    return home.root / "compartments/shield"


def test_a_file_saved_in_a_compartment_is_acted_on_at_once(home: Home) -> None:
    inside = with_shield(home, "")
    home.start()
    task = home.new("shield", "zanzibar")
    home.until(lambda: (inside / "status").exists(), "it is there")

    (inside / f"status/{task.lower()}.md").write_text(f"{task}: DONE\n")

    home.until(lambda: home.names("inbox/sam/new") == [f"{task.lower()}.1.done.md"], "sam hears of it", AT_ONCE_SECONDS)
    assert home.state.watch.missed == 0
    assert "zanzibar" not in "".join(map(str, home.log()))


def test_a_run_in_a_compartment_is_started_followed_and_never_named(home: Home) -> None:
    inside = with_shield(home, python(WRITES))
    home.start()

    task = home.new("shield", "zanzibar")

    home.until(lambda: state(home, task) is State.DONE, "it is done", AT_ONCE_SECONDS)
    assert home.names("runs") == []
    assert stat.S_IMODE((inside / "runs").stat().st_mode) == 0o700
    assert task not in "".join(map(str, home.log()))


def test_a_drained_daemon_ends_what_runs_in_a_compartment(home: Home) -> None:
    with_shield(home, python(WAITS))
    home.start()
    home.new("shield")
    home.until(lambda: at(home).runtime.live(), "it runs")

    home.ok("daemon", "stop", "--drain", "0")

    assert at(home).runtime.live() == []
    assert home.ends() == 0


def test_an_agent_of_a_compartment_starts_asks_and_stops_the_one_daemon_of_the_workspace(home: Home) -> None:
    with_shield(home, "")

    home.start(CLAWFILES_AGENT="shield")
    task = home.new("coder")

    home.until(lambda: home.task(task) is State.DONE, "what lies outside is done", AT_ONCE_SECONDS)
    assert home.run("daemon", "status", by="shield").returncode == 0
    assert home.ok("daemon", "stop", by="shield").startswith("stopped process")
    assert home.ends() == 0
