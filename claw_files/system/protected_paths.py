"""Paths in a working folder that programs outside obey, and that a sandboxed run must not write.

Standard library only, and little of it: the supervisor of a run uses this module in its bare interpreter.
`docs/explanation/sandbox.md` lists who obeys what.
"""

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress

from claw_files.system.file_owner import make_folders

NAMES = {
    *(".git", "clawfiles.toml", ".envrc", ".mise.toml", "mise.toml", ".husky", ".pre-commit-config.yaml"),
    *("lefthook.yml", ".vscode", ".idea", ".zed", ".devcontainer", ".mcp.json", ".claude", ".codex", ".cursor"),
    *(".gemini", ".qwen", ".opencode", "opencode.json", ".kiro", ".windsurf"),
}
# What stands in the place of a missing one in a repository; None: an empty folder, as for the names above.
_GIT = {"hooks": None, "info": None, "config.worktree": "", "commondir": ".\n"}
RECORD = "protected"  # beside the run's socket: what was there before the run
DEEPEST = 64  # folders in each other; what lies deeper is protected as a whole
# What `git clone`, `init` and `remote add` write: keys that start no program, and lead to no other configuration.
_PLAIN = re.compile(
    r"\s*|\s*[#;].*|\s*\[[^\]]*\]\s*|\s*(?:repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|symlinks"
    r"|precomposeunicode|url|fetch|remote|merge|rebase|name|email|active|objectformat|worktree)\s*=[^\\]*",
    re.IGNORECASE,
)


def protect(root: str, door: str, aside: str) -> dict[str, bool]:
    """The read-only mounts of a run that works in `root`: each path, and whether it stays writable.

    What is missing is made. What is there is written down in the folder `door`, for `finish`, which moves what is new
    to `aside`. Raises OSError for what cannot be protected.
    """
    wanted, lines = {os.path.join(root, name): False for name in NAMES}, list[str]()
    for folder, name, _, found in _found(root):
        path, is_repository = os.path.join(folder, name), os.path.basename(folder) == ".git"
        if stat.S_ISLNK(found.st_mode):
            raise OSError(f"{path} is a link, and what it leads to is obeyed outside: put the file itself there")
        wanted[path] = name == ".git" and stat.S_ISDIR(found.st_mode)
        if name == "config":
            lines += (text := _text(path)).splitlines()
            named = dict.fromkeys(_named(text, (os.path.dirname(folder), folder)), False)
            if any(_is_below(root, one) for one in named):
                raise OSError(f"{path} makes git obey any file of {root}: name a separate folder there")
            wanted |= {one: False for one in named if _is_below(one, root)}
            wanted |= {os.path.join(folder, one): False for one in _GIT if is_repository or one != "commondir"}
    made = sorted(path for path in wanted if not os.path.lexists(path) or _is_blank(path))
    for path in made:
        if (content := _GIT.get(os.path.basename(path))) is None:
            make_folders(path)
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
    known = {path: _identity(os.lstat(path)) for path in wanted}
    with open(os.path.join(door, RECORD), "w", encoding="utf-8") as file:
        json.dump({"root": root, "aside": aside, "made": made, "lines": lines, "known": known}, file)
    return wanted


def finish(door: str, run: str) -> list[str]:
    """Remove the folders created for the run, quarantine its protected names; a sentence for each."""
    if not (text := _text(os.path.join(door, RECORD))):
        return []
    record, told = json.loads(text), list[str]()
    known, lines = set(record["known"].values()), set(record["lines"])
    for path in reversed(record["made"]):
        with suppress(OSError):
            if _is_blank(path):
                (os.rmdir if os.path.isdir(path) else os.unlink)(path)
    try:
        for folder, name, fd, found in _found(record["root"]):
            path = os.path.join(folder, name)
            if _identity(found) in known or _is_harmless(path, found, lines):
                continue
            if name in NAMES and name != ".git" and _is_cloned(folder, record["root"], known):
                told.append(f"new in a repository that is new, and obeyed by programs outside: {path}")
            else:
                told.append(
                    f"set aside, because programs outside would obey it: {path}, now {_moved(record, name, fd, run)}"
                )
    except OSError as error:
        told.append(f"its working folder could not be looked through: {error}")
    return told


