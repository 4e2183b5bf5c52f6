"""What people install is the wheel: everything that the program brings along must be inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree and unpacked; the libraries come from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=240)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def clawfiles(installed: Path, *args: str, cwd: Path) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(installed)}
    run = subprocess.run(
        [sys.executable, "-P", "-m", "claw_files", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_an_installed_clawfiles_makes_a_workspace_and_delivers_a_task(installed: Path, tmp_path: Path) -> None:
    clawfiles(installed, "init", "team", cwd=tmp_path)
    team = tmp_path / "team"

    clawfiles(installed, "task", "new", "look at the login", "--agent", "sam", cwd=team)
    clawfiles(installed, "delegate", "TC-1", "--to", "peter", "--agent", "sam", cwd=team)

    (message,) = (team / "inbox/peter/new").iterdir()
    assert "look at the login" in message.read_text()
    assert clawfiles(installed, "prime", "--agent", "peter", cwd=team).startswith("You are peter")
    clawfiles(installed, "init", "--for", "codex", cwd=team)
    assert (team / ".agents/skills/clawfiles/SKILL.md").is_file()


def test_the_wheel_holds_templates_and_the_example_workspace(installed: Path) -> None:
    data = installed / "claw_files/_data"

    assert {path.name for path in (data / "templates/agents").iterdir()} >= {"claude.toml", "codex.toml", "gemini.toml"}
    assert (data / "workspace-example/clawfiles.toml").is_file()


def test_the_wheel_names_its_command(installed: Path) -> None:
    (points,) = installed.glob("*.dist-info/entry_points.txt")

    assert "clawfiles = claw_files.__main__:start" in points.read_text()
