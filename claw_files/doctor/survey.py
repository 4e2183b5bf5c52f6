"""One walk through the workspace: the facts for all checks, and anomalies on the way."""

import os
from collections import defaultdict
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from claw_files import config
from claw_files.core import text as words
from claw_files.core.errors import BadId, CannotRead, ClawError, InvalidConfig, InvalidFile, NotFound, Untrusted
from claw_files.core.model import AgentId, Entry, Message, Report, State, Task, TaskId, Value
from claw_files.core.text import FILE_BYTES
from claw_files.doctor.bounded_reader import DiskFolder, DiskNode, DiskTree
from claw_files.doctor.codes import CODES
from claw_files.doctor.findings import Finding
from claw_files.formats import ledger, messages, reports, status
from claw_files.formats.text_lines import visible_at
from claw_files.formats.vocabulary import BUILT_IN
from claw_files.policy import manual_edits, routing
from claw_files.system import workspace_trust
from claw_files.system.month_archive import opened
from claw_files.system.paths import HAND_BYTES

CONFIG: Final = "clawfiles.toml"
PRIVATE: Final = ".clawfiles"
TOP: Final = (
    *("status", "dead-letter", "checkpoints", "inbox", "events", "briefs", "outbox", "conflicts", "quarantine"),
    *("workflows", "audit", "sessions", "definitions", "wakes", "sources"),
)
BOXES: Final = ("new", "cur", "done")
BEING_WRITTEN_SECONDS: Final = 2


class TaskFile(Value, frozen=True):
    """One file that bears a task's name; `task` is None where it cannot be read, and in the state that is in force."""

    id: str
    folder: str
    node: DiskNode
    task: Task | None = None
    said: State = State.BACKLOG  # the file's state
    is_refused: bool = False  # ... by an edit that is not allowed


class InboxMessage(Value, frozen=True):
    """One message, and where it lies."""

    agent: str
    box: str
    node: DiskNode
    message: Message


