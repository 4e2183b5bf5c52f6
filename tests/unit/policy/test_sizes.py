"""Data by size: one rule, with its figures at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.errors import BadValue, Refused
from claw_files.policy import payload_sizes
from claw_files.policy.payload_sizes import PayloadWay


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("", PayloadWay.MESSAGE),
        ("x" * 10_240, PayloadWay.MESSAGE),
        ("x" * 10_241, PayloadWay.FILE),
        ("é" * 5_121, PayloadWay.FILE),
        ("x" * 1_048_576, PayloadWay.FILE),
        ("x" * 1_048_577, PayloadWay.REFERENCE),
        ("\udc80" * 300_000, PayloadWay.REFERENCE),
    ],
)
def test_a_text_travels_by_its_size_in_bytes(text: str, way: PayloadWay) -> None:
    assert payload_sizes.way(text) is way


def test_what_only_a_reference_may_stand_for_is_refused_with_what_to_do() -> None:
    payload_sizes.check("x" * 1_048_576)
    with pytest.raises(Refused) as caught:
        payload_sizes.check("x" * 1_048_577)

    assert (caught.value.exit_status, caught.value.rule) == (5, "large bodies")
    assert "write it to a file and send its path" in str(caught.value)
    with pytest.raises(BadValue):
        payload_sizes.check("a\0b")


@given(st.text(max_size=3_000))
def test_what_stands_in_front_matter_is_one_short_line_and_nothing_is_lost(text: str) -> None:
    text = text.replace("\0", "")

    line, whole = payload_sizes.in_front_matter(text, "status/tc-1.md")

    assert len(line) <= payload_sizes.LINE_LETTERS
    assert len(line.splitlines()) <= 1
    assert whole == text if whole else line == " ".join(text.split())


@given(st.integers(0, 10_000))
def test_a_combined_text_is_never_larger_than_what_is_accepted(count: int) -> None:
    room = payload_sizes.room_for_each(count)

    assert room <= payload_sizes.IN_MESSAGE_BYTES
    assert 8 * room * count <= payload_sizes.ACCEPTED_BYTES
