"""What crashes, conflicts and ended runs left behind."""

import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from claw_files.config.channels import named
from claw_files.core.errors import CannotRead, InvalidFile, NotFound
from claw_files.core.model import Run, RunId
from claw_files.doctor.bounded_reader import DiskNode
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import PRIVATE, Survey, code_of
from claw_files.formats import briefs as documents
from claw_files.formats import source_mark
from claw_files.formats.journal import decode
from claw_files.formats.runs import parse
from claw_files.processes.run_locks import RunLocks
from claw_files.system import procfs

OLD_SECONDS: Final = 600
TICK_SECONDS: Final = 120  # beyond which somebody's heartbeat has not come: it takes away what is old enough
JOURNAL_BYTES: Final = 64 << 20
STARTING_SECONDS: Final = 10
_MOST_BAD: Final = 20


def kept_aside(s: Survey) -> Iterator[Finding]:
    """Somebody's bytes in conflicts/ and quarantine/, with the reason that lies beside them."""
    for folder, code in (("conflicts", "conflict-kept"), ("quarantine", "quarantined")):
        for node in s.folder(folder).nodes:
            if not node.name.endswith(".reason"):
                yield Finding(code, node.path, detail=_reason(s, node))


def _reason(s: Survey, node: DiskNode) -> str:
    try:
        return s.tree.read(f"{node.path}.reason", 4096).decode("utf-8", "replace").strip()
    except (CannotRead, NotFound):
        return ""


def journal(s: Survey) -> Iterator[Finding]:
    """Lines of the journal that are no JSON objects, and a last one that was torn off."""
    bad: list[Finding] = []
    known: set[str] = set()
    for node in s.folder("audit").nodes:
        if node.kind == "file" and node.name.endswith(".jsonl"):
            bad += _journal(s, node, known)
    yield from (one for one in bad if one.key not in known)


def _journal(s: Survey, node: DiskNode, known: set[str]) -> list[Finding]:
    try:
        raw = s.tree.read(node.path, JOURNAL_BYTES)
    except NotFound:
        return []
    except CannotRead as wrong:
        return [Finding(wrong.problem, node.path, detail=wrong.reason)]
    bad: list[Finding] = []
    *lines, tail = raw.split(b"\n")
    for number, line in enumerate(lines, 1):
        fact = decode(line)
        if fact is None and len(bad) < _MOST_BAD:
            shown = line[:60].decode("utf-8", "replace")
            is_ours = line.startswith(b'{"timestamp":"') and not line.endswith(b"}")
            code = "journal-cut-line" if is_ours else "journal-bad-line"
            bad.append(Finding(code, node.path, number, shown, key=torn(line)))
        elif b'"torn.' in line and fact:  # a repair has said so
            known.add(str(fact.get("key")))
    if tail and not s.is_young(node):
        bad.append(Finding("journal-torn", node.path, len(lines) + 1, tail[:60].decode("utf-8", "replace")))
    return bad


def journal_of(s: Survey, path: str) -> bytes:
    """The journal at the path; empty where there is none, or it cannot be read."""
    try:
        return s.tree.read(path, JOURNAL_BYTES)
    except (CannotRead, NotFound):
        return b""


def torn(line: bytes) -> str:
    """The key of a repair's line in the journal about a line that was torn."""
    return f"torn.{blake2b(line, digest_size=8).hexdigest()}"


def private(s: Survey) -> Iterator[Finding]:
    """Half-done writes; and that no heartbeat came to look again at versions that were displaced long ago."""
    for node in s.folder(f"{PRIVATE}/swap").nodes:
        begun = _begun(node.name)
        if begun is not None and s.now - begun > OLD_SECONDS:
            yield Finding("swap-left", node.path, detail=node.name.partition("~")[0].replace("%", "/"))
    if late := displaced(s):
        since = s.local(min(late.values()) + OLD_SECONDS)
        yield Finding("no-heartbeat", f"{PRIVATE}/kept", detail=f"since {since}; {len(late)} displaced versions wait")