class Survey:
    """What there is. Everything is looked at once, when the survey is made; `odd` holds what could not be read."""

    def __init__(self, root: str, now: float, base: str | None = None) -> None:
        """`base` is the folder of clawfiles.toml, where that is another one: then this is a compartment."""
        self.tree, self.now, self.is_inner = DiskTree(root), now, base is not None
        self._base = DiskTree(base or root)
        self.odd: list[Finding] = []
        self._folders: dict[str, DiskFolder] = {}
        self.settings = self._settings()
        self.agents = frozenset(self.settings.agents) if self.settings else frozenset[str]()
        self.words = self.settings.vocabulary if self.settings else BUILT_IN
        self.zone = self.settings.workspace.zone if self.settings else ZoneInfo("UTC")
        self.ledger_path = self.settings.workspace.ledger if self.settings else "HEARTBEAT.md"
        self.prefix = self.settings.workspace.prefix if self.settings else "TC"
        months = [node.name for node in self.folder("status/archive").nodes if node.kind == "folder"]
        self.archives = [f"status/archive/{month}" for month in months]
        paths = (f"status/archive/{name}" for name in self.tree.files.archives("status/archive"))
        self.moved = {name.rpartition("/")[2] for path in paths for name in self.archived(path)}
        self.tasks = [it for place in ("status", "dead-letter") for it in self._tasks(place)]
        self._by_id: dict[str, TaskFile] = {}
        for it in self.tasks:
            self._by_id.setdefault(it.id, it)
        self.tasks = [self._in_turn(it) for it in self.tasks]
        self.letters = [it for agent in self.inboxes for it in self._letters(agent)]
        self.ledger_raw = self._raw(self.ledger_path, HAND_BYTES)
        self.lines = numbered(self.ledger_raw or b"", self._entries())

    # --- asked by the checks

    def folder(self, path: str) -> DiskFolder:
        """The folder's names and nodes, listed once."""
        if path not in self._folders:
            self._folders[path] = self.tree.folder(path)
        return self._folders[path]

    def __contains__(self, task: object) -> bool:
        """Whether some file bears the name of the task, readable or not."""
        name = str(task).lower()
        stems = (f"{name}.md", f"{name.upper()}.md")
        places = ("status", "dead-letter", *self.archives)
        return stems[0] in self.moved or any(stem in self.folder(place).names for place in places for stem in stems)

    def archived(self, path: str) -> list[str]:
        """What the archive of a month holds; one that cannot be read is noted once."""
        try:
            return opened(self.tree.files, path).names()
        except ClawError as wrong:
            if (one := Finding("bad-archive", path, detail=str(wrong))) not in self.odd:
                self.odd.append(one)
        return []

    def is_passed_over(self, task: str) -> bool:
        """Whether the task's file was not looked at, because its folder holds too many."""
        name = f"{task.lower()}.md"
        return any(name in folder.names and folder.is_cut for folder in map(self.folder, ("status", "dead-letter")))

    def file_of(self, task: str) -> TaskFile | None:
        """The task's file in status/ or dead-letter/; of two the one that counts."""
        return self._by_id.get(task)

    def local(self, seconds: float) -> str:
        """An instant as findings tell it to people."""
        at, now = (datetime.fromtimestamp(min(max(it, 0), 4e9), UTC) for it in (seconds, self.now))
        return words.render_for_people(at.replace(microsecond=0), now, self.zone)

    def line(self, it: TaskFile, key: str) -> int | None:
        """Where the task's front matter has the key; None where it has it not any more."""
        try:
            return status.line_of(self.tree.read(it.node.path), it.node.path, key)
        except (InvalidFile, NotFound):
            return None

    def state_line(self, it: TaskFile) -> int | None:
        """Where the state stands that the file gives."""
        return (it.task and it.task.state_line) or self.line(it, "status") or 1

    def is_report(self, name: str) -> bool:
        """Whether `status/NAME` is an agent's report, not a task."""
        return name.removesuffix(".md").lower() in self.agents

    @property
    def inboxes(self) -> list[str]:
        return [node.name for node in self.folder("inbox").nodes if node.kind == "folder"]

    def generations(self, task: str) -> tuple[int, float]:
        """The highest generation that was claimed or reserved, and when; (0, 0) when none was."""
        path = f"{PRIVATE}/claims/{task.lower()}.log"
        node, raw = self.tree.node(path), self._raw(path)
        lines = (raw or b"").split(b"\n")[:-1]
        numbers = [int(number) for line in lines if (number := line.partition(b" ")[0]).isdigit() and len(number) < 10]
        return (max(numbers), node.mtime) if node and numbers else (0, 0.0)

    def is_young(self, node: DiskNode) -> bool:
        """Whether somebody may be in the middle of writing it."""
        return abs(self.now - node.mtime) < BEING_WRITTEN_SECONDS

    def reports(self) -> list[tuple[DiskNode, int, str]]:
        """(file, line, task) for each line of an agent's report that gives a state."""
        rows: list[tuple[DiskNode, int, str]] = []
        for node in self.folder("status").nodes:
            if not (node.kind == "file" and node.name.endswith(".md") and self.is_report(node.name)):
                continue
            raw = self._raw(node.path) or b""
            lines = raw.decode("utf-8", "replace").upper().split("\n")
            for report in self._reports(node, raw):
                if report.unclear and report.task not in self:
                    continue  # "PR-142: looks fine?" is about nothing of ours
                here = (number for number, line in enumerate(lines, 1) if report.task in line)
                rows.append((node, next(here, 1), report.task))
        return rows

    def _reports(self, node: DiskNode, raw: bytes) -> tuple[Report, ...]:
        author = AgentId(node.name.removesuffix(".md").lower())
        try:
            return reports.parse(raw, node.path, author, self._time(node), self.zone, vocabulary=self.words)
        except InvalidFile as wrong:
            self._note(node, wrong)
        return ()

    # --- reading

    def _settings(self) -> config.Settings | None:
        """The configuration; None for a wrong one, and for one that is not to be obeyed: its programs are not asked."""
        raw = self._raw(CONFIG, tree=self._base)
        try:
            for folder in dict.fromkeys((self._base.root, self.tree.root)):
                workspace_trust.check(folder, self._base.root)
            return config.parse(raw, CONFIG) if raw is not None else None
        except Untrusted as wrong:
            self.odd.append(Finding("untrusted", os.path.relpath(wrong.path, self._base.root), detail=str(wrong)))
        except InvalidConfig as wrong:
            self.odd += [Finding("invalid-config", CONFIG, line, text) for line, text in wrong.problems]
        return None

    def _raw(self, path: str, cap_bytes: int = FILE_BYTES, tree: DiskTree | None = None) -> bytes | None:
        """The bytes of a file; None where there is none, or it cannot be read, which is noted."""
        try:
            return (tree or self.tree).read(path, cap_bytes)
        except NotFound:
            return None
        except CannotRead as wrong:
            self.odd.append(Finding(wrong.problem, path, wrong.line, wrong.reason))
        return None

    def _note(self, node: DiskNode, wrong: InvalidFile, code: str = "") -> None:
        """Note a file that cannot be read, unless somebody may be in the middle of writing it."""
        if not self.is_young(node):
            self.odd.append(Finding(code or code_of(wrong), node.path, wrong.line, wrong.reason))

    def _time(self, node: DiskNode) -> datetime:
        """The file's time as the program takes it: one that lies ahead counts as now."""
        return datetime.fromtimestamp(min(max(node.mtime, 0), self.now, 4e9), UTC)

    def _entries(self) -> tuple[Entry, ...]:
        now = datetime.fromtimestamp(self.now, UTC)
        return ledger.entries(self.ledger_raw or b"", now, self.zone, self.prefix, self.__contains__, None, self.agents)

    def _tasks(self, folder: str) -> list[TaskFile]:
        files = []
        for node in self.folder(folder).nodes:
            if node.kind != "file" or node.links > 1 or not node.name.endswith(".md") or self.is_report(node.name):
                continue
            try:
                task = words.task_id(node.name.removesuffix(".md"))
            except BadId:
                continue  # the check of names reports it
            files.append(self._task(node, task, folder))
        return sorted(files, key=lambda it: (it.folder != "status", it.id, it.node.name != f"{it.id.lower()}.md"))

    def _task(self, node: DiskNode, name: str, folder: str) -> TaskFile:
        plain = TaskFile(id=name, folder=folder, node=node)
        try:
            raw = self.tree.read(node.path)
            if not raw.strip(b"\xef\xbb\xbf \t\r\n"):
                raise CannotRead(node.path, "empty-file", "")
            task = status.parse(raw, node.path, self._time(node), self.zone, self.words)
        except NotFound:
            return plain
        except InvalidFile as wrong:
            self._note(node, wrong)
            return plain
        except Exception as wrong:  # noqa: BLE001 - a fault of ours in one file must not hide the others
            self.odd.append(Finding("check-failed", node.path, detail=f"{type(wrong).__name__}: {wrong}"))
            return plain
        reviewer = self.settings and routing.reviewer(self.settings, task.type, task.assignee)
        standing = manual_edits.stand(task, reviewer is not None)
        in_force, is_refused = replace(task, state=standing.state), standing.conflict is not None
        return replace(plain, task=in_force, said=task.state, is_refused=is_refused)

    def _is_open(self, task: TaskId) -> bool:
        it = self.file_of(task)
        return it.task is None or it.task.state is not State.DONE if it else task not in self

    def _in_turn(self, it: TaskFile) -> TaskFile:
        """The file without a move by hand that comes before what the task comes after is done."""
        task = it.task
        if task is None or not manual_edits.is_begun(task):
            return it
        if not any(self._is_open(before) for before in task.after[:1000]):
            return it
        return replace(it, task=replace(task, state=task.recorded or State.BACKLOG), is_refused=True)

    def _letters(self, agent: str) -> list[InboxMessage]:
        nodes = [(box, node) for box in BOXES for node in self.folder(f"inbox/{agent}/{box}").nodes]
        letters = (self._letter(agent, box, node) for box, node in nodes if node.kind == "file" and node.links == 1)
        return [letter for letter in letters if letter]

    def _letter(self, agent: str, box: str, node: DiskNode) -> InboxMessage | None:
        try:
            message = messages.parse(self.tree.read(node.path), node.path)
        except NotFound:
            return None
        except InvalidFile as wrong:
            self._note(node, wrong, "unreadable-message")
            return None
        return InboxMessage(agent=agent, box=box, node=node, message=message)


def numbered(raw: bytes, entries: tuple[Entry, ...]) -> list[tuple[int, Entry]]:
    """The ledger's entries with their lines, from 1."""
    text, wanted = raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff"), {entry.line for entry in entries}
    places, at = dict[int, int](), 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.removesuffix("\r") in wanted:
            places[at] = number
        at += len(line) + 1
    numbers = defaultdict[str, list[int]](list)
    for shown in visible_at(text, places):
        numbers[shown.text].append(places[shown.start])
    return [(numbers[entry.line].pop(0) if numbers[entry.line] else 1, entry) for entry in entries]


_CODES: Final = {
    "cr-only": "encoding",
    "too-large": "frontmatter-large",
    "too-many-nodes": "frontmatter-large",
    "alias-forbidden": "alias",
    "tag-forbidden": "tag",
    "too-deep": "nested",
    "yaml": "bad-frontmatter",
    "bad-id": "not-an-id",
}


def code_of(wrong: InvalidFile) -> str:
    """The finding for a file that cannot be read."""
    code = wrong.problem if isinstance(wrong, CannotRead) else _CODES.get(wrong.problem, wrong.problem)
    return code if code in CODES else "bad-value"
