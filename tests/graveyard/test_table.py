"""The table of the graveyard: each test tells its bug, and there are enough of them."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
TESTS = {
    f"{path.stem}::{node.name}": ast.get_docstring(node) or ""
    for path in sorted(HERE.glob("test_*.py"))
    if path != Path(__file__)
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}
PLACE = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)? ?(?:PR )?#\d+"


def test_every_test_names_the_report_and_says_what_its_users_saw_and_what_happens_here() -> None:
    for name, story in TESTS.items():
        assert re.match(rf"{PLACE}[^:]*: .+\n\s*Here: ", story, re.DOTALL), f"{name}: {story!r}"


def test_no_report_is_told_twice() -> None:
    told = [place for story in TESTS.values() for place in re.findall(PLACE, story.partition(": ")[0])]

    assert sorted(told) == sorted(set(told))


def test_there_are_at_least_sixty() -> None:
    assert len(TESTS) >= 60
