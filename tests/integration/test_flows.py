"""Trees of spawned work with real processes: who may spawn, what ends with what, and who hears of it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from msgspec.structs import replace

from claw_files.core.errors import AlreadyClaimed, Conflict, NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, RunId, State, TaskId
from claw_files.services.delegation.delegation import DelegationResult, SpawnOrder
from claw_files.testing import Crash
from tests.integration.conftest import typed
from tests.integration.test_tick_crash_points import Fuse, FusedFiles
from tests.support.office import TEAM, Office, python

SAM, PETER, IRIS = (AgentId(name) for name in ("sam", "peter", "iris"))
MINUTE = timedelta(minutes=1)
ROOT = Path(__file__).parents[2]

# Does what the script of its label says, waits for its gate, and leaves a result; a named agent has its task's id.
WORKS = """
import os, runpy, time
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
label = env.get("label") or env["task"].lower()
if os.path.exists(label + ".py"): runpy.run_path(label + ".py")
open("at-work-" + env["run"], "w").close()
while not os.path.exists("go-" + label) and not os.path.exists("go"): time.sleep(0.01)
if "label" in env:
    with open(f"checkpoints/subagent-{label}.md", "w") as file:
        file.write(f"---\\nrun: {env['run']}\\nstatus: done\\n---\\nwhat {label} found\\n")
else:
    with open(f"status/{env['task'].lower()}.md", "a") as file: file.write("\\nStatus: DONE\\n")
"""
CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.coder]
{python(WORKS)}
[agents.research]
kind = "worker"
{python(WORKS)}
[limits]
runs = 10
spawns_per_minute = 100
"""
DEEP = CONFIG + "depth = 3\n"
SPAWN = """
import os, subprocess, sys
environ = {key: value for key, value in os.environ.items() if not key.startswith("CLAWFILES_")} if CLEAN else os.environ
command = [sys.executable, "-m", "claw_files", "-C", os.getcwd(), "spawn", "look deeper", "--size", "S", "--label"]
done = subprocess.run([*command, *MORE], env=environ | {"PYTHONPATH": PATH}, capture_output=True, text=True,
                      start_new_session=CLEAN)
open("said-" + MORE[0], "w").write(f"{done.returncode} {done.stdout}{done.stderr}")
"""
# Spawns from a process that has left its parent and its environment behind.
HIDDEN = """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execve(sys.executable, [sys.executable, "-c", open("hidden.txt").read()], {"PATH": "/bin"})
    os._exit(0)
import time
while not os.path.exists("said-hidden"): time.sleep(0.01)
"""


def spawns(*more: str, clean: bool = False) -> str:
    """A script that spawns with these arguments, the label first, and writes down what it was told."""
    return f"CLEAN, MORE, PATH = {clean}, {list(more)!r}, {str(ROOT)!r}\n{SPAWN}"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CONFIG)
    made.clock.on_sleep = lambda: time.sleep(0.02)
    yield made
    made.write("go", "")
    made.stop()


def spawn(office: Office, label: str, by: AgentId = SAM, inside: str | None = None, **more: Any) -> DelegationResult:
    order = SpawnOrder(**{"text": f"Look into {label}", "label": label, "size": "S", **more})
    found = office.app().delegations.spawn(order, by, TaskId(inside) if inside else None)
    office.settle()
    return found


def at_work(office: Office, *labels: str) -> None:
    """Tick, and wait until these are at work."""
    office.tick()
    for label in labels:
        path = f"at-work-{label}"
        office.until(lambda path=path: office.exists(path), path)


def ends(office: Office, label: str, run: str) -> None:
    office.write(f"go-{label}", "")
    office.until(lambda: not any(it.id == run and it.alive for it in office.app().runtime.live()), f"{run} ends")


def states(office: Office) -> dict[str, str]:
    names = (name.removesuffix(".md").upper() for name in office.names("status") if name.startswith("tc-"))
    return {name: office.state(name).value for name in names}


# --- depth and children


