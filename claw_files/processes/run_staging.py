"""Prepares a run folder, moves it into place, and writes the supervisor's order."""

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import BadId, BadValue, InvalidFile
from claw_files.core.model import Run, RunId
from claw_files.core.text import FILE_BYTES
from claw_files.processes import StartOrder
from claw_files.processes.supervisor import write_durably
from claw_files.system.file_owner import make_folder, make_folders
from claw_files.system.output_capture import fenced, last_lines
from claw_files.system.private_files import sync_folder
from claw_files.system.procfs import agent_environment

_PLACEHOLDER = re.compile(r"\{(workspace|task|message_file|run_dir|label|model)\}")


class RunPlan:
    """A start order with everything filled in: paths, command, environment."""

    def __init__(
        self,
        order: StartOrder,
        environ: Mapping[str, str],
        staged: str,
        folder: str,
        lock: str,
        closed: bool = False,
    ) -> None:
        """With `closed`, new files of the run's agent are private."""
        self.order, self.staged, self.folder, self.lock, self.closed = order, staged, folder, lock, closed
        self.message_file = os.path.join(folder, "message.md")
        self.cwd = os.path.join(order.workspace, order.cwd or "")
        self.command = tuple(self._fill(item) for item in order.command)
        self.run = replace(order.run, command=self.command)
        self.env = agent_environment(environ, order.env) | self._own()

    @property
    def identity(self) -> dict[str, str]:
        """The run's identity as CLAWFILES_* variables, without its message, which may be long."""
        return {key: it for key, it in self.env.items() if key.startswith("CLAWFILES_") and key != "CLAWFILES_MESSAGE"}

    def _fill(self, item: str) -> str:
        """Replace the placeholders in one pass: inserted text is never expanded again."""
        run = self.order.run
        values = {
            "workspace": self.order.base or self.order.workspace,
            "task": run.task,
            "message_file": self.message_file,
        }
        values |= {"run_dir": self.folder, "label": self.order.label}
        values |= {"model": self.order.extra.get("CLAWFILES_MODEL")}
        return _PLACEHOLDER.sub(lambda found: values[found[1]] or "", item)

    def _own(self) -> dict[str, str]:
        """The variables that clawfiles' commands in the run use as defaults."""
        order, run = self.order, self.order.run
        own = {"WORKSPACE": order.workspace, "AGENT": run.agent, "RUN": run.id, "TASK": run.task, "LABEL": order.label}
        own["RUN_DIR"] = self.folder
        own["BASE"] = order.base if order.base != order.workspace else None  # of a run in a compartment
        own["GENERATION"] = None if run.generation is None else str(run.generation)
        own["MESSAGE"] = order.message if order.given == "env" else None
        own["MESSAGE_FILE"] = self.message_file if order.given == "file" else None
        return order.extra | {f"CLAWFILES_{name}": value for name, value in own.items() if value is not None}


def check(order: StartOrder) -> None:
    """Raise BadId for ids that could be paths or options, BadValue for text that no process can be given."""
    words.key(order.run.id, "run id")
    for name, text in _texts(order):
        if "\0" in text:
            raise BadValue(name, text, "text without NUL characters")


def _texts(order: StartOrder) -> Iterator[tuple[str, str]]:
    yield from (("command", item) for item in order.command)
    yield from (("env", name) for name in order.env)
    yield from ((name, f"{name}{value}") for name, value in order.extra.items())
    yield from (("message", order.message), ("workspace", order.workspace))
    yield from (("cwd", order.cwd or ""), ("label", order.label or ""), ("task", order.run.task or ""))


def stage(plan: RunPlan) -> None:
    """Write the folder in a private place, durably: message.md with mode 0600, run.md with the start."""
    make_folders(os.path.dirname(plan.staged))
    make_folders(os.path.dirname(plan.folder))
    # Here, not in a tick: starting a run pays for cleaning up after dead starters.
    _sweep(os.path.dirname(plan.staged))
    make_folder(plan.staged)
    write_durably(plan.staged, "message.md", plan.order.message)
    write_durably(plan.staged, "run.md", render(plan.run))


def _sweep(folder: str, age_seconds: float = 3600) -> None:
    """Delete staged folders of starters that were killed before a supervisor existed."""
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime > age_seconds:
                discard(entry.path)


