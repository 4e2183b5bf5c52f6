"""Health checks: how each agent is pinged, what counts as silence, and who is notified."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from claw_files.config import Agent, Settings
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, AgentKind, Box, Kind, Run, State, Value
from claw_files.policy.escalation import next_to_tell
from claw_files.policy.liveness import last_word
from claw_files.policy.snapshot import Act, Action, Snapshot, TaskEvidence, ToldMarks


class PingMethod(StrEnum):
    """The ways to ping an agent."""

    RUN = "run"  # its run's supervisor and processes live
    PROGRAM = "program"  # its program is found and may be run
    SIGN = "sign"  # its last sign of life, while it has something to do
    HOOK = "hook"  # its runtime asks it
    TURN = "turn"  # a message that wants an answer: the only way that costs a model call


class Ping(Value, frozen=True):
    """One question to ask."""

    agent: AgentId
    how: PingMethod
    run: Run | None = None


def rounds(settings: Settings) -> dict[str, float]:
    """The jobs beside the tick, by the daemon or for cron, with their intervals in seconds."""
    asks = any(agent.kind is not AgentKind.HUMAN and agent.ping != "off" for agent in settings.agents.values())
    every = {"health": settings.health.every if asks else timedelta(0), "sync": settings.daemon.sync}
    return {name: pause.total_seconds() for name, pause in every.items() if pause}


def is_due(at: float, every: float, now: float) -> bool:
    """Whether a job is due at `at`; a time further ahead than `every` is from before the clock was set back."""
    return not now < at <= now + every


def plan_pings(settings: Settings, live: Sequence[Run]) -> tuple[Ping, ...]:
    """The agents to ping now, and how. People, and agents with `ping = "off"`, are not pinged."""
    asked = (agent for agent in settings.agents.values() if agent.kind is not AgentKind.HUMAN and agent.ping != "off")
    at_work = [run for run in live if Key.parse(run.key).topic != "ping"]  # one that a ping started is its question
    return tuple(_ping(agent, [run for run in at_work if run.agent == agent.name]) for agent in asked)


def _ping(agent: Agent, live: Sequence[Run]) -> Ping:
    if live:  # busy: a running agent is not pinged
        return Ping(agent=agent.name, how=PingMethod.RUN, run=live[0])
    if agent.ping == "turn" and agent.kind is not AgentKind.WORKER:
        return Ping(agent=agent.name, how=PingMethod.TURN)
    if agent.traits.has_command:
        return Ping(agent=agent.name, how=PingMethod.PROGRAM)
    return Ping(agent=agent.name, how=PingMethod.HOOK if agent.traits.is_woken else PingMethod.SIGN)


def silence(snap: Snapshot, agent: AgentId, now: datetime) -> str | None:
    """Why an agent that polls its inbox counts as silent; None if it is not silent or has no work.

    It has something to do while it holds a task or was sent one; what it was sent counts as said to it then.
    """
    signs = [sign for look in snap.looks if (sign := _sign(look, agent, now))]
    if not signs or now - max(signs) <= snap.settings.heartbeat.silent:
        return None
    return f"{agent} has work and has shown no activity since {max(signs):%Y-%m-%d %H:%M} UTC"


def _sign(look: TaskEvidence, agent: AgentId, now: datetime) -> datetime | None:
    task = look.task
    if task is None or (task.assignee or look.entry.agent) != agent:
        return None
    if task.state is State.IN_PROGRESS:
        return last_word(look, now)
    was_sent = task.state is State.BACKLOG and look.message is not None and look.box is not Box.DONE
    return min(look.message.sent, now) if was_sent and look.message and look.message.sent else None


class Silence(Value, frozen=True):
    """One agent's silence, from its first unanswered ping until it answers again."""

    key: str  # "health.peter.20260307T084500Z": the same for as long as it lasts
    why: str


def plan_alerts(
    settings: Settings, silent: Mapping[AgentId, Silence], told: ToldMarks, now: datetime
) -> tuple[Action, ...]:
    """The reports of silences due now: the monitor first, then up the chain while unread."""
    found = []
    for agent, one in silent.items():
        to = next_to_tell(settings, told, one.key, settings.monitor, now)
        if to == agent:  # agents are not notified of their own silence
            above = settings.reports_to(agent)
            to = next_to_tell(settings, told, one.key, above, now) if above else None
        if to is not None:
            text = f"{one.why}."
            found.append(Action(act=Act.ESCALATE, agent=to, key=one.key, why=one.why, text=text, kind=Kind.ANNOUNCE))
    return tuple(found)
