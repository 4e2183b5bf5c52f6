"""The names that a sandbox protects, and what a repository may hold."""

from pathlib import Path

import pytest

from claw_files.system import protected_paths

PAGE = (Path(__file__).parents[2] / "docs/explanation/sandbox.md").read_text()


def test_the_page_lists_every_protected_name() -> None:
    table = PAGE.partition("## What others obey")[2].partition("## The door")[0]

    assert {name for name in protected_paths.NAMES if f"`{name}`" not in table} == set()


@pytest.mark.parametrize(
    ("line", "is_plain"),
    [
        ('[remote "origin"]', True),
        ("\turl = git@host:x.git", True),
        ("# a remark", True),
        ("", True),
        ("[core] fsmonitor = x", False),
        ("\tfsmonitor = x", False),
        ("\tpath = ../x", False),
        ("\tname = a\\", False),
        ("\thooksPath = x", False),
        ("\tsshCommand = x", False),
        ("\tuploadpack = x", False),
    ],
)
def test_a_plain_configuration_starts_no_program(line: str, is_plain: bool) -> None:
    assert bool(protected_paths._PLAIN.fullmatch(line)) is is_plain