def fields(plan: RunPlan, grace: timedelta, cap_bytes: int) -> list[tuple[str, str]]:
    """Return the supervisor's order as (name, value) pairs, without the command; the supervisor reads no YAML."""
    limit = plan.run.timeout
    return [
        ("inode", str(os.stat(plan.staged).st_ino)),
        ("head", render(plan.run).rpartition("---\n")[0]),
        ("staged", plan.staged),
        ("folder", plan.folder),
        ("lock", plan.lock),
        ("cwd", plan.cwd),
        ("umask", "077" if plan.closed else ""),
        ("alone", "1" if plan.order.alone else ""),
        ("stdin", plan.message_file if plan.order.given == "stdin" else ""),
        ("limit", "" if limit is None else str(limit.total_seconds())),
        ("grace", str(grace.total_seconds())),
        ("cap", str(cap_bytes)),
        ("memory", "" if plan.order.memory is None else str(plan.order.memory)),
        *(("env", f"{name}={value}") for name, value in plan.env.items()),
    ]


def handover(staged: str, pairs: list[tuple[str, str]]) -> int:
    """Return a descriptor of the order: an unnamed file, because the order may contain secrets."""
    path = os.path.join(staged, ".order")
    # Unlinked at once: from then on only the supervisor, which inherits the descriptor, can read the secrets.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    data = "\0".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "surrogateescape")
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def place(staged: str, folder: str) -> bool:
    """Move a staged folder into runs/, durably; False if one exists there."""
    try:
        os.rename(staged, folder)  # the kernel never replaces a folder that holds something, and every run's does
    except OSError:
        if os.path.lexists(folder):
            return False
        raise
    sync_folder(os.path.dirname(folder))
    return True


def discard(staged: str) -> None:
    """Delete a folder that is still staged."""
    import shutil

    shutil.rmtree(staged, ignore_errors=True)


def read(folder: str, run_id: RunId) -> Run:
    """Return the run as its run.md tells it. Raises OSError or InvalidFile."""
    # An agent may replace run.md: a link must not lead outside, and a FIFO must not make the reader wait.
    fd = os.open(os.path.join(folder, "run.md"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_size > FILE_BYTES:
            raise InvalidFile(f"runs/{run_id}/run.md", "not-a-file", "it is not a regular file of a usual size")
        return parse(os.read(fd, FILE_BYTES), f"runs/{run_id}/run.md")
    finally:
        os.close(fd)


def is_folder(path: str) -> bool:
    """Whether the path is a folder; not a link, through which writes would leave the workspace."""
    return os.path.isdir(path) and not os.path.islink(path)


def is_name(name: str) -> bool:
    """Whether a name in runs/ can be a run's; other names are ignored."""
    try:
        words.key(name, "run id")
    except BadId:
        return False
    return True


def write_end(folder: str, run: Run, told: str = "") -> None:
    """Write the end of an unsupervised run, with the last lines of its logs and `told`."""
    make_folders(folder)
    _keep_foreign(folder)
    logs = b"".join(_end_of(os.path.join(folder, name)) for name in ("stdout.log", "stderr.log"))
    logs += told.encode("utf-8", "surrogateescape")
    write_durably(folder, "run.md", render(replace(run, tail=last_lines(logs))))


def _keep_foreign(folder: str) -> None:
    """Move aside a file in run.md's place that is not a run.md, instead of overwriting it."""
    path = os.path.join(folder, "run.md")
    if not os.path.lexists(path):
        return
    try:
        read(folder, RunId(os.path.basename(folder)))
    except (OSError, InvalidFile):
        os.rename(path, os.path.join(folder, f"run.md.{time.time_ns()}.kept"))


def _end_of(path: str, size_bytes: int = 4096) -> bytes:
    with contextlib.suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - size_bytes))
        return file.read(size_bytes)
    return b""


def render(run: Run) -> str:
    """Return run.md's text, the last lines of output in a fenced block."""
    from claw_files.formats import runs

    return runs.render(replace(run, tail=fenced(run.tail))).decode()


def parse(data: bytes, path: str) -> Run:
    """Return the run in run.md's bytes, `tail` without its fence. Raises InvalidFile."""
    from claw_files.formats import runs

    run = runs.parse(data, path)
    lines = run.tail.strip("\n").split("\n")
    return replace(run, tail="\n".join(lines[1:-1])) if lines[0].startswith("```") else run
