"""Which live runs the calling process is part of: the processes above it say so, and hardly ever its variables."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress

from claw_files.config import Agent
from claw_files.model import AgentId, Key, Run, RunId, Runtime, TaskId
from claw_files.system import proc

Told = Mapping[str, str]  # what a run was told when it began, as CLAWFILES_* variables


def told(env: Told, is_ours: Callable[[str], bool], agents: Callable[[], Mapping[AgentId, Agent]]) -> list[Told]:
    """What the live runs of a workspace were told that the calling process is part of, the innermost first.

    Variables of its own count where the processes above it are no run's, and for two kinds of runs: what the daemon
    carries out for a sandbox, and what an agent does in the processes of OpenClaw.

    Args:
        is_ours: whether a folder is the workspace, or a compartment of it; OSError counts as no.
    """
    found: list[Told] = [it for it in proc.around(os.getpid()) if _is_of(it, is_ours)]
    return found or ([env] if _is_of(env, is_ours) and _is_elsewhere(env, agents) else [])


def _is_of(told: Told, is_ours: Callable[[str], bool]) -> bool:
    folder = told.get("CLAWFILES_WORKSPACE")
    with suppress(OSError):
        return bool(folder and told.get("CLAWFILES_RUN")) and is_ours(folder or "")
    return False


def _is_elsewhere(env: Told, agents: Callable[[], Mapping[AgentId, Agent]]) -> bool:
    """Whether the run of these variables may have processes that are not below its supervisor."""
    if "CLAWFILES_FORWARDED" in env:
        return True
    from claw_files.runtimes.locks import RunLocks  # hardly ever needed

    agent = agents().get(AgentId(env.get("CLAWFILES_AGENT", "")))
    locks = RunLocks(os.path.join(env["CLAWFILES_WORKSPACE"], ".clawfiles", "runs"))
    return agent is not None and agent.runtime is Runtime.OPENCLAW and locks.is_held(RunId(env["CLAWFILES_RUN"]))


def run_of(told: Told) -> Run:
    """The live run that was told this."""
    run, task = told["CLAWFILES_RUN"], told.get("CLAWFILES_TASK")
    return Run(
        id=RunId(run),
        agent=AgentId(told.get("CLAWFILES_AGENT", "")),
        key=Key(run.rpartition("-s")[0]),
        task=TaskId(task) if task else None,
        alive=True,
    )
