"""Who waits for whom: which waiting message may start its run now, and what is ahead of each that may not.

Two layers: one run at a time in each lane, in the order in which the messages were sent, and `limits.runs` over all
lanes. Beside them an agent's own `runs`, the rate of spawns, the rates of models, and the agents' breakers.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core.model import AgentId, KeyText, Kind, Message, Run, RunId, Task, Value
from claw_files.policy import budgets, resilience, routing, wake_budget
from claw_files.policy.line_planner import breakers_due
from claw_files.policy.rule_context import breaker_of, lane
from claw_files.policy.snapshot import Act, Action, Snapshot

MINUTE = timedelta(minutes=1)
LONG = timedelta(seconds=2)  # whoever waits longer is worth a line in the log
FIRST = 20  # ids of those ahead
SHOWN = 3  # ids in a sentence; the rest is a number


class HoldReason(StrEnum):
    """What keeps a message waiting: its lane, or the setting of that name."""

    WAKES = "limits.wakes"
    LANE = "lane"
    AGENT = "agents.runs"
    RUNS = "limits.runs"
    SPAWNS = "limits.spawns_per_minute"
    MODEL = "limits.per_model"
    BREAKER = "limits.breaker"
    BUDGET = "budgets"


class QueuedMessage(Value, frozen=True):
    """One waiting message and what is ahead of it; where nothing holds it, its run may start now."""

    message: Message
    since: datetime | None = None  # when it was sent
    lane: str = ""
    model: str | None = None  # what its run would work with
    held_by: HoldReason | None = None
    until: datetime | None = None  # when that ends by the clock alone; None: when something ends
    runs: tuple[RunId, ...] = ()  # alive, and before it in what holds it
    ahead: int = 0  # messages sent earlier that wait for the same, or start now
    messages: tuple[str, ...] = ()  # the ids of the first of them


Held = tuple[HoldReason, datetime | None]


class _Room:
    """What is taken while the messages are gone through in their order; it never leaves `plan_waits`."""

    def __init__(self, snap: Snapshot, now: datetime) -> None:
        self.snap, self.settings, self.now = snap, snap.settings, now
        live = (*snap.live, *snap.elsewhere)
        self.left = snap.settings.limits.runs - len(live)
        self.lanes = Counter(lane(snap.settings, run.agent, run.key) for run in live)
        self.agents = Counter(run.agent for run in live)
        self.kept = set[str]()  # lanes in which an earlier message waits
        self.started = {model: list(times) for model, times in snap.started.items()}
        self.spawned, self.caused = list(snap.spawned), dict(snap.caused)
        slots = (self._lane, self._agent, self._runs)
        self.tests = (self._wakes, *slots, self._spawns, self._model, self._breaker, self._budget)

    def hold(self, wait: QueuedMessage) -> Held | None:
        """What holds the message, the first in the order of `Hold`; None when there is room, which it then takes."""
        held = next((found for test in self.tests if (found := test(wait))), None)
        if held is None:
            self._take(wait)
        elif held[0] not in (HoldReason.BREAKER, HoldReason.BUDGET, HoldReason.WAKES):
            self.kept.add(wait.lane)
        return held

    def _take(self, wait: QueuedMessage) -> None:
        self.left -= 1
        self.lanes[wait.lane] += 1
        self.agents[wait.message.to] += 1
        if self.settings.is_worker(wait.message.to):
            self.spawned.append(self.now)
        if wait.message.follows:
            self.caused[wait.message.origin] = self.caused.get(wait.message.origin, 1) + 1
        if wait.model:
            self.started.setdefault(wait.model, []).append(self.now)

    def _wakes(self, wait: QueuedMessage) -> Held | None:
        return (HoldReason.WAKES, None) if wake_budget.is_used_up(self.settings, self.caused, wait.message) else None

    def _lane(self, wait: QueuedMessage) -> Held | None:
        """Busy, or somebody sent earlier waits for it: a lane keeps its order, whatever holds its first message."""
        is_full = self.lanes[wait.lane] >= self._width(wait.message.to)
        return (HoldReason.LANE, None) if is_full or wait.lane in self.kept else None

    def _width(self, agent: AgentId) -> int:
        """How many runs a lane may hold at once: one, unless a named agent's `runs` says more."""
        return 1 if self.settings.is_worker(agent) else self.settings.agents[agent].runs or 1

    def _agent(self, wait: QueuedMessage) -> Held | None:
        most = self.settings.agents[wait.message.to].runs
        return (HoldReason.AGENT, None) if most is not None and self.agents[wait.message.to] >= most else None

    def _runs(self, wait: QueuedMessage) -> Held | None:
        return (HoldReason.RUNS, None) if self.left <= 0 else None

    def _spawns(self, wait: QueuedMessage) -> Held | None:
        if not self.settings.is_worker(wait.message.to):
            return None
        return self._rate(HoldReason.SPAWNS, self.spawned, self.settings.limits.spawns_per_minute, MINUTE)

    def _model(self, wait: QueuedMessage) -> Held | None:
        rate = self.settings.limits.per_model.get(wait.model) if wait.model else None
        return (
            self._rate(HoldReason.MODEL, self.started.get(wait.model or "", []), rate.count, rate.per) if rate else None
        )

    def _rate(self, hold: HoldReason, times: Sequence[datetime], count: int, per: timedelta) -> Held | None:
        free = resilience.rate_free_at(times, count, per, self.now)
        return (hold, free) if free > self.now else None

    def _breaker(self, wait: QueuedMessage) -> Held | None:
        """An open breaker keeps its agent asleep, a half-open one lets one run begin."""
        found = breaker_of(self.snap, wait.message.to, self.now)
        may = found.state == "closed" or (found.state == "half-open" and not self.agents[wait.message.to])
        return None if may else (HoldReason.BREAKER, found.until)

    def _budget(self, wait: QueuedMessage) -> Held | None:
        is_used_up = budgets.used_up(self.settings, self.snap.spent, wait.message.to)
        return (HoldReason.BUDGET, budgets.next_month(self.now, self.settings.workspace.zone)) if is_used_up else None


