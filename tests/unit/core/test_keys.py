"""Keys: each text is the key of its parts, and the parts of each form are the ones that its maker meant."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from claw_files.core import keys
from claw_files.core.keys import Key
from claw_files.core.model import Task, TaskId

AT = datetime(2026, 3, 7, 8, 45, tzinfo=UTC)
FORMS = {
    "tc-89.1": Key(name="tc-89", attempt=1),
    "tc-89.1-s2": Key(name="tc-89", attempt=1, send=2),
    "tc-89.12.nudge": Key(name="tc-89", attempt=12, what="nudge"),
    "tc-89.1.verify-s1": Key(name="tc-89", attempt=1, what="verify", send=1),
    "tc-89.1.conflict.12345678": Key(name="tc-89", attempt=1, what="conflict.12345678"),  # a mark of digits alone
    "tc-89.2.turn-3.redo": Key(name="tc-89", attempt=2, what="turn-3.redo"),
    "tc-5.turn.2": Key(name="tc-5", turn=2),
    "tc-5.2.turn": Key(name="tc-5", attempt=2, what="turn"),
    "release-1.2.beta.1": Key(name="release-1.2.beta", attempt=1),  # dots and numbers in a task's id
    "probe.peter-40931877.1-s1": Key(name="probe.peter-40931877", attempt=1, send=1),
    "health.p.eter.20260307T084500Z": Key(topic="health", name="p.eter", at=AT),
    "schedule.report.20260307T084500Z.gone": Key(topic="schedule", name="report", at=AT, what="gone"),
    "health.peter.20261307T084500Z": Key(name="health.peter.20261307T084500Z"),  # no instant: a text without parts
    "20260307T084500Z-sam-000123abcd": Key(name="20260307T084500Z-sam-000123abcd"),
    "tc-89.date": Key(name="tc-89", what="date"),
    "release-1.2.critical.3fa2b1c0.12345678": Key(name="release-1.2", what="critical.3fa2b1c0.12345678"),
    "tc-1.01": Key(name="tc-1.01"),
    "": Key(name=""),
}


def test_each_form_has_its_parts_and_renders_as_it_was() -> None:
    for text, key in FORMS.items():
        assert Key.parse(text) == key, text
        assert key.render() == text


@given(st.text(alphabet="ab1029.-sTZ\n", max_size=40) | st.text(max_size=20))
def test_parsing_and_rendering_any_text_gives_the_text(text: str) -> None:
    assert Key.parse(text).render() == text


@given(st.from_regex(r"[A-Z0-9][A-Z0-9._-]{0,20}", fullmatch=True), st.integers(1, 999_999), st.integers(0, 99))
def test_a_run_of_a_task_message_names_task_attempt_and_send(task: str, attempt: int, send: int) -> None:
    key = keys.task_key(Task(id=TaskId(task), attempt=attempt))

    assert Key.parse(keys.run_id(key, send)) == Key(name=task.lower(), attempt=attempt, send=send)
    assert keys.attempt_in(keys.message_id(key, AT)) == Key(name=task.lower(), attempt=attempt)


def test_only_the_id_of_a_task_message_has_an_attempt() -> None:
    assert keys.attempt_in("20260307T084500Z-tc-1.1") == Key(name="tc-1", attempt=1)
    for other in ("tc-1.1", "tc-1.1.nudge", "20260307T084500Z-sam-000123abcd", "wakes.3fa2.50", "tc-5.turn.2"):
        assert keys.attempt_in(other) is None, other


def test_a_message_of_an_agent_names_its_sender() -> None:
    assert keys.letter_id("sam", AT, "abcd") == "20260307T084500Z-sam-000000abcd"
    assert keys.is_sent_by("20260307T084500Z-sam-000123abcd", "sam")
    assert not keys.is_sent_by("20260307T084500Z-sam-000123abcd", "sa")
    assert not keys.is_sent_by("tc-1.1.nudge", "tc")
