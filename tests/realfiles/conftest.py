"""What the tests here go through: files as people write them, and an office to work on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam")
    yield made
    made.stop()
