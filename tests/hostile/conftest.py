"""A workspace with good work in it, where hostile things are put; whole output, status and every byte are looked at."""

import hashlib
import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from claw_files.cli import run

ROOT = Path(__file__).parents[2]
HANG_SECONDS = 60
# What moves a cursor, hides or turns text, whoever sent it; a line feed ends a line, and rich's own colours end in m.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

CONFIG = """
[workspace]
coordinator = "sam"
monitor = "sentry"

[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]

[agents.sam]
reports_to = "dimitrios"
[agents.sentry]
reports_to = "sam"
[agents.peter]
[agents.iris]

[routes]
reviewed = { to = ["peter"], review = "coordinator" }
"""


class Answer(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]

    def is_clean(self) -> bool:
        """No traceback, no internal error, nothing that moves a terminal's cursor."""
        both = self.out + self.err
        return self.status != 70 and self.status >= 0 and "Traceback" not in both and not RAW.search(both)


class Site:
    """One workspace, and commands in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        root.mkdir(parents=True)
        self.write("clawfiles.toml", CONFIG)

    def __call__(self, *arguments: str, by: str | None = None) -> Answer:
        """The command in this process; whatever it does, it must do cleanly."""
        named = ["--agent", by] if by else []
        self._capsys.readouterr()
        status = run(["-C", str(self.root), *named, *arguments])
        captured = self._capsys.readouterr()
        answer = Answer(status, captured.out, captured.err)
        assert answer.is_clean(), (arguments, answer)
        return answer

    def ok(self, *arguments: str, by: str | None = None) -> Answer:
        answer = self(*arguments, by=by)
        assert answer.status == 0, (arguments, answer)
        return answer

    def program(
        self,
        *arguments: str,
        by: str | None = None,
        before: Sequence[str] = (),
        cwd: Path | None = None,
        path: str = "",
    ) -> Answer:
        """The same in a process of its own, which may die of a signal or hang: neither is allowed."""
        done = subprocess.run(
            [*before, *self.line(*arguments, by=by)],
            env=environment() | ({"PATH": path} if path else {}),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert answer.is_clean(), (arguments, answer)
        return answer

    def terminal(self, *arguments: str, by: str | None = None) -> tuple[int, str]:
        """Status and everything that a terminal was sent, without the colours that are ours."""
        leader, follower = pty.openpty()
        shown = subprocess.Popen(
            self.line(*arguments, by=by),
            env=environment() | {"TERM": "xterm-256color", "COLUMNS": "100"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        text = b"".join(_everything(leader))
        os.close(leader)
        return shown.wait(HANG_SECONDS), COLOUR.sub("", text.decode().replace("\r\n", "\n"))

    def line(self, *arguments: str, by: str | None = None) -> list[str]:
        named = ["--agent", by] if by else []
        return [sys.executable, "-m", "claw_files", "-C", str(self.root), *named, *arguments]

    # --- files

    def write(self, path: str, text: str | bytes, young: bool = False) -> Path:
        """Write as somebody did long ago, unless it is `young`: nobody is in the middle of it."""
        file = self.place(path)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        if not young:
            os.utime(file, (1_700_000_000, 1_700_000_000))
        return file

    def place(self, path: str | bytes) -> Path:
        """The path, in a folder that is there."""
        file = self.root / os.fsdecode(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def put(self, node: Any, path: str) -> None:
        """Put a hostile thing there, as if long ago."""
        node.put(self.place(path))
        os.utime(self.root / path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode("utf-8", "surrogateescape")

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.root / folder)) if (self.root / folder).is_dir() else []

    def delegated(self, *numbers: int) -> None:
        """Ledger lines for these tasks, all due: the tick has to look at each."""
        lines = [f"- TC-{number} delegated to peter, check at 2023-11-14 10:00\n" for number in numbers]
        self.write("HEARTBEAT.md", "## Delegations\n\n" + "".join(lines))

    def good(self, *numbers: int) -> None:
        for number in numbers:
            self.write(f"status/tc-{number}.md", f"# TC-{number}: good work\n\nread it, then say what is wrong\n")

    def served(self, *numbers: int) -> bool:
        """Whether each of these tasks has reached its agent."""
        inbox = [name for box in ("new", "cur") for name in self.names(f"inbox/peter/{box}")]
        return all(any(name.endswith(f"-tc-{number}.1.md") for name in inbox) for number in numbers)

    def told(self, agent: str) -> list[str]:
        """The messages in an agent's new/."""
        return [self.read(f"inbox/{agent}/new/{name}") for name in self.names(f"inbox/{agent}/new")]

    def journal(self) -> str:
        """What we wrote into it today."""
        today = f"audit/{datetime.now(UTC):%Y-%m-%d}.jsonl"
        return self.read(today) if (self.root / today).is_file() else ""


def _everything(leader: int) -> Iterator[bytes]:
    until = time.monotonic() + HANG_SECONDS
    while True:
        assert time.monotonic() < until, "it hangs"
        if not select.select([leader], [], [], 1)[0]:
            continue
        try:
            part = os.read(leader, 65536)
        except OSError:  # EIO: the program has closed its end
            return
        if not part:
            return
        yield part


def environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
    return env | {"PYTHONPATH": str(ROOT)}


def fingerprint(root: Path, *folders: str) -> dict[str, str]:
    """What lies where, by relative path: the hash of a file's bytes, what a link says, or what kind of thing it is."""
    found = {}
    for top in folders or (".",):
        for folder, names, files in os.walk(root / top):
            names[:] = [name for name in names if name != ".clawfiles"]
            for name in (*names, *files):
                path = os.path.join(folder, name)
                found[os.path.relpath(path, root)] = _print_of(path)
    return found


def _print_of(path: str) -> str:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return "-> " + os.readlink(path)
    if not stat.S_ISREG(status.st_mode):
        return f"kind {stat.S_IFMT(status.st_mode):o}"
    if status.st_size > 64 << 20:
        return f"{status.st_size} bytes of nothing"
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in [name for name in os.environ if name.startswith("CLAWFILES_")]:
        monkeypatch.delenv(name)
    return Site(tmp_path / "team", capsys)


@pytest.fixture
def prints() -> Callable[..., dict[str, str]]:
    return fingerprint
