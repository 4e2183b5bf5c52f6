"""`simulate` tells what the heartbeat does by itself, and touches nothing.

The proof: the real heartbeat, on the disk and with its locks, is ticked each minute and at each instant of the
simulation, and does the same at the same times. In both, runs begin in name alone and say nothing.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claw_files.app.simulation import simulate
from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, TaskId
from claw_files.policy.delegation import SpawnOrder
from claw_files.policy.forecast import Simulation
from claw_files.policy.snapshot import Action
from claw_files.processes.silent_runner import SilentRunner
from claw_files.services.workflows.runs import begin
from tests.integration.conftest import typed
from tests.proofs import examples
from tests.support.office import Office

PATTERNS = Path(__file__).parents[2] / "docs/how-to/patterns"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PETER, SAM = AgentId("peter"), AgentId("sam")
NAMES = ("researcher", "writer", "editor", "publisher")
CONFIG = """
[workspace]
coordinator = "sam"
monitor = "sentry"
[limits]
runs = 2
[heartbeat]
auto = true
[quiet_hours]
windows = ["09:20-09:40", "22:00-08:00"]
[agents.sam]
reports_to = "dimitrios"
[agents.sentry]
reports_to = "sam"
[agents.peter]
takes = ["bug"]
[agents.iris]
[agents.bot]
command = ["sleep", "600"]
timeout = "12m"
[agents.helper]
kind = "worker"
command = ["sleep", "600"]
[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
[routes]
bug = { to = ["peter", "iris", "self"] }
auto = { to = ["bot", "iris"] }
reviewed = { to = ["peter"], review = "coordinator" }
checked = { to = ["peter"], verify = ["true"] }
[schedules.report]
cron = "*/25 9-10 * * *"
do = { task = "Report", type = "bug" }
""" + "".join(f'[agents.{name}]\ncommand = ["sleep", "600"]\n' for name in NAMES)


class Silent(App):
    """The real workspace, in which a run says nothing."""

    @cached_property
    def runtime(self) -> SilentRunner:
        return SilentRunner(super().runtime, lambda: self.workspace.files)


def silent(office: Office) -> App:
    return Silent(str(office.root), dict(os.environ), None, office.clock)


def made(root: Path) -> Office:
    office = Office(root, CONFIG)
    for name in ("nested", "sequential", "parallel"):
        office.write(f"workflows/{name}.md", (PATTERNS / f"{name}.md").read_bytes())
    return office


# --- what people and agents do before


def _all(office: Office) -> list[str]:
    return [name.removesuffix(".md").upper() for name in office.names("status") if name.startswith("tc-")]


def _workflow(office: Office, name: str) -> None:
    app = office.app("sam")
    workflow = app.workflows.sound(name)
    given = {it.name: "solar" for it in workflow.inputs}
    begin(app.workspace, workflow, app.workflows.copies(workflow, name), given, SAM)


def _spawn(office: Office) -> None:
    number = len(office.names("definitions"))
    for part in "ab":
        order = SpawnOrder(text="look", label=f"{part}{number}", size="S", worker=AgentId("helper"))
        office.app("sam").delegations.spawn(order, SAM)


def _by_hand(office: Office, words: str) -> None:
    task = _all(office)[-1]
    office.add(f"status/{task.lower()}.md", f"\n{words}\n")


def _last(office: Office, move: Callable[[App, TaskId], object]) -> None:
    task = TaskId(_all(office)[-1])
    agent = office.task(task).assignee or PETER
    move(office.app(agent), task)


def _claim(app: App, task: TaskId) -> None:
    app.claims.claim(task, app.actor)


ACTS: dict[str, Callable[[Office], object]] = {
    "delegate": lambda it: it.delegated("peter"),
    "delegate by route": lambda it: it.delegated(),
    "to a program": lambda it: it.delegated("bot", type=None),
    "to a person": lambda it: it.delegated("dimitrios", type=None),
    "reviewed": lambda it: it.delegated("peter", type="reviewed"),
    "checked": lambda it: it.delegated("peter", type="checked"),
    "left in the backlog": lambda it: it.new(type="auto"),
    "after another": lambda it: it.delegated("iris", type=None, after=(TaskId(_all(it)[-1]),)),
    "claim": lambda it: _last(it, _claim),
    "done": lambda it: _last(it, lambda app, task: app.tasks.done(task, app.actor)),
    "block": lambda it: _last(it, lambda app, task: app.tasks.block(task, app.actor, "no key")),
    "need": lambda it: _last(it, lambda app, task: app.tasks.need(task, app.actor, SAM, "Which?")),
    "fail": lambda it: _last(it, lambda app, task: app.tasks.fail(task, app.actor, "no luck")),
    "spawn": _spawn,
    "sequential": lambda it: _workflow(it, "sequential"),
    "nested": lambda it: _workflow(it, "nested"),
    "parallel": lambda it: _workflow(it, "parallel"),
    "Status: DONE": lambda it: _by_hand(it, "Status: DONE"),
    "Status: In Progess": lambda it: _by_hand(it, "Status: In Progess"),
    "Status: in progress": lambda it: _by_hand(it, "Status: in progress"),
}


def told(at: datetime, action: Action) -> tuple[object, ...]:
    return (at, action.act, action.task, action.agent, str(action.key), action.why)


def simulated(office: Office, until: datetime) -> Simulation:
    found = simulate(silent(office), until)
    assert (found.problems, found.cut, found.until) == ((), "", until)
    return found


def really(office: Office, app: App, instants: set[datetime]) -> Iterator[tuple[object, ...]]:
    """What the real heartbeat does at these instants, as often as a tick does something."""
    for at in sorted(instants):
        office.clock.set(at)
        for _ in range(20):
            office.settle()
            ticked = app.heartbeat.tick()
            office.settle()
            assert ticked.problems == (), ticked.problems
            yield from (told(at, action) for action in ticked.actions)
            if not ticked.actions:
                break
        else:
            pytest.fail("a tick follows another without end")


@pytest.mark.timeout(1_200)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=8),
    ticks=st.sets(st.integers(0, 7)),
    minutes=st.sampled_from([90, 1_500]),
)
def test_the_real_heartbeat_does_what_the_simulation_tells(acts: list[str], ticks: set[int], minutes: int) -> None:
    with TemporaryDirectory() as folder:
        office = made(Path(folder) / "sam")
        for number, act in enumerate(acts):
            with suppress(ClawError, IndexError):
                ACTS[act](office)
            office.settle()
            if number in ticks:
                office.clock.advance(3 * MINUTE)
                silent(office).heartbeat.tick()
                office.settle()
        now = office.clock.now()
        found = simulated(office, now + minutes * MINUTE)
        foretold = [told(tick.at, action) for tick in found.ticks for action in tick.actions]
        step = 1 if minutes < 100 else 17
        instants = {now + number * MINUTE for number in range(0, minutes + 1, step)} | {it.at for it in found.ticks}
        assert list(really(office, silent(office), instants)) == foretold


def traces(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything there is, with its bytes, its time, its inode and its mode."""
    found = {}
    for path in [root, *root.rglob("*")]:
        stat = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (data, stat.st_mtime_ns, stat.st_ino, stat.st_mode)
    return found


INNER = "\n[agents.shield]\ncompartment = true\n[agents.lock]\ncompartment = true\n"


def test_nothing_in_the_workspace_changes_not_even_a_time(tmp_path: Path) -> None:
    office = made(tmp_path / "sam")
    office.write("clawfiles.toml", CONFIG + INNER)
    office.write("inbox/peter/new/odd.md", "no message")
    for act in ACTS:
        with suppress(ClawError, IndexError):
            ACTS[act](office)
        office.settle()
    office.delegated("shield", type=None)
    office.delegated("lock", type=None)
    os.rename(office.root / "compartments/lock", tmp_path / "lock")  # the task that is to go there waits outside
    office.clock.advance(5 * MINUTE)
    before = traces(tmp_path)
    found = simulate(silent(office), office.clock.now() + 30 * HOUR)
    assert found.ticks
    assert traces(tmp_path) == before


def test_a_program_that_was_really_started_is_foretold_as_well(office: Office) -> None:
    office.write("clawfiles.toml", CONFIG)
    office.delegated("bot", type=None)
    office.delegated("peter")
    office.tick()
    assert [run.agent for run in office.app().runtime.live()] == ["bot"]
    now = office.clock.now()
    found = simulate(office.app(), now + 10 * MINUTE)
    foretold = [told(tick.at, action) for tick in found.ticks for action in tick.actions]
    instants = {now + number * MINUTE for number in range(11)} | {it.at for it in found.ticks}
    assert foretold
    assert list(really(office, office.app(), instants)) == foretold
    later = simulate(office.app(), now + HOUR)
    ended = [str(action.why) for tick in later.ticks for action in tick.actions if action.act == "fail"]
    assert ended[:1] == ["run tc-1.1-s1 timed out (exit -15) without a result in the status file"]


def test_it_says_where_it_was_cut(office: Office) -> None:
    for _ in range(3):
        office.delegated("peter")
    found = simulate(office.app(), office.clock.now() + 10 * HOUR, most=4)
    assert sum(len(tick.actions) for tick in found.ticks) >= 4
    assert (found.cut, found.until) == (f"{sum(len(it.actions) for it in found.ticks)} actions", found.ticks[-1].at)


def test_the_command_shows_a_line_for_each_action(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.delegated("peter")
    office.add("status/tc-1.md", "\nStatus: In Pro\x1b[2Jgess\n")
    status, out, _ = typed(office, capsys, "simulate", "--until", "+2h", "--json")
    found = json.loads(out)
    assert (status, found["cut"], found["problems"]) == (0, None, [])
    assert found["actions"][0].keys() == {"at", "action", "task", "agent", "key", "why"}
    assert found["actions"][0]["task"] == "TC-1"
    status, out, _ = typed(office, capsys, "simulate", "--until", "+2h")
    assert (status, "\x1b" in out) == (0, False)
    shown = [line.split(")")[1].split()[0] for line in out.splitlines()]
    assert shown == [it["action"] for it in found["actions"] if it["action"] != "extend"]
    assert typed(office, capsys, "simulate", "--until", "2h")[1] == out
    for past in ("2026-03-07", "nonsense"):
        assert typed(office, capsys, "simulate", "--until", past)[0] == 2


def test_where_nothing_is_due_it_says_so(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(office, capsys, "simulate")[1].startswith("nothing is due until ")
