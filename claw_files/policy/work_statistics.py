"""Work statistics from the lines of the journal: durations, outcomes and waits."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

from msgspec.structs import replace

from claw_files.core.journal_events import JournalEvent as E
from claw_files.core.journal_events import Reason
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, State, TaskId, Value
from claw_files.formats.journal import Line
from claw_files.policy.probes import is_probe

TO_WAKE, TO_ACK, UNREAD = "from send to wake", "from wake to acknowledgement", "from send to acknowledgement"
IN_REVIEW, BLOCKED = "in review", "blocked"
_SAYS = {E.CLAIM, E.PROGRESS, E.BEAT, E.DONE, E.REVIEW, E.FAIL, E.BLOCK, E.NEED, E.RELEASE, E.RECORD, E.CARRY}
_MOVES = {*_SAYS, E.FINISH, E.REOPEN, E.APPROVE}  # of these, the state after the line counts
_OVER = {E.APPROVE, E.CANCEL, E.DEAD_LETTER, E.CLOSE, E.UNWATCH, E.RELEASE, E.RETRY, E.NEXT_AGENT, E.AGAIN}


class DurationSummary(Value, frozen=True):
    """The summary of some durations."""

    name: str
    count: int
    median: timedelta
    p90: timedelta
    longest: timedelta
    open: int = 0  # of these, still going on


class AttemptEnds(Value, frozen=True):
    """The ends of an agent's attempts."""

    agent: str
    done: int
    failed: int
    attempts: float | None  # of what was done, on average

    @property
    def success(self) -> float | None:
        """The share of successful attempts; 1.0 for all."""
        return self.done / (self.done + self.failed) if self.done + self.failed else None


class WakeRate(Value, frozen=True):
    """How often an agent with a model acted when it was woken."""

    agent: str
    model: str
    woken: int
    acted: int


class Stats(Value, frozen=True):
    """All statistics of a period. Probes are only in `probes`."""

    by_type: tuple[DurationSummary, ...] = ()  # from the first send, or claim, to done
    by_agent: tuple[DurationSummary, ...] = ()
    ends: tuple[AttemptEnds, ...] = ()
    first_wakes: tuple[WakeRate, ...] = ()  # acknowledged before anything was sent again
    waits: tuple[DurationSummary, ...] = ()
    dead_letters: tuple[TaskId, ...] = ()
    probes: tuple[WakeRate, ...] = ()
    runs: tuple[str, ...] = ()  # the ids of those that were started


class _Story:
    """The state of one task while its lines are read."""

    def __init__(self) -> None:
        self.agent: AgentId | None = None
        self.started: datetime | None = None
        self.sent: datetime | None = None  # and nothing more
        self.woken: datetime | None = None  # and no word yet
        self.first: tuple[str, str] | None = None  # whom the first wake waits for
        self.since: dict[str, datetime] = {}  # blocked, in review
        self.attempts: set[Key] = set()
        self.done: datetime | None = None
        self.unverified = False  # done, and its route's check has not passed yet


