"""A graveyard: public bugs of tools that do parts of our job, one test each, on real files and processes.

Each test's docstring says first where the bug was reported and what its users saw, in our own words, and then, after
"Here:", what happens in clawfiles. `make graveyard` prints that as a table.
"""

import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claw_files.cli import run
from tests.support.office import Office

WIDTHS = (34, 58, 58)
STORY = re.compile(r"(?P<where>[^:]+): (?P<saw>.+?)\s+Here: (?P<here>.+)", re.DOTALL)
_stories: dict[str, tuple[str, str, str, str]] = {}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam")
    yield made
    made.stop()


@pytest.fixture
def asked(office: Office, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Types a command with --json in the office, whose answer comes back, whatever its exit status."""

    def ask(*words: str, by: str = "sam") -> Any:
        capsys.readouterr()
        run(["-C", str(office.root), "--json", "--agent", by, *words])
        said = capsys.readouterr()
        return json.loads(said.out or said.err)

    return ask


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="print every bug, what its users saw, what happens here")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The story travels with the report: another process may print the table."""
    if Path(item.path).parent == Path(__file__).parent and "graveyard" not in dict(item.user_properties):
        item.user_properties.append(("graveyard", (getattr(item, "function", None) and item.function.__doc__) or ""))


def pytest_runtest_logreport(report: Any) -> None:
    story = dict(report.user_properties).get("graveyard")
    found = STORY.fullmatch(" ".join(str(story).split())) if story else None
    if found and (report.when == "call" or report.failed):
        name = report.nodeid.partition("[")[0]  # of many examples of one bug, one that fails fails the row
        before = _stories.get(name)
        held = report.passed and (before is None or before[3] == "holds")
        _stories[name] = (*found.groups(), "holds" if held else "BROKEN")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("table", default=False) or not _stories:
        return
    terminalreporter.section("public bugs of tools that do parts of this job")
    for where, saw, here, outcome in sorted(_stories.values()):
        cells = [textwrap.wrap(text, width) for text, width in zip((where, saw, here), WIDTHS, strict=True)]
        for number in range(max(map(len, cells))):
            row = [cell[number] if number < len(cell) else "" for cell in cells]
            line = "  ".join(text.ljust(width) for text, width in zip(row, WIDTHS, strict=True))
            terminalreporter.line(f"{line}  {outcome if number == 0 else ''}".rstrip())
        terminalreporter.line("")
    held = sum(outcome == "holds" for *_, outcome in _stories.values())
    terminalreporter.line(f"{held} of {len(_stories)} hold")
