"""What README, how-to and tutorials show in a terminal is what happens.

A `console` block that begins with `$ clawfiles` is run, command by command, in a scratch folder of its page; what it
prints is compared with what stands there; `...` stands for any text. A page prepares what it needs with comments that
no reader sees: `<!-- before: shell -->`, where REPOSITORY names the folder of the sources; and `<!-- write: PATH -->`
or `<!-- append: PATH -->` above a block whose text goes into that file.
"""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import warm

ROOT = Path(__file__).parents[2]
HOW_TOS, TUTORIALS = (sorted((ROOT / "docs" / folder).glob("*.md")) for folder in ("how-to", "tutorial"))
TYPED = "first-steps.md"  # by a person's shell, in tests/acceptance/test_tutorial.py
PAGES = [ROOT / "README.md", *HOW_TOS, *(page for page in TUTORIALS if page.name != TYPED)]
LIMIT_SECONDS = 60

STEP = re.compile(
    r"^<!-- before: (?P<shell>.*?) -->$"
    r"|^<!-- (?P<how>write|append): (?P<path>\S+) -->\n```[a-z]*\n(?P<text>.*?)^```$"
    r"|^```console\n(?P<console>\$ clawfiles.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Terminal:
    """A shell that remembers where it is and what was exported."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        if found := re.fullmatch(r"cd (\S+)", command):
            self.folder = (self.folder / found[1]).resolve()
            command = "true"
        if found := re.fullmatch(r"export ([A-Z_]+)=\$\((.+)\)", command):
            command = f"export {found[1]}={self.run(found[2]).stdout.strip()}"
        if found := re.fullmatch(r"export ([A-Z_]+)=(\S+)", command):
            self.environment[found[1]] = found[2]
            command = "true"
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in an empty folder, with nothing in its environment but what a new user has."""
    programs, scratch = tmp_path / "bin", tmp_path / "scratch"
    programs.mkdir(), scratch.mkdir()
    program = programs / "clawfiles"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec {shlex.join(warm.command())} "$@"\n')
    program.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "NO_COLOR": "1", "REPOSITORY": str(ROOT)}
    return Terminal(scratch, environment)


def commands(block: str) -> list[tuple[str, str]]:
    """The (command, expected output) pairs of a block; a line that begins with "> " goes on with the command."""
    found: list[list[str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0] += f"\n{line[2:]}"
        else:
            found[-1][1] += f"{line}\n"
    return [(command, expected) for command, expected in found]


def is_shown(expected: str, printed: str) -> bool:
    """Whether what was printed is what the page shows."""
    pattern = ".*?".join(re.escape(part) for part in expected.rstrip().split("..."))
    plain = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    return re.fullmatch(pattern, plain, re.DOTALL) is not None


def check(terminal: Terminal, command: str, expected: str) -> None:
    done = terminal.run(command)
    shown = f"$ {command}\n{done.stdout}(exit {done.returncode})"
    assert done.returncode == 0 or "clawfiles: " in expected, shown
    assert not expected.strip() or is_shown(expected, done.stdout), f"{shown}\nthe page says:\n{expected}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_happens(page: Path, terminal: Terminal) -> None:
    for step in STEP.finditer(page.read_text()):
        if step["shell"]:
            check(terminal, step["shell"], "")
        elif step["how"]:
            target = terminal.folder / step["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            before = target.read_text() if step["how"] == "append" else ""
            target.write_text(f"{before}\n{step['text']}" if before else step["text"])
        else:
            for command, expected in commands(step["console"]):
                check(terminal, command, expected)


def test_a_page_that_shows_something_else_is_found(terminal: Terminal) -> None:
    check(terminal, "clawfiles --version", "clawfiles, version ...")
    with pytest.raises(AssertionError, match="the page says"):
        check(terminal, "clawfiles --version", "clawfiles, release ...")
    with pytest.raises(AssertionError, match="exit 2"):
        check(terminal, "clawfiles no-such-command", "")


def test_the_readme_and_most_how_tos_are_run() -> None:
    run = [page.name for page in PAGES if any(step["console"] for step in STEP.finditer(page.read_text()))]
    assert {"README.md", "research-develop-deploy.md"} <= {*run}
    assert len(run) > len(PAGES) / 2
