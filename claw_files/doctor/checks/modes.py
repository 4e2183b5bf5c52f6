"""What other users can read and write in the workspace, if they can reach it at all."""

import os
from collections.abc import Iterator

from claw_files.doctor.bounded_reader import DEEPEST, DiskNode
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import CONFIG, PRIVATE, TOP, Survey
from claw_files.system.workspace_trust import ENTER, READ, SHARED, WRITE, is_modeless, others_may


def modes(s: Survey) -> Iterator[Finding]:
    """Files open to other users, the first one named; and a git repository that would add private files."""
    root = os.path.realpath(s.tree.root)
    if is_modeless(root):
        yield Finding("no-modes", ".")
    elif not s.is_inner and all(_is_open(root, above, ENTER) for above in _upward(root)):
        tops = [node for path in (CONFIG, s.ledger_path, PRIVATE, *TOP, "runs") if (node := s.tree.node(path))]
        nodes = [below for node in tops for below in _reached(s, root, node, 1)]
        for code, right in (("others-write", WRITE), ("others-read", READ)):
            if paths := [node.path for node in nodes if _is_open(root, node.path, right)]:
                yield Finding(code, paths[0], detail=f"{len(paths)} files and folders")
    is_in_git = any(os.path.lexists(os.path.join(above, ".git")) for above in _upward(root))
    if is_in_git and s.tree.node(PRIVATE) and not s.tree.node(f"{PRIVATE}/.gitignore"):
        yield Finding("not-ignored", PRIVATE)


def _reached(s: Survey, root: str, node: DiskNode, depth: int) -> Iterator[DiskNode]:
    """The node, and everything below it that other users can reach."""
    if node.kind in ("file", "folder"):
        yield node
    if node.kind == "folder" and depth <= DEEPEST and _is_open(root, node.path, ENTER):
        for below in s.folder(node.path).nodes:
            yield from _reached(s, root, below, depth + 1)


def _is_open(root: str, path: str, right: int) -> bool:
    """Whether others have the right; a group that shares the whole workspace is not others."""
    try:
        found = os.stat(path := os.path.join(root, path), follow_symlinks=False)
        is_shared = os.stat(root).st_mode & SHARED == SHARED
    except OSError:
        return False  # gone meanwhile
    return bool(found.st_mode & right) if is_shared else others_may(found, right, path)


def _upward(path: str) -> Iterator[str]:
    yield path
    if path != "/":
        yield from _upward(os.path.dirname(path))
