"""Choices: what is a ticked line, and that marking one changes no other byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.model import AgentId, KeyText, Kind, Message, TaskId
from claw_files.formats import choices
from claw_files.formats.choices import TickedChoice
from tests.support.builders import BOSS, SAM

MARK = "<!-- choice: tc-1.1.review -->"
around = st.binary(max_size=60).filter(lambda raw: b"choice" not in raw)
ends = st.sampled_from([b"\n", b"\r\n"])


def only(text: str) -> TickedChoice:
    (found,) = choices.ticked(text.encode())
    return found


@pytest.mark.parametrize(
    ("line", "verb", "what", "text"),
    [
        (f"- [x] approve TC-1 {MARK}", "approve", "TC-1", ""),
        (f"  * [X] reopen TC-1: no tests {MARK}", "reopen", "TC-1", "no tests"),
        (f"- [x] reopen TC-1: {MARK} no tests", "reopen", "TC-1", "no tests"),
        (f"- [x] reopen TC-1: a {MARK}  b (not taken: why so)", "reopen", "TC-1", "a b"),
        (f"- [x] reopen TC-1: (see [3]) {MARK}", "reopen", "TC-1", "(see [3])"),
        (f"\t- [x] answer 2026-sam.x: eu: west {MARK}<!-- mine -->", "answer", "2026-sam.x", "eu: west"),
    ],
)
def test_a_ticked_line_is_read(line: str, verb: str, what: str, text: str) -> None:
    found = only(f"# mine\n{line}\nmore\n")

    assert (found.verb, found.what, found.text, found.key) == (verb, what, text, "tc-1.1.review")
    assert found.is_whole


@pytest.mark.parametrize(
    "line",
    [
        f"- [ ] approve TC-1 {MARK}",
        "- [x] approve TC-1",
        f"[x] approve TC-1 {MARK}",
        f"text - [x] approve TC-1 {MARK}",
        f"- [x] delete TC-1 {MARK}",
        f"- [x] approve ../TC-1 {MARK}",
        "- [x] approve TC-1 <!-- choice: ../x -->",
        "- [x] approve TC-1 <!-- taken: tc-1.1.review --> (taken now)",
        "- [x] approve TC-1 <!- - choice: tc-1.1.review - ->",
        f"- [x] reopen TC-1: {'a' * 3000} {MARK}",
    ],
)
def test_other_ticked_lines_are_no_choices(line: str) -> None:
    assert choices.ticked(f"{line}\n".encode()) == []


@given(before=around, after=around, end=ends)
def test_marking_one_changes_that_line_and_no_other_byte(before: bytes, after: bytes, end: bytes) -> None:
    line = f"  - [x] reopen TC-1: no tests {MARK}".encode()
    raw = before + b"\n" + line + end + after
    (choice,) = choices.ticked(raw)

    marked = {
        choices.taken(raw, choice, "now"): b"  - [x] reopen TC-1: no tests <!-- taken: tc-1.1.review --> (taken now)",
        choices.over(raw, choice, "late"): b"  - [x] reopen TC-1: no tests <!-- over: tc-1.1.review --> (over: late)",
        choices.refused(raw, choice, "no (x)\n-->"): line.replace(b"[x]", b"[ ]") + b" (not taken: no [x] )",
    }

    for found, new in marked.items():
        assert found == before + b"\n" + new + end + after


def test_a_line_that_somebody_changed_meanwhile_stays_as_it_is() -> None:
    choice = only(f"- [x] approve TC-1 {MARK}\n")
    raw = f"- [x] approve TC-1, gladly {MARK}\n".encode()

    assert choices.taken(raw, choice, "now") == raw


def test_offered_choices_are_read_back_and_can_be_typed() -> None:
    review = Message(id="r", key=KeyText("tc-1.1.review"), kind=Kind.TASK, sender=SAM, to=BOSS, task=TaskId("TC-1"))
    question = Message(id="q-1", key=KeyText("q-1"), kind=Kind.QUESTION, sender=SAM, to=BOSS)
    told = Message(id="a", key=KeyText("a"), kind=Kind.ANNOUNCE, sender=SAM, to=BOSS)

    lines = "\n".join([*choices.offered(review), *choices.offered(question), *choices.offered(told), ""])
    found = choices.ticked(lines.replace("[ ]", "[x]").encode())

    assert choices.ticked(lines.encode()) == []
    assert [(it.verb, it.what) for it in found] == [("approve", "TC-1"), ("reopen", "TC-1"), ("answer", "q-1")]
    assert choices.commands(question, AgentId("me")) == ['clawfiles answer q-1 "TEXT" --agent me']
    assert choices.commands(told, AgentId("me")) == []
    given = Message(id="t", key=KeyText("tc-1.1"), kind=Kind.TASK, sender=SAM, to=BOSS, task=TaskId("TC-1"))
    assert [line.split()[1] for line in choices.commands(given, AgentId("me"))] == ["claim", "done"]
    assert choices.offered(given) == []
