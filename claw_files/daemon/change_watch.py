"""Watches the folder for changes, and checks that the watches work.

Events are hints; a rescan is the truth, and counts what events had missed. Whatever can make us blind is looked for
every second, and a canary file must be seen to change once a minute.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from claw_files.daemon.change_hints import ChangeHints
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.observers import Watcher, WatchFault
from claw_files.daemon.watched_folders import CANARY_PATH, Folders, differing
from claw_files.services.admin.daemon_state import CANARY, WatchHealth, private
from claw_files.system.clock import Clock
from claw_files.system.files import Survey
from claw_files.system.randomness import token

LOOK_SECONDS = 1.0
CANARY_SECONDS = 60.0
CANARY_PATIENCE = 4.0
ASLEEP_SECONDS = 3.0  # between two looks: this process, or the machine, was stopped
EVENTS_AGAIN_SECONDS = 600.0  # after which watching is tried again where the system had no watches left
# An event may be later than the survey that found its change: it comes through three threads.
SETTLE_SECONDS, MOST_SETTLE_SECONDS = 0.7, 3.0

Make = Callable[[bool, Callable[[str], None]], Watcher]
"""Makes a watcher: whether to poll, and whom to tell. Raises OSError when it must poll and does not."""


class ChangeWatch:
    """Watches one workspace for its daemon."""

    def __init__(self, root: str, clock: Clock, hints: ChangeHints, log: DaemonLog, make: Make, polling: bool) -> None:
        """`polling`: never try events."""
        self._root, self._clock, self._hints, self._log, self._make = root, clock, hints, log, make
        self._polling = polling
        self._folders: Folders | None = None
        self._watcher: Watcher | None = None
        self._again = float("inf")  # when events are tried again
        self._look_at = self._canary_at = 0.0
        self._canary_since: float | None = None
        self._survey: dict[str, frozenset[Survey]] | None = None
        self._told = set[str]()  # since the last rescan
        self._unwatched_at = float("-inf")
        self.health = WatchHealth()
        self.wants_rescan = False

    def aim(self, folders: Folders) -> None:
        """Watch these folders: at the start, and whenever the configuration has changed."""
        self._folders, self._survey, self.wants_rescan = folders, None, True
        private(self._root).save(CANARY, b"")  # so that the folder is there
        self._set()

    def turn(self) -> None:
        """About once a second: follow new and removed folders, check for faults, update the canary."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        if self._canary_since is not None and now - self._look_at > ASLEEP_SECONDS:
            self._canary_since = now  # its event waits, as we did
        self._look_at = now + LOOK_SECONDS
        if now >= self._again:
            self._close()
        self._set()
        for fault in self._watcher.look() if self._watcher else []:
            self._met(fault)
        self._keep_canary(now)

    def sort(self, hints: Iterable[str]) -> set[str]:
        """The hints that count, relative to the root."""
        assert self._folders is not None
        paths = {self._folders.relative(hint) for hint in hints}
        if CANARY_PATH in paths and self._canary_since is not None:
            self._canary_since = None
            self.health = replace(self.health, last_canary=self._clock.now())
        counting = {path for path in paths if self._folders.counts(path)}
        self._told |= counting
        for folder in counting & (self._survey or {}).keys():
            self._survey = {**(self._survey or {}), folder: self._folders.survey_of(folder)}  # watched since just now
        return counting

    def rescan(self) -> set[str]:
        """All changes since the last rescan, with or without an event. The first one only records the state."""
        assert self._folders is not None
        self.wants_rescan = False
        survey = self._folders.survey()
        changed = differing(self._survey, survey) if self._survey is not None else set()
        unseen = changed - self._told
        self._survey, self._told = survey, set()  # first: later hints are for the next rescan
        changed |= self._count_missed(unseen)
        self.health = replace(self.health, rescans=self.health.rescans + 1)
        return changed

    def close(self) -> None:
        """Watch nothing any more."""
        self._close()

    # --- how it is watched

    def _set(self) -> None:
        """Watch the current folders; poll them if the system has no watches left."""
        assert self._folders is not None
        try:
            if self._watcher is None:
                self._watcher = self._make(self._polling, self._hints.add)
                self.health = replace(self.health, backend=self._watcher.backend)
            self._watcher.watch(self._folders.all())
        except OSError as wrong:
            self._fall_back(wrong)

    def _fall_back(self, wrong: OSError) -> None:
        assert self._folders is not None
        self._note(WatchFault.NO_WATCHES, f"the folders are polled: {wrong.strerror or wrong}")
        self._close()
        self._again = self._clock.monotonic() + EVENTS_AGAIN_SECONDS
        self._watcher = self._make(True, self._hints.add)
        self.health = replace(self.health, backend=self._watcher.backend)
        self._watcher.watch(self._folders.all())
        self.wants_rescan = True

    def _met(self, fault: WatchFault) -> None:
        self._note(fault, "watching the folders again" if fault is not WatchFault.OVERFLOW else "events were lost")
        self.wants_rescan = True
        if fault is WatchFault.OVERFLOW:
            return
        if fault is WatchFault.UNWATCHED and self._unwatched_twice():
            self._fall_back(OSError(0, "watches are set and do not hold"))
            return
        self._close()
        self._set()

    def _unwatched_twice(self) -> bool:
        """Whether watching anew did not help the last time, a few seconds ago."""
        now = self._clock.monotonic()
        twice, self._unwatched_at = now - self._unwatched_at < 5 * LOOK_SECONDS, now
        return twice

    def _note(self, fault: WatchFault, sentence: str) -> None:
        faults = {**self.health.faults, str(fault): self.health.faults.get(fault, 0) + 1}
        self.health = replace(self.health, faults=faults, last_fault=str(fault))
        self._log.say("watch", sentence, fault=str(fault))

    def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._watcher, self._again, self._canary_since = None, float("inf"), None
        self._canary_at = 0.0  # whatever watches next shows at once that it sees

    # --- whether it is seen

    def _keep_canary(self, now: float) -> None:
        if self._canary_since is not None:
            if now - self._canary_since >= CANARY_PATIENCE:
                self._canary_since = None
                self._met(WatchFault.NO_EVENTS)
        elif now >= self._canary_at:
            self._canary_at = now + CANARY_SECONDS
            song = token(8).encode()
            self._canary_since = now
            private(self._root).save(CANARY, song)
            if private(self._root).load(CANARY) != song:  # the disk refused the write, so no event was possible
                self._canary_since = None

    def _count_missed(self, unseen: set[str]) -> set[str]:
        """Count changes without an event, after pending events have arrived; returns those.

        It is now or never: the tick that follows writes to the same files, and that makes events, too.
        """
        told, end = set[str](), self._clock.monotonic() + MOST_SETTLE_SECONDS
        while unseen and self._clock.monotonic() < end and self._hints.wait(SETTLE_SECONDS):
            fresh = self.sort(self._hints.take())
            told, unseen = told | fresh, unseen - fresh
            if folders := fresh & (self._survey or {}).keys():  # watched since just now
                unseen = {path for path in unseen if path.rpartition("/")[0] not in folders}
        if unseen:
            self.health = replace(self.health, missed=self.health.missed + len(unseen))
            some = ", ".join(sorted(unseen)[:5])
            self._log.say("missed", f"changed without an event: {some}", count=len(unseen))
        return told