def is_protected(path: str, door: str) -> bool:
    """Whether the run of this door must not write the path, which is absolute and without links."""
    known = json.loads(_text(os.path.join(door, RECORD)) or "{}").get("known", ())
    return not NAMES.isdisjoint(path.casefold().split("/")) or any(_is_below(path, one) for one in known)


def _found(root: str) -> Iterator[tuple[str, str, int, os.stat_result]]:
    """Each protected name below the folder, and unreadable folders, with the containing folder."""
    for folder, folders, files, fd in os.fwalk(root):
        names = {*folders, *files}
        is_git = {"HEAD", "objects", "refs"} <= names or {"HEAD", "commondir"} <= names
        hits = {name for name in names if name.casefold() in NAMES}
        hits |= names & {"config", *_GIT} if is_git or os.path.basename(folder) == ".git" else set()
        is_deep = folder.count("/") - root.count("/") >= DEEPEST
        hits |= {one for one in folders if is_deep or not os.access(one, os.R_OK | os.X_OK, dir_fd=fd)}
        folders[:] = [one for one in folders if one not in hits or one == ".git"]
        for name in hits:
            with suppress(FileNotFoundError):
                yield folder, name, fd, os.stat(name, dir_fd=fd, follow_symlinks=False)


def _named(config: str, bases: tuple[str, str]) -> Iterator[str]:
    """The files that a configuration of git names and that are there, and the folders of its hooks."""
    for line in config.replace("\\\n", "").replace("]", "]\n").splitlines():
        key, _, value = line.partition("=")
        is_hooks = key.strip().lower() == "hookspath"
        for word in [value.strip(' "\t')] if is_hooks else re.split(r"[\s\"'!;]+", value):
            for path in (os.path.normpath(os.path.join(base, os.path.expanduser(word))) for base in bases if word):
                if is_hooks or os.path.isfile(path):
                    yield path


def _is_blank(path: str) -> bool:
    """Whether the folder has only the content that `protect` creates for a missing name."""
    if os.path.isdir(path) and not os.path.islink(path):
        return not os.listdir(path)
    return os.path.isfile(path) and _text(path, 3) == _GIT.get(os.path.basename(path))


def _is_harmless(path: str, found: os.stat_result, lines: set[str]) -> bool:
    """Whether it starts no program: the content of a clone, or its earlier configuration."""
    folder, name = os.path.split(path)
    if stat.S_ISDIR(found.st_mode):
        inside = os.listdir(path) if os.access(path, os.R_OK) else ["?"]
        return name in (".git", "info") or all(name == "hooks" and one.endswith(".sample") for one in inside)
    if not stat.S_ISREG(found.st_mode) or name == ".git" or _is_blank(path):
        return stat.S_ISREG(found.st_mode)
    if name == "commondir":
        return os.path.basename(os.path.dirname(folder)) == "worktrees" and _text(path).strip() == "../.."
    is_config, text = name.startswith("config"), _text(path)
    return is_config and all(one in lines or _PLAIN.fullmatch(one) for one in text.splitlines())


def _is_cloned(folder: str, root: str, known: set[str]) -> bool:
    """Whether the folder is in a repository that did not exist before the run."""
    while folder != root and not os.path.isdir(f"{folder}/.git"):
        folder = os.path.dirname(folder)
    return folder != root and _identity(os.lstat(f"{folder}/.git")) not in known


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _identity(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}"


def _text(path: str, most: int = 1 << 26) -> str:
    """The beginning of a regular file; "" without one."""
    with suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), errors="replace") as file:
        return file.read(most) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else ""
    return ""


def _moved(record: dict[str, str], name: str, fd: int, run: str) -> str:
    """The new path: in quarantine/, or next to the old one if that is on another disk."""
    fresh = f"{name.lstrip('.')[:40]}.{run}-{time.time_ns()}"
    try:
        make_folders(record["aside"])
        with open(os.path.join(record["aside"], f"{fresh}.reason"), "w", errors="surrogateescape") as file:
            file.write(f"what run {run} made for programs outside to obey\n")
        os.rename(name, os.path.join(record["aside"], fresh), src_dir_fd=fd)
    except OSError:
        os.rename(name, fresh := f"set-aside-{fresh}", src_dir_fd=fd, dst_dir_fd=fd)
    return fresh
