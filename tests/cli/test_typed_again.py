"""A command that fails in the middle says what stands; typed again, it does what is left, and nothing twice.

Each command is a process of its own, and the kernel refuses or kills it at one system call.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.proofs import is_tried

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")

CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.iris]
[agents.research]
kind = "worker"
runtime = "inbox"
[agents.dimitrios]
kind = "human"
"""


class Shell:
    """Commands typed in one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        (root / "clawfiles.toml").write_text(CONFIG)

    def type(self, *words: str, fault: str = "", agent: str = "sam") -> subprocess.CompletedProcess[str]:
        """The command's end; `fault` is what strace injects: "renameat2:error=ENOSPC:when=3"."""
        line = [sys.executable, "-m", "claw_files", *words, "--agent", agent]
        call = fault.partition(":")[0]
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={fault}"]
        env = {key: value for key, value in os.environ.items() if not key.startswith("CLAWFILES_")}
        whole = [*strace, *line] if fault else line
        return subprocess.run(whole, cwd=self.root, env=env, capture_output=True, text=True, timeout=60, check=False)

    def ok(self, *words: str, agent: str = "sam") -> str:
        """What the command prints; it must succeed."""
        done = self.type(*words, agent=agent)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def names(self, folder: str) -> list[str]:
        path = self.root / folder
        return sorted(os.listdir(path)) if path.is_dir() else []

    def lines(self) -> list[str]:
        """The entries of the ledger."""
        path = self.root / "HEARTBEAT.md"
        return re.findall(r"^- .*", path.read_text(), re.MULTILINE) if path.exists() else []


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "office")


def test_a_task_whose_sending_fails_is_sent_when_it_is_typed_again(shell: Shell) -> None:
    words = ("task", "new", "charge the card", "--to", "peter")
    failed = shell.type(*words, fault="renameat2:error=ENOSPC:when=4")
    assert failed.returncode == 6
    assert "Already done: delegate TC-1, task new TC-1. Run the same command again" in failed.stderr
    assert "nothing was changed" not in failed.stderr
    assert (shell.names("status"), shell.names("inbox/peter/new")) == (["tc-1.md"], [])

    assert shell.ok(*words) == "TC-1 delegated to peter"

    assert len(shell.names("inbox/peter/new")) == 1
    assert shell.names(".clawfiles/pending") == []
    assert shell.ok(*words) == "TC-2 delegated to peter"  # what succeeded is never taken for a repeat


def test_a_command_that_can_leave_no_note_has_done_nothing(shell: Shell) -> None:
    refused = shell.type("task", "new", "charge the card", fault="mkdirat:error=ENOSPC")

    assert refused.returncode == 6
    assert "cannot write .clawfiles" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert (shell.names("definitions"), shell.names("status")) == ([], [])


def test_a_waking_that_fails_fails_no_command(shell: Shell) -> None:
    (shell.root / ".clawfiles/locks/tick.lock").mkdir(parents=True)

    sent = shell.type("send", "peter", "the host is back")

    assert (sent.returncode, sent.stdout.split()[0]) == (0, "accepted")
    assert "no agent was woken yet" in sent.stderr
    assert len(shell.names("inbox/peter/new")) == 1


def test_two_equal_commands_at_once_are_two(shell: Shell) -> None:
    line = [sys.executable, "-m", "claw_files", "task", "new", "charge the card", "--agent", "sam"]
    both = [subprocess.Popen(line, cwd=shell.root, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    assert sorted(it.communicate(timeout=60)[0].strip() for it in both) == ["TC-1", "TC-2"]


@pytest.mark.proof
@pytest.mark.parametrize("call", ["renameat2", "fsync", "unlinkat"])
@pytest.mark.parametrize("how", ["signal=KILL", "error=EIO"])
def test_a_message_that_was_cut_off_anywhere_is_one_message_in_the_end(tmp_path: Path, call: str, how: str) -> None:
    for n in filter(is_tried, range(1, 30)):
        shell = Shell(tmp_path / f"office-{n}")
        first = shell.type("send", "peter", "the host is back", fault=f"{call}:{how}:when={n}")
        if first.returncode != 0:
            shell.ok("send", "peter", "the host is back")
        assert len(shell.names("inbox/peter/new")) == 1, (n, first.stderr)
        assert shell.names(".clawfiles/pending") == []
        if first.returncode == 0 and not first.stderr and n > 1:
            break
    else:
        pytest.fail("it never got through")


def test_a_note_of_a_day_ago_is_not_taken_up_and_dropped_by_the_next_tick_that_does_something(shell: Shell) -> None:
    words = ("task", "new", "charge the card", "--to", "peter")
    assert shell.type(*words, fault="renameat2:error=ENOSPC:when=4").returncode == 6
    [note] = shell.names(".clawfiles/pending")
    day_ago = time.time() - 86_401
    os.utime(shell.root / ".clawfiles/pending" / note, (day_ago, day_ago))

    shell.ok("heartbeat")  # sends what was left

    assert shell.names(".clawfiles/pending") == []
    assert len(shell.names("inbox/peter/new")) == 1
    assert shell.ok(*words) == "TC-2 delegated to peter"


def test_commands_of_others_and_other_commands_take_up_no_note(shell: Shell) -> None:
    assert shell.type("send", "peter", "one", fault="renameat2:error=ENOSPC:when=1").returncode == 6
    words = ("task", "new", "charge the card", "--to", "peter")
    assert shell.type(*words, fault="renameat2:error=ENOSPC:when=4").returncode == 6

    assert shell.ok(*words, agent="iris") == "TC-2 delegated to peter"
    assert (
        shell.ok("task", "new", "charge the card", "--to", "peter", "--priority", "high") == "TC-3 delegated to peter"
    )
    assert shell.ok(*words) == "TC-1 delegated to peter"
