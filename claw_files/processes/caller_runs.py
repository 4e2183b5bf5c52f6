"""The live runs that the calling process belongs to, by its ancestors, rarely by its variables."""

import os
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, Run, RunId, TaskId
from claw_files.system import procfs

Told = Mapping[str, str]  # what a run was told when it began, as CLAWFILES_* variables


def told(env: Told, is_ours: Callable[[str], bool], agents: Callable[[], Mapping[AgentId, Agent]]) -> list[Told]:
    """The variables of the live runs of a workspace that the calling process belongs to, innermost first.

    Variables of its own count where the processes above it are no run's, and for two kinds of runs: what the daemon
    carries out for a sandbox, and what an agent does in the processes of OpenClaw.

    Args:
        is_ours: whether a folder is the workspace, or a compartment of it.
    """
    found: list[Told] = [it for it in procfs.around(os.getpid()) if is_ours(it["CLAWFILES_WORKSPACE"])]
    if found or not env.get("CLAWFILES_RUN") or not is_ours(env.get("CLAWFILES_WORKSPACE") or os.devnull):
        return found
    agent = None if "CLAWFILES_FORWARDED" in env else agents().get(AgentId(env.get("CLAWFILES_AGENT", "")))
    return [env] if "CLAWFILES_FORWARDED" in env or (agent and agent.traits.is_elsewhere) else []


def run_of(told: Told) -> Run:
    """The live run with these variables."""
    run, agent, task = told["CLAWFILES_RUN"], told.get("CLAWFILES_AGENT", ""), told.get("CLAWFILES_TASK")
    found = Run(id=RunId(run), agent=AgentId(agent), key=replace(Key.parse(run), send=None).render(), alive=True)
    return replace(found, task=TaskId(task)) if task else found
