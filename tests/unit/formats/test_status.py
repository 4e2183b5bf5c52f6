"""Status files as agents and people write them, and edits of them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from claw_files.core.errors import InvalidFile
from claw_files.core.model import AgentId, Need, State, Task, TaskId
from claw_files.formats import frontmatter, reports, status

BERLIN = ZoneInfo("Europe/Berlin")
SAVED = datetime(2026, 3, 7, 10, 0, tzinfo=BERLIN)
ELEVEN = datetime(2026, 3, 7, 10, 0, tzinfo=UTC)
PATH = "status/tc-47.md"
PETER = AgentId("peter")


def parse(text: str | bytes, path: str = PATH) -> Task:
    return status.parse(text if isinstance(text, bytes) else text.encode(), path, SAVED, BERLIN)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Status: DONE\n", State.DONE),
        ("status: done", State.DONE),
        ("- **Status:** in progress\n", State.IN_PROGRESS),
        ("**Status**: `done`\n", State.DONE),
        ("## Status: review\n", State.REVIEW),
        ("TC-47: IN PROGRESS", State.IN_PROGRESS),
        ("tc-47: in_progress\r\n", State.IN_PROGRESS),
        ('"TC-47: IN PROGRESS"', State.IN_PROGRESS),
        ("# TC-47: DONE\n", State.DONE),
        ("- **TC-47**: ✅ Done\n", State.DONE),
        ("✅ TC-47: finished", State.DONE),
        ("Status: ✅\n", State.DONE),
        ("TC-47 = IN PROGRESS, estimated done 11:00", State.IN_PROGRESS),
        ("TC-47 = DONE, PR #142 created.", State.DONE),
        ("Status → WIP (50%)", State.IN_PROGRESS),
        ("Status: Cancelled - not needed", State.CANCELLED),
        ("Status: done\nStatus: failed\n", State.FAILED),
        ("Status: wip\n```\nStatus: done\n```\n", State.IN_PROGRESS),
        ("Status: wip\n~~~~\nStatus: done\n~~~\n", State.IN_PROGRESS),
        ("Status: wip\n<!-- Status: done -->\n<!--\nStatus: done\n-->\n", State.IN_PROGRESS),
        ("The <!-- of it\nStatus: done\n", State.DONE),
        ("> Status: done\n", State.BACKLOG),
        ("TC-48: DONE\n", State.BACKLOG),
        ("Status: not done\n", State.BACKLOG),
        ("Status: done reading, now thinking\n", State.BACKLOG),
    ],
)
def test_a_state_written_by_hand_is_read(text: str, state: State) -> None:
    assert parse(text).state is state


def test_the_report_of_a_finished_review_is_read() -> None:
    task = parse("# TC-47: API Security Review\nStatus: DONE\nCompleted: 2026-03-07 03:45 UTC\n\nFound\nPosted: Yes\n")
    assert (task.id, task.title, task.state) == ("TC-47", "API Security Review", State.DONE)
    assert task.completed == datetime(2026, 3, 7, 3, 45, tzinfo=UTC)


def test_text_behind_the_state_is_understood() -> None:
    assert parse("TC-47 = IN PROGRESS, estimated done 11:00").eta == ELEVEN
    assert parse("Status: wip\nETA: 11:00\n").eta == ELEVEN
    assert parse("TC-47 = DONE, PR #142 created.").outputs == ("PR #142 created",)
    assert parse("Status: blocked - no keys").reason == "no keys"
    assert parse("Needs: iris - which region?").need == Need(agent=AgentId("iris"), question="which region?")
    assert parse("ETA: soon").eta is None


def test_keys_spelled_by_people_are_read() -> None:
    task = parse(
        "---\nStatus: In Progress\nowner: Peter\nestimated: 11:00\nOutputs: ./a.md\nAfter: tc-1, TC-2\n---\n# API\n"
    )
    assert (task.state, task.assignee, task.eta) == (State.IN_PROGRESS, PETER, ELEVEN)
    assert (task.outputs, task.after, task.title) == (("./a.md",), ("TC-1", "TC-2"), "API")


@pytest.mark.parametrize(
    ("text", "problem", "words"),
    [
        ("---\nrecorded: banana\n---\n", "bad-value", ("line 2", "recorded", "banana")),
        ("---\nattempt: -1\n---\n", "bad-value", ("line 2", "attempt")),
        ("---\nattempt: " + "9" * 5000 + "\n---\n", "bad-value", ("line 2", "attempt")),
        ("---\ntype: [bug, chore]\n---\n", "bad-value", ("line 2", "type")),
        ("---\nafter: [TC-1, ../x]\n---\n", "bad-value", ("line 2", "after")),
        ("---\nlease: 9999-12-31\n---\n", "bad-value", ("line 2", "lease")),
        ("---\nid: TC-48\n---\n", "wrong-id", ("line 2", "TC-48")),
        ("---\nStatus: done\nstatus: wip\n---\n", "duplicate-key", ("line 3",)),
    ],
)
def test_a_value_that_is_none_names_key_and_line(text: str, problem: str, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse(text)
    assert caught.value.problem == problem
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        ("---\na: 1\neta: 2026-02-30\n---\n", 3, "eta: 2026-02-30"),
        ("---\nStatus: banana\n---\n", 2, "Status: banana"),
        ("---\npriority: NaN\n---\n", 2, "priority: NaN"),
        ("---\nassignee: ../x\n---\n", 2, "assignee: ../x"),
        ("---\nOwner: Jane Doe\n---\n", 2, "Owner: Jane Doe"),
        ("---\ntitle: [a, b]\n---\n", 2, "title: ['a', 'b']"),
        ("# TC-47\n\nOwner: Jane Doe\n", 3, "assignee: Jane Doe"),
    ],
)
def test_a_value_that_guards_nothing_is_unclear_and_the_file_is_read(text: str, line: int, shown: str) -> None:
    (unclear,) = parse(text).unclear
    assert (unclear.path, unclear.line, unclear.text) == (PATH, line, shown)
    assert unclear.hint


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("---\nassignee: @peter\n---\n", "assignee", PETER),
        ("---\nassignee: ['@peter']\n---\n", "assignee", PETER),
        ("---\nassignee: [@peter]\n---\n", "assignee", PETER),
        ("---\ntype: [bug]\n---\n", "type", "bug"),
        ("---\nlease: -\n---\n", "lease", None),
    ],
)
def test_values_that_yaml_refuses_or_lists_with_one_item_are_read(text: str, key: str, value: object) -> None:
    task = parse(text)
    assert (getattr(task, key), task.unclear) == (value, ())


def test_a_file_whose_name_is_no_id_is_refused() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse("Status: done", "status/.tc-1.md.swp")
    assert caught.value.problem == "bad-id"


def with_memory(front: str, recorded: str, said: str, told: str) -> str:
    keys = {"status": front, "recorded": recorded, "said": said}
    return (
        "---\nx: y\n"
        + "".join(f"{k}: {v}\n" for k, v in keys.items() if v)
        + "---\n"
        + (f"Status: {told}\n" if told else "")
    )


@pytest.mark.parametrize(
    ("front", "recorded", "said", "told", "state"),
    [
        ("in_progress", "in_progress", "", "", State.IN_PROGRESS),
        ("in_progress", "in_progress", "", "done", State.DONE),  # words where there were none
        ("in_progress", "in_progress", "done", "done", State.IN_PROGRESS),  # old words
        ("in_progress", "in_progress", "done", "failed", State.FAILED),  # changed words
        ("review", "in_progress", "", "", State.REVIEW),  # changed front matter
        ("review", "in_progress", "done", "done", State.REVIEW),
        ("review", "in_progress", "", "done", State.REVIEW),  # both changed: front matter
        ("backlog", "", "", "done", State.DONE),  # never written by us
        ("", "", "", "done", State.DONE),
        ("", "review", "", "", State.REVIEW),
    ],
)
def test_where_front_matter_and_body_disagree_the_news_counts(
    front: str, recorded: str, said: str, told: str, state: State
) -> None:
    task = parse(with_memory(front, recorded, said, told))
    assert task.state is state
    assert task.recorded == (recorded or None)


def test_a_move_by_hand_is_accepted_or_put_back_and_then_is_no_news() -> None:
    raw = with_memory("in_progress", "in_progress", "", "DONE").encode()
    moved = parse(raw)
    assert (moved.state, moved.recorded) == (State.DONE, State.IN_PROGRESS)

    accepted = parse(status.edit(raw, moved, replace(moved, recorded=moved.state), PATH))
    assert (accepted.state, accepted.recorded) == (State.DONE, State.DONE)

    put_back = status.edit(raw, moved, replace(moved, state=State.IN_PROGRESS), PATH)
    assert (parse(put_back).state, parse(put_back).recorded) == (State.IN_PROGRESS, State.IN_PROGRESS)
    assert parse(put_back + b"\nStatus: failed\n").state is State.FAILED


@pytest.mark.parametrize(
    ("line", "eta"),
    [
        ("TC-47: IN PROGRESS, ETA 23:00 CET", datetime(2026, 3, 7, 22, 0, tzinfo=UTC)),
        ("TC-47: IN PROGRESS, ETA tomorrow 9am", datetime(2026, 3, 8, 8, 0, tzinfo=UTC)),
        ("TC-47: IN PROGRESS, est. done 3pm", datetime(2026, 3, 7, 14, 0, tzinfo=UTC)),
        ("TC-47: IN PROGRESS, ready by Monday 9:00; he is slow", datetime(2026, 3, 9, 8, 0, tzinfo=UTC)),
        ("TC-47: IN PROGRESS until 31.12.2031 10:00", datetime(2031, 12, 31, 9, 0, tzinfo=UTC)),
        ("TC-47: IN PROGRESS by peter, eta in half an hour", datetime(2026, 3, 7, 9, 30, tzinfo=UTC)),
        ("TC-47: IN PROGRESS, ETA 10:00-11:00", None),
        ("TC-47: IN PROGRESS, ETA 07/12/2031 23:00", None),
        ("ETA: 23:00 CET\nStatus: wip", datetime(2026, 3, 7, 22, 0, tzinfo=UTC)),
    ],
)
def test_an_eta_is_read_as_in_the_ledger_and_no_part_of_it_is_left_out(line: str, eta: datetime | None) -> None:
    assert parse(line).eta == eta


def test_a_bare_eta_does_not_wander_when_we_write() -> None:
    raw = b"Status: wip\nETA: 11:00\n"
    before = parse(raw)
    written = status.edit(raw, before, replace(before, recorded=before.state), PATH)
    tomorrow = datetime(2026, 3, 8, 15, 0, tzinfo=BERLIN)
    assert status.parse(written, PATH, tomorrow, BERLIN).eta == ELEVEN
    again = written.replace(b"ETA: 11:00", b"ETA: 16:00")
    assert status.parse(again, PATH, tomorrow, BERLIN).eta == datetime(2026, 3, 8, 15, 0, tzinfo=UTC)


def test_a_need_that_was_met_does_not_come_back() -> None:
    raw = b"Status: blocked\nNeeds: iris - which region?\n"
    before = parse(raw)
    met = status.edit(raw, before, replace(before, need=None, state=State.BACKLOG), PATH)
    assert parse(met).need is None
    assert parse(met + b"Needs: iris - which zone?\n").need == Need(agent=AgentId("iris"), question="which zone?")


def test_an_edit_writes_only_what_differs_and_keeps_the_persons_spelling() -> None:
    raw = b"---\r\nStatus: In Progress  # hers\r\nOwner: 'Peter'\r\ncolour: red\r\n---\r\n# API  \r\n"
    before = parse(raw)
    after = status.edit(raw, before, replace(before, state=State.REVIEW), PATH)
    assert after == raw.replace(b"In Progress", b"review").replace(
        b"colour: red\r\n", b"colour: red\r\nrecorded: review\r\n"
    )
    assert status.edit(raw, before, before, PATH) == raw


def test_a_state_word_that_is_not_understood_stays_until_a_move_replaces_it() -> None:
    raw = b"---\nstatus: gnarf  # hers\n---\n# API\n"
    before = parse(raw)

    given = status.edit(raw, before, replace(before, assignee=PETER, recorded=State.BACKLOG), PATH)

    assert given == b"---\nstatus: gnarf  # hers\nassignee: peter\nrecorded: backlog\n---\n# API\n"
    assert [one.text for one in parse(given).unclear] == ["status: gnarf"]
    done = status.edit(given, parse(given), replace(parse(given), state=State.DONE, recorded=State.DONE), PATH)
    assert b"\nstatus: done  # hers\n" in done
    assert parse(done).unclear == ()


def full() -> Task:
    return Task(
        id=TaskId("TC-47"),
        title="fix #47: [api] review",
        state=State.IN_PROGRESS,
        recorded=State.IN_PROGRESS,
        assignee=PETER,
        followers=(PETER, AgentId("sam")),
        priority="high",
        after=(TaskId("TC-1"),),
        outputs=("./a b.md", "PR #142, yes"),
        attempt=2,
        generation=3,
        lease=ELEVEN,
        need=Need(agent=AgentId("iris"), question="which: region?"),
        reason="no: keys",
    )


def test_a_new_file_reads_back_as_its_task() -> None:
    task = full()
    raw = status.edit(None, None, task, PATH)
    assert replace(parse(raw), state_line=None) == task
    assert raw.decode().startswith(
        '---\nid: TC-47\ntitle: "fix #47: [api] review"\nstatus: in_progress\nassignee: peter\n'
    )
    assert raw.decode().endswith("---\n# TC-47: fix #47: [api] review\n")


@pytest.mark.parametrize(
    "title", ["Done", "x\nStatus: DONE", "Status: done", "{t.__init__.__globals__}", "---", "\x1b[2J", "", "~"]
)
def test_a_hostile_title_moves_nothing(title: str) -> None:
    task = Task(id=TaskId("TC-47"), title=title)
    assert parse(status.edit(None, None, task, PATH)).state is State.BACKLOG


def test_a_note_is_put_at_the_end_and_never_counts_as_the_tasks_word() -> None:
    raw = b"---\nstatus: in_progress\nrecorded: in_progress\n---\n# T\r\nx"
    assert status.append(b"a\r\nb", "n1\nn2") == b"a\r\nb\r\n\r\nn1\r\nn2\r\n"
    assert status.append(raw, "half way") == raw + b"\n\nhalf way\n"
    for note in ("Status: DONE", "ok\nTC-47: done", "Needs: iris - x", "```\nopen", "<!--"):
        noted = status.append(raw, note, PATH)
        assert noted.startswith(raw)
        assert parse(noted) == parse(raw)
        assert parse(noted + b"\nStatus: done\n").state is State.DONE


def test_keys_that_an_agent_lost_are_restored_and_what_it_wrote_stays() -> None:
    task = full()
    overwritten = parse("TC-47: DONE, PR #142 created")
    restored = status.restore(overwritten, status.definition(task))
    assert (restored.title, restored.after, restored.priority) == (task.title, task.after, task.priority)
    assert (restored.state, restored.outputs) == (State.DONE, ("PR #142 created",))
    assert status.restore(task, {"title": "other", "after": "../x", "unknown": "y"}) == task
    assert status.restore(Task(id=task.id), status.definition(task)).outputs == task.outputs


def test_reports_of_one_file_are_one_a_task_the_last_line_counts() -> None:
    lines = [
        "# Peter",
        "- TC-47: IN PROGRESS, ETA 11:00",
        "- **TC-48** = done, PR #1",
        "Note: done",
        "```",
        "TC-49: done",
    ]
    raw = "\n".join([*lines, "```", "- TC-47: review", "foo: done"]).encode()
    found = reports.parse(raw, "status/peter.md", PETER, SAVED, BERLIN)
    assert [(it.task, it.state, it.note) for it in found] == [
        ("TC-47", State.REVIEW, ""),
        ("TC-48", State.DONE, "PR #1"),
    ]
    known = reports.parse(raw, "status/peter.md", PETER, SAVED, BERLIN, known=lambda task: task == "FOO")
    assert known[-1].task == "FOO"
    assert reports.parse(b"TC-1: wip, ETA 11:00", "s/peter.md", PETER, SAVED, BERLIN)[0].eta == ELEVEN


def test_a_file_in_the_agents_own_workspace_is_one_report_if_it_gives_a_state() -> None:
    path = "../peter/status/tc-47.md"
    (report,) = reports.parse(b"Status: DONE", path, PETER, SAVED, BERLIN, task=TaskId("TC-47"))
    assert (report.task, report.state, report.author, report.path) == ("TC-47", State.DONE, PETER, path)
    assert reports.parse(b"some thoughts", path, PETER, SAVED, BERLIN, task=TaskId("TC-47")) == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * 1000000,
        b"- x\n" * 250000,
        b"*" * 1000000,
        b"[" * 1000000,
        b"| " * 500000,
        b"<!--" * 250000,
        b"<!-- -->" * 125000,
        b"`" * 1000000,
        b"```\n" * 250000,
        b"Status: " + b"a " * 400000,
        b"TC-47: " * 140000,
        b"Status: wip\n" * 80000,
        b"#" * 1000000,
        b" " * 1000000 + b"x",
        b">" * 1000000,
        b"a: b\n" * 200000,
    ],
)
def test_a_body_made_to_be_slow_is_read_like_any_other(raw: bytes) -> None:
    # Quadratic reading of these would take minutes: the suite's own limit is the assertion.
    assert parse(raw).state in (State.BACKLOG, State.IN_PROGRESS)


def test_a_u2028_in_the_body_is_the_persons_business() -> None:
    assert frontmatter.parse("a\u2028b\n".encode(), PATH).body == "a\u2028b\n"


def test_a_note_cannot_close_what_the_text_before_it_left_open() -> None:
    for before, note in (("```", "```\nStatus: DONE\n```"), ("<!-- draft", "-->\n```\nStatus: DONE\n```")):
        raw = f"---\nstatus: in_progress\nrecorded: in_progress\n---\n{before}".encode()
        noted = status.append(raw, note, PATH)
        assert noted.startswith(raw)
        assert b"> Status: DONE" in noted
        assert status.parse(noted, PATH, SAVED, BERLIN).state is State.IN_PROGRESS


def test_reading_the_bodies_of_many_tasks_compiles_nothing_for_each() -> None:
    import sys
    from pathlib import Path
    from types import FrameType

    def parse(number: int) -> None:
        raw = f"---\nstatus: in_progress\n---\n# TC-{number}: Login\n\nTC-{number}: DONE\n".encode()
        task = status.parse(raw, f"status/tc-{number}.md", SAVED, BERLIN)
        assert (task.title, task.state) == ("Login", State.DONE)

    called = set[str]()

    def note(frame: FrameType, *_: object) -> None:
        called.add(Path(frame.f_code.co_filename).name)

    parse(1)
    sys.setprofile(note)
    try:
        parse(2)
    finally:
        sys.setprofile(None)
    assert "status.py" in called
    assert "_compiler.py" not in called
