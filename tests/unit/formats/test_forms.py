"""Every way to write a state that is noted in `tests/forms`, through the real parser: read as a reader would read it.

Each line there was written down, with what a reader would say, before the program read it. `accept` has
states, "none" (nothing is said of the state), "unclear" (named, not read), "suggestion" (named, with the word that was
probably meant) and "unreadable" (the file is refused).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from claw_files.core.errors import InvalidFile
from claw_files.core.model import AgentId, Need, State, Task
from claw_files.formats import status
from claw_files.formats.vocabulary import Vocabulary, vocabulary
from tests.each import each

FORMS = Path(__file__).parents[2] / "forms"
ROWS = [json.loads(line) for path in sorted(FORMS.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
WORDS = vocabulary((), frozenset({AgentId("peter"), AgentId("iris")}))


def said(text: str, words: Vocabulary = WORDS) -> str:
    raw = text.replace("{i}", "TC-7").encode()
    try:
        task = status.parse(raw, "status/tc-7.md", datetime(2026, 3, 7, 12, tzinfo=UTC), ZoneInfo("UTC"), words)
    except InvalidFile:
        return "unreadable"
    return "unclear" if task.unclear else task.state.value


def suggests(text: str) -> bool:
    task = parsed(text.replace("{i}", "TC-7").encode())
    return any("did you mean" in one.hint for one in task.unclear)


@each("row", ROWS)
def test_a_form_is_read_as_a_reader_would(row: dict[str, list[str]]) -> None:
    found = said(str(row["text"]))
    accepted = [*row["accept"], *(["backlog"] if "none" in row["accept"] else [])]
    if found == "unclear" and "suggestion" in accepted:
        assert suggests(str(row["text"]))
        return
    assert found in accepted


def test_there_are_many_forms_and_most_have_one_reading() -> None:
    assert len({row["text"] for row in ROWS}) >= 1800
    assert sum(len(row["accept"]) == 1 for row in ROWS) > len(ROWS) * 0.5


def test_words_of_the_configuration_are_read_beside_those_built_in() -> None:
    more = vocabulary((("done", ("terminé",)), ("in_progress", ("en cours",))), None)
    assert said("Status: terminé") == "unclear"
    assert said("Status: Terminé", more) == "done"
    assert said("Status: termine\u0301", more) == "done"
    assert said("Status: en cours", more) == "in_progress"
    assert said("Status: done", more) == "done"


def test_an_unclear_statement_names_line_words_and_what_to_write() -> None:
    at = datetime(2026, 3, 7, 12, tzinfo=UTC)
    raw = b"---\ntitle: x\n---\n# TC-7\n\nStatus: In Progess\n"
    (unclear,) = status.parse(raw, "status/tc-7.md", at, ZoneInfo("UTC")).unclear
    assert (unclear.path, unclear.line, unclear.text) == ("status/tc-7.md", 6, "Status: In Progess")
    assert unclear.hint == 'did you mean "in progress"? write "Status: in_progress"'


AT = datetime(2026, 3, 7, 12, tzinfo=UTC)
PATH = "status/tc-7.md"


def parsed(raw: bytes) -> Task:
    return status.parse(raw, PATH, AT, ZoneInfo("UTC"), WORDS)


def test_unclear_words_that_a_command_overtook_are_no_news_and_the_same_words_again_are() -> None:
    raw = b"---\nstatus: backlog\nrecorded: backlog\n---\nStatus: In Progess\n"
    before = parsed(raw)
    assert [one.text for one in before.unclear] == ["Status: In Progess"]

    claimed = status.edit(
        raw, before, replace(before, state=State.IN_PROGRESS, recorded=State.IN_PROGRESS), PATH, WORDS
    )
    assert parsed(claimed).unclear == ()
    assert b"Status: In Progess" in claimed

    again = parsed(claimed + b"\nStatus: In Progess\n").unclear
    assert [one.line for one in again] == [claimed.count(b"\n") + 2]
    assert len(parsed(claimed.replace(b"Progess", b"Progres")).unclear) == 1


def test_writing_down_the_files_own_word_does_not_silence_what_is_unclear_below_it() -> None:
    raw = b"TC-7: IN PROGRESS\nStatus: Dnoe\n"
    before = parsed(raw)
    written = status.edit(raw, before, replace(before, recorded=before.state), PATH, WORDS)
    assert parsed(written).state is State.IN_PROGRESS
    assert [one.text for one in parsed(written).unclear] == ["Status: Dnoe"]


def test_an_unclear_line_before_an_old_clear_one_is_named() -> None:
    raw = (
        b"---\nstatus: in_progress\nrecorded: in_progress\nsaid: in_progress\n---\nStatus: Dnoe\n\nTC-7: IN PROGRESS\n"
    )
    assert [one.line for one in parsed(raw).unclear] == [6]


def test_words_behind_the_state_in_front_matter_are_kept_when_the_key_is_written_anew() -> None:
    raw = b"---\nstatus: blocked on API keys\n---\n# TC-7\n"
    before = parsed(raw)
    written = status.edit(raw, before, replace(before, recorded=before.state), PATH, WORDS)
    assert (parsed(written).state, parsed(written).reason) == (State.BLOCKED, "API keys")


def test_a_need_that_names_no_agent_is_the_reason() -> None:
    task = parsed(b"TC-7: BLOCKED\nNeeds: access to the staging host\n")
    assert (task.state, task.need, task.reason) == (State.BLOCKED, None, "access to the staging host")
    raw = b"TC-7: BLOCKED\nNeeds: access to the staging host\n"
    written = status.edit(raw, task, replace(task, recorded=task.state), PATH, WORDS)
    assert parsed(written).reason == "access to the staging host"
    for line in (b"Needs: iris - which region?", b"- Needs: `iris` - which region?", b"Needs: **iris**: which region?"):
        assert parsed(b"TC-7: BLOCKED\n" + line + b"\n").need == Need(agent=AgentId("iris"), question="which region?")
    task = parsed(b"TC-7: BLOCKED\nNeeds: iris - which region?\n")
    assert task.need == Need(agent=AgentId("iris"), question="which region?")


def test_marks_of_a_merge_are_refused_with_their_line() -> None:
    with pytest.raises(InvalidFile) as caught:
        parsed(b"# TC-7\n<<<<<<< HEAD\nTC-7: IN PROGRESS\n=======\nTC-7: DONE\n>>>>>>> other\n")
    assert (caught.value.problem, caught.value.line) == ("conflict-markers", 2)


def test_marks_of_a_merge_as_jujutsu_writes_them_are_refused_too() -> None:
    with pytest.raises(InvalidFile) as caught:
        parsed(b"<<<<<<< Conflict 1 of 1\n%%%%%%% base to side 1\n-wip\n+++++++ side 2\nStatus: done\n>>>>>>> ends\n")
    assert caught.value.problem == "conflict-markers"


@pytest.mark.parametrize(
    "raw",
    [
        b"Next:\n" + b"- Status: wip\n" * 40_000,
        b"~~Status: wip\n" * 40_000,
        b"<del>Status: wip</s>\n" * 30_000,
        b"Status: " + b"<s>" * 600 + b"</\n" + b"Status: <s>x</del>\n" * 30_000,
        b"Status: blah\n" * 90_000,
        b"# a\nStatus: wip\n" * 40_000,
        b"| TC-7 | x |\n" * 60_000,
        b"```\nx\n```\n" + b"Status:\n\n" * 60_000,
        b"    Status: wip\n" * 40_000,
        b"## A\nStatus: done\n## B\nStatus: wip\n" * 20_000,
        b"<<<<<<<\n>>>>>>>\n" * 50_000,
        b"# TC-7: " + b"a - " * 200_000,
        b"Status: " + b"done, " * 200_000,
    ],
    ids=lambda raw: raw[:12].decode(),
)
def test_statements_without_end_are_read_in_linear_time(raw: bytes) -> None:
    parsed(raw)  # quadratic reading takes minutes: the suite's own limit is the assertion
