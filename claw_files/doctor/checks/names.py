"""Names and nodes: files that are not regular, and names that are unreadable or hard to distinguish."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from claw_files.config.channels import FILE
from claw_files.core import text as words
from claw_files.core.errors import BadId
from claw_files.core.text import FILE_BYTES, safe
from claw_files.doctor.bounded_reader import DEEPEST, FULL_BYTES, DiskFolder, DiskNode
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import BOXES, CONFIG, PRIVATE, TOP, Survey
from claw_files.system.month_archive import ARCHIVE
from claw_files.system.workspace_trust import SHARED

AHEAD_SECONDS: Final = 300
_DEVICES: Final = frozenset({"con", "prn", "aux", "nul"} | {f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10)})
_MAY_BE_LARGE: Final = ("audit", "conflicts", "quarantine")
# Cyrillic and Greek letters that look like Latin ones, and the Latin ones.
_LIKE: Final = str.maketrans("авеікмнорстухјѕԁԛԝАВЕІКМНОРСТУХЈЅαεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ‐‑‒–—−",
                             "abeikmhopctyxjsdqwABEIKMHOPCTYXJSaeiknoptuxABEZHIKMNOPTYX------")  # fmt: skip
# Folders in which a subfolder, or a file, is expected; elsewhere it is foreign.
_OUR_FOLDERS: Final = re.compile(
    r"status/archive(/[0-9]{4}-[0-9]{2})?|inbox/[^/]+(/(tmp|new|cur|done|bodies))?|events/(new|cur|done|failed)|runs/[^/]+"
    r"|outbox/(sent|failed)|definitions/archive|checkpoints/old|(conflicts|quarantine|workflows|wakes)/.*"
)
_NO_FILES: Final = re.compile(r"(runs|inbox|inbox/[^/]+|status/archive)/[^/]+|audit/[^/]+(?<!\.jsonl)")
_WINDOWS: Final = frozenset('<>:"|?*\\')


def nodes(s: Survey) -> Iterator[Finding]:
    """Everything that is no plain file or folder, is too large, too deep or from the future."""
    for top in (*TOP, PRIVATE, "runs", "compartments"):
        node = s.tree.node(top)
        if node and node.kind != "folder":
            yield Finding("link" if node.kind == "link" else "special-file", top, detail="nothing in it is read")
        elif node and node.mode & (0o007 if node.mode & SHARED == SHARED else 0o077) and top == PRIVATE:
            yield Finding("open-private", top, detail=f"mode {node.mode:o}")
    if ledger := s.tree.node(s.ledger_path):
        yield from _size(ledger)
    for top in TOP:
        yield from _below(s, top, 1)
    yield from (one for node in s.folder("runs").nodes for one in _foreign(node))
    people = s.settings.agents.values() if s.settings else ()
    files = [it.removeprefix(FILE) for agent in people for it in agent.channels if it.startswith(FILE)]
    for path in dict.fromkeys((CONFIG, s.ledger_path, *files)):
        if (node := s.tree.node(path)) and node.kind == "file" and node.links > 1:
            yield Finding("hard-link", path, detail=f"{node.links} names")


def _below(s: Survey, path: str, depth: int) -> Iterator[Finding]:
    """The folder and its content, at most four levels deep, which bounds the recursion."""
    folder = s.folder(path)
    if folder.odd and depth > 1:
        yield Finding(folder.odd, path)
    if folder.is_cut:
        detail = f"{len(folder.names):,} files; none after {folder.nodes[-1].name}"
        yield Finding("too-many-files", path, detail=detail)
    for node in folder.nodes:
        yield from _foreign(node)
        if node.kind == "folder":
            yield from _folder(s, node, depth)
        else:
            yield from _node(s, node)


def _foreign(node: DiskNode) -> Iterator[Finding]:
    """Misplaced names: a folder among files, a file among folders."""
    is_folder, is_moved = node.kind == "folder", ARCHIVE.fullmatch(node.name) or node.name.endswith((".kept", ".md"))
    if (is_folder and not _OUR_FOLDERS.fullmatch(node.path) and not node.name.endswith(".md")) or (
        node.kind == "file" and not is_moved and _NO_FILES.fullmatch(node.path)
    ):
        yield Finding("foreign", node.path)


def _folder(s: Survey, node: DiskNode, depth: int) -> Iterator[Finding]:
    if node.name.endswith(".md"):
        yield Finding("folder-as-file", node.path)
    elif depth >= DEEPEST:
        yield Finding("too-deep", node.path)
    elif not node.path.startswith(("conflicts/", "quarantine/")):
        yield from _below(s, node.path, depth + 1)


def _node(s: Survey, node: DiskNode) -> Iterator[Finding]:
    if node.kind != "file":
        yield Finding("link" if node.kind == "link" else "special-file", node.path)
        return
    if node.links > 1:
        yield Finding("hard-link", node.path, detail=f"{node.links} names")
    if not node.mode & 0o444:
        yield Finding("no-permission", node.path, detail=f"mode {node.mode:o}")
    if ARCHIVE.fullmatch(node.name):
        s.archived(node.path)
    elif not node.path.startswith(_MAY_BE_LARGE):
        yield from _size(node)
    if node.mtime > s.now + AHEAD_SECONDS:
        yield Finding("future-time", node.path)


def _size(node: DiskNode) -> Iterator[Finding]:
    if node.size_bytes > FULL_BYTES:
        code = "too-large" if node.size_bytes > FILE_BYTES else "nearly-full"
        yield Finding(code, node.path, detail=f"{node.size_bytes:,} bytes")


def names(s: Survey) -> Iterator[Finding]:
    """Problems of names in folders in which a name has a meaning."""
    for folder in ("status", "dead-letter", *s.archives):
        yield from _task_names(s.folder(folder))
    boxes = [f"inbox/{agent}/{box}" for agent in s.inboxes for box in BOXES]
    for path in ("status", "dead-letter", *s.archives, "checkpoints", "inbox", *boxes):
        listed = s.folder(path)
        yield from _twins(listed)
        if path != "status" and not path.startswith(("status/", "dead-letter")):
            yield from (one for node in listed.nodes for one in _spelling(node, is_id=False))


def _task_names(folder: DiskFolder) -> Iterator[Finding]:
    for node in folder.nodes:
        if node.kind == "folder":
            continue
        if node.name.endswith(".md"):
            yield from _spelling(node, is_id=True)
        elif not any(_spelling(node, is_id=False)):
            yield Finding("not-a-task-file", node.path)
        else:
            yield from _spelling(node, is_id=False)


def _spelling(node: DiskNode, is_id: bool) -> Iterator[Finding]:
    stem = node.name.removesuffix(".md")
    if _is_odd(node.name):
        yield Finding("odd-name", node.path)
    elif stem.lower().split(".", 1)[0] in _DEVICES or _WINDOWS & set(stem):
        yield Finding("device-name", node.path)
    elif not stem.isascii():
        like = unicodedata.normalize("NFKC", stem).translate(_LIKE)
        yield Finding("look-alike" if _is_id(like) else "not-an-id", node.path, detail=like if _is_id(like) else "")
    elif is_id and not _is_id(stem):
        yield Finding("not-an-id", node.path)


def _is_odd(name: str) -> bool:
    return safe(name, 500) != name or not name.isprintable()


def _is_id(text: str) -> bool:
    try:
        return bool(words.task_id(text))
    except BadId:
        return False


def _twins(folder: DiskFolder) -> Iterator[Finding]:
    """Names that differ in case, or in how their letters are composed."""
    cases, forms = defaultdict[str, list[DiskNode]](list), defaultdict[str, list[DiskNode]](list)
    for node in folder.nodes:
        if node.name.isascii():
            cases[node.name.lower()].append(node)
        else:
            forms[unicodedata.normalize("NFC", node.name)].append(node)
    for group in cases.values():
        first = min(group, key=lambda node: (node.name != node.name.lower(), node.name))
        for node in group:
            if node is not first:
                yield Finding("case-twins", node.path, detail=f"beside {first.name}")
    for group in forms.values():
        for node in group[1:]:
            yield Finding("unicode-twins", node.path, detail=f"beside {group[0].name!a}")