def plan_waits(snap: Snapshot, now: datetime) -> tuple[QueuedMessage, ...]:
    """Every waiting message, oldest first, with what is ahead of it; those that nothing holds may start now.

    Args:
        snap: `live`, `waiting`, `spawned`, `started` and `outcomes` count, and what is `elsewhere`, which takes its
            room in its order and is not in the answer. Messages sent at the same moment keep their order.
        now: aware, UTC.
    """
    room, queue, found = _Room(snap, now), dict[object, list[str]](), list[QueuedMessage]()
    hidden = {id(message) for message in snap.waiting_elsewhere}
    for message in sorted((*snap.waiting, *snap.waiting_elsewhere), key=lambda m: m.sent or now):
        mine, model = lane(snap.settings, message.to, message.key), model_of(snap.settings, message)
        wait = QueuedMessage(message=message, since=message.sent, lane=mine, model=model)
        held = room.hold(wait)
        if id(message) in hidden:
            continue
        found.append(_behind(wait, held, queue, snap) if held else wait)
        for group in (None, mine, message.to, ("model", model)):
            queue.setdefault(group, []).append(message.id)
    return tuple(found)


def _behind(wait: QueuedMessage, held: Held, queue: Mapping[object, list[str]], snap: Snapshot) -> QueuedMessage:
    """`wait` with what holds it, and those that have or want the same: of its lane, its agent, its model, or all."""
    hold, to = held[0], wait.message.to
    group: object
    runs: tuple[Run, ...] = ()
    if hold is HoldReason.LANE:
        group, runs = wait.lane, tuple(r for r in snap.live if lane(snap.settings, r.agent, r.key) == wait.lane)
    elif hold in (HoldReason.AGENT, HoldReason.BREAKER, HoldReason.BUDGET, HoldReason.WAKES):
        group, runs = to, tuple(run for run in snap.live if run.agent == to)
    else:
        group, runs = (("model", wait.model), ()) if hold is HoldReason.MODEL else (None, snap.live)
    earlier = queue.get(group, [])
    ids = tuple(run.id for run in (runs if hold is not HoldReason.SPAWNS else ()))
    return replace(wait, held_by=hold, until=held[1], runs=ids, ahead=len(earlier), messages=tuple(earlier[:FIRST]))


