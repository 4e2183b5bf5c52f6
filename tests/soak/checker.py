"""What must be so in a workspace at every moment, looked at from outside: reads files, asks the kernel, knows no code.

It shares nothing with `claw_files`: it has its own reader of front matter, ledger, journal, claim files and runs, so
that what writes and what checks cannot be wrong in the same way. `test_checker.py` shows of each finding that it is
found.

What commands have answered with success is in a file beside the workspace, one JSON object a line: what (new, claim,
done, cancel, send, remark), task, agent, generation, key, path, text.
"""

import fcntl
import json
import os
import re
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE_SECONDS = 8.0  # what is so for an instant only, or until a killed daemon is back, is nothing to tell
SWAP_SECONDS = 60.0
WARM_SECONDS, GROWTH_KB, GROWTH_FDS = 10.0, 12 * 1024, 12
CLOSED = {"done", "dead", "cancelled"}
BOXES = ("new", "cur", "done")
AT_ONCE = {"journal", "runs", "lane", "attempt", "started-twice", "woken-twice", "generation", "memory", "descriptors"}

_ITEM = re.compile(r"^\s*[-*]\s.*?\b(TC-[A-Za-z0-9-]+)\b", re.I)
_TASK_KEY = re.compile(r"(.+)\.(\d+)")
_FIRST_WORDS = re.compile(r"^(?:TC-\S+|Status):\s*([A-Za-z_ ]+)", re.M)


class Finding(NamedTuple):
    code: str
    about: str
    sentence: str = ""


