"""One walk through the workspace: everything the checks ask about, and what was odd on the way."""

from datetime import UTC, datetime, tzinfo
from typing import Final

from claw_files import config, words
from claw_files.doctor import ledger, tasks
from claw_files.doctor.findings import Finding, found
from claw_files.doctor.paper import Paper, pairs, read, state_of
from claw_files.doctor.reading import Folder, Node, Tree, Unread
from claw_files.errors import BadId, InvalidConfig
from claw_files.model import Value

CONFIG: Final = "clawfiles.toml"
PRIVATE: Final = ".clawfiles"
BOXES: Final = ("new", "cur", "done")
BEING_WRITTEN_SECONDS: Final = 2


class TaskFile(Value, frozen=True):
    """One file that bears a task's name; `task` is None where it cannot be read."""

    id: str
    folder: str
    node: Node
    task: tasks.Task | None = None


class Letter(Value, frozen=True):
    """One message."""

    agent: str
    box: str
    node: Node
    key: str
    kind: str
    task: str | None


class Survey:
    """What there is. Everything is looked at once, when the survey is made; `odd` holds what could not be read."""

    def __init__(self, root: str, now: float, base: str | None = None) -> None:
        """`base` is the folder of clawfiles.toml, where that is another one: then this is a compartment."""
        self.tree, self.now, self.is_inner = Tree(root), now, base is not None
        self._base = Tree(base or root)
        self.odd: list[Finding] = []
        self._folders: dict[str, Folder] = {}
        self.settings = self._settings()
        self.agents = frozenset(self.settings.agents) if self.settings else frozenset[str]()
        self.zone: tzinfo = self.settings.workspace.zone if self.settings else UTC
        self.ledger_path = self.settings.workspace.ledger if self.settings else "HEARTBEAT.md"
        self.prefix = self.settings.workspace.prefix if self.settings else "TC"
        months = [node.name for node in self.folder("status/archive").nodes if node.kind == "folder"]
        self.archives = [f"status/archive/{month}" for month in months]
        self.tasks = [it for place in ("status", "dead-letter") for it in self._tasks(place)]
        self._by_id: dict[str, TaskFile] = {}
        for it in self.tasks:
            self._by_id.setdefault(it.id, it)
        self.letters = [it for agent in self.inboxes for it in self._letters(agent)]
        self.ledger_raw = self._raw(self.ledger_path, 1 << 24)
        self.lines = list(ledger.entries(self.ledger_raw or b"", self.prefix, self))

    # --- asked by the checks

    def folder(self, path: str) -> Folder:
        """The folder's names and nodes, listed once."""
        if path not in self._folders:
            self._folders[path] = self.tree.folder(path)
        return self._folders[path]

    def __contains__(self, task: object) -> bool:
        """Whether some file bears the name of the task, readable or not."""
        name = str(task).lower()
        stems = (f"{name}.md", f"{name.upper()}.md")
        places = ("status", "dead-letter", *self.archives)
        return any(stem in self.folder(place).names for place in places for stem in stems)

    def task(self, task: str) -> tasks.Task | None:
        """The task as its first file has it; None where it is not to be read, or in the archive."""
        it = self._by_id.get(task)
        return it.task if it else None

    def file_of(self, task: str) -> TaskFile | None:
        """The task's file in status/ or dead-letter/; of two the one that counts."""
        return self._by_id.get(task)

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

    def is_young(self, node: Node) -> bool:
        """Whether somebody may be in the middle of writing it."""
        return abs(self.now - node.mtime) < BEING_WRITTEN_SECONDS

    def reports(self) -> list[tuple[Node, int, str]]:
        """(file, line, task) for each line of an agent's report that gives a state."""
        rows: list[tuple[Node, int, str]] = []
        for node in self.folder("status").nodes:
            if not (node.kind == "file" and node.name.endswith(".md") and self.is_report(node.name)):
                continue
            paper = self._paper(node)
            for said in pairs(paper.body, "[a-z][a-z0-9]*-[0-9]+") if paper else ():
                if state_of(said.rest):
                    rows.append((node, paper.body_line + said.line - 1 if paper else 1, said.name.upper()))
        return rows

    # --- reading

    def _settings(self) -> config.Settings | None:
        raw = self._raw(CONFIG, tree=self._base)
        try:
            return config.parse(raw, CONFIG) if raw is not None else None
        except InvalidConfig as wrong:
            self.odd += [found("invalid-config", CONFIG, line, text) for line, text in wrong.problems]
        return None

    def _raw(self, path: str, cap_bytes: int = 1 << 20, tree: Tree | None = None) -> bytes | None:
        """The bytes of a file; None where there is none, or it cannot be read, which is noted."""
        try:
            return (tree or self.tree).read(path, cap_bytes)
        except FileNotFoundError:
            return None
        except Unread as wrong:
            self.odd.append(found(wrong.code, path, wrong.line, wrong.detail))
        return None

    def _paper(self, node: Node) -> Paper | None:
        try:
            return read(self.tree.read(node.path))
        except FileNotFoundError:
            return None
        except Unread as wrong:
            if not self.is_young(node):
                self.odd.append(found(wrong.code, node.path, wrong.line, wrong.detail))
        return None

    def _tasks(self, folder: str) -> list[TaskFile]:
        files = []
        for node in self.folder(folder).nodes:
            if node.kind != "file" or node.links > 1 or not node.name.endswith(".md") or self.is_report(node.name):
                continue
            try:
                task = words.task_id(node.name.removesuffix(".md"))
            except BadId:
                continue  # its name is told by the look at names
            files.append(TaskFile(id=task, folder=folder, node=node, task=self._task(node)))
        return sorted(files, key=lambda it: (it.folder != "status", it.id, it.node.name != f"{it.id.lower()}.md"))

    def _task(self, node: Node) -> tasks.Task | None:
        try:
            return tasks.parse(self.tree.read(node.path), node.name, min(node.mtime, self.now), self.zone)
        except FileNotFoundError:
            return None
        except Unread as wrong:
            if not self.is_young(node):
                self.odd.append(found(wrong.code, node.path, wrong.line, wrong.detail))
        except Exception as wrong:  # noqa: BLE001 - a fault of ours in one file must not hide the others
            self.odd.append(found("check-failed", node.path, detail=f"{type(wrong).__name__}: {wrong}"))
        return None

    def _letters(self, agent: str) -> list[Letter]:
        nodes = [(box, node) for box in BOXES for node in self.folder(f"inbox/{agent}/{box}").nodes]
        letters = (self._letter(agent, box, node) for box, node in nodes if node.kind == "file" and node.links == 1)
        return [letter for letter in letters if letter]

    def _letter(self, agent: str, box: str, node: Node) -> Letter | None:
        try:
            paper = read(self.tree.read(node.path))
            values = {name: key.text.strip() for name in _NEEDED if (key := paper.get(name))}
            if missing := [name for name in _NEEDED if not values.get(name)]:
                raise Unread("unreadable-message", f"no {', '.join(missing)}", 1)
            if values["kind"].lower() not in _LETTERS:
                raise Unread("unreadable-message", f"kind: {values['kind'][:40]!r}", paper.keys["kind"].line)
            task = paper.get("task")
            named = words.task_id(task.text.strip()) if task else None
        except FileNotFoundError:
            return None
        except (Unread, BadId) as wrong:
            if not self.is_young(node):
                detail = ": ".join(filter(None, (getattr(wrong, "code", ""), getattr(wrong, "detail", str(wrong)))))
                detail = detail.removeprefix("unreadable-message: ")
                self.odd.append(found("unreadable-message", node.path, getattr(wrong, "line", None), detail))
            return None
        return Letter(agent=agent, box=box, node=node, key=values["key"], kind=values["kind"].lower(), task=named)


_NEEDED: Final = ("id", "key", "kind", "from", "to")
_LETTERS: Final = frozenset({"task", "question", "answer", "steer", "announce", "ping"})


def as_time(seconds: float) -> str:
    """A file's time as findings tell it."""
    return words.render_instant(datetime.fromtimestamp(min(max(seconds, 0), 4e9), UTC))
