"""Due times of schedules: each once, across downtime, clock steps and daylight saving.

A cron line names readings of the clock in a zone. When clocks are changed we do as the cron of Debian does: a line with
fixed times ("30 2 * * *") fires once a day, at the end of the gap when its reading is skipped, the first time when it
exists twice. A line whose minute or hour begins with `*` goes by real time: what is skipped is not made up for, and the
hour that exists twice is kept twice. Two readings that fall on one instant are one due time.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from claw_files.core.digest import digest
from claw_files.core.model import Value
from claw_files.policy.quiet_hours import changes

_NEAR = timedelta(days=2)  # further from a change of clocks, readings follow each other as instants do
SECOND = timedelta(seconds=1)
FAR = timedelta(days=1)  # a clock that is put back by less owes nothing until it has caught up
GONE = "gone"  # the word of a counting mark: a tick saw that the schedule is out of the configuration


class EventMarks(Value, frozen=True):
    """The facts in the names of a schedule's event files. Instants are aware, UTC.

    A mark that is more than a day ahead was made by a clock that was wrong: it counts for nothing.
    """

    # Due times with an event; and, with a digest of `rule` or GONE, the start or end of counting.
    found: tuple[tuple[datetime, str | None], ...] = ()

    def last(self, now: datetime) -> datetime | None:
        """The instant after which due times are still owed; None: nothing is known."""
        return max((at for at, _ in self.found if at <= now + FAR), default=None)

    def word(self, now: datetime) -> str | None:
        """The digest of the current rule, or GONE; None if no name has one, as in older versions."""
        return max(((at, word) for at, word in self.found if word and at <= now + FAR), default=(now, None))[1]

    def ahead(self, now: datetime) -> datetime | None:
        """The newest mark that does not count."""
        return max((at for at, _ in self.found if at > now + FAR), default=None)


def rule(cron: str, timezone: str) -> str:
    """Eight characters for the times that a schedule names: others after its line or the zone was changed."""
    return digest(f"{' '.join(cron.split())} {timezone}".encode(), 4)


def due(
    cron: str,
    zone: tzinfo,
    last: datetime | None,
    now: datetime,
    catch_up: Literal["once", "skip"] = "once",
    grace: timedelta = timedelta(hours=1),
) -> tuple[datetime, ...]:
    """The due time to handle now, or none: the latest (aware, UTC) after `last` and up to `now`.

    Earlier ones that were missed since `last` are covered by it. Whoever acts on it passes it as `last` next time. A
    clock that is set back owes nothing until it has passed `last` again.

    Args:
        cron: five fields, checked by the configuration.
        last: the latest instant that was acted on, exclusive; before the first, the instant from which the schedule
            counts. None: nothing is known, so nothing is owed and counting starts at `now`.
        catch_up: with "skip", what is older than `grace` is not made up for.
    """
    latest = last_due(cron, zone, now) if last is not None else None
    if latest is None or last is None or latest <= last:
        return ()
    return () if catch_up == "skip" and now - latest > grace else (latest,)


def last_due(cron: str, zone: tzinfo, now: datetime) -> datetime | None:
    """The latest due time up to and including `now`; None if there is none in the fifty years before."""
    return _nearest(cron, zone, now, reverse=True)


def next_due(cron: str, zone: tzinfo, after: datetime) -> datetime | None:
    """The first due time after `after`; None if there is none in fifty years."""
    return _nearest(cron, zone, after, reverse=False)


def _nearest(cron: str, zone: tzinfo, start: datetime, reverse: bool) -> datetime | None:
    """The due time nearest to `start`: with `reverse` the last one up to it, else the first one after it."""
    from cronsim import CronSim

    shift, pick, away = _shift(start, zone), max if reverse else min, -1 if reverse else 1
    first, found = None, list[datetime]()
    reading = start.astimezone(zone).replace(tzinfo=None, microsecond=0)
    for wall in CronSim(cron, reading - away * (shift + SECOND), reverse=reverse):  # they know of no daylight saving
        # A clock change reorders readings by at most its shift, so a later reading cannot be nearer.
        if first is not None and (wall - first) * away > shift:
            break
        here = [at for at in _instants(cron, wall, zone) if (at <= start) is reverse]
        first = wall if first is None and here else first
        found += here
    return pick(found, default=None)


def _instants(cron: str, wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """When that reading is due: an instant, or two, or none (UTC)."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # As in Vixie cron: wildcard schedules follow real time, fixed times run exactly once on such a day.
    by_real_time = any(field.startswith("*") for field in cron.split()[:2])
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return (first, second) if by_real_time and second != first else (first,)
    # The clock skips this time. PEP 495's two folds are on either side of the change.
    return () if by_real_time else tuple(changes(second - SECOND, first, zone))[:1]


def _shift(at: datetime, zone: tzinfo) -> timedelta:
    """The clock change around `at`; zero on almost every day."""
    at = at.astimezone(UTC)
    found = changes(at - _NEAR, at + _NEAR, zone)
    return sum((abs(_offset(change, zone) - _offset(change - SECOND, zone)) for change in found), timedelta(0))


def _offset(at: datetime, zone: tzinfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)
