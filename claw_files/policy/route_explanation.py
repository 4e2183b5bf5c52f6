"""Explains a task's routing: every step of the choice, as values and sentences."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from claw_files.config import Settings
from claw_files.core.model import AgentId, AgentKind, TaskId, Value
from claw_files.core.text import render_duration, safe
from claw_files.policy import pools, routing
from claw_files.policy.pools import AgentLoad, Loads


class RouteQuestion(Value, frozen=True):
    """The question of a choice: a task, or any task of a type."""

    type: str | None = None
    task: TaskId | None = None
    urgent: bool = False
    model: str | None = None  # the task's own
    estimate: timedelta | None = None
    assignee: AgentId | None = None  # who has it already
    tried: tuple[AgentId, ...] = ()  # who had it in an earlier attempt


class Reasons(Value, frozen=True):
    """The choice and its reasons."""

    choice: routing.AgentChoice | None
    model: str | None = None
    model_from: str | None = None  # "task", "route" or "agent"
    pool: Mapping[AgentId, AgentLoad] = {}
    budget: Mapping[AgentId, str] = {}  # who was passed over, and why
    cache: timedelta | None = None
    batch: int | None = None
    why: tuple[str, ...] = ()

    def as_json(self, asked: RouteQuestion) -> dict[str, Any]:
        """The keys that `route --json` promises."""
        choice = self.choice
        return {
            "task": asked.task,
            "type": asked.type,
            "urgent": asked.urgent,
            "agent": choice.agent if choice else None,
            "how": choice.how if choice else None,
            "size": choice.size if choice else None,
            "model": self.model,
            "model_from": self.model_from,
            "pool": {agent: load.total for agent, load in self.pool.items()},
            "cache": render_duration(self.cache) if self.cache else None,
            "batch": self.batch,
            "budget": dict(self.budget),
            "review": choice.review if choice else None,
            "why": self.why,
        }


def reasons(
    settings: Settings,
    asked: RouteQuestion,
    loads: Loads | None = None,
    no_money: Mapping[AgentId, str] | None = None,
) -> Reasons:
    """The reasons of a task's routing, one sentence per step.

    Args:
        loads: what everybody has before them.
        no_money: agents whose budget is used up, each with the sentence that says so.
    """
    loads, no_money, tried = loads or {}, no_money or {}, asked.tried
    route, order = settings.route(asked.type), routing.candidates(settings, asked.type, asked.urgent, loads)
    poor = {agent: no_money[agent] for agent in order if agent in no_money and agent not in tried}
    choice = routing.pick(settings, asked.type, (*tried, *poor), asked.urgent, loads)
    choice = choice or routing.pick(settings, asked.type, tried, asked.urgent, loads)
    pool = {agent: loads.get(agent, AgentLoad()) for agent in pools.members(settings, route)} if route else {}
    said = [routing.source(settings, asked.type)]
    said += [f"already assigned to {asked.assignee}; the next choice would be:"] if asked.assignee else []
    said += [f"already tried: {', '.join(tried)}"] if tried else []
    said += _of_urgency(settings, asked, order)
    busy = "; ".join(f"{agent} has {pool[agent]}" for agent in order if agent in pool)
    said += [f"pool, least busy first: {busy}"] if pool else []
    said += [f"skipped: {why}" for agent, why in poor.items() if choice is None or agent != choice.agent]
    if choice is None:
        return Reasons(choice=None, pool=pool, budget=poor, why=(*said, "no agent is left, so it is escalated"))
    said.append(f"next: {choice.agent}, by {choice.how}: {_of_way(settings, choice)}")
    if choice.agent in poor:
        said.append(f"budget: {poor[choice.agent]}, and no other agent is left, so it waits")
    model = routing.model_for(settings, choice.agent, asked.type, asked.model)
    origin = "task" if asked.model else "route" if route and route.model else "agent" if model else None
    said.append(_of_model(model, origin, choice.agent, asked.type))
    if route and route.cache:
        said.append(f"cache: a verified result of the same spawn is reused for {render_duration(route.cache)}")
    if route and route.batch:
        said.append(f"batch: `spawn --items` puts {route.batch} items into one message")
    said.append(f"review by {choice.review}" if choice.review else "no review")
    said += [f"verified by running {' '.join(choice.verify)}"] if choice.verify else []
    warning = routing.estimate_warning(asked.estimate)
    return Reasons(
        choice=choice,
        model=model,
        model_from=origin,
        pool=pool,
        budget=poor,
        cache=route.cache if route else None,
        batch=route.batch if route else None,
        why=(*said, *([warning] if warning else [])),
    )


def _of_urgency(settings: Settings, asked: RouteQuestion, order: tuple[AgentId, ...]) -> list[str]:
    if not asked.urgent:
        return []
    route = settings.route(asked.type)
    if route and route.how:
        return [f'urgent, but the route says how = "{route.how}": its order stays']
    workers = [agent for agent in order if settings.agents[agent].kind is AgentKind.WORKER]
    return ["urgent: spawned workers come first: " + (", ".join(workers) or "but the route has no worker")]


def _of_way(settings: Settings, choice: routing.AgentChoice) -> str:
    kind = settings.agents[choice.agent].kind
    if choice.agent == settings.coordinator:
        return "the coordinator does the task"
    if kind is AgentKind.WORKER:
        return "a worker is spawned for each task"
    if choice.how == "spawn":
        return "the route requires a separate run"
    return "a person is informed" if kind is AgentKind.HUMAN else "a named agent gets a message: the answer can wait"


def _of_model(model: str | None, origin: str | None, agent: AgentId, task_type: str | None) -> str:
    if not model or not origin:
        return "model: none is set; the agent's command decides"
    named = {"task": "the task names it", "route": f"route {task_type} names it", "agent": f"{agent}'s own"}
    return f"model: {safe(model)}, {named[origin]}"
