"""The dispatch queue: the messages whose run may start now, and the queue ahead of the others.

Two layers: one run at a time in each lane, in the order in which the messages were sent, and `limits.runs` over all
lanes. Beside them an agent's own `runs`, the rate of spawns, the rates of models, and the agents' breakers.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core.model import KeyText, Kind, Message, Run, RunId, Value
from claw_files.policy import budgets, resilience, routing
from claw_files.policy.line_planner import breakers_due
from claw_files.policy.rule_context import breaker_of, lane
from claw_files.policy.snapshot import Act, Action, Snapshot
from claw_files.policy.source_rules import is_poll

MINUTE = timedelta(minutes=1)
LONG = timedelta(seconds=2)  # longer waits are logged
FIRST = 20  # ids of messages ahead
SHOWN = 3  # ids in a sentence; the rest is a number


class HoldReason(StrEnum):
    """Why a message waits: its lane, or the setting with that name."""

    WAKES = "limits.wakes"
    LANE = "lane"
    AGENT = "agents.runs"
    RUNS = "limits.runs"
    SPAWNS = "limits.spawns_per_minute"
    MODEL = "limits.per_model"
    BREAKER = "limits.breaker"
    BUDGET = "budgets"


class QueuedMessage(Value, frozen=True):
    """One waiting message and the queue ahead of it; without a hold, its run may start now."""

    message: Message
    since: datetime | None = None  # when it was sent
    lane: str = ""
    model: str | None = None  # the model of its run
    held_by: HoldReason | None = None
    until: datetime | None = None  # when that ends by the clock alone; None: when something ends
    runs: tuple[RunId, ...] = ()  # live runs that hold it back
    ahead: int = 0  # messages sent earlier that wait for the same, or start now
    messages: tuple[str, ...] = ()  # the ids of the first of them


Held = tuple[HoldReason, datetime | None]


class _Room:
    """The used capacity while the messages are processed in order; private to `plan_waits`."""

    def __init__(self, snap: Snapshot, now: datetime) -> None:
        self.snap, self.settings, self.now = snap, snap.settings, now
        # Limits are shared with the compartments, or with the workspace around one.
        live = [run for run in (*snap.live, *snap.elsewhere) if not is_poll(run)]
        self.left = snap.settings.limits.runs - len(live)
        self.lanes = Counter(lane(snap.settings, run.agent, run.key) for run in live)
        self.agents = Counter(run.agent for run in live)
        self.kept = set[str]()  # lanes in which an earlier message waits
        self.started = {model: list(times) for model, times in snap.started.items()}
        self.spawned, self.caused = list(snap.spawned), dict(snap.caused)

    def hold(self, wait: QueuedMessage) -> Held | None:
        """The first hold of the message, in the order of `HoldReason`; None if there is capacity, which it takes."""
        held = next(self._holds(wait), None)
        # Messages are processed in the order of sending, so that taking room here decides which goes first.
        if held is None:
            self._take(wait)
        # These three hold back the whole agent, so they do not block its lane for other agents.
        elif held[0] not in (HoldReason.BREAKER, HoldReason.BUDGET, HoldReason.WAKES):
            self.kept.add(wait.lane)
        return held

    def _take(self, wait: QueuedMessage) -> None:
        self.left -= 1
        self.lanes[wait.lane] += 1
        self.agents[wait.message.to] += 1
        if self.settings.is_worker(wait.message.to):
            self.spawned.append(self.now)
        # A root message has caused one run, its own, before anything follows from it.
        if wait.message.follows:
            self.caused[wait.message.origin] = self.caused.get(wait.message.origin, 1) + 1
        if wait.model:
            self.started.setdefault(wait.model, []).append(self.now)

    def _holds(self, wait: QueuedMessage) -> Iterator[Held]:
        """The holds of the message, in the order of `HoldReason`, evaluated lazily."""
        to, settings, limits = wait.message.to, self.settings, self.settings.limits
        is_worker, most = settings.is_worker(to), settings.agents[to].runs
        if budgets.wakes_are_used_up(settings, self.caused, wait.message):
            yield HoldReason.WAKES, None
        # A lane keeps its order, whatever holds its first message. It has room for one run, unless a named agent's
        # `runs` says more.
        if wait.lane in self.kept or self.lanes[wait.lane] >= (1 if is_worker else most or 1):
            yield HoldReason.LANE, None
        if most is not None and self.agents[to] >= most:
            yield HoldReason.AGENT, None
        if self.left <= 0:
            yield HoldReason.RUNS, None
        if is_worker:
            yield from self._rate(HoldReason.SPAWNS, self.spawned, limits.spawns_per_minute, MINUTE)
        if wait.model and (rate := limits.per_model.get(wait.model)):
            yield from self._rate(HoldReason.MODEL, self.started.get(wait.model, []), rate.count, rate.per)
        # An open breaker keeps its agent asleep, a half-open one lets one run begin.
        breaker = breaker_of(self.snap, to, self.now)
        if breaker.state == "open" or (breaker.state == "half-open" and self.agents[to]):
            yield HoldReason.BREAKER, breaker.until
        if budgets.used_up(settings, self.snap.spent, to):
            yield HoldReason.BUDGET, budgets.next_month(self.now, settings.workspace.zone)

    def _rate(self, hold: HoldReason, times: Sequence[datetime], count: int, per: timedelta) -> Iterator[Held]:
        free = resilience.rate_free_at(times, count, per, self.now)
        if free > self.now:
            yield hold, free


def plan_waits(snap: Snapshot, now: datetime) -> tuple[QueuedMessage, ...]:
    """Every waiting message, oldest first, with the queue ahead of it; unheld ones may start now.

    Args:
        snap: `live`, `waiting`, `spawned`, `started` and `outcomes` count, and what is `elsewhere`, which takes its
            room in its order and is not in the answer. Messages sent at the same moment keep their order.
        now: aware, UTC.
    """
    room, queue, found = _Room(snap, now), dict[object, list[str]](), list[QueuedMessage]()
    # By identity: two places may have messages of the same id, and only those of other places are left out.
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
    """`wait` with its hold, and the runs and messages ahead: in its lane, of its agent, its model, or all."""
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
    """The agents to wake with their messages: the unheld ones of `plan_waits`, oldest first.

    Messages that the planners before put into inboxes wait with the others.
    """
    # One tick delivers and wakes: without this a message would wait for the next tick although a run is free.
    after = replace(snap, waiting=(*snap.waiting, *_about_to_arrive(snap)))
    return [_wake(wait.message) for wait in plan_waits(after, now) if wait.held_by is None]


def dispatch_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When a rate, a breaker or a budget releases a message, and when one dated ahead counts as sent."""
    # Both edges: after a clock was put back a spawn lies ahead, and counts from a minute before its time.
    yield from (edge for at in snap.spawned for edge in (at - MINUTE, at + MINUTE))
    yield from (message.sent for message in snap.waiting if message.sent)
    yield from (wait.until for wait in plan_waits(snap, now) if wait.until)
    yield from breakers_due(snap, now)


