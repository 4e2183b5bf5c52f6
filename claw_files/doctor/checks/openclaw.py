"""Agents that are woken through OpenClaw's gateway: whether it can be asked, and knows them as we do."""

import os
from collections.abc import Iterator

from claw_files.config import Agent, Settings
from claw_files.core.errors import NotInstalled
from claw_files.core.model import Runtime
from claw_files.doctor.checks.setting import line_of
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import CONFIG, Survey
from claw_files.integrations.openclaw import agent_health, installation


def gateway(s: Survey) -> Iterator[Finding]:
    """What is missing between us and the agents there. Asked only where an agent is woken so."""
    if s.settings is None or s.is_inner:
        return
    there = [agent for agent in s.settings.agents.values() if agent.runtime is Runtime.OPENCLAW]
    if not there:
        return
    state = agent_health.look(s.settings, s.tree.root, os.environ)
    known: tuple[installation.OpenClawAgent, ...] | None = state.agents
    if isinstance(state.problem, NotInstalled):
        yield Finding("openclaw-library", CONFIG)
    elif state.problem is not None:
        yield Finding("openclaw-gateway", CONFIG, detail=str(state.problem))
    if state.problem is not None:
        known = installation.agents(os.environ)  # what the command or the configuration on this machine says
    raw = s.tree.read(CONFIG).decode("utf-8", "replace")
    for agent in there if known is not None else ():
        yield from _agent(s, agent, {one.id: one for one in known or ()}, raw)
    yield from _old(s.settings, state.version or installation.version(os.environ))


def _agent(s: Survey, agent: Agent, known: dict[str, installation.OpenClawAgent], raw: str) -> Iterator[Finding]:
    line = line_of(raw, agent.name, "runtime")
    if agent.there not in known:
        yield Finding("openclaw-agent", CONFIG, line, agent.there, "", agent.name)
        return
    told = known[agent.there].workspace
    if agent_health.differs(told, agent.workspace or ".", s.tree.root):
        yield Finding("openclaw-workspace", CONFIG, line, told, "", agent.name)


def _old(settings: Settings, version: str) -> Iterator[Finding]:
    if settings.openclaw.push_ledger and version and not installation.is_new(version):
        yield Finding("openclaw-old", CONFIG, detail=version)