class Checker:
    """Looks at one workspace again and again."""

    def __init__(self, root: Path, told: Path, warm_seconds: float = WARM_SECONDS) -> None:
        """`told` is the file of what commands have answered with success; younger daemons may still grow."""
        self.root, self._told, self._warm = root, told, warm_seconds
        config = tomllib.loads((root / "clawfiles.toml").read_text())
        self._runs = config.get("limits", {}).get("runs", 4)
        workers = {name for name, agent in config["agents"].items() if agent.get("kind") == "worker"}
        self._lanes = config["agents"].keys() - workers
        self._first: dict[int, tuple[int, int]] = {}  # of each daemon when it was warm: memory, descriptors

    # --- looks

    def look(self, daemon: int | None = None, patience: float = PATIENCE_SECONDS) -> list[Finding]:
        """What is wrong, and still is after `patience` seconds where it may be so for an instant."""
        found, end = self._once(daemon), time.monotonic() + patience
        while any(one.code not in AT_ONCE for one in found) and time.monotonic() < end:
            time.sleep(0.3)
            still = {(one.code, one.about) for one in self._once(None)}
            found = [one for one in found if one.code in AT_ONCE or (one.code, one.about) in still]
        return sorted(set(found))

    def rest(self) -> list[Finding]:
        """What is wrong when everything should have come to its end; `look` is part of it."""
        found = [Finding("open", name, f"its state is {state}") for name, state in self.open()]
        found += [Finding("ledger", task, "its line is left") for task in self._ledger()]
        found += [Finding("alive", run["run"], "it runs") for run in self._live()]
        return sorted(set(found) | set(self.look()))

    def open(self) -> list[tuple[str, str]]:
        """Tasks that are not done, dead or cancelled, each with its state."""
        tasks = self._tasks()
        return [(task, facts.get("status", "?")) for task, all_ in tasks.items() for facts in all_ if _is_open(facts)]

    def _once(self, daemon: int | None) -> list[Finding]:
        tasks, ledger, told, lines = self._tasks(), self._ledger(), self._acknowledged(), list[dict[str, Any]]()
        return [
            *self._journal(lines),
            *self._places(tasks, told),
            *self._watched(tasks, ledger),
            *self._generations(told),
            *self._starts(lines),
            *self._at_once(),
            *self._messages(told),
            *self._kept_word(tasks, told, lines),
            *self._swap(),
            *(self._growth(daemon) if daemon else ()),
        ]

    # --- one kind of finding each

    def _journal(self, lines: list[dict[str, Any]]) -> Iterator[Finding]:
        for path in sorted(self.root.glob("audit/*.jsonl")):
            for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
                try:
                    line = json.loads(text)
                    assert line["timestamp"] and line["action"]
                    lines.append(line)
                except (ValueError, KeyError, TypeError, AssertionError):
                    yield Finding("journal", f"{path.name}:{number}", repr(text[:200]))

    def _places(self, tasks: dict[str, list[dict[str, str]]], told: list[dict[str, Any]]) -> Iterator[Finding]:
        for task, found in tasks.items():
            if len(found) > 1:
                yield Finding("two-files", task, ", ".join(facts["path"] for facts in found))
        for line in told:
            if line["what"] == "new" and line["task"] not in tasks:
                yield Finding("task-lost", line["task"], "its making was confirmed")

    def _watched(self, tasks: dict[str, list[dict[str, str]]], ledger: set[str]) -> Iterator[Finding]:
        for task, found in tasks.items():
            if any(facts.get("status") in ("in_progress", "blocked") for facts in found) and task not in ledger:
                yield Finding("unwatched", task, "in progress, and no line in the ledger")

    def _generations(self, told: list[dict[str, Any]]) -> Iterator[Finding]:
        for path in sorted(self.root.glob(".clawfiles/claims/*.log")):
            text = path.read_text(errors="replace")
            written = Counter(re.findall(r"^(\d+) written$", text, re.M))
            yield from (
                Finding("generation", f"{path.stem} {n}", "claimed twice") for n, times in written.items() if times > 1
            )
        holders = defaultdict[tuple[str, int], set[str]](set)
        for line in told:
            if line["what"] == "claim":
                holders[line["task"], line["generation"]].add(line["agent"])
        for (task, number), agents in holders.items():
            if len(agents) > 1:
                yield Finding("generation", f"{task} {number}", f"confirmed to {', '.join(sorted(agents))}")

    def _starts(self, lines: list[dict[str, Any]]) -> Iterator[Finding]:
        starts = self._told.with_name("starts.txt")
        names = starts.read_text().split() if starts.exists() else []
        yield from (Finding("started-twice", run) for run, times in Counter(names).items() if times > 1)
        woken = Counter(line.get("key") for line in lines if line["action"] == "wake")
        yield from (Finding("woken-twice", str(run)) for run, times in woken.items() if times > 1)

    def _at_once(self) -> Iterator[Finding]:
        """Those that were alive in two looks on end were alive together in between."""
        before = {run["run"]: run for run in self._live()}
        live = [run for run in self._live() if run["run"] in before] if before else []
        names = ", ".join(run["run"] for run in live)
        if len(live) > self._runs:
            yield Finding("runs", str(len(live)), f"more than {self._runs}: {names}")
        for agent, count in Counter(run["agent"] for run in live).items():
            if count > 1 and agent in self._lanes:
                yield Finding("lane", agent, names)
        tried = Counter(run.get("task") for run in live if _TASK_KEY.fullmatch(run.get("key", "")) and run.get("task"))
        yield from (Finding("attempt", str(task), names) for task, count in tried.items() if count > 1)

    def _messages(self, told: list[dict[str, Any]]) -> Iterator[Finding]:
        keys = defaultdict[tuple[str, str], list[str]](list)
        for path in self.root.glob("inbox/*/*/*.md"):
            if path.parent.name in BOXES:
                key = _front(path).get("key") or path.stem
                keys[path.parts[-3], key].append(f"{path.parent.name}/{path.name}")
        for (agent, key), found in keys.items():
            if len(found) > 1:
                yield Finding("message-twice", f"{agent} {key}", ", ".join(found))
        for line in told:
            if line["what"] == "send" and (line["agent"], line["key"]) not in keys:
                yield Finding("message-lost", f"{line['agent']} {line['key']}", "its sending was confirmed")

    def _kept_word(
        self, tasks: dict[str, list[dict[str, str]]], told: list[dict[str, Any]], lines: list[dict[str, Any]]
    ) -> Iterator[Finding]:
        noted = {(line["action"], line.get("task"), line.get("actor")) for line in lines}
        for line in told:
            what, task = line["what"], line.get("task", "")
            state = next((facts.get("status") for facts in tasks.get(task, [])), None)
            if (what == "done" and state != "done") or (what == "cancel" and state != "cancelled"):
                yield Finding("word-broken", f"{what} {task}", f"confirmed, and its state is {state}")
            if what in ("done", "claim", "cancel") and (what, task, line["agent"]) not in noted:
                yield Finding("word-broken", f"{what} {task}", "confirmed, and not in the journal")
            if what == "claim" and self._generation(tasks.get(task, [])) < line["generation"]:
                yield Finding("word-broken", f"claim {task}", "confirmed, and its generation was given back")
            if what == "remark" and not self._stands(line["path"], line["text"]):
                yield Finding("remark-lost", f"{line['path']} {line['text']}", "somebody wrote it by hand")

    def _swap(self) -> Iterator[Finding]:
        for path in self.root.glob(".clawfiles/swap/*"):
            try:
                age = time.time() - path.lstat().st_ctime
            except FileNotFoundError:
                continue
            if age > SWAP_SECONDS:
                yield Finding("swap", path.name, f"for {age:.0f} s")

    def _growth(self, pid: int) -> Iterator[Finding]:
        try:
            if _age(pid) < self._warm:
                return
            status = Path(f"/proc/{pid}/status").read_text()
            kb, fds = int(status.split("VmRSS:")[1].split()[0]), len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, IndexError):
            return  # it was killed
        first_kb, first_fds = self._first.setdefault(pid, (kb, fds))
        if kb > first_kb + GROWTH_KB:
            yield Finding("memory", f"process {pid}", f"{first_kb} KB when it was warm, {kb} KB now")
        if fds > first_fds + GROWTH_FDS:
            yield Finding("descriptors", f"process {pid}", f"{first_fds} when it was warm, {fds} now")

    # --- reading

    def _tasks(self) -> dict[str, list[dict[str, str]]]:
        """Every task by its id, with the front matter of each file that is it; what was written by hand in `status`."""
        found = defaultdict[str, list[dict[str, str]]](list)
        for pattern in ("status/*.md", "status/archive/*/*.md", "dead-letter/*.md"):
            for path in self.root.glob(pattern):
                if path.stem.lower().startswith("tc-"):
                    found[path.stem.upper()].append(_task(path) | {"path": str(path.relative_to(self.root))})
        return found

    def _ledger(self) -> set[str]:
        text = (self.root / "HEARTBEAT.md").read_text() if (self.root / "HEARTBEAT.md").exists() else ""
        return {item[1].upper() for line in text.splitlines() if (item := _ITEM.match(line))}

    def _acknowledged(self) -> list[dict[str, Any]]:
        text = self._told.read_text() if self._told.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def _live(self) -> list[dict[str, str]]:
        """Runs whose end is not written, and whose lock somebody holds."""
        found = [_front(path) for path in self.root.glob("runs/*/run.md")]
        there = [run for run in found if "run" in run and "ended" not in run]
        return [run for run in there if _is_locked(self.root / ".clawfiles/runs" / f"{run['run']}.lock")]

    def _generation(self, found: list[dict[str, str]]) -> int:
        """Of a file that was just written by hand it is not known: then nothing is said against it."""
        return min((int(facts.get("generation", 1 << 30)) for facts in found), default=0)

    def _stands(self, path: str, text: str) -> bool:
        """Whether the words stand in the file, wherever it was moved, or beside it as a conflict."""
        name = Path(path).name
        places = [self.root / path, self.root / "dead-letter" / name, *self.root.glob(f"status/archive/*/{name}")]
        return any(
            text in place.read_text(errors="replace")
            for place in [*places, *self.root.glob("conflicts/*")]
            if place.is_file()
        )


def _age(pid: int) -> float:
    """Since when a process lives, in seconds."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - started / os.sysconf("SC_CLK_TCK")


def _is_open(facts: dict[str, str]) -> bool:
    return facts.get("status") not in CLOSED


def _task(path: Path) -> dict[str, str]:
    facts = _front(path)
    if "status" not in facts and (words := _FIRST_WORDS.search(_text(path))):
        facts["status"] = words[1].strip().lower().replace(" ", "_")
    return facts


def _front(path: Path) -> dict[str, str]:
    """The plain keys between two lines of dashes at the top."""
    lines = _text(path).split("\n")
    if lines[0] != "---" or "---" not in lines[1:]:
        return {}
    pairs = (line.partition(":") for line in lines[1 : lines.index("---", 1)])
    return {key: value.strip().strip('"') for key, _, value in pairs if key and not key[0].isspace()}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it was moved while we looked
        return ""


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
