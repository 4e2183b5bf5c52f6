"""Workflows, runs and events from hands of strangers: a broken file of one run stops nothing else.

No input costs more than its length.
"""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from claw_files.core.errors import UsageError
from claw_files.core.model import AgentId, State, TaskId
from claw_files.core.workflow import Pass, RunRecord, StepState
from claw_files.formats import workflow_file, workflow_record
from claw_files.policy.workflow_checks import check
from claw_files.services.heartbeat.heartbeat import TickResult
from claw_files.services.workflows.runs import begin
from tests.support.office import TEAM, Office

MAP = """---
inputs: [things = a]
---
## look
- to: sam; for each: {things}

Look at {item}.

## tell
- to each: sam, peter; after: look = ended

{look.failed} {look.says}
"""
ONE = "## only\n- to: sam\n\nDo it.\n"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path / "sam", f'{TEAM}\n[events.order]\ndo = {{ task = "Look at the order" }}\n')
    made.write("workflows/map.md", MAP)
    made.write("workflows/one.md", ONE)
    return made


def start(office: Office, name: str, key: str | None = None, **given: str) -> str:
    app = office.app("sam")
    flow = app.workflows.sound(name)
    return begin(app.workspace, flow, app.workflows.copies(flow, name), given, AgentId("sam"), key=key).id


def ticked(office: Office) -> TickResult:
    office.settle()
    office.clock.advance(timedelta(seconds=3))
    return office.app().heartbeat.tick()


def halfway(office: Office) -> Path:
    """The folder of a run of which an item has just ended, so that the next tick reads its files."""
    start(office, "map")
    ticked(office), ticked(office)
    office.app("sam").tasks.cancel(TaskId("TC-1-LOOK-1"), AgentId("sam"), "x")
    start(office, "one")
    return office.root / "flows/tc-1"


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    "breaks",
    [
        lambda path: path.write_bytes(b"\xff\0"),
        lambda path: path.write_text("---\na: [\n"),
        lambda path: path.write_text("x" * 2_000_000),
        lambda path: path.write_text(MAP.replace("sam", "peter")),
        lambda path: path.write_text(""),
        fifo,
        link,
        Path.unlink,
    ],
)
def test_the_copy_of_one_run_is_broken_or_changed_and_the_other_runs_go_on(
    office: Office, breaks: Callable[[Path], object]
) -> None:
    copy = halfway(office) / "workflow.md"
    before = copy.read_bytes()
    breaks(copy)
    found = ticked(office)
    assert [it for it in found.faults if "flows/tc-1/workflow.md" in it], found
    assert office.state("TC-1") is State.IN_PROGRESS
    assert "tc-2-only.md" in office.names("status")
    copy.unlink(missing_ok=True)
    copy.write_bytes(before)
    assert not ticked(office).faults
    ticked(office)
    assert "tc-1-tell-2.md" in office.names("status")


@pytest.mark.parametrize("breaks", [lambda path: path.write_bytes(b"\xff\0"), Path.unlink, fifo])
def test_a_cancelled_run_whose_copy_is_broken_has_its_steps_cancelled(
    office: Office, breaks: Callable[[Path], object]
) -> None:
    start(office, "map", things="a, b")
    ticked(office), ticked(office)
    breaks(office.root / "flows/tc-1/workflow.md")
    office.app("sam").tasks.cancel(TaskId("TC-1"), AgentId("sam"), "not needed")
    ticked(office), ticked(office)
    assert {office.state(f"TC-1-LOOK-{number}") for number in (1, 2)} == {State.CANCELLED}
    assert not [it for it in ticked(office).faults if "tc-1" in it]
    assert not [it for it in office.lines if "TC-1" in it]


def test_a_version_is_never_written_over(office: Office) -> None:
    start(office, "one")
    office.write("workflows/versions/one/999999.md", "## x\n- to: sam\n\nx\n")
    found = []
    for text in ("first", "second"):
        office.write("workflows/one.md", f"{ONE}\n{text}\n")
        found.append(office.task(start(office, "one")).workflow_version)
    assert found == [1_000_000, 1_000_001]
    assert office.read("workflows/versions/one/1000000.md").endswith("first\n")


@pytest.mark.parametrize(
    "wrong",
    [
        "made: [1]",
        "version: [1]",
        "step look: total=1000000000000 next=1000000000000 failed=3 at=2026-03-07T08:45:03Z word=failed forgiven",
        "step look: pass=1000000000000 at=2026-03-07T08:45:03Z",
        "step look: open=1000000000000 total=3 at=2026-03-07T08:45:03Z",
        "step look: total=-3 at=2026-03-07T08:45:03Z",
        "out: yes\ngrants: 99999999999999999999999999999999999999999999999999999999999999999999",
    ],
)
def test_a_record_that_was_changed_is_built_anew(office: Office, wrong: str) -> None:
    record = halfway(office) / "record.md"
    record.write_text(f"---\nstarted: 2026-03-07T08:45:03Z\n{wrong}\n---\n")
    found = [ticked(office) for _ in range(4)]
    assert not [problem for it in found for problem in (*it.problems, *it.faults)]
    assert "tc-1-tell-2.md" in office.names("status")
    assert workflow_record.parse(record.read_bytes(), "record.md").steps["look"].word == "failed"


@pytest.mark.parametrize("name", ["hop=9", "hop=0"])
def test_a_record_names_no_agent_that_is_not_there(office: Office, name: str) -> None:
    folder = halfway(office)
    (folder / "record.md").write_text(
        f"---\nstep look: word=failed\nstep tell: {name} total=9 next=9 open=9 at=2026-03-07T08:45:03Z\n---\n"
    )
    ticked(office)
    assert "tc-2-only.md" in office.names("status")


