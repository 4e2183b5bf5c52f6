"""Wiring: the one place that picks the real implementations, depending on the current folder."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from claw_files.app.context import PRIVATE, Site
from claw_files.app.resolver import Resolver
from claw_files.app.workspace_finder import find_root, set_up, take_out
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, TaskId
from claw_files.processes import Surroundings
from claw_files.system.clock import Clock

if TYPE_CHECKING:  # each command imports only what it uses: cron starts us often
    from claw_files.config import Agent
    from claw_files.core.model import Task
    from claw_files.doctor.repair import Repair
    from claw_files.doctor.repair_compartments import CompartmentRepair
    from claw_files.policy.snapshot import Predecessor
    from claw_files.processes import AgentRuntime
    from claw_files.processes.process_runner import ProcessRunner
    from claw_files.services.admin.journal import Journal
    from claw_files.services.delegation.agent_selection import AgentSelection
    from claw_files.services.delegation.delegation import Delegations
    from claw_files.services.delegation.worker_sessions import WorkerSessions
    from claw_files.services.events.event_archive import EventArchive
    from claw_files.services.events.task_starter import TaskStarter
    from claw_files.services.evidence.dependents import Successors
    from claw_files.services.evidence.task_evidence import EvidenceReader
    from claw_files.services.heartbeat.action_executor import ActionExecutor
    from claw_files.services.heartbeat.explain import Explainer
    from claw_files.services.heartbeat.heartbeat import Heartbeat
    from claw_files.services.heartbeat.probe import Prober
    from claw_files.services.heartbeat.schedule_runner import Schedules
    from claw_files.services.heartbeat.snapshot_loader import SnapshotLoader
    from claw_files.services.messaging.mailbox import Mailbox
    from claw_files.services.people.approvals import Choices
    from claw_files.services.people.notifications import Notifications, Outbox
    from claw_files.services.sessions.flows import Flows
    from claw_files.services.sessions.session_history import Records
    from claw_files.services.sessions.session_list import Sessions
    from claw_files.services.sessions.steering import Steering
    from claw_files.services.tasks.board import Board
    from claw_files.services.tasks.checkpoints import Checkpoints
    from claw_files.services.tasks.claims import ClaimService
    from claw_files.services.tasks.lifecycle import TaskService
    from claw_files.services.workflows.catalog import WorkflowCatalog

__all__ = ["PRIVATE", "App", "find_root", "open_workspace", "set_up", "take_out"]


class App(Site):
    """One workspace, or one compartment of it, and the caller. Services are created on first use."""

    @cached_property
    def resolver(self) -> "Resolver[App]":
        """Finds the workspaces of tasks and inboxes, and what the caller may see."""
        return Resolver(self, lambda task, line: self.outer.evidence.run_of(task, line))

    def _siblings(self) -> "Resolver[App]":
        return self.resolver

    def repairs(self, by: AgentId) -> "list[Repair | CompartmentRepair]":
        """The repairs of this workspace, then of its compartments, in the name of `by`."""
        from claw_files.doctor.repair import Repair

        there = [(it.workspace, Repair(it.workspace, it.files, it.runtime, by)) for it in self.resolver.everywhere()]
        if self.home or not (moving := self.resolver.moving):
            return [there[0][1]]
        from claw_files.doctor.repair_compartments import CompartmentRepair

        return [there[0][1], CompartmentRepair(self.workspace, moving, there[1:])]

    def wake(self) -> None:
        """Wake agents with waiting messages, in all places. If that fails, the heartbeat does it."""
        self.afterwards(self.outer.heartbeat.wake)

    def afterwards(self, step: "Callable[[], object]") -> None:
        """Run the follow-up of a finished command: a failure is only reported."""
        try:
            step()
        except (ClawError, OSError) as wrong:
            self.remarks.append(f"done, but no agent was woken yet: {wrong}; the next heartbeat wakes it")

    # --- services

    @cached_property
    def tasks(self) -> "TaskService":
        from claw_files.services.tasks.lifecycle import TaskService

        return TaskService(self.workspace, self._stop_runs, lambda task: self._successors.follow(task))

    @cached_property
    def claims(self) -> "ClaimService":
        from claw_files.services.tasks.claims import ClaimService

        return ClaimService(self.workspace, self._blockers)

    @cached_property
    def _successors(self) -> "Successors":
        from claw_files.services.evidence.dependents import Successors

        return Successors(self.workspace, self.messages, self._blockers)

    def _blockers(self, task: "Task") -> "tuple[Predecessor, ...]":
        return self.evidence.blockers(task) if task.after else ()

    @cached_property
    def delegations(self) -> "Delegations":
        from claw_files.services.delegation.delegation import Delegations

        return Delegations(self.workspace, self.runs_around, self._lacks_sandbox, lambda: self.choosing, self._blockers)

    @cached_property
    def choosing(self) -> "AgentSelection":
        from claw_files.services.delegation.agent_selection import AgentSelection

        return AgentSelection(self.workspace, self.evidence, self.checkpoints)

    @cached_property
    def _tick_delegations(self) -> "Delegations":
        """The tick's delegations must not inherit the caller's runs: any process may happen to run the tick."""
        from claw_files.services.delegation.delegation import Delegations

        return Delegations(self.workspace, tuple, self._lacks_sandbox, lambda: self.choosing, self._blockers)

    def _lacks_sandbox(self) -> str | None:
        return self.runtime.lacks_sandbox()

    @cached_property
    def messages(self) -> "Mailbox":
        from claw_files.services.messaging.mailbox import Mailbox

        return Mailbox(self.workspace)

    @cached_property
    def checkpoints(self) -> "Checkpoints":
        from claw_files.services.tasks.checkpoints import Checkpoints

        return Checkpoints(self.workspace, in_place="CLAWFILES_SANDBOX" in self._env)

    @cached_property
    def people(self) -> "Notifications":
        from claw_files.services.people.notifications import Notifications

        return Notifications(self.workspace, self.outbox)

    @cached_property
    def outbox(self) -> "Outbox":
        from claw_files.services.people.notifications import Outbox

        return Outbox(self.workspace)

    @cached_property
    def choices(self) -> "Choices":
        from claw_files.services.people.approvals import Choices

        return Choices(self.workspace, lambda: self.messages, self.resolver.to_act)

    @cached_property
    def schedules(self) -> "Schedules":
        from claw_files.services.heartbeat.schedule_runner import Schedules

        return Schedules(self.workspace, self._starter, self.workflows)

    @cached_property
    def _starter(self) -> "TaskStarter":
        from claw_files.services.events.task_starter import TaskStarter

        return TaskStarter(self.workspace, lambda: self._tick_delegations)

    @cached_property
    def evidence(self) -> "EvidenceReader":
        from claw_files.services.evidence.task_evidence import EvidenceReader

        beside = self.resolver.beside
        return EvidenceReader(
            self.workspace, self.runtime, self.checkpoints, lambda: [app.evidence for app in beside()]
        )

    @cached_property
    def snapshots(self) -> "SnapshotLoader":
        from claw_files.services.heartbeat.snapshot_loader import SnapshotLoader

        beside, outbox = self.resolver.beside, None if self.home else self.outbox
        return SnapshotLoader(self.workspace, self.evidence, lambda: [app.snapshots for app in beside()], outbox)

    @cached_property
    def heartbeat(self) -> "Heartbeat":
        """The tick; commands that have sent something use its `wake`."""
        from claw_files.services.admin import daemon_state
        from claw_files.services.heartbeat.heartbeat import Heartbeat

        parts = (self.workspace, self.runtime, self.evidence, self.snapshots, self._acting, self.schedules)
        outside = () if self.home else (self._afterwards, self.resolver.moving, self._beats_inside, self.choices)
        heartbeat = Heartbeat(*parts, *outside)
        heartbeat.starts = daemon_state.draining_until(self.base) is None
        return heartbeat

    def _beats_inside(self) -> "list[Heartbeat]":
        return [app.heartbeat for app in self.resolver.inner()]

    def check_takes_work(self, to: AgentId | None = None) -> None:
        """Raises Draining for new work during a stop; a message to an agent that polls is not new work.

        Args:
            to: whom words are for; None where it is work, whoever is to do it.
        """
        from claw_files.services.admin import daemon_state

        if to is None or self.settings.is_woken(to):
            daemon_state.check_takes_work(self.base, self.clock.now())

    def _afterwards(self) -> str | None:
        """The follow-up of a tick, without its lock; returns the error, in one sentence."""
        from claw_files.system.processes import SystemProcesses

        return self.outbox.start(SystemProcesses(), self._env)

    def ping(self, agent: AgentId, patience: timedelta) -> str | None:
        """Why the agent could not be woken now, in one sentence; None if no problem is known."""
        known = self.settings.agent(agent)
        return self.runtime_of(known).ping(known, patience)

    def runtime_of(self, agent: "Agent") -> "AgentRuntime":
        """The runtime of the agent."""
        from claw_files.integrations import agent_runtimes

        around = Surroundings(settings=self.settings, base=self.base, root=self.root, environ=self._env)
        return agent_runtimes.runtime_of(agent.runtime, around)

    def _acting(self) -> "ActionExecutor":
        from claw_files.services.events.event_carrier import EventCarrier
        from claw_files.services.heartbeat.action_executor import ActionExecutor
        from claw_files.services.heartbeat.attempt_outcomes import Outcomes
        from claw_files.services.heartbeat.run_launcher import RunLauncher
        from claw_files.services.workflows.runs import RunCarrier

        workspace, runtime = self.workspace, self.runtime
        waking = RunLauncher(workspace, runtime, self.checkpoints, self.runtime_of)
        outcomes = Outcomes(workspace, self.checkpoints, self.messages)
        others = (self._tick_delegations, self.messages, self.people, self.schedules)
        events = EventCarrier(workspace, self.workflows, self._starter)
        carrier = RunCarrier(workspace, self._tick_delegations, lambda: self.tasks)
        return ActionExecutor(workspace, runtime, waking, outcomes, *others, self._successors.follow, carrier, events)

    @cached_property
    def explaining(self) -> "Explainer":
        from claw_files.services.heartbeat.explain import Explainer

        return Explainer(self.view.workspace, self.view.snapshots, self.view.evidence)

    @cached_property
    def probing(self) -> "Prober":
        from claw_files.services.heartbeat.probe import Prober

        parts = (self.snapshots, self.evidence, self.heartbeat, self.delegations)
        return Prober(self.workspace, self.runtime, *parts, self.tasks, self.checkpoints, self.runtime_of)

    @cached_property
    def board(self) -> "Board":
        from claw_files.services.tasks.board import Board

        return Board(self.workspace, lambda entry: self.evidence.look(entry))

    @cached_property
    def journal(self) -> "Journal":
        from claw_files.services.admin.journal import Journal

        return Journal(self.files, self.clock, self.resolver.shows_line)

    @cached_property
    def sessions(self) -> "Sessions":
        from claw_files.services.sessions.session_list import Sessions

        return Sessions(self.view.workspace, self.runtime, self.view.snapshots, self.checkpoints)

    @cached_property
    def workflows(self) -> "WorkflowCatalog":
        from claw_files.services.workflows.catalog import WorkflowCatalog

        return WorkflowCatalog(self.workspace)

    @cached_property
    def events(self) -> "EventArchive":
        from claw_files.services.events.event_archive import EventArchive

        return EventArchive(self.outer.workspace)

    @cached_property
    def flows(self) -> "Flows":
        from claw_files.services.sessions.flows import Flows

        return Flows(self.workspace, self.runtime, self.evidence)

    @cached_property
    def staying(self) -> "WorkerSessions":
        from claw_files.services.delegation.worker_sessions import WorkerSessions

        return WorkerSessions(self.workspace)

    @cached_property
    def records(self) -> "Records":
        from claw_files.services.sessions.session_history import Records

        return Records(self.workspace, self.runtime, self.sessions, self.checkpoints)

    @cached_property
    def steering(self) -> "Steering":
        from claw_files.services.sessions.steering import Steering

        return Steering(self.workspace, self.runtime, self.sessions, self.messages, self.runtime_of)

    def lanes_held(self) -> list[str]:
        """The sessions that cannot run before the caller's own run has ended."""
        agents = self.settings.agents
        return [agents[run.agent].session for run in self.runs_around()[:1] if run.agent in agents]

    @cached_property
    def runtime(self) -> "ProcessRunner":
        """The process runner for agents' commands."""
        from claw_files.processes.process_runner import ProcessRunner
        from claw_files.system.processes import SystemProcesses

        closed = self.root != self.base
        return ProcessRunner(
            self.root, SystemProcesses(), self.clock, self._env, closed=closed, read=lambda path: self.files.read(path)
        )

    def _stop_runs(self, task: TaskId) -> None:
        for run in self.runtime.live() if self.workspace.files.names("runs") else []:
            if run.task == task:
                self.runtime.stop(run.id)


def open_workspace(start: str | None, env: Mapping[str, str], agent: str | None, clock: Clock | None = None) -> App:
    """The workspace that a command is meant for.

    Args:
        start: `-C DIR`: looked for there and above. Else CLAWFILES_WORKSPACE counts, exactly; else here and above.
        agent: `--agent NAME`; else CLAWFILES_AGENT counts.

    Raises NoWorkspace.
    """
    return App(find_root(start, env), env, agent, clock)
