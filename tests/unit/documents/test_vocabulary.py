"""The words that mean a state."""

import pytest

from claw_files.documents import vocabulary
from claw_files.model import State


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("DONE", State.DONE),
        ("in progress", State.IN_PROGRESS),
        ("IN_PROGRESS", State.IN_PROGRESS),
        ("WIP", State.IN_PROGRESS),
        ("in-review", State.REVIEW),
        ("TODO", State.BACKLOG),
        ("OPEN", State.BACKLOG),
        ("✅ Done", State.DONE),
        ("✅", State.DONE),
        ("✔️", State.DONE),
        ("**COMPLETED**", State.DONE),
        ("Cancelled", State.CANCELLED),
        ("canceled", State.CANCELLED),
        ("FAILED", State.FAILED),
        ("stuck", State.BLOCKED),
        ("WAITING", State.BLOCKED),
        ("✅ in review", State.REVIEW),
        ("Finished!", State.DONE),
        ("🚧 wip", State.IN_PROGRESS),
    ],
)
def test_states_as_people_write_them(text: str, state: State) -> None:
    assert vocabulary.state(text) is state


@pytest.mark.parametrize("text", ["", "not done", "done?!? maybe", "dоne", "d" * 100, "💤", "x"])
def test_what_is_no_state_is_none(text: str) -> None:
    assert vocabulary.state(text) is None


def test_every_state_reads_its_own_name() -> None:
    assert [vocabulary.state(state.value) for state in State] == list(State)