class _Fold:
    def __init__(
        self, since: datetime, types: Mapping[TaskId, str], reviewed: Collection[str], checked: Collection[str]
    ) -> None:
        self.since, self.types, self.reviewed, self.checked = since, types, reviewed, checked
        self.stories: dict[TaskId, _Story] = {}
        self.waits = defaultdict[str, list[timedelta]](list)
        self.failed = Counter[str]()
        self.wakes: dict[tuple[str, str], list[int]] = {}
        self.probes: dict[tuple[str, str], list[int]] = {}
        self.dead: dict[TaskId, None] = {}
        self.runs: dict[str, None] = {}

    def take(self, line: Line) -> None:
        """Take one line, in the order of the journal."""
        if line.action == E.PROBE:
            self._count(self.probes, line, line.reason is Reason.ACTS)
        if line.task is None or is_probe(line.task):
            return
        story = self.stories.setdefault(line.task, _Story())
        key = Key.parse(line.key or "")
        if line.action == E.SEND and key.is_attempt and key.name == line.task.lower():
            self._sent(story, line, key)
        elif line.action == E.WAKE:
            self._woken(story, line, key)
        else:
            self._moved(story, line, key)

    def _sent(self, story: _Story, line: Line, key: Key) -> None:
        story.started = story.started or line.at
        story.sent, story.woken, story.first = line.at, None, None
        story.agent = line.agent
        story.attempts.add(key)

    def _woken(self, story: _Story, line: Line, run: Key) -> None:
        if line.at >= self.since:
            self.runs[line.key or ""] = None
        if replace(run, send=None) not in story.attempts:
            return  # of a question, a nudge
        if story.sent:
            self._waited(TO_WAKE, story.sent, line.at)
        story.sent, story.woken = None, line.at
        if run.send == 1:
            story.first = (str(line.agent or "-"), line.model or "-")
            self._count(self.wakes, line, False)

    def _moved(self, story: _Story, line: Line, key: Key) -> None:
        if _is_word_of_agent(line, key):
            self._acknowledged(story, line)
        if line.action == E.AGAIN:
            self._drained(story, key)
        if line.action in (E.RESEND, E.FAIL, E.NEXT_AGENT):
            story.first = None
        # The outputs were missing. The line about the agent's message is not a move, and does not count.
        is_redo = line.action == E.REOPEN and key.what.endswith("redo") and line.after is not None
        if (line.action == E.FAIL or is_redo) and line.at >= self.since:
            self.failed[str((story.agent if is_redo else line.agent) or "-")] += 1
        if line.action == E.DEAD_LETTER and line.at >= self.since and line.task:
            self.dead[line.task] = None
        self._stood(story, line)

    def _drained(self, story: _Story, key: Key) -> None:
        """A stopping daemon ended the attempt: neither the attempt nor its wake counts against the agent."""
        story.attempts.discard(replace(key, what=""))
        counts = self.wakes.get(story.first) if story.first else None
        if counts and story.woken and story.woken >= self.since:
            counts[0] -= 1

    def _acknowledged(self, story: _Story, line: Line) -> None:
        story.started = story.started or line.at
        story.agent = story.agent or line.agent
        if story.woken:
            self._waited(TO_ACK, story.woken, line.at)
        elif story.sent:
            self._waited(UNREAD, story.sent, line.at)
        if story.first and line.at >= self.since and story.first in self.wakes:
            self.wakes[story.first][1] += 1
        story.sent = story.woken = story.first = None

    def _stood(self, story: _Story, line: Line) -> None:
        """The task's state after the line: blocked, in review, done, or in progress."""
        stands = self._state_after(line)
        if line.action in (E.VERIFIED, E.CLOSE) and story.unverified:
            stands = "done"
        elif stands == "done" and self.types.get(line.task or TaskId("")) in self.checked:
            stands = "unverified"
        if stands is None:
            return
        story.unverified = stands == "unverified"
        for name in [name for name in story.since if name != stands]:
            self._waited(name, story.since.pop(name), line.at)
        if stands in (BLOCKED, IN_REVIEW):
            story.since.setdefault(stands, line.at)
        story.done = line.at if stands == "done" else story.done if line.action in (E.CLOSE, E.UNWATCH) else None
        if line.action in _OVER:
            story.sent = story.woken = story.first = None

    def _state_after(self, line: Line) -> str | None:
        if line.action in _OVER and line.action != E.APPROVE:
            return "at work"
        if line.after is None or line.action not in _MOVES or line.action == E.BEAT:
            return None
        is_reviewed = self.types.get(line.task or TaskId("")) in self.reviewed and line.action != E.APPROVE
        named = {State.REVIEW: IN_REVIEW, State.BLOCKED: BLOCKED, State.DONE: IN_REVIEW if is_reviewed else "done"}
        return named.get(line.after, "at work")

    def _waited(self, name: str, start: datetime, end: datetime) -> None:
        if end >= self.since:
            self.waits[name].append(max(end - start, timedelta(0)))

    def _count(self, where: dict[tuple[str, str], list[int]], line: Line, acted: bool) -> None:
        if line.at >= self.since:
            counts = where.setdefault((str(line.agent or "-"), line.model or "-"), [0, 0])
            counts[0] += 1
            counts[1] += acted

    def open_waits(self) -> Iterator[tuple[str, datetime]]:
        """The waits that are open at the end of the journal."""
        for story in self.stories.values():
            if story.sent:
                yield TO_WAKE, story.sent
            if story.woken:
                yield TO_ACK, story.woken
            yield from story.since.items()


