"""Failures that no task's ledger line shows: the monitor is told of each once, under a key of its own."""

from datetime import datetime

from claw_files.core import text
from claw_files.core.digest import digest
from claw_files.policy.snapshot import Action, Snapshot, tell_once

MOST = 20  # told in one tick


FOLDERS = {  # what files in a folder mean: the beginning of a key, and what to do
    "events/failed": ("event-failed", "work of a due time that could not all be started; `clawfiles log` says why"),
    "events/new": ("event-unknown", "an event that no schedule made: nothing handles it; remove it"),
    "events": ("event-unknown", "a file beside the folders of events: nothing handles it; remove it"),
    "quarantine": ("set-aside", "a message that could not be read was set aside; its sender can send it again"),
}
_OTHER = ("not-looked-at", "it cannot be read; work that needs it waits until it is repaired")


def plan_faults(snap: Snapshot, now: datetime) -> list[Action]:
    """Messages about failures that the monitor has not been told of."""
    monitor, found = snap.settings.monitor, list[Action]()
    for path in snap.faults:
        folder, _, name = path.rpartition("/")
        kind, meaning = FOLDERS.get(folder, _OTHER)
        name = name if folder in FOLDERS else path
        key = f"{kind}.{digest(name.encode('utf-8', 'surrogateescape'), 8)}"
        found += tell_once(snap, monitor, key, kind, f"{text.safe(path, 300)}: {meaning}.")
    return found[:MOST]
