"""What the daemon says of itself, in `.clawfiles/daemon/state`: for `daemon status`, and for commands that must know
that it is draining. It holds only while the daemon's lock is held, so a daemon that was killed says nothing."""

from datetime import datetime, timedelta

import msgspec

from claw_files.core.errors import Draining
from claw_files.core.model import Value
from claw_files.storage.locks import Locks
from claw_files.system.cache import SharedCache

ENDING = timedelta(seconds=60)  # beside the drain: saving and ending what is left takes its time, too
LOCK = "daemon"
FOLDER = "daemon"  # in .clawfiles
STATE, CANARY, STOP = "state", "canary", "stop"


class WatchHealth(Value, frozen=True):
    """How well the folder is seen."""

    backend: str = ""  # "events" or "polling"
    last_canary: datetime | None = None  # when the canary's event came back last
    faults: dict[str, int] = msgspec.field(default_factory=dict)  # how often each was met
    last_fault: str | None = None
    missed: int = 0  # changes that a rescan found and no event had told
    rescans: int = 0


class LastTick(Value, frozen=True):
    at: datetime
    actions: int = 0
    problems: tuple[str, ...] = ()


class DaemonState(Value, frozen=True):
    """One daemon at one moment."""

    pid: int
    epoch: str
    since: datetime
    watch: WatchHealth = WatchHealth()
    last_tick: LastTick | None = None
    next_due: datetime | None = None
    runs: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()  # keys of messages that wait for their agent to be woken
    draining_until: datetime | None = None
    reload_error: str | None = None


class StopOrder(Value, frozen=True):
    """How long `daemon stop` lets what runs go on."""

    epoch: str
    drain: timedelta


def private(root: str) -> SharedCache:
    """The daemon's own folder in .clawfiles."""
    return SharedCache(root, FOLDER)


def is_running(root: str) -> bool:
    """Whether a daemon holds the workspace."""
    return Locks(root).is_held(LOCK)


def load(root: str) -> DaemonState | None:
    """The state of the running daemon; None without one, or before its first state."""
    found = private(root).known(STATE, DaemonState)
    return found if found and is_running(root) else None


def save(root: str, state: DaemonState) -> None:
    private(root).keep(STATE, state)


def draining_until(root: str) -> datetime | None:
    """When the daemon that is on its way out will be gone; None where none is. Costs one attempt to open a file."""
    state = private(root).known(STATE, DaemonState)
    return state.draining_until if state and state.draining_until and is_running(root) else None


def check_takes_work(root: str, now: datetime) -> None:
    """Raises Draining while a daemon is on its way out."""
    if until := draining_until(root):
        raise Draining(max(0, round((until - now).total_seconds())))


def order_stop(root: str, epoch: str, drain: timedelta) -> None:
    """Leave word for the daemon of that epoch how long it may take; SIGTERM makes it look."""
    private(root).keep(STOP, StopOrder(epoch=epoch, drain=drain))


def stop_order(root: str, epoch: str) -> timedelta | None:
    """The stop order for the daemon of that epoch."""
    order = private(root).known(STOP, StopOrder)
    return order.drain if order and order.epoch == epoch else None