def displaced(s: Survey) -> dict[str, float]:
    """The displaced versions that a heartbeat should have looked at again, with the times of their writes."""
    nodes = ((node.path, _begun(node.name)) for node in s.folder(f"{PRIVATE}/kept").nodes)
    late = s.now - OLD_SECONDS - TICK_SECONDS
    return {path: begun for path, begun in nodes if begun is not None and begun < late}


def _begun(name: str) -> float | None:
    """When the write was planned: its file's name tells, in hexadecimal seconds; None for a name of another kind."""
    parts = re.sub(r"\.(?:part|note)$", "", name).split("~")
    stamp = re.fullmatch(r"([0-9a-f]{1,12})-[0-9a-f]+", parts[-1])
    return float(int(stamp[1], 16)) if stamp and len(parts) == 4 else None


def runs(s: Survey) -> Iterator[Finding]:
    """Runs that never ended and are not there, and locks of runs that are over."""
    ended: set[str] = set()
    locks = RunLocks(os.path.join(s.tree.root, PRIVATE, "runs"))
    for node in s.folder("runs").nodes:
        if node.kind != "folder":
            continue
        try:
            run = parse(s.tree.read(f"{node.path}/run.md"), f"{node.path}/run.md")
        except (InvalidFile, NotFound) as wrong:
            why = "missing" if isinstance(wrong, NotFound) else code_of(wrong)
            yield Finding("run-lost", node.path, detail=f"run.md: {why}")
            continue
        if run.ended:
            ended.add(node.name)
        elif s.now - node.mtime > STARTING_SECONDS and not locks.is_held(RunId(node.name)) and not _is_alive(run):
            yield Finding("run-lost", f"{node.path}/run.md")
    names = s.folder("runs").names
    for node in s.folder(f"{PRIVATE}/runs").nodes:
        name = node.name.removesuffix(".lock")
        is_old = s.now - node.mtime > STARTING_SECONDS
        if (name in ended or name not in names) and is_old and not locks.is_held(RunId(name)):
            yield Finding("run-lock-stray", node.path)


def _is_alive(run: Run) -> bool:
    """Whether that very process lives: a number alone may have been given to another."""
    return bool(run.pid and run.start_id) and procfs.start_id(run.pid or 0) == run.start_id


def events(s: Survey) -> Iterator[Finding]:
    """Events and due times that came to nothing."""
    for node in s.folder("events/failed").nodes:
        if not node.name.endswith(".reason"):
            yield Finding("event-failed", node.path)


def sources(s: Survey) -> Iterator[Finding]:
    """Sources that cannot be read, and since when; a poll counts as failed until it ends."""
    for source in s.settings.sources.values() if s.settings and not s.is_inner else ():
        try:
            mark = source_mark.parse(s.tree.read(path := f"sources/{source.name}.md"), path)
        except NotFound:
            continue
        except InvalidFile as wrong:
            yield Finding(code_of(wrong), path, wrong.line, wrong.reason)
            continue
        is_running = mark.polled is not None and s.now - mark.polled.timestamp() < source.limit.total_seconds()
        if mark.since and mark.failures > is_running:
            since = s.local(mark.since.timestamp())
            yield Finding("source-failing", path, detail=f"{mark.failures} times since {since}: {mark.problem}")


def briefs(s: Survey) -> Iterator[Finding]:
    """Items of briefs that some channel of their person has not had."""
    people = [a for a in s.settings.agents.values() if s.settings.is_human(a.name)] if s.settings else []
    for node in s.folder("briefs").nodes:
        day = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-(.+))?\.md", node.name)
        person = next((a for a in people if day and day[1] in (None, a.name)), None)
        if person is None or node.kind != "file" or s.now - node.mtime < OLD_SECONDS:
            continue
        try:
            raw = s.tree.read(node.path)
        except (CannotRead, NotFound):
            continue
        late = {key for channel in named(person.channels) for key in documents.undelivered(raw, channel)}
        if late:
            places = (raw.find(f"<!-- key: {key}".encode()) for key in late)
            line = raw.count(b"\n", 0, min(places)) + 1
            yield Finding("brief-undelivered", node.path, line, f"{len(late)} for {person.name}")
