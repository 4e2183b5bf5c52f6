"""An office: a real workspace in a folder of its own, with a clock that the test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam")
    yield made
    made.stop()