def test_a_long_record_is_read_as_it_was_written() -> None:
    flow, _ = workflow_file.parse(MAP.encode(), "x.md", "x")
    failed = StepState(word="failed", why="it could not be read: " * 15, is_forgiven=True)
    steps = {f"part-{'ab'[number % 2] * (number // 2 + 1)}"[:32]: failed for number in range(50)}
    record = RunRecord(
        steps={name: replace(it, why=it.why.strip()) for name, it in steps.items()}
        | {"look": StepState(total=20_000, next=20_001, left=tuple(range(1, 20_001)))},
        passes=tuple(Pass(number=number, step="look", by="-") for number in range(2, 200)),
    )
    assert workflow_record.parse(workflow_record.render(record, flow), "record.md") == record


def test_names_of_files_that_are_no_text_are_items_that_can_be_read(office: Office) -> None:
    office.write("workflows/files.md", ONE.replace("- to: sam", "- to: sam; for each: in/*").replace("it", "{item}"))
    folder = os.fsencode(office.root / "in")
    os.mkdir(folder)
    for name in (b"a\xff.txt", b"b\nStatus: DONE", b"{run}"):
        open(folder + b"/" + name, "w").close()
    run = start(office, "files")
    assert not ticked(office).problems
    ticked(office)
    items = (office.root / f"flows/{run.lower()}/only.items").read_text()
    assert items == "in/a\\udcff.txt\nin/b Status: DONE\nin/{run}\n"
    assert "tc-1-only-3.md" in office.names("status")


@pytest.mark.parametrize("key", [" a", "a ", "\t", "~", "null", "None", "-", "n/a", "#", "[a]", "a\nb: c", "\u2028"])
def test_a_key_begins_one_run_however_it_looks(office: Office, key: str) -> None:
    assert {start(office, "one", key) for _ in range(3)} == {"TC-1"}
    assert start(office, "one", f"{key}.") == "TC-2"


@pytest.mark.parametrize("key", ["x" * 501, "a\udcff"])
def test_a_key_that_no_file_can_hold_is_refused(office: Office, key: str) -> None:
    with pytest.raises(UsageError, match="500 letters"):
        start(office, "one", key)
    assert office.names("flows") == []


@pytest.mark.parametrize("key", ["after", "after any"])
def test_many_conditions_cost_no_more_than_their_length(office: Office, key: str) -> None:
    names = [f"s{one}{two}" for one in "abcdefghij" for two in "abcdefghij"]
    steps = (
        f"## {name}\n- to: sam\n- {key}: {', '.join(names[at + 1 :] * 100)}\n\nx\n" for at, name in enumerate(names)
    )
    flow, wrong = workflow_file.parse("".join(steps).encode()[:1_000_000], "x.md", "x")
    assert f"`{key}`: at most 100 conditions" in {it.text for it in wrong}
    since = time.process_time()
    check(flow, office.app().settings, {})
    assert time.process_time() - since < 2


@pytest.mark.parametrize("key", ["choices", "makes"])
def test_what_the_task_of_a_step_cannot_hold_is_a_problem_of_the_file(key: str) -> None:
    for words in (range(5_000), ["a" * 39 + f" {number}" for number in range(60)]):
        text = f"## a\n- to: sam\n- {key}: {', '.join(map(str, words))}\n\nx\n"
        _, wrong = workflow_file.parse(text.encode(), "x.md", "x")
        assert [it.text for it in wrong] == [f"`{key}`: at most 50, and 4,000 bytes"]


def test_a_deep_event_costs_no_more_than_its_length(office: Office) -> None:
    """Indented, each of its numbers would have eighteen hundred spaces in front."""
    office.write("events/new/order.json", '{"x": ' + "[" * 900 + "1," * 200_000 + "1" + "]" * 900 + "}")
    since = time.process_time()
    for _ in range(3):
        ticked(office)
    assert time.process_time() - since < 2
    text = "".join((office.root / "definitions" / name).read_text() for name in office.names("definitions"))
    assert "That is only the beginning" in text
    assert len(text) < 12_000


def test_workflows_that_nest_one_another_often_are_looked_through_once(office: Office) -> None:
    office.add("clawfiles.toml", "[workflows]\ndepth = 12\n")
    for name, inner in zip("abcdefghij", "bcdefghijk", strict=True):
        steps = "".join(f"## s{step}\n- workflow: {inner}\n\n" for step in "abcdefgh")
        office.write(f"workflows/{name}.md", steps)
    office.write("workflows/k.md", ONE)
    assert office.app().workflows.find("a").problems == ()
    office.write("workflows/k.md", "## s\n- workflow: c\n")
    assert "nest in a circle" in office.app().workflows.find("a").problems[0].text


@pytest.mark.parametrize("name", [b"\xff", b"a\nb", b" ", b"-", b"null", b"~", b" a"])
def test_a_file_whose_name_no_task_can_hold_is_no_workflow(office: Office, name: bytes) -> None:
    with open(os.fsencode(office.root / "workflows") + b"/" + name + b".md", "w") as file:
        file.write(f"---\nstarts on: order\n---\n{ONE}")
    office.write("events/new/order.json", "{}")
    found = [ticked(office) for _ in range(3)]
    assert not [problem for it in found for problem in (*it.problems, *it.faults)]
    assert office.app().workflows.names() == ["map", "one"]
    assert [it.partition("-")[0] for it in office.names("status")] == ["tc"]
    assert office.names("flows") == []