@pytest.mark.parametrize(
    "script",
    [
        spawns("deeper"),
        spawns("deeper", "--agent", "sam"),
        spawns("deeper", "--agent", "sam", clean=True),
        "import os\nos.environ.pop('CLAWFILES_TASK')\n" + spawns("deeper", "--agent", "sam"),
        "import os\nos.environ.update(CLAWFILES_RUN='tc-99.1-s1', CLAWFILES_TASK='TC-99')\n"
        + spawns("deeper", "--agent", "sam"),
    ],
    ids=["plainly", "as another agent", "without variables", "without its task", "with made-up variables"],
)
def test_a_worker_cannot_spawn_whatever_it_says_it_is(office: Office, script: str) -> None:
    office.write("mail.py", script)
    spawn(office, "mail")
    office.tick()
    office.until(lambda: office.exists("said-deeper") and office.read("said-deeper"), "it was told")

    assert office.read("said-deeper").startswith("5 ")
    said = office.read("said-deeper")
    assert "describe the needed work in your result" in said or "cannot act in it" in said
    assert states(office) == {"TC-1": "in_progress"}


def test_a_worker_is_known_by_what_is_above_it_even_when_its_parent_is_gone(office: Office) -> None:
    office.write("hidden.txt", spawns("hidden", "--agent", "sam", clean=True))
    office.write("mail.py", "import sys" + HIDDEN)
    spawn(office, "mail")
    office.tick()
    office.until(lambda: office.exists("said-hidden") and office.read("said-hidden"), "it was told")

    assert office.read("said-hidden").startswith("5 "), office.read("said-hidden")


def test_a_spawn_of_a_spawn_of_a_spawn_is_one_tree_and_the_limit_holds_along_it(office: Office) -> None:
    office.write("clawfiles.toml", DEEP)
    for label, below in (("one", "two"), ("two", "three"), ("three", "four")):
        office.write(f"{label}.py", spawns(below))
    spawn(office, "one")
    at_work(office, "tc-1.1-s1")
    at_work(office, "tc-2.1-s1")
    at_work(office, "tc-3.1-s1")

    (tree,) = office.app().flows.listing(None).flows
    shown = [(node.task, node.parent, node.depth, node.agent, node.state, node.alive) for node in tree.tasks]

    assert office.read("said-four").startswith(
        "5 clawfiles: a spawn within TC-3 would be 4 levels deep, and limits.depth is 3"
    )
    assert shown == [
        ("TC-1", None, 0, "research", "in_progress", True),
        ("TC-2", "TC-1", 1, "research", "in_progress", True),
        ("TC-3", "TC-2", 2, "research", "in_progress", True),
    ]
    assert (tree.id, tree.spawner, tree.session, tree.open) == ("TC-1", "sam", "agent:sam:main", True)


