"""What waiting in tests promises."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing import until


def test_a_missing_file_is_looked_for_again(tmp_path: Path) -> None:
    late = tmp_path / "late"

    assert until(late.read_text, "it is there", between=lambda: late.write_text("here")) == "here"


def test_a_timeout_names_the_missing_condition() -> None:
    with pytest.raises(AssertionError, match="not within 0 s: the moon") as wrong:
        until(lambda: Path("no/moon").read_text(), "the moon", seconds=0)

    assert isinstance(wrong.value.__cause__, FileNotFoundError)


def test_any_other_fault_comes_through_at_once() -> None:
    answers: Iterator[int] = iter([0, 0])

    with pytest.raises(StopIteration):
        until(lambda: next(answers), "a number")
