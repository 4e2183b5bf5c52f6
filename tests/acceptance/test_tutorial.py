"""docs/tutorial/first-steps.md, typed from beginning to end; what it promises to show is shown."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from claw_files.demo import stage

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Workday(Protocol):
    folder: Path


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of the text, with the lines that are shown below it."""
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def pattern(shown: list[str]) -> str:
    """What an output must match: "..." is anything, a line of its own also no line at all."""
    lines = [r"(?:.*\n)*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in shown]
    return "".join(lines)


class Shell:
    """One bash that keeps its folder from command to command."""

    def __init__(self, home: Path, path: str) -> None:
        env = stage.environment("", path) | {"HOME": str(home)}
        env.pop("CLAWFILES_WORKSPACE")
        bash = ["bash", "--norc", "--noprofile"]
        pipe, errors = subprocess.PIPE, subprocess.STDOUT
        self._bash = subprocess.Popen(bash, env=env, cwd=home, stdin=pipe, stdout=pipe, stderr=errors, text=True)

    def type(self, command: str) -> tuple[int, str]:
        """Exit status and output."""
        assert self._bash.stdin and self._bash.stdout
        self._bash.stdin.write(f'{{ {command}\n}} </dev/null\necho "[exit $?]"\n')
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if found := re.search(r"\[exit (\d+)\]$", line):
                return int(found[1]), output + line[: found.start()]
            output += line
        raise AssertionError(f"the shell ended in `{command}`: {output}")

    def close(self) -> None:
        assert self._bash.stdin and self._bash.stdout
        self._bash.stdin.close()
        self._bash.stdout.close()
        self._bash.wait()


DRY_RUN = "MAKEFLAGS= make --no-print-directory --dry-run demo"  # also below `make test`


def stand_ins(workday: Workday) -> dict[str, str]:
    """What is typed in place of the commands that need a network, a minute, or the user's own crontab."""
    return {
        "git clone REPOSITORY clawfiles": f"git clone -q {ROOT} clawfiles",
        "make demo": f"test \"$({DRY_RUN} | tail -1)\" = '.venv/bin/clawfiles demo'",  # test_demo runs it
        ". .venv/bin/activate": "true",
        "clawfiles demo --keep ~/workday": f"cp -r {workday.folder} ~/workday",  # made by that command
        "clawfiles install cron": "clawfiles install cron --print",
    }


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="cloning needs a repository")
def test_everything_in_the_tutorial_does_what_it_says(workday: Workday, tmp_path: Path) -> None:
    typed = list(steps((ROOT / "docs/tutorial/first-steps.md").read_text(encoding="utf-8")))
    unused = stand_ins(workday)
    with stage.commands() as path:
        shell = Shell(tmp_path, path)
        for command, shown in typed:
            status, output = shell.type(unused.pop(command, command))
            assert status == 0, f"`{command}` ended with {status}: {output}"
            assert not shown or re.fullmatch(pattern(shown), output), f"`{command}` showed:\n{output}"
        shell.close()
        stage.end_all(str(tmp_path / "team"))

    assert len(typed) > 40
    assert not unused, "the tutorial no longer has these"
