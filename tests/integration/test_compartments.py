"""Compartments: what is in one reaches nobody outside, the way in survives a crash, limits are shared."""

import gc
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import Conflict, NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, State, TaskId
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.system.disk_files import DiskFiles
from claw_files.testing import Crash
from tests import runs
from tests.integration.conftest import typed
from tests.support.office import TEAM, Office, python

SAM, PETER, IRIS, SHIELD = (AgentId(name) for name in ("sam", "peter", "iris", "shield"))
SECRET = "zanzibar"
MINUTE = timedelta(minutes=1)
# What a worker leaves: a result, a file of its own, and words on its output.
WORKS = f"""
import os
word = {SECRET[:4]!r} + {SECRET[4:]!r}  # as the configuration lies outside
env = {{key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}}
print(word, "by the worker")
open("found.txt", "w").write(word)
with open(f"checkpoints/subagent-{{env['label']}}.md", "w") as file:
    file.write(f"---\\nrun: {{env['run']}}\\nstatus: done\\n---\\n{{word}} was found\\n")
"""
WAITS = """
import os, time
while not os.path.exists(os.environ["GO"]): time.sleep(0.01)
"""


def config(shield: str = "compartment = true", more: str = "") -> str:
    team, _, routes = TEAM.partition("[routes]")
    return f"""{team}
[agents.shield]
reports_to = "sam"
{shield}
[agents.research]
kind = "worker"
{python(WORKS)}
[routes]{routes}
fallen = {{ to = ["peter", "shield"] }}
guarded = {{ to = ["shield", "peter"] }}
{more}
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    made = Office(tmp_path / "sam", config())
    yield made
    (tmp_path / "go").touch()
    for place in (made.app(), *made.app().resolver.inner()):
        for run in place.runtime.live():
            place.runtime.stop(run.id)
    ended(made)
    gc.collect()


def ended(office: Office) -> None:
    """Wait until nothing runs anywhere."""
    office.until(
        lambda: not any(app.runtime.live() for app in (office.app(), *office.app().resolver.inner())),
        "every run has ended",
    )
    office.settle()


def inside(office: Office) -> Path:
    return office.root / "compartments/shield"


def state(office: Office, task: str) -> State:
    workspace = office.app("shield").workspace
    return workspace.in_force(workspace.load(TaskId(task)).task).state


def keys(office: Office, box: str = "new", agent: str = "shield") -> list[str]:
    folder = inside(office) / "inbox" / agent / box
    return (
        sorted(name.removesuffix(".md").rpartition("Z-")[2] for name in os.listdir(folder)) if folder.exists() else []
    )


def lies_outside(office: Office, word: str) -> list[str]:
    """The files outside of the compartments that hold the word, in text or name."""
    files = [path for path in office.root.rglob("*") if path.is_file() and "compartments" not in path.parts]
    found = [path for path in files if word in path.read_bytes().decode("utf-8", "replace") or word in path.name]
    return [str(path.relative_to(office.root)) for path in found]


# --- nothing gets out


def test_nothing_from_a_compartment_is_in_a_file_or_an_output_outside(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(agent: str, *arguments: str, status: int = 0) -> str:
        found, out, err = typed(office, capsys, "--agent", agent, *arguments)
        assert found == status, (agent, arguments, out, err)
        return out

    office.write("clawfiles.toml", config(more="[heartbeat]\nattempts = 1\n"))
    office.write("../body.txt", f"all about {SECRET}")
    body = str(office.root.parent / "body.txt")
    assert act("sam", "task", "new", f"The {SECRET} audit", "--to", "shield", "--body", body).startswith("TC-1")
    act("shield", "claim", "TC-1")
    act("shield", "progress", "TC-1", f"half of {SECRET} is read")
    act("shield", "checkpoint", "save", f"{SECRET} next", "--pending", SECRET)
    act("shield", "need", "TC-1", "--from", "iris", "which region is live?")
    assert typed(office, capsys, "heartbeat")[0] == 0
    [question] = json.loads(act("iris", "inbox", "--json"))
    assert "which region is live?" in question["body"]
    act("iris", "answer", question["id"], "eu-west-1")
    act("shield", "progress", "TC-1", "goes on")
    act("shield", "done", "TC-1", f"{SECRET} is safe", "--output", SECRET)

    act("sam", "task", "new", f"{SECRET} that fails", "--to", "shield")
    act("shield", "claim", "TC-2")
    act("shield", "block", "TC-2", f"no key for {SECRET}")
    typed(office, capsys, "heartbeat")
    act("shield", "progress", "TC-2")
    act("shield", "fail", "TC-2", f"{SECRET} is gone")
    typed(office, capsys, "heartbeat")

    act("shield", "task", "new", f"{SECRET} of its own")
    spawned = json.loads(
        act("shield", "spawn", f"look into {SECRET}", "--label", SECRET, "--size", "S", "--wait", "--json")
    )
    assert spawned["status"] == "done"
    act("sam", "send", "shield", f"{SECRET} from sam")
    act("shield", "inbox")
    typed(office, capsys, "heartbeat")
    ended(office)
    typed(office, capsys, "heartbeat")

    assert lies_outside(office, SECRET) == []
    assert "TC-1 is done." in office.message("sam", "tc-1.1.done")
    assert "TC-2 is a dead letter." in office.message("dimitrios", "tc-2.1.dead")
    assert (inside(office) / "dead-letter/tc-2.md").exists()
    tasks = [f"TC-{number}" for number in (1, 2, 3, 4)]
    looks = [
        ("task", "list"), ("board",), ("sessions", "list"), ("subagents", "list"), ("log",), ("heartbeat",),
        ("heartbeat", "--dry-run"), ("doctor",), ("route", "--type", "guarded"), ("archive", "--older-than", "1h"),
    ]  # fmt: skip
    looks += [(*look, task) for task in tasks for look in (
        ("task", "show"), ("explain",), ("log", "--task"), ("sessions", "history"), ("route", "--explain"),
        ("claim",), ("progress",), ("done",), ("delegate", "--to", "iris"), ("subagents", "kill"), ("release",),
        ("spawn", "x", "--label", "y", "--size", "S", "--task"), ("approve",), ("reopen",),
    )]  # fmt: skip
    looks += [
        ("sessions", "history", name) for name in (SECRET, "agent:shield:main", f"agent:research:subagent:{SECRET}")
    ]
    for viewer in (["--agent", "sam"], ["--agent", "dimitrios"], ["--agent", "peter"], ["--agent", "iris"], []):
        for look in looks:
            for form in ([], ["--json"]):
                status, out, err = typed(office, capsys, *viewer, *look, *form)
                told = out + err
                if SECRET in look[-1]:
                    assert (status, told.count(SECRET)) == (3, told.count(look[-1])), (viewer, look, told)
                    continue
                assert SECRET not in told, (viewer, look, told)
                if look[-1] not in tasks:
                    unheard = tasks[2:] if look[0] == "sessions" else tasks  # a session shows its agent's messages
                    assert not [task for task in unheard if task in told], (viewer, look, told)
                elif "peter" in viewer:
                    assert status in (0, 3) if look[0] == "log" else status == 3, (viewer, look, told)
        for message in ("inbox", "--peek"), ("inbox", "--peek", "--json"):
            assert SECRET not in "".join(map(str, typed(office, capsys, *viewer, *message)))
    assert lies_outside(office, SECRET) == []
    assert SECRET in "".join(typed(office, capsys, "--agent", "shield", "task", "list")[1])
    assert SECRET in typed(office, capsys, "--agent", "shield", "log")[1]
    assert f"agent:research:subagent:{SECRET}" in typed(office, capsys, "--agent", "shield", "sessions", "list")[1]


def test_everything_in_a_compartment_is_for_its_owner_alone_whatever_the_umask(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    before = os.umask(0)
    try:
        office.delegated("shield", title="An old one")
        app = office.app("shield")
        app.claims.claim(TaskId("TC-1"), SHIELD)
        app.tasks.progress(TaskId("TC-1"), SHIELD, "a note")
        app.checkpoints.save(SHIELD, (), (), ("x",), "")
        app.delegations.spawn(SpawnOrder(text="look", label="a", size="S"), SHIELD)
        office.app().wake()
        ended(office)
        office.tick()
        assert typed(office, capsys, "--agent", "shield", "task", "new", "one by a real command")[0] == 0
    finally:
        os.umask(before)

    paths = [inside(office).parent, *inside(office).parent.rglob("*")]
    assert inside(office) / "runs/tc-2.1-s1/stdout.log" in paths
    assert "found.txt" in os.listdir(inside(office))
    assert [path for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_a_task_that_still_lies_outside_is_hidden_from_others(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.write("status/tc-1.md", f"---\nstatus: backlog\nassignee: shield\n---\n{SECRET}\n")
    office.write("status/tc-2.md", f"---\nstatus: backlog\n---\n{SECRET}\n")  # whose it is only its line says
    office.write("status/tc-3.md", "---\nstatus: backlog\nassignee: peter\n---\n")
    office.write("HEARTBEAT.md", "- TC-2 delegated to shield\n- TC-3 delegated to shield\n")

    for agent in ("peter", "sam"):
        listed = json.loads(typed(office, capsys, "--agent", agent, "task", "list", "--json")[1])
        assert [row["id"] for row in listed] == ["TC-3"]
        for task in ("TC-1", "TC-2"):
            for command in (("task", "show"), ("explain",), ("route", "--explain")):
                status, out, err = typed(office, capsys, "--agent", agent, *command, task)
                assert (status, SECRET in out + err) == (3, False), (agent, command, task)
    assert typed(office, capsys, "--agent", "peter", "task", "show", "TC-3")[0] == 0
    assert typed(office, capsys, "--agent", "peter", "explain", "TC-3")[0] == 3
    assert typed(office, capsys, "--agent", "peter", "comment", "TC-1", "mine?")[0] == 3


def test_the_agent_of_a_compartment_and_its_worker_work_in_it(office: Office) -> None:
    office.app("shield").delegations.spawn(SpawnOrder(text="look", label="a", size="S"), SHIELD)
    office.tick()
    ended(office)
    office.tick()

    assert state(office, "TC-1") is State.DONE
    assert keys(office) == ["tc-1.1.done"]
    assert office.names("runs") == office.names("status") == office.names("checkpoints") == []
    shows = ["checkpoint", "save", "--completed", "x"]
    assert runs.typed(office.root, "research", *shows).returncode == 0
    assert office.names("checkpoints") == ["research.md"]
    there = runs.within(
        inside(office), "research", [sys.executable, "-m", "claw_files", "-C", str(office.root), *shows]
    )
    assert subprocess.run(there).returncode == 0
    assert (inside(office) / "checkpoints/research.md").exists()


def test_a_flow_in_a_compartment_is_seen_and_ended_inside_alone(office: Office) -> None:
    office.app("shield").delegations.spawn(SpawnOrder(text="look", label="a", size="S", mode="session"), SHIELD)

    assert [flow.id for flow in office.app("shield").flows.listing(SHIELD).flows] == ["TC-1"]
    for outsider in (None, "sam", "dimitrios"):
        viewer = office.app(outsider)
        assert viewer.flows.listing(viewer.agent).flows == ()
        with pytest.raises(NotFound):
            viewer.flows.cancel(AgentId("sam"), "TC-1")
    office.app("shield").flows.cancel(SHIELD, "a")
    assert state(office, "TC-1") is State.CANCELLED


# --- the way in


def test_a_task_that_lies_outside_is_moved_in_when_it_is_delegated(office: Office) -> None:
    task = office.new(title="An open secret")
    office.delegate(task, "shield")

    assert (office.lines, office.names("status"), office.names("inbox")) == ([], [], [])
    assert office.names("definitions") == []
    defined = inside(office) / "definitions/tc-1.md"
    assert "An open secret" in defined.read_text() and stat.S_IMODE(defined.stat().st_mode) == 0o600
    assert state(office, task) is State.BACKLOG
    assert keys(office) == ["tc-1.1"]
    assert office.app("shield").claims.claim(TaskId(task), SHIELD).generation >= 1


def test_a_line_that_a_person_writes_moves_the_task_in(office: Office) -> None:
    task = office.new(title="An open secret")
    office.write("HEARTBEAT.md", f"- {task} -> shield (check 10:00)\n- TC-77 delegated to shield\n")

    office.tick()

    assert (office.lines, office.names("status")) == ([], [])
    assert keys(office) == ["tc-1.1", "tc-77.1"]


def test_a_task_of_a_route_goes_in_when_the_agent_before_does_not_read_it(office: Office) -> None:
    office.delegated(type="fallen")
    for _ in range(4):
        office.tick(after=timedelta(minutes=20))

    assert (office.lines, office.names("status")) == ([], [])
    assert keys(office) == ["tc-1.2"]
    assert office.boxes("peter") == {"done": ["tc-1.1"]}


def test_a_task_inside_goes_to_nobody_outside_by_its_route(office: Office) -> None:
    office.delegated(type="guarded")
    for _ in range(4):
        office.tick(after=timedelta(minutes=20))

    assert state(office, "TC-1") is State.BACKLOG
    assert not office.exists("inbox/peter")
    assert office.message("sam", "tc-1.1.no-one-left").rstrip().endswith("TC-1 needs a look.")


def test_a_task_inside_is_delegated_to_nobody_outside(office: Office) -> None:
    made = office.app("shield").tasks.new(_order("its own"), SHIELD)

    with pytest.raises(Refused, match="cannot be delegated outside it"):
        office.app("shield").delegations.delegate(made.id, SHIELD, PETER)
    assert not office.exists("inbox/peter")


def test_a_task_that_an_isolated_agent_makes_for_another_lies_outside(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = typed(office, capsys, "--agent", "shield", "task", "new", "look at this", "--to", "peter")

    assert (status, out) == (0, "TC-1 delegated to peter\n"), err
    assert office.names("status") == ["tc-1.md"]
    office.app("peter").claims.claim(TaskId("TC-1"), PETER)
    office.app("peter").tasks.done(TaskId("TC-1"), PETER, "looked")
    office.tick()
    assert keys(office) == ["tc-1.1.done"]


def test_a_claim_from_a_compartment_moves_the_task_in(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.write("clawfiles.toml", config('compartment = true\ntakes = ["bug"]'))
    for number in (1, 2):
        office.new(title=f"Bug {number}")

    assert typed(office, capsys, "--agent", "shield", "claim", "TC-2")[0] == 0
    assert typed(office, capsys, "--agent", "shield", "claim", "--next")[0] == 0
    assert typed(office, capsys, "--agent", "shield", "claim", "--next")[0] == 3

    assert [state(office, task) for task in ("TC-1", "TC-2")] == [State.IN_PROGRESS] * 2
    assert (office.lines, office.names("status")) == ([], [])


def test_a_task_that_somebody_holds_is_not_moved_by_a_claim(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    task = office.delegated("peter")
    office.app().claims.claim(TaskId(task), PETER)

    assert typed(office, capsys, "--agent", "shield", "claim", task)[0] == 4
    assert office.state(task) is State.IN_PROGRESS


def test_files_of_an_agent_move_into_its_new_compartment(office: Office) -> None:
    office.write("clawfiles.toml", config(shield=""))
    held, sent, done = (office.delegated("shield", title=f"Task {number}") for number in (1, 2, 3))
    for task in (held, done):
        office.app().claims.claim(TaskId(task), SHIELD)
    office.app().tasks.done(TaskId(done), SHIELD, "ready")
    office.app().checkpoints.save(SHIELD, (), (), ("x",), "")
    generation = office.task(held).generation
    office.write("clawfiles.toml", config())

    office.tick()

    assert (office.lines, office.names("status"), office.names("checkpoints")) == ([], [], [])
    assert office.boxes("shield") == {}
    assert [state(office, task) for task in (held, sent, done)] == [State.IN_PROGRESS, State.BACKLOG, State.DONE]
    assert keys(office) == ["tc-1.1", "tc-2.1"]
    assert keys(office, "done") == ["tc-3.1"]
    assert office.app("shield").claims.claim(TaskId(held), SHIELD, generation).generation == generation
    assert office.tick().actions == ()


class Dying(DiskFiles):
    """Dies before its n-th step in all places together, or when a write is made and not yet in the journal."""

    left = 0

    def step(self) -> None:
        Dying.left -= 1
        if Dying.left == 0:
            raise Crash

    def commit(self, *args: Any, **more: Any) -> Any:
        self.step()
        return super().commit(*args, **more)

    def move(self, *args: Any) -> None:
        self.step()
        super().move(*args)

    def append(self, *args: Any) -> None:
        self.step()
        super().append(*args)

    def _journal(self, *args: Any) -> None:
        self.step()
        super()._journal(*args)


def dies_at(office: Office, step: int, what: Callable[[], object]) -> bool:
    """Whether it died at that step; False when it has fewer."""
    whole = office.make_files
    office.make_files = lambda path, **more: Dying(path, clock=office.clock, durable=False, **more)
    Dying.left = step
    try:
        what()
    except Crash:
        return True
    finally:
        office.make_files = whole
        office.settle()
    return False


def by_command(office: Office) -> None:
    office.app("sam").delegations.delegate(TaskId("TC-1"), SAM, SHIELD)


def by_tick(office: Office) -> None:
    office.app().heartbeat.tick()


@pytest.mark.parametrize("begin", [by_command, by_tick])
def test_a_way_in_that_is_cut_off_at_any_step_is_finished_by_the_next_tick(
    begin: Callable[[Office], None], tmp_path: Path
) -> None:
    for step in range(1, 100):
        office = Office(tmp_path / str(step) / "sam", config())
        office.new(title="An open secret")
        if begin is by_tick:
            office.write("HEARTBEAT.md", "- TC-1 delegated to shield, check at 2026-03-07 10:00\n")
        died = dies_at(office, step, lambda office=office: begin(office))
        began = bool(office.lines) or bool(office.app("shield").workspace.entries())
        for _ in range(2):
            office.tick(after=MINUTE)
        if begin is by_tick or began:
            assert (office.lines, office.names("status"), office.names("definitions")) == ([], [], []), step
            assert "An open secret" in (inside(office) / "definitions/tc-1.md").read_text(), step
            assert keys(office) == ["tc-1.1"], step
            assert state(office, "TC-1") is State.BACKLOG
            assert [entry.task for entry in office.app("shield").workspace.entries()] == ["TC-1"]
            assert "An open secret" in (inside(office) / "status/tc-1.md").read_text()
        else:
            assert office.state("TC-1") is State.BACKLOG
        gc.collect()  # the folders that so many apps hold open
        if not died:
            assert step > 8
            return
    raise AssertionError("it never ends")


def test_a_task_that_went_to_somebody_else_meanwhile_stays_outside(office: Office) -> None:
    task = TaskId(office.new())
    from claw_files.core.model import Audit, Entry

    office.app("shield").workspace.put_entry(Entry(task=task, agent=SHIELD), Audit(JournalEvent.MOVED_IN))
    office.delegate(task, "peter")

    office.tick()
    office.tick()

    assert office.state(task) is State.BACKLOG
    assert office.boxes("peter") == {"new": ["tc-1.1"]}
    assert office.app("shield").workspace.entries() == ()
    assert keys(office) == []


# --- by its id


@pytest.mark.parametrize("boss", ["sam", "dimitrios"])
def test_an_authorised_agent_acts_on_a_hidden_task_by_id_and_sees_nothing_of_it(
    boss: str, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    task = office.delegated("shield", title=SECRET)
    office.app("shield").claims.claim(TaskId(task), SHIELD)

    status, out, err = typed(office, capsys, "--agent", boss, "cancel", task, "--json")

    assert (status, json.loads(out)) == (0, {"id": task, "status": "cancelled"}), err
    assert state(office, task) is State.CANCELLED
    status, out, err = typed(office, capsys, "--agent", boss, "approve", task)
    assert status == 5
    assert (SECRET in out + err, "shield" in out + err) == (False, False)
    assert typed(office, capsys, "--agent", "peter", "cancel", task)[0] == 3


def test_an_id_means_one_task_in_all_places(office: Office) -> None:
    made = [office.app(agent).tasks.new(_order("x"), agent or SAM).id for agent in (None, SHIELD, None, SHIELD, PETER)]

    assert made == ["TC-1", "TC-2", "TC-3", "TC-4", "TC-5"]


def test_a_successor_waits_for_a_task_that_moved_into_a_compartment(office: Office) -> None:
    first = office.delegated("shield", title="first")
    then = office.app().tasks.new(_order("then", after=(TaskId(first),), type="bug"), SAM).id
    office.settle()

    with pytest.raises(Refused):
        office.app().claims.claim(then, PETER)
    office.app("shield").claims.claim(TaskId(first), SHIELD)
    office.app("shield").tasks.done(TaskId(first), SHIELD)

    assert office.app().claims.claim(then, PETER).holder == "peter"


# --- one heartbeat


@pytest.mark.parametrize(("first", "second"), [("slow", "shield"), ("shield", "slow")])
def test_the_limit_of_runs_counts_what_runs_in_a_compartment(first: str, second: str, office: Office) -> None:
    shield = f"compartment = true\n{python(WAITS)}\nenv = ['GO']"
    slow = f"[agents.slow]\n{python(WAITS)}\nenv = ['GO']\n[limits]\nruns = 1\n"
    office.write("clawfiles.toml", config(shield, slow))

    def live() -> list[str]:
        return [run.agent for app in (office.app(), office.app("shield")) for run in app.runtime.live()]

    office.delegated(first)
    office.tick()
    office.clock.advance(MINUTE)
    office.delegated(second)
    office.tick()
    assert live() == [first]
    [waiting] = office.app(second if second == "shield" else None).snapshots.waits()
    assert (waiting.held_by, waiting.runs) == ("limits.runs", ())

    Path(os.environ["GO"]).touch()
    ended(office)
    office.tick()
    assert [run for run in (*office.names("runs"), *os.listdir(inside(office) / "runs")) if run.startswith("tc-2")]


def test_a_message_in_a_compartment_keeps_its_place_in_the_order(office: Office) -> None:
    shield = f"compartment = true\n{python(WAITS)}\nenv = ['GO']"
    slow = f"[agents.slow]\n{python(WAITS)}\nenv = ['GO']\n[limits]\nruns = 1\n"
    office.write("clawfiles.toml", config(shield, slow))
    office.delegated("shield")
    office.clock.advance(MINUTE)
    office.delegated("slow")

    office.tick()

    assert [run.agent for run in office.app("shield").runtime.live()] == ["shield"]
    assert office.app().runtime.live() == []


def test_a_message_to_it_wakes_it_at_once(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.write("clawfiles.toml", config(f"compartment = true\n{python(WAITS)}\nenv = ['GO']"))

    assert typed(office, capsys, "--agent", "sam", "send", "shield", "are you there?")[0] == 0

    assert [run.agent for run in office.app("shield").runtime.live()] == ["shield"]
    assert not office.exists("inbox/shield")


def test_with_nothing_to_do_a_tick_leaves_the_compartment_as_it_is(office: Office) -> None:
    office.delegated("shield")
    office.tick()
    before = office.tree()

    assert office.tick().actions == ()
    assert office.tree() == before


def test_a_problem_in_a_compartment_is_told_without_what_it_is(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.delegated("shield")
    os.rename(inside(office) / "inbox", inside(office) / "old")
    (inside(office) / "inbox").write_text("in the way")

    status, out, err = typed(office, capsys, "heartbeat")

    assert (status, "TC-1" in out + err) == (6, False)
    assert "compartments/shield" in err


def test_a_link_in_the_place_of_a_compartment_is_not_followed(office: Office, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (office.root / "compartments").mkdir(mode=0o700)
    (office.root / "compartments/shield").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Exception, match="link"), suppress(NotFound, Conflict):
        office.delegated("shield")

    assert os.listdir(tmp_path / "elsewhere") == []


def _order(title: str, **more: Any) -> Any:
    from claw_files.services.tasks.lifecycle import NewTask

    return NewTask(title=title, **more)


# --- the doctor


def test_repair_closes_a_compartment_and_moves_in_what_lies_outside(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.write("clawfiles.toml", config(shield=""))
    office.delegated("shield", title=SECRET)
    office.app().claims.claim(TaskId("TC-1"), SHIELD)
    office.app().tasks.done(TaskId("TC-1"), SHIELD, "ready")
    office.tick()
    office.write("status/shield.md", f"TC-9: DONE, {SECRET}\n")
    office.write("clawfiles.toml", config())
    office.app("shield").checkpoints.save(SHIELD, (), (), (SECRET,), "")
    (inside(office) / "checkpoints").chmod(0o755)
    (inside(office) / "checkpoints/shield.md").chmod(0o644)

    status, out, _ = typed(office, capsys, "--agent", "sam", "doctor", "--repair", "--json")

    assert SECRET not in out
    assert {one["code"] for one in json.loads(out)["repaired"]} >= {"compartment-outside", "compartment-open"}
    assert [one["code"] for one in json.loads(out)["findings"]] == ["compartment-ill"], out
    assert (status, office.names("status")) == (1, [])
    assert sorted(os.listdir(inside(office) / "status")) == ["shield.md", "tc-1.md"]
    paths = [inside(office), *inside(office).rglob("*")]
    assert [path for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_findings_inside_a_compartment_are_shown_to_its_agent_alone(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office.delegated("shield")
    (inside(office) / f"status/{SECRET}.txt").write_text("x")
    (inside(office) / f"status/{SECRET}.txt").chmod(0o600)

    status, out, _ = typed(office, capsys, "doctor")
    assert (status, SECRET in out, "compartment-ill" in out) == (1, False, True)
    monkeypatch.setenv("CLAWFILES_AGENT", "shield")
    status, out, _ = typed(office, capsys, "doctor")
    assert (status, SECRET in out) == (1, True)


def test_under_a_wrong_configuration_the_doctor_still_looks(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office.write("clawfiles.toml", "[agents.shield\n")
    monkeypatch.setenv("CLAWFILES_AGENT", "shield")

    status, out, _ = typed(office, capsys, "doctor")

    assert (status, "invalid-config" in out) == (1, True)
    office.write("clawfiles.toml", config())
