"""The folders that the daemon watches, the paths in them that count, and the survey of a rescan."""

import os
from collections.abc import Iterator
from contextlib import suppress

from claw_files.app.wiring import PRIVATE, App
from claw_files.config.channels import FILE
from claw_files.core.errors import ClawError
from claw_files.core.lazy_regex import pattern
from claw_files.services.admin.daemon_state import CANARY, FOLDER
from claw_files.storage.places import FOLDER as COMPARTMENTS
from claw_files.storage.workspace import CONFIG
from claw_files.system.files import Files, Survey
from claw_files.system.paths import is_dropping

RUNS = f"{PRIVATE}/runs"
OWN = f"{PRIVATE}/{FOLDER}"
CANARY_PATH = f"{OWN}/{CANARY}"
_FIXED = ("status", "dead-letter", "checkpoints", "events", "events/new", "inbox", "outbox", "briefs", RUNS)

_IN_COMPARTMENT = pattern(rf"^{COMPARTMENTS}/[^/]*/")
_INNER = ("archive", "old")  # status/archive, checkpoints/old


class Folders:
    """The watched folders of one workspace and configuration; returned paths are relative to its root."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ledger = app.settings.workspace.ledger
        agents = app.settings.agents.values()
        inboxes = [path for agent in agents for path in (f"inbox/{agent.name}", f"inbox/{agent.name}/new")]
        self._homes = [agent.own_folder for agent in agents if agent.own_folder]
        self._fixed = [*_FIXED, *(f"{home}/{path}" for home in self._homes for path in _FIXED)]
        self._inboxes = [*inboxes, *(f"{home}/{path}" for home in self._homes for path in inboxes)]
        channels = (channel for agent in agents for channel in agent.channels if channel.startswith(FILE))
        # People tick boxes in these files.
        self._papers = list(dict.fromkeys(channel.removeprefix(FILE) for channel in channels))
        self._outside = sorted({agent.workspace for agent in agents if agent.workspace})

    def all(self) -> list[str]:
        """Absolute paths, without folders that are links."""
        ledgers = [f"{home}/{self._ledger}".rpartition("/")[0] for home in self._homes]
        papers = [path.rpartition("/")[0] for path in self._papers]
        own = ["", OWN, *self._fixed, *self._inboxes, self._ledger.rpartition("/")[0], *self._homes, *ledgers, *papers]
        inside = [os.path.join(self._app.root, path) if path else self._app.root for path in dict.fromkeys(own)]
        return [path for path in inside if path == self._app.root or not os.path.islink(path)] + [
            os.path.join(os.path.normpath(os.path.join(self._app.root, folder)), "status") for folder in self._outside
        ]

    def relative(self, path: str) -> str:
        """The hint as a path relative to the root, even outside of it."""
        return os.path.relpath(path, self._app.root)

    def counts(self, path: str) -> bool:
        """Whether something at this (relative) path may give a tick something to do."""
        folder, _, name = path.rpartition("/")
        if is_dropping(name or path) or path in (".", OWN, PRIVATE) or folder == OWN:
            return False
        if not folder:
            return path in (self._ledger, CONFIG, *self._papers, *_FIXED)
        home = next((home for home in self._homes if f"{path}/".startswith(f"{home}/")), None)
        if home and folder in (home, COMPARTMENTS):
            return path.removeprefix(f"{home}/") in (self._ledger, *_FIXED)
        return home is not None or not folder.startswith(COMPARTMENTS)

    def survey(self) -> dict[str, frozenset[Survey]]:
        """Everything that counts, by (relative) folder: one stat per name."""
        outside = [os.path.normpath(f"{folder}/status") for folder in self._outside]
        return {folder: self.survey_of(folder) for folder in ("", *self._fixed, *self._inboxes, *outside)}

    def survey_of(self, folder: str) -> frozenset[Survey]:
        """The content of one (relative) folder; for the root only names that count."""
        if not folder:
            return frozenset(self._single())
        for other in self._outside:
            if folder == os.path.normpath(f"{other}/status"):
                files = self._app.workspace.outside(other)
                return _survey(files, "status") if files is not None else frozenset()
        return _survey(self._app.files, folder)

    def _single(self) -> Iterator[Survey]:
        for path in (self._ledger, CONFIG, *self._papers, *(f"{home}/{self._ledger}" for home in self._homes)):
            if stamp := self._app.files.stamp(path):
                yield path, stamp.mtime_ns, stamp.size_bytes, stamp.inode


def _survey(files: Files, folder: str) -> frozenset[Survey]:
    """The content of a folder; of its subfolders only the names, because their content changes their times."""
    with suppress(ClawError):  # not a folder: the tick reports it
        inner = _IN_COMPARTMENT.sub("", folder)
        if inner in ("inbox", "events") or (inner.startswith("inbox/") and inner.count("/") == 1):
            return frozenset((name, 0, 0, 0) for name in files.names(folder))
        return frozenset(entry for entry in files.survey(folder) if entry[0] not in _INNER)
    return frozenset()


def differing(before: dict[str, frozenset[Survey]], now: dict[str, frozenset[Survey]]) -> set[str]:
    """The (relative) paths that are new, missing or changed between two surveys."""
    found = set[str]()
    for folder in before.keys() | now.keys():
        # The same object, or equal: one comparison of hashes for a folder in which nothing happened.
        there, was = now.get(folder, frozenset()), before.get(folder, frozenset())
        if there != was:
            found |= {f"{folder}/{entry[0]}" if folder else entry[0] for entry in there ^ was}
    return found
