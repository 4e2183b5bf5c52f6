"""A number that Python refuses to read is told as a problem of the file."""

import pytest

from claw_files import config
from claw_files.core.errors import InvalidConfig


def test_a_number_of_five_thousand_digits_is_a_problem_of_the_file() -> None:
    with pytest.raises(InvalidConfig):
        config.parse(b"[heartbeat]\nsends = " + b"9" * 5_000 + b"\n")
