"""The reference pages say what the program says: every command, every option, every error."""

import click
import pytest

from claw_files.cli.root import root
from claw_files.core.errors import ClawError
from docs.generate import FOLDER, PAGES, commands


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_program_says(name: str) -> None:
    assert (FOLDER / f"{name}.md").read_text() == PAGES[name](), "`make pages` writes it"


def test_every_command_has_its_section_and_an_example_that_calls_it() -> None:
    text = (FOLDER / "commands.md").read_text()
    for path, command in commands.walk(root, ()):
        section = text.split(f"\n## {' '.join(path)}\n", 1)[1].split("\n## ", 1)[0]
        assert f"clawfiles {' '.join(path)}" in section.split("```console")[1], path
        for option in command.params:
            if isinstance(option, click.Option) and option.expose_value and option.name != "help":
                assert option.help, (path, option.name)
                assert all(name in section for name in option.opts), (path, option.opts)


def test_every_error_code_is_documented_and_no_two_errors_share_one() -> None:
    text = (FOLDER / "errors.md").read_text()
    codes = [error.code for error in commands.family(ClawError)]

    assert len(set(codes)) == len(codes)
    assert all(f"| `{code}` |" in text for code in codes)


def test_every_error_has_one_of_the_promised_statuses() -> None:
    assert {error.exit_status for error in commands.family(ClawError)} <= {2, 3, 4, 5, 6, 7, 8, 70}
