"""Commands that tests start warm, or in their own process, end and say what a real start does."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from claw_files.testing.patience import until
from tests.support import warm
from tests.support.commands import typed

REAL = [sys.executable, "-m", "claw_files"]
CONFIG = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.peter]\n'


ENDS = """
import subprocess, sys
from tests.support import warm
server = subprocess.Popen([*warm.command(), *sys.argv[1:]], stdout=subprocess.PIPE, stderr=sys.stdout)
print(server.stdout.readline().decode(), flush=True)
"""


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / "clawfiles.toml").write_text(CONFIG)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["task", "list", "--json"],
        ["task", "show", "TC-1"],
        ["task", "nonsense", ""],
        ["send", "peter", "--from-file", "-", "--dry-run"],
        ["--agent", "mallory", "inbox"],
        ["board"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_a_warm_command_says_and_ends_as_a_real_one(team: Path, words: list[str]) -> None:
    env = {"PYTHONPATH": str(warm.ROOT), "CLAWFILES_WORKSPACE": str(team), "LANG": "C.UTF-8"}

    def ended(start: list[str]) -> tuple[int, bytes, bytes]:
        done = subprocess.run([*start, *words], env=env, cwd="/", capture_output=True, input=b"hello")
        return done.returncode, done.stdout, done.stderr

    assert ended(warm.command()) == ended(REAL)
    done = typed(team, *words, env=env)
    assert (done.returncode, done.stdout.encode(), done.stderr.encode()) == ended(REAL)


def served(team: Path) -> "subprocess.Popen[bytes]":
    words = [*warm.command(), "-C", str(team), "serve", "--port", "0"]
    process = subprocess.Popen(words, env={}, stdout=subprocess.PIPE)
    assert process.stdout
    assert b"http://" in process.stdout.readline()
    return process


def test_a_signal_reaches_it(team: Path) -> None:
    with served(team) as server:
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_it_is_killed_with_what_was_started_for_it(team: Path) -> None:
    with served(team) as server:
        server.kill()
        assert server.wait() == -signal.SIGKILL
        assert server.stdout
        assert server.stdout.read() == b"", "the pipe is open no more"


def test_it_ends_with_the_test_run(team: Path) -> None:
    words = [sys.executable, "-c", ENDS, "-C", str(team), "serve", "--port", "0"]
    done = subprocess.run(words, cwd=warm.ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout[:8]) == (0, b"serving "), "and its output is open no more"


def test_it_leaves_nothing_open_of_the_others(team: Path) -> None:
    with served(team) as one, served(team) as other:
        one.terminate()
        until(lambda: one.poll() is not None, "it has ended")
        assert other.poll() is None
        other.terminate()
