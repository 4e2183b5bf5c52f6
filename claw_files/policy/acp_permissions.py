"""Permissions of ACP agents: one answer per request, from its content and the permission mode.

`approve-reads` lets it look, and say what its own task needs to hear; `approve-all` lets it act in its working folder;
`deny-all` lets it talk. Outside of its folder nothing is allowed in any mode.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import TaskId, Value

READS: Final = frozenset({"read", "search", "think"})
APPROVE_READS, APPROVE_ALL, DENY_ALL = "approve-reads", "approve-all", "deny-all"
# What an agent says with a command of ours about the task it was started for, which comes first behind the word.
OF_ITS_TASK: Final = frozenset({"claim", "progress", "beat", "done", "review", "fail", "block", "need", "release"})
# Reads, and the agent's own files. None of these starts an agent or acts for another one.
OF_ITS_OWN: Final = frozenset(
    {"answer", "inbox", "checkpoint", "task list", "task show", "board", "explain", "prime"},
)
# The programs' own modes that ask before changes: Codex's; Claude Code's and Gemini CLI's.
CAREFUL: Final = ("read-only", "default")
# Arguments that no shell would expand: bare, 'quoted' or "quoted".
# Possessive (`++`): a mismatch is found without backtracking, however long the text.
_WORD = r"(?:[\w./:=@%+,-]++|'[^'\n]*'|\"[^\"$`\\!\n]*\")++"
_PLAIN = pattern(rf"clawfiles(?: ++{_WORD})++")
_NOT_ITS_OWN = ("-C", "--agent", "--body")  # another workspace, another agent, a file from anywhere
_SHELLS: Final = frozenset(
    f"{folder}{name}" for folder in ("", "/bin/", "/usr/bin/", "/usr/local/bin/") for name in ("sh", "bash", "zsh")
)


class Option(Value, frozen=True):
    """One answer that the agent offers."""

    id: str
    kind: str  # allow_once, allow_always, reject_once, reject_always


class PermissionRequest(Value, frozen=True):
    """An agent's request for permission."""

    kind: str | None = None  # as the agent calls it: read, edit, execute, ...
    outside: str | None = None  # a place of it that is not in the working folder
    address: str | None = None  # an address to fetch, including this machine's
    changes: bool = False  # it shows a change of a file, or runs a command, whatever it calls it
    is_report: bool = False  # it only says something about its own task
    options: tuple[Option, ...] = ()


class Decision(Value, frozen=True):
    """The answer to one request, and its reason."""

    allowed: bool
    why: str
    option: str | None = None  # None: no option says it, so the request is answered as cancelled


def decide(mode: str, asked: PermissionRequest) -> Decision:
    """The answer: an option that the agent offers, preferably one that applies only once."""
    allowed, why = may(mode, asked)
    word = "allow" if allowed else "reject"
    by_kind = {option.kind: option.id for option in reversed(asked.options)}
    option = by_kind.get(f"{word}_once", by_kind.get(f"{word}_always"))
    if option is None:
        return Decision(allowed=False, why=f"{why}; it offers no way to say so")
    return Decision(allowed=allowed, why=why, option=option)


def may(mode: str, asked: PermissionRequest) -> tuple[bool, str]:
    """Whether the request is allowed, and why."""
    if mode not in (APPROVE_READS, APPROVE_ALL):
        return False, f"{DENY_ALL} allows nothing"
    if asked.is_report:
        return True, "a report on its own task"
    if asked.outside is not None:
        return False, f"{asked.outside} is outside of its working folder"
    if mode == APPROVE_ALL:
        return True, APPROVE_ALL
    if asked.changes:
        return False, f"{mode} allows no changes and no commands"
    if asked.address is not None:
        return False, f"{mode} does not allow to fetch {asked.address}"
    if asked.kind in READS:
        return True, f"{mode}: {asked.kind}"
    return False, f"{mode} does not allow {asked.kind or 'what it does not name'}"


def is_report(command: str | Sequence[str], task: TaskId | None) -> bool:
    """Whether a command is a plain `clawfiles` command that only reports on the agent's own task.

    Args:
        command: a shell's line, or a program with its arguments, which may be a shell with its line.
        task: the one it was started for.
    """
    if not isinstance(command, str):
        words = list(command)
        if len(words) == 3 and words[0] in _SHELLS and words[1] in ("-c", "-lc"):
            return is_report(words[2], task)
        return _is_word_of_ours(words, task)
    parts = command.strip().split(" && ")
    return all(_PLAIN.fullmatch(part) and _is_word_of_ours(shlex.split(part), task) for part in parts)


def _is_word_of_ours(words: list[str], task: TaskId | None) -> bool:
    if words[:1] != ["clawfiles"] or any(word.startswith(_NOT_ITS_OWN) for word in words[2:]):
        return False
    if " ".join(words[1:2]) in OF_ITS_TASK:
        return task is not None and [word.upper() for word in words[2:3]] == [task]
    return " ".join(words[1:2]) in OF_ITS_OWN or " ".join(words[1:3]) in OF_ITS_OWN


def leads_out(place: str) -> bool:
    """Whether the text of a path leads out of every folder: a home, a variable, an address."""
    return place.startswith(("~", "$")) or "://" in place


def values_in(given: object) -> Iterator[tuple[str, str]]:
    """Every text in a tool's arguments, at any depth, with its key."""
    waiting = [("", given)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping):
            waiting += [*value.items()][::-1]
            waiting += [("path" if key == "changes" else "", name) for name in reversed(value)]
        elif isinstance(value, list):
            waiting += [(key, one) for one in reversed(value)]


def places_in(given: object, is_read: bool = False) -> Iterator[str]:
    """Every path in a tool's arguments: the values of known keys, and every text that looks like a path.

    Args:
        is_read: nothing is written, so that also a text under a key like `content` may be a place.
    """
    for key, text in values_in(given):
        if text.lower().startswith(_WEB) or (key in _PROSE and (not is_read or _SPACE.search(text))):
            continue
        for part in (text, *_APART.split(text)[1:]):
            if part.lower().startswith("file:"):
                part = unquote(part[5:]).replace("//", "", 1) if part[5:8] == "///" else unquote(part[5:])
            if key in _PATHS or part.startswith("/") or leads_out(part) or ".." in _STEP.split(part):
                yield part


def address_in(given: object) -> str | None:
    """An address of a network that a tool is called with, that of this machine included."""
    for key, text in values_in(given):
        start = text.strip().lower()
        if start.startswith(_WEB) or (key.lower() in ("url", "uri", "href") and not start.startswith("file:")):
            return text
    return None


_PATHS: Final = (
    *("path", "file_path", "filePath", "abs_path", "notebook_path", "destination", "new_path", "dir_path", "move_path"),
)
_PROSE: Final = ("command", "content", "new_string", "old_string", "text", "prompt", "description")
_WEB: Final = ("http://", "https://", "ws://", "wss://", "ftp://")
_SPACE, _STEP = pattern(r"\s"), pattern(r"[/\\]")
_APART: Final = pattern(r"[\s,;|{\"'(=](?=[/~$]|\.\./|file:)")  # between places that one text names


def pick_mode(mode: str, offered: Sequence[str], now: str | None) -> str | None:
    """The program's own mode in which it asks for permission; None: the mode is not changed.

    With `approve-all` the program's own configuration decides how much it asks.
    """
    if mode == APPROVE_ALL:
        return None
    careful = next((one for one in CAREFUL if one in offered), None)
    return careful if careful != now else None
