"""`install cron` adds one marked block to the crontab and keeps every other line."""

import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

CRONTAB = """#!/bin/sh
if [ "$1" = -l ]; then
  [ -f "{file}" ] || {{ echo "no crontab for me" >&2; exit 1; }}
  {broken}
  cat "{file}"
else
  cat > "{file}"
fi
"""


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A crontab program of our own at the front of PATH; gives the file that it keeps."""
    file = tmp_path / "kept"

    def make(broken: str = "") -> Path:
        program = tmp_path / "bin/crontab"
        program.parent.mkdir(exist_ok=True)
        program.write_text(CRONTAB.format(file=file, broken=broken))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return file

    return make


def test_the_block_is_added_once_and_other_lines_stay(desk, crontab) -> None:
    file = crontab()
    file.write_text("MAILTO=me\n0 5 * * * backup   # mine")

    assert desk.ok("install", "cron", "--json").json["changed"] is True
    once = file.read_text()
    assert desk.ok("install", "cron", "--json").json["changed"] is False

    assert file.read_text() == once
    assert once.startswith("MAILTO=me\n0 5 * * * backup   # mine\n# clawfiles begin ")
    assert once.count("* * * * * cd ") == 1


def test_an_empty_crontab_is_made(desk, crontab) -> None:
    file = crontab()

    desk.ok("install", "cron")

    assert file.read_text() == desk.ok("install", "cron", "--print").out


def test_a_changed_block_is_replaced_where_it_stands(desk, crontab) -> None:
    file = crontab()
    root = desk.root
    file.write_text(f"first\n# clawfiles begin {root}\nold line\n# clawfiles end {root}\nlast\n")

    desk.ok("install", "cron")

    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("first", "last", 5)
    assert "old line" not in lines


def test_a_crontab_that_cannot_be_read_is_never_written(desk, crontab) -> None:
    file = crontab(broken="echo 'permission denied' >&2; exit 1")
    file.write_text("mine\n")

    answer = desk("install", "cron")

    assert answer.status == 6
    assert "permission denied" in answer.err
    assert file.read_text() == "mine\n"


def test_without_a_crontab_program_the_way_out_is_named(desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    answer = desk("install", "cron")

    assert answer.status == 3
    assert "--print" in answer.err


def test_the_line_runs_a_heartbeat_as_cron_would_run_it(desk, tmp_path: Path, capsys) -> None:
    from claw_files.cli import run

    odd = tmp_path / "it's 100% $HOME; a team"
    odd.mkdir()
    (odd / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))
    capsys.readouterr()
    assert run(["-C", str(odd), "install", "cron", "--print"]) == 0
    line = capsys.readouterr().out.splitlines()[1]

    assert not line.replace("\\%", "").count("%"), "cron reads a bare % as the end of the command"
    command = line.removeprefix("* * * * * ").replace("\\%", "%")
    here = os.getcwd()
    env = {"PYTHONPATH": here, "HOME": str(tmp_path)}
    done = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.path.isabs(shlex.split(command.split(" CLAWFILES_WORKSPACE=")[1])[1])


def test_a_path_with_a_line_break_is_refused(desk, tmp_path: Path) -> None:
    from claw_files.cli import run

    odd = tmp_path / "a\n* * * * * rm -rf b"
    odd.mkdir()
    (odd / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))

    assert run(["-C", str(odd), "install", "cron", "--print"]) == 2