_ARRIVES = (Act.DELIVER, Act.RESEND, Act.NEXT_AGENT, Act.DELEGATE)


def _about_to_arrive(snap: Snapshot) -> list[Message]:
    """The messages that planned actions will deliver to agents that clawfiles wakes."""
    settings, found = snap.settings, []
    tasks = {task.id: task for task in (*snap.ready, *(look.task for look in snap.looks if look.task))}
    for action in snap.planned:
        kind = Kind.TASK if action.act in _ARRIVES else action.kind
        if kind is None or action.agent is None or not settings.is_woken(action.agent):
            continue
        task = tasks.get(action.task) if action.act in _ARRIVES and action.task else None
        said = {"type": task.type, "model": task.model} if task else {}  # as far as it decides on the model
        definition = {name: value for name, value in said.items() if value}
        sender, key, to = settings.coordinator, KeyText(action.key), action.agent
        arrives = Message(id=key, key=key, kind=kind, sender=sender, to=to, task=action.task, definition=definition)
        found.append(arrives)
    return found


def _wake(message: Message) -> Action:
    why = f"{message.kind} from {message.sender}"
    return Action(act=Act.WAKE, task=message.task, agent=message.to, key=str(message.key), why=why)


def long_waits(waits: Sequence[QueuedMessage], now: datetime, over: timedelta = LONG) -> tuple[QueuedMessage, ...]:
    """The messages that have waited longer than `over`."""
    return tuple(wait for wait in waits if wait.held_by and wait.since and now - wait.since > over)


def sentence(wait: QueuedMessage, when: Callable[[datetime], str]) -> str:
    """A wait in one line: "waits for limits.runs since 10:00 (12 s ago), behind 4 runs (tc-1.1-s1, ...)".

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