def test_of_eight_spawns_at_once_exactly_as_many_are_accepted_as_there_may_be_children(office: Office) -> None:
    command = [sys.executable, "-m", "claw_files", "-C", str(office.root), "spawn", "look", "--size", "S"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CLAWFILES_AGENT": "peter"}
    started = [Popen([*command, "--label", f"l{n}"], env=environ, stdout=PIPE, stderr=PIPE) for n in range(8)]
    said = [process.communicate()[1].decode() for process in started]

    assert sorted(process.returncode for process in started) == [0, 0, 0, 0, 0, 5, 5, 5]
    assert all("limits.children is 5; " in text for text in said if text)
    assert len(states(office)) == 5


def test_a_child_that_has_ended_makes_room_and_the_coordinator_needs_none(office: Office) -> None:
    for number in range(5):
        spawn(office, f"l{number}", by=PETER)
    with pytest.raises(Refused, check=lambda error: error.rule == "children"):
        spawn(office, "more", by=PETER)
    spawn(office, "sams")

    office.app().tasks.cancel(TaskId("TC-1"), SAM)

    assert spawn(office, "more", by=PETER).task == "TC-7"


def test_tasks_that_others_made_count_where_they_are_spawned(office: Office) -> None:
    office.write("clawfiles.toml", DEEP + "children = 2\n")
    spawn(office, "up")
    office.tick()
    for number in range(3):
        task = office.new(type=None)
        office.app().workspace.update(
            TaskId(task), lambda it: replace(it, parent=TaskId("TC-99")), Audit(JournalEvent.COMMENT)
        )
        if number < 2:
            spawn(office, f"l{number}", by=AgentId("research"), inside="TC-1", task=TaskId(task))

    with pytest.raises(Refused, match="TC-1 has 2 open spawns"):
        spawn(office, "l2", by=AgentId("research"), inside="TC-1", task=TaskId(task))


def test_two_spawns_of_one_run_that_was_only_told_of_a_task_belong_to_its_own(office: Office) -> None:
    """Coder, whose task is TC-1, is woken by the news of TC-2, and spawns: that is no child of TC-2."""
    office.write("tc-1.py", "")
    task = office.delegated("coder", type=None)
    at_work(office, "tc-1.1-s1")
    spawn(office, "mail", by=AgentId("coder"), inside=task)
    office.write("tc-2.py", spawns("after"))  # what coder does when the news of TC-2 wake it
    office.write("clawfiles.toml", CONFIG.replace("[agents.coder]", "[agents.coder]\nruns = 2"))
    at_work(office, "tc-2.1-s1")
    ends(office, "mail", "tc-2.1-s1")
    office.tick()
    office.until(lambda: office.exists("said-after") and office.read("said-after"), "it spawned")

    assert office.read("said-after").startswith("0 "), office.read("said-after")
    assert office.task("TC-3").parent == "TC-1"


# --- spawns that are refused, or cut short


def test_a_spawn_for_a_task_that_somebody_works_on_changes_nothing(office: Office) -> None:
    task = TaskId(office.delegated("iris", type=None))
    for by in (IRIS, None):  # at work; and before, with the message unread
        if by:
            office.app(by).claims.claim(task, by)
        before = office.read("status/tc-1.md"), office.lines

        with pytest.raises((AlreadyClaimed, Conflict), match="iris"):
            spawn(office, "mail", task=task, timeout=timedelta(seconds=1))

        assert (office.read("status/tc-1.md"), office.lines) == before
        if by:
            office.app(by).tasks.release(task, by)
            office.delegate(task, "iris")


def test_a_spawn_that_dies_at_any_step_can_be_typed_again(tmp_path: Path) -> None:
    last, where = 1, "begin"
    while where:
        office = Office(tmp_path / f"{last}" / "sam", CONFIG)
        task = TaskId(office.new(type=None))
        fuse, whole = Fuse(last), office.make_files
        office.make_files = partial(FusedFiles, fuse, clock=office.clock, durable=False)
        with suppress(Crash):
            spawn(office, "mail", task=task)
        office.make_files = whole
        office.settle()

        assert spawn(office, "mail", task=task).run == "tc-1.1-s1", fuse.where
        assert office.boxes("research") == {"new": ["tc-1.1"]}, fuse.where
        last, where = last + 1, fuse.where
    assert last > 5


def test_a_spawn_that_died_before_its_line_keeps_neither_its_label_nor_room(office: Office) -> None:
    class Dies(Fuse):
        def step(self, what: str) -> None:
            if what == "commit HEARTBEAT.md":
                raise Crash(what)

    whole = office.make_files
    for label in ("mail", "l1", "l2", "l3", "l4"):  # limits.children
        office.make_files = partial(FusedFiles, Dies(0), clock=office.clock, durable=False)
        with pytest.raises(Crash):
            spawn(office, label, by=PETER)
    office.make_files = whole
    assert states(office) == {}  # what was only defined is no task

    assert spawn(office, "mail", by=PETER).task == "TC-6"

    with pytest.raises(Refused, match="the label 'mail' is in use by TC-6"):
        spawn(office, "mail", by=PETER)


# --- cancelling


def tree(office: Office) -> None:
    """TC-1 of coder with a done child TC-2, TC-3 at work with TC-4 below it, TC-5 waiting; and TC-6 of another tree."""
    office.write("clawfiles.toml", DEEP)
    office.delegated("coder", type=None)
    at_work(office, "tc-1.1-s1")
    spawn(office, "early", by=AgentId("coder"), inside="TC-1")
    at_work(office, "tc-2.1-s1")
    ends(office, "early", "tc-2.1-s1")
    office.tick()
    spawn(office, "mail", by=AgentId("coder"), inside="TC-1")
    at_work(office, "tc-3.1-s1")
    spawn(office, "below", by=AgentId("research"), inside="TC-3")
    at_work(office, "tc-4.1-s1")
    spawn(office, "later", by=AgentId("coder"), inside="TC-1")
    spawn(office, "other")
    office.write("clawfiles.toml", DEEP.replace("runs = 10", "runs = 3"))


def test_a_flow_ends_whole_leaves_first_each_run_before_its_task_and_nothing_else_is_touched(office: Office) -> None:
    tree(office)
    other = (office.read("status/tc-6.md"), office.read("status/tc-2.md"))

    done = office.app().flows.cancel(SAM, "TC-1")

    assert states(office) == {
        **dict.fromkeys(("TC-1", "TC-3", "TC-4", "TC-5"), "cancelled"),
        "TC-2": "done",
        "TC-6": "backlog",
    }
    audit = office.audit(actor="sam")
    steps = [(line["action"], line["task"]) for line in audit if line["action"] in ("kill", "cancel")]
    assert steps == [
        ("cancel", "TC-5"),
        *(("kill", "TC-4"), ("cancel", "TC-4"), ("kill", "TC-3"), ("cancel", "TC-3")),
        *(("kill", "TC-1"), ("cancel", "TC-1")),
    ]
    assert (done.stopped, done.cancelled) == (
        ("tc-4.1-s1", "tc-3.1-s1", "tc-1.1-s1"),
        ("TC-5", "TC-4", "TC-3", "TC-1"),
    )
    assert (office.read("status/tc-6.md"), office.read("status/tc-2.md")) == other
    assert not any(run.alive for run in office.app().runtime.live())
    again = office.app().flows.cancel(SAM, "TC-1")
    assert (again.stopped, again.cancelled) == ((), ())
    office.write("go", "")  # for the other tree, and for coder, who is now woken with the news of TC-2
    office.tick(MINUTE)
    office.runs_end()
    assert [line for line in office.lines if "TC-6" not in line] == []
    assert not office.exists("runs/tc-5.1-s1"), "what waited was woken after its flow had ended"


def test_a_branch_ends_and_the_rest_of_its_flow_goes_on(office: Office) -> None:
    tree(office)

    office.app().flows.cancel(AgentId("coder"), "mail")

    assert {task: state for task, state in states(office).items() if state == "cancelled"} == dict.fromkeys(
        ("TC-3", "TC-4"), "cancelled"
    )
    assert [run.id for run in office.app().runtime.live() if run.alive] == ["tc-1.1-s1"]


def test_a_cancel_that_dies_at_any_step_is_finished_by_the_next(tmp_path: Path) -> None:
    """Without a runtime: each step is a write, the runs of real processes are in the test above."""
    last, where = 1, "begin"
    while where:
        office = Office(tmp_path / f"{last}" / "sam", DEEP)
        for label, inside in (("one", None), ("two", "TC-1"), ("three", "TC-2"), ("four", "TC-1"), ("other", None)):
            spawn(office, label, by=AgentId("research") if inside else SAM, inside=inside)
        fuse, whole = Fuse(last), office.make_files
        office.make_files = partial(FusedFiles, fuse, clock=office.clock, durable=False)
        with suppress(Crash):
            office.app().flows.cancel(SAM, "TC-1")
        office.make_files = whole
        office.settle()

        office.app().flows.cancel(SAM, "TC-1")
        office.app().heartbeat.recover()

        expected = {**dict.fromkeys(("TC-1", "TC-2", "TC-3", "TC-4"), "cancelled"), "TC-5": "backlog"}
        assert states(office) == expected, fuse.where
        last, where = last + 1, fuse.where
    assert last > 5


def test_a_cancel_that_is_killed_is_finished_when_it_is_typed_again(office: Office) -> None:
    """Killed while it waits for a run that does not want to end."""
    office.write("mail.py", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    spawn(office, "mail")
    at_work(office, "tc-1.1-s1")
    command = [sys.executable, "-m", "claw_files", "-C", str(office.root), "flow", "cancel", "mail", "--agent", "sam"]
    process = Popen(command, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}, stdout=PIPE, stderr=PIPE)
    office.until(lambda: office.exists("runs/tc-1.1-s1/stop"), "it asks the run to end")
    process.kill()
    process.communicate()
    assert office.state("TC-1") is State.IN_PROGRESS

    office.app().flows.cancel(SAM, "mail")

    assert office.state("TC-1") is State.CANCELLED
    assert not any(run.alive for run in office.app().runtime.live())


def test_a_worker_spawned_just_before_the_end_of_its_run_ends_with_it(office: Office) -> None:
    office.write("clawfiles.toml", DEEP)
    script = spawns("late").replace("\n", "\n    ").rstrip()
    office.write("mail.py", f"import signal\ndef late(*_):\n    {script}\n    raise SystemExit\n"
                            "signal.signal(signal.SIGTERM, late)\n")  # fmt: skip
    spawn(office, "mail")
    at_work(office, "tc-1.1-s1")

    done = office.app().flows.cancel(SAM, "TC-1")

    left = {task: state for task, state in states(office).items() if state != "cancelled"}
    assert left == {}, done


def test_a_run_that_only_hears_of_a_task_goes_on_when_that_is_cancelled(office: Office) -> None:
    spawn(office, "mail")
    office.app().messages.send(SAM, AgentId("coder"), "The mail is being read.", TaskId("TC-1"))
    at_work(office, "tc-1.1-s1")
    told = next(run.id for run in office.app().runtime.live() if run.agent == "coder")

    done = office.app().flows.cancel(SAM, "mail")

    assert done.stopped == ("tc-1.1-s1",)
    assert [run.id for run in office.app().runtime.live() if run.alive] == [told]


def test_a_result_that_lies_there_is_not_thrown_away(office: Office) -> None:
    spawn(office, "mail")
    at_work(office, "tc-1.1-s1")
    ends(office, "mail", "tc-1.1-s1")

    done = office.app().flows.cancel(SAM, "mail")
    office.tick()

    assert (done.finished, office.state("TC-1")) == (("TC-1",), State.DONE)


def test_cancel_checks_the_right_and_resolves_the_name(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    spawn(office, "one", by=PETER, group="week", group_size=2)
    spawn(office, "two", by=PETER, group="week", group_size=2)
    spawn(office, "sams")
    office.new("alone")

    with pytest.raises(Refused, match="peter or sam may"):
        office.app().flows.cancel(IRIS, "week")
    with pytest.raises(NotFound, match="flow list"):
        office.app().flows.cancel(SAM, "TC-4")

    assert [flow.id for flow in office.app().flows.listing(PETER).flows] == ["week"]
    assert [flow.id for flow in office.app().flows.listing(IRIS).flows] == []
    listed = typed(office, capsys, "flow", "list")[1]
    assert listed.startswith("group week  peter\n  TC-1      research  backlog")
    assert typed(office, capsys, "flow", "cancel", "agent:peter:main", "--agent", "peter")[:2] == (
        0,
        "cancelled TC-2, TC-1\n",
    )
    assert states(office)["TC-3"] != "cancelled"


def test_a_session_that_is_called_like_a_label_does_not_hide_it(office: Office) -> None:
    office.write("clawfiles.toml", CONFIG.replace("[agents.coder]", '[agents.coder]\nsession = "mail"'))
    spawn(office, "mail")
    spawn(office, "other", by=AgentId("coder"))

    office.app().flows.cancel(SAM, "mail")
    assert states(office) == {"TC-1": "cancelled", "TC-2": "backlog"}


def test_groups_of_one_name_have_a_report_for_each_spawner(office: Office) -> None:
    for label, by in (("sa", SAM), ("pa", PETER), ("sb", SAM), ("pb", PETER)):
        spawn(office, label, by=by, group="week", group_size=2)
    office.write("go", "")
    for _ in range(3):
        office.tick()
        office.runs_end()
    office.tick()

    mine, peters = (office.message(who, "group.week.report") for who in ("sam", "peter"))
    assert ["what sa found" in mine, "what sb found" in mine, "what pa found" in mine] == [True, True, False]
    assert ["what pa found" in peters, "what pb found" in peters, "what sa found" in peters] == [True, True, False]
    assert office.lines == []


# --- one level up


def nested(office: Office) -> None:
    """TC-2, spawned by a worker in TC-1, which peter asked for; both at work."""
    office.write("clawfiles.toml", DEEP)
    spawn(office, "up", by=PETER)
    at_work(office, "tc-1.1-s1")
    spawn(office, "below", by=AgentId("research"), inside="TC-1")
    at_work(office, "tc-2.1-s1")


def test_a_worker_at_work_finds_the_result_in_its_run_once_and_nobody_is_woken(office: Office) -> None:
    nested(office)
    ends(office, "below", "tc-2.1-s1")

    for _ in range(3):
        office.tick(MINUTE)

    told = office.read("runs/tc-1.1-s1/steer.md")
    assert (told.count("> what below found"), told.count("(tc-2.1.done):")) == (1, 1)
    assert office.box("research", "cur") == ["tc-1.1", "tc-2.1.done"]
    assert not [name for name in office.names("runs") if "done" in name]
    assert office.boxes("peter") == {}
    ends(office, "up", "tc-1.1-s1")
    office.tick(MINUTE)
    assert office.boxes("peter") == {"new": ["tc-1.1.done"]}, "one level at a time"


def test_a_tick_that_dies_between_the_run_and_the_message_tells_it_once(office: Office) -> None:
    class Dies(Fuse):
        def step(self, what: str) -> None:
            if what == "commit inbox/research/new/tc-2.1.done.md":
                raise Crash(what)

    nested(office)
    ends(office, "below", "tc-2.1-s1")
    whole, office.make_files = office.make_files, partial(FusedFiles, Dies(0), clock=office.clock, durable=False)
    with pytest.raises(Crash):
        office.app().heartbeat.tick()
    office.make_files = whole
    assert "> what below found" in office.read("runs/tc-1.1-s1/steer.md")

    office.tick(MINUTE)

    assert office.read("runs/tc-1.1-s1/steer.md").count("> what below found") == 1
    assert office.box("research", "cur") == ["tc-1.1", "tc-2.1.done"]


def test_where_the_worker_has_ended_its_own_spawner_hears(office: Office) -> None:
    nested(office)
    ends(office, "up", "tc-1.1-s1")
    office.tick(MINUTE)
    ends(office, "below", "tc-2.1-s1")

    for _ in range(3):
        office.tick(MINUTE)

    assert office.boxes("peter") == {"new": ["tc-1.1.done", "tc-2.1.done"]}
    assert "what below found" in office.message("peter", "tc-2.1.done")
    assert office.lines == []


def test_between_two_attempts_of_the_worker_the_result_waits_for_the_next(office: Office) -> None:
    nested(office)
    office.app().runtime.stop(next(run.id for run in office.app().runtime.live() if run.task == "TC-1"))
    office.until(lambda: len([r for r in office.app().runtime.live() if r.alive]) == 1, "its run ends")
    office.tick()  # TC-1 has failed
    ends(office, "below", "tc-2.1-s1")
    office.tick()
    assert office.state("TC-2") is State.DONE
    assert any("TC-2" in line for line in office.lines), "it waits, and is not forgotten"
    assert "next attempt" in office.app().explaining.explain(TaskId("TC-2")).waiting

    office.tick(MINUTE)
    office.until(lambda: office.exists("at-work-tc-1.2-s1"), "the next attempt")
    office.tick()

    assert "what below found" in office.read("runs/tc-1.2-s1/steer.md")
    assert office.boxes("peter") == {}


def test_a_spawn_that_failed_for_good_is_told_to_whoever_asked_once(office: Office) -> None:
    office.write("mail.py", "raise SystemExit('no such table')")
    spawn(office, "mail", by=PETER, attempts=1)
    office.tick()
    office.runs_end()

    for _ in range(3):
        office.tick(MINUTE)

    assert office.boxes("peter") == {"new": ["tc-1.1.failed"]}
    assert "failed permanently" in office.message("peter", "tc-1.1.failed")


# --- messages that nobody sent


def test_a_forged_message_brings_nobody_another_s_contract(office: Office) -> None:
    spawn(office, "mail", timeout=timedelta(minutes=1))
    at_work(office, "tc-1.1-s1")
    front = "id: zz\nkey: zz\nkind: task\nfrom: sam\nto: coder\ntask: TC-1\ngeneration: 1"
    office.write("inbox/coder/new/zz.md", f"---\n{front}\n---\nDo it.\n")

    office.tick(timedelta(seconds=5))
    office.until(lambda: office.exists("at-work-zz-s1"), "it was woken, as by any message")

    run = office.app().runtime.look(RunId("zz-s1"))
    assert run is not None
    assert run.timeout == timedelta(minutes=30), "its own limit, not that of the worker's contract"
    ends(office, "mail", "tc-1.1-s1")
