"""The reference pages say what the program says: every command, every option, every error."""

from pathlib import Path

import click
import pytest

from claw_files.cli import reference_pages
from claw_files.cli.root import root
from claw_files.core.errors import ClawError
from claw_files.doctor import codes

DOCS = Path(__file__).parents[2] / "docs/reference"
REMEDY = "PYTHONPATH=. python -m claw_files.cli.reference_pages {0} > docs/reference/{0}.md"


PAGES = [
    ("commands", reference_pages.commands_page),
    ("errors", reference_pages.errors_page),
    ("doctor", codes.page),
    ("calls", reference_pages.calls_page),
]


@pytest.mark.parametrize(("name", "page"), PAGES)
def test_the_page_is_what_the_program_says(name: str, page) -> None:
    assert (DOCS / f"{name}.md").read_text() == page(), REMEDY.format(name)


def test_every_command_has_its_section_and_an_example_that_calls_it() -> None:
    text = (DOCS / "commands.md").read_text()
    for path, command in reference_pages.walk(root, ()):
        section = text.split(f"\n## {' '.join(path)}\n", 1)[1].split("\n## ", 1)[0]
        assert f"clawfiles {' '.join(path)}" in section.split("```console")[1], path
        for option in command.params:
            if isinstance(option, click.Option) and option.expose_value and option.name != "help":
                assert option.help, (path, option.name)
                assert all(name in section for name in option.opts), (path, option.opts)


def test_every_error_code_is_documented_and_no_two_errors_share_one() -> None:
    text = (DOCS / "errors.md").read_text()
    codes = [error.code for error in reference_pages.family(ClawError)]

    assert len(set(codes)) == len(codes)
    assert all(f"| `{code}` |" in text for code in codes)


def test_every_error_has_one_of_the_promised_statuses() -> None:
    assert {error.exit_status for error in reference_pages.family(ClawError)} <= {2, 3, 4, 5, 6, 7, 8, 70}
