"""Quiet hours: inside a window nothing is announced to people, even if the clocks change that night.

The local clock counts: an instant is quiet if its time in the zone is inside a window.
So a reading that exists twice is quiet twice, and one that is skipped never was. A window whose start equals its end
is empty.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from claw_files.config import Settings, Window
from claw_files.core.model import AgentId, Message

_HORIZON = timedelta(days=2)  # no stretch of windows that leaves any time of day free lasts longer


def windows_of(settings: Settings, agent: AgentId | None = None) -> tuple[Window, ...]:
    """The workspace's windows and, with `agent`, its own; all in the zone of `settings.quiet_hours`."""
    own = settings.agents[agent].quiet_hours if agent in settings.agents else ()
    return settings.quiet_hours.windows + own


def held_until(settings: Settings, agent: AgentId, at: datetime, critical: bool = False) -> datetime | None:
    """The end of the agent's quiet hours that hold back an announcement at `at`; None without any.

    This one function decides about quiet hours; what is critical passes if `quiet_hours.critical_passes` says so.
    """
    if critical and settings.quiet_hours.critical_passes:
        return None
    return until(at, windows_of(settings, agent), settings.quiet_hours.zone)


def held_since_sent(settings: Settings, message: Message | None) -> datetime | None:
    """Until when a message to a person was held back when it was sent; None for other messages."""
    if message is None or message.sent is None or not settings.is_human(message.to):
        return None
    return held_until(settings, message.to, message.sent, message.critical)


def is_quiet(now: datetime, windows: Sequence[Window], zone: tzinfo) -> bool:
    """Whether the clock in `zone` is inside one of the windows at `now` (aware)."""
    reading = now.astimezone(zone).time()
    return any(_contains(window, reading) for window in windows)


def until(now: datetime, windows: Sequence[Window], zone: tzinfo) -> datetime | None:
    """The end (aware, UTC) of the quiet hours around `now`, across adjoining or overlapping windows; None outside.

    Windows that cover the whole day, which the configuration refuses, end after two days here.
    """
    if not is_quiet(now, windows, zone):
        return None
    ends = sorted(end for end in _possible_ends(now, windows, zone) if end > now)
    return next((end for end in ends if not is_quiet(end, windows, zone)), now.astimezone(UTC) + _HORIZON)


def _contains(window: Window, reading: time) -> bool:
    start, end = window
    return start <= reading < end if start <= end else not end <= reading < start


def _possible_ends(now: datetime, windows: Sequence[Window], zone: tzinfo) -> Iterator[datetime]:
    """Every instant of the next two days at which a window may end: its end, and clock changes."""
    today = now.astimezone(zone).date()
    for days in range(-1, _HORIZON.days + 1):
        day = today + timedelta(days=days)
        for _, end in windows:
            for fold in (0, 1):
                yield datetime.combine(day, end, zone).replace(fold=fold).astimezone(UTC)
    yield from changes(now.astimezone(UTC), now.astimezone(UTC) + _HORIZON, zone)


def changes(start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    """The instants (UTC, whole seconds) after `start` and up to `end` at which the zone's offset from UTC changes.

    Two changes within twelve hours, which no zone has had, would be missed.
    """
    start = start.replace(microsecond=0)
    while start < end:
        stop = min(start + timedelta(hours=12), end)
        if start.astimezone(zone).utcoffset() != stop.astimezone(zone).utcoffset():
            yield _change(start, stop, zone)
        start = stop


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first second with the offset of `after`, which differs from that of `before`."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, -int((before - after).total_seconds() // 1)
    while high - low > 1:
        middle = (low + high) // 2
        same = (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset
        low, high = (middle, high) if same else (low, middle)
    return before + timedelta(seconds=high)