def model_of(settings: Settings, message: Message) -> str | None:
    """The model that the message's run will work with: its task's, its route's, or its agent's."""
    told = message.definition
    return routing.model_for(settings, message.to, told.get("type"), told.get("model"))


def plan_wakes(snap: Snapshot, now: datetime) -> list[Action]:
    """Whom to wake with which message: those of `plan_waits` that nothing holds, oldest first.

    Messages that the planners before put into inboxes wait with the others.
    """
    after = replace(snap, waiting=(*snap.waiting, *_about_to_arrive(snap)))
    return [_wake(wait.message) for wait in plan_waits(after, now) if wait.held_by is None]


def dispatch_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When a rate, a breaker or a budget lets a message go, and when one of a clock ahead counts as sent."""
    yield from (edge for at in snap.spawned for edge in (at - MINUTE, at + MINUTE))
    yield from (message.sent for message in snap.waiting if message.sent)
    yield from (wait.until for wait in plan_waits(snap, now) if wait.until)
    yield from breakers_due(snap, now)


_ARRIVES = {Act.DELIVER: Kind.TASK, Act.RESEND: Kind.TASK, Act.NEXT_AGENT: Kind.TASK, Act.DELEGATE: Kind.TASK}


def _about_to_arrive(snap: Snapshot) -> list[Message]:
    """The messages that the planned actions will put into inboxes of agents woken by us."""
    settings, found = snap.settings, []
    tasks = {task.id: task for task in (*snap.ready, *(look.task for look in snap.looks if look.task))}
    for action in snap.planned:
        kind = _ARRIVES.get(action.act) or action.kind
        if kind is None or action.agent is None or not settings.is_woken(action.agent):
            continue
        found.append(
            Message(
                id=action.key,
                key=KeyText(action.key),
                kind=kind,
                sender=settings.coordinator,
                to=action.agent,
                task=action.task,
                definition=_named(tasks.get(action.task)) if action.act in _ARRIVES and action.task else {},
            )
        )
    return found


def _named(task: Task | None) -> dict[str, str]:
    """What the message will say of the task as far as it decides on the model."""
    said = {"type": task.type, "model": task.model} if task else {}
    return {key: value for key, value in said.items() if value}


def _wake(message: Message) -> Action:
    why = f"{message.kind} from {message.sender}"
    return Action(act=Act.WAKE, task=message.task, agent=message.to, key=str(message.key), why=why)


def long_waits(waits: Sequence[QueuedMessage], now: datetime, over: timedelta = LONG) -> tuple[QueuedMessage, ...]:
    """Those that have waited longer than `over` and still do."""
    return tuple(wait for wait in waits if wait.held_by and wait.since and now - wait.since > over)


def sentence(wait: QueuedMessage, when: Callable[[datetime], str]) -> str:
    """What a wait is, in one line: "waits for limits.runs since 10:00 (12 s ago), behind 4 runs (tc-1.1-s1, ...)".

    Args:
        when: how an instant is told to whoever reads it.
    """
    if wait.held_by is None:
        return "may start now"
    since = f" since {when(wait.since)}" if wait.since else ""
    ends = f" until {when(wait.until)}" if wait.until else ""
    ahead = (_counted("run", len(wait.runs), wait.runs), _counted("message", wait.ahead, wait.messages))
    behind = " and ".join(filter(None, ahead))
    return f"waits for {wait.held_by}{since}{ends}" + (f", behind {behind}" if behind else "")


def _counted(what: str, count: int, ids: Sequence[str]) -> str:
    if not count:
        return ""
    names = ", ".join(ids[:SHOWN]) + (", ..." if count > SHOWN else "")
    return f"{count} {what}{'s' if count > 1 else ''} ({names})"
