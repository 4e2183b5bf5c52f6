"""Task files as people write them: an edit touches the lines of its key, a whole life in the store touches ours."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from claw_files.core.errors import ClawError, InvalidFile
from claw_files.core.model import AgentId, State, Task, TaskId
from claw_files.formats import frontmatter_edits, status
from tests.each import each
from tests.proofs import is_tried
from tests.support.office import Office

from . import shapes
from .oracle import only_changes, parts, plain, spans

BERLIN = ZoneInfo("Europe/Berlin")
SAVED = datetime(2026, 3, 7, 9, 0, tzinfo=UTC)
PETER, SAM, BOSS = AgentId("peter"), AgentId("sam"), AgentId("dimitrios")
STORED = sorted((Path(__file__).parent / "files" / "tasks").iterdir())
FILES = {path.name: path.read_bytes() for path in STORED} | dict(shapes.tasks())
NAMED = {path.name for path in STORED}  # as people wrote them; the others are made
REFUSED = sorted(name for name in FILES if name.startswith("refused-"))
# What a state's change writes beside the state: `docs/reference/file-format.md` tells what each is for.
NEWS = {"status", "state", "recorded", "said", "heard", "eta", "estimated", "need", "needs"}
OURS = NEWS | {
    "id",
    "title",
    "assignee",
    "owner",
    "attempt",
    "generation",
    "lease",
    "updated",
    "summary",
    "completed",
    "reason",
    "type",
}
OURS |= {"requested_by", "created", "attempts", "failures", "not_before", "outputs", "output"}


def task_of(name: str) -> str:
    """The id of the task: "backlog-tool@task-12.md" is TASK-12; mostly TC-7."""
    return name.removesuffix(".md").partition("@")[2] or "tc-7"


def parsed(name: str) -> Task | None:
    path = f"status/{task_of(name)}.md"
    try:
        return status.parse(FILES[name], path, SAVED, BERLIN)
    except InvalidFile:
        return None


GOOD = [name for name in FILES if parsed(name) is not None]


def test_there_are_many_files_and_nearly_all_are_read() -> None:
    ledgers = list((Path(__file__).parent / "files" / "ledgers").iterdir())
    assert len(STORED) + len(ledgers) >= 80
    assert len(shapes.TASKS) + len(shapes.LEDGERS) >= 60
    assert len({*FILES.values(), *dict(shapes.ledgers()).values()}) + len(ledgers) >= 300
    assert set(FILES) - set(GOOD) == set(REFUSED)


def test_few_files_are_named_unclear_and_each_was_judged() -> None:
    judged = (Path(__file__).parent / "unclear.md").read_text("utf-8")
    found = [(name, one.line, one.text) for name in GOOD if (task := parsed(name)) for one in task.unclear]
    assert re.findall(r"^\| `([^`]+)` \| ([0-9]+) \| `([^`]+)` \|", judged, re.MULTILINE) == [
        (name, str(line), text) for name, line, text in found
    ]
    made_wrong = {"odd-priority.md", "two-assignees.md"}
    assert len({name for name, _, _ in found} - made_wrong) * 200 <= len(FILES)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_is_refused_by_every_command_and_stays_unchanged(name: str, office: Office) -> None:
    office.write("status/tc-7.md", FILES[name])
    for act in (
        lambda: office.app("peter").claims.claim(TaskId("TC-7"), PETER),
        lambda: office.app("peter").tasks.done(TaskId("TC-7"), PETER, "x"),
    ):
        with pytest.raises(ClawError):
            act()
    assert (office.root / "status/tc-7.md").read_bytes() == FILES[name]


@each("name", GOOD)
@each(
    "key, value",
    [
        ("status", "in_progress"),
        ("assignee", "iris"),
        ("eta", "2026-03-07T12:00:00Z"),
        ("title", 'Neu: "größer" # und mehr'),
        ("priority", "p3"),
        ("x_new", ["a", "b: c"]),
        ("tags", ["one"]),
        ("text", "one line"),
        ("outputs", ["a, b", "c"]),
    ],
)
def test_setting_one_key_changes_its_lines_only(name: str, key: str, value: object) -> None:
    raw = FILES[name]
    new = frontmatter_edits.edit(raw, {key: value}, "status/tc-7.md")
    only_changes(raw, new, {key})
    assert frontmatter_edits.edit(new, {key: value}, "status/tc-7.md") == new


@each("name", GOOD)
def test_removing_one_key_removes_its_lines_only(name: str) -> None:
    front = parts(FILES[name]).front
    for key in spans(front) if len(spans(front)) > 1 else ():
        new = frontmatter_edits.edit(FILES[name], {key: None}, "status/tc-7.md")
        only_changes(FILES[name], new, {plain(key)})
        first, behind = spans(front)[key]
        assert parts(new).front == front[:first] + front[behind:]


@each("name", GOOD)
def test_an_edit_of_the_task_changes_the_lines_of_its_keys_only(name: str) -> None:
    raw, before = FILES[name], parsed(name)
    assert before is not None
    path = f"status/{task_of(name)}.md"
    other = State.REVIEW if before.state is not State.REVIEW else State.BLOCKED
    for change, keys in (
        ({"state": other}, NEWS),
        ({"assignee": AgentId("iris")}, {"assignee", "owner"}),
        ({"eta": datetime(2026, 3, 9, 11, 0, tzinfo=UTC)}, {"eta", "estimated"}),
        ({"title": "Another: title"}, {"title"}),
        ({"priority": "p0"}, {"priority"}),
        ({"summary": "A word that was not there"}, {"summary"}),
    ):
        task = replace(before, **change)
        new = status.edit(raw, before, task, path)
        pinned = {"heard", "eta", "need"} if re.search(rb"ETA|estimated|Needs:", parts(raw).body) else set()
        begun = {"id", "title", "status"} if not parts(raw).front else set()
        only_changes(raw, new, keys | pinned | begun)
        read = status.parse(new, path, SAVED, BERLIN)
        assert all(getattr(read, field) == value for field, value in change.items())


@pytest.mark.proof
@each("name", [name for n, name in enumerate(GOOD) if name in NAMED or is_tried(n)])
def test_a_life_in_the_store_keeps_every_line_that_is_not_ours(name: str, tmp_path: Path) -> None:
    office = Office(tmp_path / "sam")
    task, path, raw = TaskId(task_of(name).upper()), f"status/{task_of(name)}.md", FILES[name]
    office.write(path, raw)
    app = office.app("peter").tasks
    steps = (
        lambda: office.app("peter").claims.claim(task, PETER),
        lambda: app.progress(task, PETER, "Half of it is there: Status quo"),
        lambda: app.done(task, PETER, "All of it"),
        lambda: office.app("dimitrios").tasks.reopen(task, BOSS, "Not all of it"),
        lambda: office.app("peter").claims.claim(task, PETER),
        lambda: office.app("sam").tasks.cancel(task, SAM, "Not wanted"),
    )
    taken, refused = 0, []
    for step in steps:
        before = (office.root / path).read_bytes()
        try:
            step()
        except ClawError as error:
            refused.append(str(error))
            assert (office.root / path).read_bytes() == before
            continue
        taken += 1
        after = (office.root / path).read_bytes()
        added = parts(after).body[len(parts(before).body) :]
        only_changes(before, after, OURS, added)
        assert not added or added.strip().startswith(b"- 2026-03-07T08:45:00Z ")
    assert taken, refused
