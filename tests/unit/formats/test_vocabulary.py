"""The words that mean a state."""

import pytest

from claw_files.core.model import State
from claw_files.formats import vocabulary


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
def test_words_that_are_no_states_are_refused(text: str) -> None:
    assert vocabulary.state(text) is None


def test_every_state_reads_its_own_name() -> None:
    assert [vocabulary.state(state.value) for state in State] == list(State)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ((("done", ("offen",)),), "done"),
        ((("done", ("terminé",)), ("failed", ("Terminé",))), "failed"),
        ((("review", ("?",)),), "review"),
    ],
)
def test_a_word_that_means_another_state_or_is_none_is_a_problem(
    words: tuple[tuple[str, tuple[str, ...]], ...], state: str
) -> None:
    ((found, sentence),) = vocabulary.problems(words)
    assert found == state
    assert sentence


def test_words_of_their_own_are_no_problem() -> None:
    assert vocabulary.problems((("done", ("terminé", "gotowe")), ("backlog", ("todo",)))) == []


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("dnoe", "done"),
        ("doen", "done"),
        ("inprogess", "inprogress"),
        ("blokced", "blocked"),
        ("done", None),
        ("x", None),
    ],
)
def test_one_wrong_letter_or_two_changed_places_suggest_a_word(word: str, known: str | None) -> None:
    assert vocabulary.BUILT_IN.near(word) == known
