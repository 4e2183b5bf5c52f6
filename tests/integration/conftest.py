"""An office: a real workspace in a folder of its own, with a clock that the test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.cli import run
from tests.support.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam")
    yield made
    made.stop()


def typed(office: Office, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """What a command, typed in the office, exits with and prints: status, output, errors."""
    capsys.readouterr()
    status = run(["-C", str(office.root), *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err
