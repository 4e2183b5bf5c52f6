"""Failures in corners that no task's line tells of: each is told to the monitor once, under a key of its own."""

from claw_files import words
from claw_files.digest import digest
from claw_files.model import Kind, Value
from claw_files.rules.snapshot import Act, Action, Snapshot

MOST = 20  # told in one tick


class Where(Value, frozen=True):
    """What files in a folder mean, and what to do."""

    key: str
    text: str


FOLDERS = {
    "events/failed": Where(
        key="event-failed", text="a due time whose work could not be started or not all of it; `clawfiles log` says why"
    ),
    "events/new": Where(key="event-unknown", text="an event that no schedule made: nothing handles it; take it away"),
    "events": Where(key="event-unknown", text="a file beside the folders of events: nothing handles it; take it away"),
    "quarantine": Where(
        key="set-aside", text="a message that could not be read was set aside; its sender may send it again"
    ),
}
_OTHER = Where(key="not-looked-at", text="it cannot be looked into; what is needed from it waits until it is put right")


def plan_faults(snap: Snapshot) -> list[Action]:
    """What went wrong and was not told yet."""
    monitor, found = snap.settings.monitor, list[Action]()
    for path in snap.faults:
        folder, _, name = path.rpartition("/")
        where = FOLDERS.get(folder, _OTHER)
        name = name if folder in FOLDERS else path
        key = f"{where.key}.{digest(name.encode('utf-8', 'surrogateescape'), 8)}"
        if snap.told.get(f"{monitor}/{key}") is None:
            text = f"{words.safe(path, 300)}: {where.text}."
            found.append(Action(act=Act.ESCALATE, agent=monitor, key=key, why=where.key, text=text, kind=Kind.ANNOUNCE))
    return found[:MOST]
