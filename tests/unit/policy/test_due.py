"""When the next tick has something to decide, as examples; `tests/properties/test_due.py` has the rest."""

from datetime import timedelta

from claw_files.core.model import State
from claw_files.policy.next_due import next_due
from claw_files.testing import builders as a
from claw_files.testing.builders import START


def test_with_nothing_open_nothing_is_due() -> None:
    assert next_due(a.snapshot(), START) is None


def test_a_line_is_due_at_its_time() -> None:
    look = a.look(a.task(state=State.REVIEW), at=START + timedelta(minutes=7))

    assert next_due(a.snapshot(look), START) == START + timedelta(minutes=7)


def test_a_half_saved_file_is_looked_at_again_after_two_seconds() -> None:
    look = a.look(a.task(), pending=True, at=START + timedelta(hours=1))

    assert next_due(a.snapshot(look), START) == START + timedelta(seconds=2)


def test_a_due_time_does_not_come_twice() -> None:
    look = a.look(a.task(state=State.REVIEW), at=START)

    assert next_due(a.snapshot(look), START) != START
