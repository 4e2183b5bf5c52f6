"""Data by size: one rule, with its figures at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.errors import BadValue, Refused
from claw_files.rules import sizes
from claw_files.rules.sizes import Way


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("", Way.MESSAGE),
        ("x" * 10_240, Way.MESSAGE),
        ("x" * 10_241, Way.FILE),
        ("é" * 5_121, Way.FILE),
        ("x" * 1_048_576, Way.FILE),
        ("x" * 1_048_577, Way.REFERENCE),
        ("\udc80" * 300_000, Way.REFERENCE),
    ],
)
def test_a_text_travels_by_its_size_in_bytes(text: str, way: Way) -> None:
    assert sizes.way(text) is way


def test_what_only_a_reference_may_stand_for_is_refused_with_what_to_do() -> None:
    sizes.check("x" * 1_048_576)
    with pytest.raises(Refused) as caught:
        sizes.check("x" * 1_048_577)

    assert (caught.value.exit_status, caught.value.rule) == (5, "large bodies")
    assert "write it to a file and send its path" in str(caught.value)
    with pytest.raises(BadValue):
        sizes.check("a\0b")


@given(st.text(max_size=3_000))
def test_what_stands_in_front_matter_is_one_short_line_and_nothing_is_lost(text: str) -> None:
    text = text.replace("\0", "")

    line, whole = sizes.in_front_matter(text, "status/tc-1.md")

    assert len(line) <= sizes.LINE_LETTERS
    assert len(line.splitlines()) <= 1
    assert whole == text if whole else line == " ".join(text.split())


@given(st.integers(0, 10_000))
def test_a_combined_text_is_never_larger_than_what_is_accepted(count: int) -> None:
    room = sizes.room_for_each(count)

    assert room <= sizes.IN_MESSAGE_BYTES
    assert 8 * room * count <= sizes.ACCEPTED_BYTES