def fold(
    lines: Iterable[Line],
    since: datetime,
    now: datetime,
    types: Mapping[TaskId, str],
    reviewed: Collection[str],
    checked: Collection[str] = (),
) -> Stats:
    """The statistics of the time from `since` to `now`.

    Args:
        lines: in the order of the journal; earlier ones as well, so that what began before is measured from there.
        types: of the tasks, as far as they have one.
        reviewed: the types whose route asks for a review.
        checked: the types whose route names a check: they are done when it has passed.
    """
    state = _Fold(since, types, reviewed, checked)
    for line in lines:
        state.take(line)
    pending = defaultdict[str, list[timedelta]](list)
    for name, start in state.open_waits():
        pending[name].append(max(now - start, timedelta(0)))
    waits = [(name, state.waits[name], pending[name]) for name in (TO_WAKE, TO_ACK, UNREAD, IN_REVIEW, BLOCKED)]
    done = {task: story for task, story in state.stories.items() if story.done and story.done >= since}
    return Stats(
        by_type=_lengths(done, lambda task, story: types.get(task, "-")),
        by_agent=_lengths(done, lambda task, story: str(story.agent or "-")),
        ends=_ends(done.values(), state.failed),
        first_wakes=_acting(state.wakes),
        waits=tuple(_times(name, [*past, *going], len(going)) for name, past, going in waits if past or going),
        dead_letters=tuple(state.dead),
        probes=_acting(state.probes),
        runs=tuple(state.runs),
    )


def _is_word_of_agent(line: Line, key: Key) -> bool:
    """Whether the line records an action of the task's agent; a worker acts through its result."""
    if line.action in (E.FINISH, E.FAIL) and key.what == "result":
        return True
    is_ours = key.what == "fail" or line.reason is Reason.WORKER_STARTS
    return line.action in _SAYS and not is_ours


def _lengths(done: Mapping[TaskId, _Story], name: Callable[[TaskId, _Story], str]) -> tuple[DurationSummary, ...]:
    groups = defaultdict[str, list[timedelta]](list)
    for task, story in done.items():
        if story.done and story.started:
            groups[name(task, story)].append(max(story.done - story.started, timedelta(0)))
    return tuple(_times(group, groups[group]) for group in sorted(groups))


def _ends(done: Collection[_Story], failed: Mapping[str, int]) -> tuple[AttemptEnds, ...]:
    agents: dict[str, list[int]] = {name: [] for name in failed}
    for story in done:
        agents.setdefault(str(story.agent or "-"), []).append(max(len(story.attempts), 1))
    mean = {name: round(sum(them) / len(them), 2) if them else None for name, them in agents.items()}
    each = ((name, len(agents[name]), failed.get(name, 0)) for name in sorted(agents))
    return tuple(AttemptEnds(agent=name, done=good, failed=bad, attempts=mean[name]) for name, good, bad in each)


def _acting(counts: Mapping[tuple[str, str], Sequence[int]]) -> tuple[WakeRate, ...]:
    found = sorted((key, n) for key, n in counts.items() if n[0])
    return tuple(WakeRate(agent=key[0], model=key[1], woken=n[0], acted=n[1]) for key, n in found)


def _times(name: str, lengths: Sequence[timedelta], is_open: int = 0) -> DurationSummary:
    order = sorted(lengths)
    median = (order[(len(order) - 1) // 2] + order[len(order) // 2]) / 2
    p90 = order[ceil(0.9 * len(order)) - 1]
    return DurationSummary(name=name, count=len(order), median=median, p90=p90, longest=order[-1], open=is_open)
