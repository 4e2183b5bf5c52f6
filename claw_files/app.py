"""Wiring: the one place that picks real implementations, found from where a command stands."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from claw_files.errors import ClawError
from claw_files.finding import find_root, set_up, take_out
from claw_files.model import AgentId, Runtime, TaskId
from claw_files.site import PRIVATE, Site
from claw_files.system.clock import Clock
from claw_files.workspace.places import Places

if TYPE_CHECKING:  # each command imports only what it uses: cron starts us often
    from claw_files.acp.hello import Met
    from claw_files.config import Agent
    from claw_files.doctor.repair import Repair
    from claw_files.doctor.repair_inside import Closing
    from claw_files.model import Task
    from claw_files.rules.snapshot import Before
    from claw_files.runtimes.command import CommandRuntime
    from claw_files.services.acting import Acting
    from claw_files.services.board import Board
    from claw_files.services.checkpoints import Checkpoints
    from claw_files.services.choices import Choices
    from claw_files.services.choosing import Choosing
    from claw_files.services.claims import ClaimService
    from claw_files.services.compartments import MovingIn
    from claw_files.services.delegations import Delegations
    from claw_files.services.explain import Explaining
    from claw_files.services.flows import Flows
    from claw_files.services.heartbeat import Heartbeat
    from claw_files.services.journal import Journal
    from claw_files.services.looking import Looking
    from claw_files.services.messages import Messages
    from claw_files.services.outbox import Outbox
    from claw_files.services.people import People
    from claw_files.services.probing import Probing
    from claw_files.services.records import Records
    from claw_files.services.schedules import Schedules
    from claw_files.services.sessions import Sessions
    from claw_files.services.staying import Staying
    from claw_files.services.steering import Steering
    from claw_files.services.successors import Successors
    from claw_files.services.tasks import TaskService
    from claw_files.workspace import Workspace

__all__ = ["PRIVATE", "App", "find_root", "open_workspace", "set_up", "take_out"]


class App(Site):
    """One workspace, or one compartment of it, and who acts in it. Services are made when they are first asked for."""

    def _places(self) -> "Places":
        from claw_files.services.compartments import Inside, Outside

        if not self._compartmental:
            return Places()
        if self.home:
            return Inside(self.home, lambda: self.outer.workspace, lambda: self.outer.moving)
        return Outside(
            self._compartmental.__contains__,
            self._inside,
            lambda: [app.workspace for app in self.compartments()],
            self._locks,
        )

    @cached_property
    def moving(self) -> "MovingIn":
        from claw_files.services.compartments import MovingIn

        return MovingIn(self.workspace, self.looking, self._inside, self._compartmental)

    def _inside(self, agent: AgentId) -> "Workspace":
        """What lies in the agent's compartment."""
        return self.compartment(agent).workspace

    @property
    def has_compartments(self) -> bool:
        """Whether the configuration names an agent with one."""
        return bool(self._compartmental)

    def closing(self, repair: "Callable[[App], Repair]") -> "Closing":
        """What mends the compartments, each with a `repair` of its own."""
        from claw_files.doctor.repair_inside import Closing

        return Closing(self.workspace, self.moving, [(it.workspace, repair(it)) for it in self.compartments()])

    # --- where a task is

    def place_to_see(self, task: TaskId) -> "App":
        """Where to look at the task: here, or from a compartment outside of it."""
        is_outside = self.home and not self.workspace.find(task) and self.outer.workspace.find(task)
        return self.outer if is_outside else self

    def place_to_act(self, task: TaskId) -> "App":
        """Where to act on the task: as `place_to_see`; and in a compartment for who may, who is shown nothing of it.

        Raises NotFound for one in a compartment that is not the actor's business.
        """
        app = self.place_to_see(task)
        if app.hidden:
            app.board.check(task, self.actor)
        asked = self._place_asked(task)
        return app if asked is self else asked

    def _place_asked(self, task: TaskId, by: AgentId | None = None) -> "App":
        """The compartment the task lies in, if it is the business of `by` (not given: of whoever acts); else here."""
        if not self.home and self._compartmental and not self.workspace.find(task):
            for inner in self.compartments():
                if inner.workspace.find(task):
                    inner.board.check_asked(task, by or self.actor)
                    return inner
        return self

    def wake(self) -> None:
        """Wake whoever has a message waiting, wherever it lies. Where that fails, the heartbeat does it."""
        self.afterwards(self.outer.heartbeat.wake)

    def afterwards(self, step: "Callable[[], object]") -> None:
        """Do what comes after a command that is done: should it fail, that is only said."""
        try:
            step()
        except (ClawError, OSError) as wrong:
            self.remarks.append(f"this is done, but nobody was woken for it yet: {wrong}; the next heartbeat does it")

    # --- services

    @cached_property
    def tasks(self) -> "TaskService":
        from claw_files.services.tasks import TaskService

        return TaskService(self.workspace, self._stop_runs, lambda task: self._successors.follow(task))

    @cached_property
    def claims(self) -> "ClaimService":
        from claw_files.services.claims import ClaimService

        return ClaimService(self.workspace, self._blockers)

    @cached_property
    def _successors(self) -> "Successors":
        from claw_files.services.successors import Successors

        return Successors(self.workspace, self.messages, self._blockers)

    def _blockers(self, task: "Task") -> "tuple[Before, ...]":
        return self.looking.blockers(task) if task.after else ()

    @cached_property
    def delegations(self) -> "Delegations":
        from claw_files.services.delegations import Delegations

        return Delegations(self.workspace, self.runs_around, self._lacks_sandbox, lambda: self.choosing, self._blockers)

    @cached_property
    def choosing(self) -> "Choosing":
        from claw_files.services.choosing import Choosing

        return Choosing(self.workspace, self.looking, self.checkpoints)

    @cached_property
    def _tick_delegations(self) -> "Delegations":
        """Those of the tick: in whose process it runs is chance."""
        from claw_files.services.delegations import Delegations

        return Delegations(self.workspace, tuple, self._lacks_sandbox, lambda: self.choosing, self._blockers)

    def _lacks_sandbox(self) -> str | None:
        return self.runtime.lacks_sandbox()

    @cached_property
    def messages(self) -> "Messages":
        from claw_files.services.messages import Messages

        return Messages(self.workspace)

    @cached_property
    def checkpoints(self) -> "Checkpoints":
        from claw_files.services.checkpoints import Checkpoints

        return Checkpoints(self.workspace, in_place="CLAWFILES_SANDBOX" in self._env)

    @cached_property
    def people(self) -> "People":
        from claw_files.services.people import People

        return People(self.workspace, self.outbox)

    @cached_property
    def outbox(self) -> "Outbox":
        from claw_files.services.outbox import Outbox

        return Outbox(self.workspace)

    @cached_property
    def choices(self) -> "Choices":
        from claw_files.services.choices import Choices

        return Choices(self.workspace, lambda: self.messages, self._place_asked)

    @cached_property
    def schedules(self) -> "Schedules":
        from claw_files.services.schedules import Schedules

        return Schedules(self.workspace, lambda: self._tick_delegations)

    @cached_property
    def looking(self) -> "Looking":
        from claw_files.services.looking import Looking

        looks = (self.workspace, self.runtime, self.checkpoints, self.schedules)
        if not self._compartmental:
            return Looking(*looks, outbox=self.outbox)
        return Looking(*looks, lambda: [app.looking for app in self._others()], None if self.home else self.outbox)

    @cached_property
    def heartbeat(self) -> "Heartbeat":
        """The tick; commands that have sent something use its `wake`."""
        from claw_files.services import standing
        from claw_files.services.heartbeat import Heartbeat

        parts = (self.workspace, self.runtime, self.looking, self._acting, self.schedules)
        if self.home:
            heartbeat = Heartbeat(*parts)
        elif not self._compartmental:
            heartbeat = Heartbeat(*parts, self._afterwards, choices=self.choices)
        else:
            heartbeat = Heartbeat(*parts, self._afterwards, self.moving, self._beats_inside, self.choices)
        heartbeat.starts = standing.draining_until(self.base) is None
        return heartbeat

    def _beats_inside(self) -> "list[Heartbeat]":
        return [app.heartbeat for app in self.compartments()]

    def check_takes_work(self, to: AgentId | None = None) -> None:
        """Raises Draining for new work while the daemon is stopping; words to an agent that looks for itself are none.

        Args:
            to: whom words are for; None where it is work, whoever is to do it.
        """
        from claw_files.services import standing

        if to is None or self.settings.agents[to].runtime is not Runtime.INBOX:
            standing.check_takes_work(self.base, self.clock.now())

    def _afterwards(self) -> str | None:
        """What follows a tick, without its lock; what went wrong, in one sentence."""
        from claw_files.system.processes import SystemProcesses

        wrong = [self.outbox.start(SystemProcesses(), self._env)]
        wrong += [self._push()] if self.settings.openclaw.push_ledger else []
        return "; ".join(filter(None, wrong)) or None

    def _push(self) -> str | None:
        from claw_files.services.pushing import Pushing

        return Pushing(self.workspace, self.cache, self._env).push()

    def ping(self, agent: AgentId, patience: timedelta) -> str | None:
        """Why the agent could not be woken now, in one sentence; None where nothing is known against it.

        OpenClaw's gateway is asked for its agents; a command is only started, so there is nothing to ask.
        """
        if self.settings.agent(agent).runtime is not Runtime.OPENCLAW:
            return None
        from claw_files.openclaw.health import ping

        return ping(self.settings, self.base, self._env, agent, patience)

    def _acting(self) -> "Acting":
        from claw_files.services.acting import Acting
        from claw_files.services.outcomes import Outcomes
        from claw_files.services.waking import Waking

        workspace, runtime = self.workspace, self.runtime
        waking = Waking(workspace, runtime, self.checkpoints)
        outcomes = Outcomes(workspace, self.checkpoints, self.messages)
        others = (self._tick_delegations, self.messages, self.people, self.schedules)
        return Acting(workspace, runtime, waking, outcomes, *others, self._successors.follow)

    @cached_property
    def explaining(self) -> "Explaining":
        from claw_files.services.explain import Explaining

        return Explaining(self.workspace, self.looking, self.hidden)

    @cached_property
    def probing(self) -> "Probing":
        from claw_files.services.probing import Probing

        looking, heartbeat, delegations = self.looking, self.heartbeat, self.delegations
        return Probing(
            self.workspace, self.runtime, looking, heartbeat, delegations, self.tasks, self.checkpoints, self._meet
        )

    def _meet(self, agent: "Agent", say: "Callable[[str], None]") -> "Met":
        from claw_files.acp.hello import meet

        return meet(agent, self.base, self._env, say)

    @cached_property
    def board(self) -> "Board":
        from claw_files.services.board import Board

        return Board(self.workspace, lambda entry: self.looking.look(entry), self.hidden)

    @cached_property
    def journal(self) -> "Journal":
        from claw_files.services.journal import Journal

        return Journal(self.files, self.clock, self.hidden, self._hidden_tasks)

    def _hidden_tasks(self) -> set[str]:
        """The tasks in compartments: what stands there in their files, and what their agents were ever given."""
        from claw_files.rules import visibility

        rows = (row.task() for row in self.workspace.rows() if not row.error)
        found = {task.id for task in rows if visibility.hides(self.hidden, task)}
        inner = [app.workspace for app in self._others()] if self._compartmental else []
        names = {name.removesuffix(".md").upper() for ws in inner for _, name in ws.task_ids()}
        return {*found, *names, *(task for agent in self.hidden for task in self.workspace.tasks_given(agent))}

    @cached_property
    def sessions(self) -> "Sessions":
        from claw_files.services.sessions import Sessions

        return Sessions(self.workspace, self.runtime, self.looking, self.checkpoints)

    @cached_property
    def flows(self) -> "Flows":
        from claw_files.services.flows import Flows

        return Flows(self.workspace, self.runtime, self.looking, self.hidden)

    @cached_property
    def staying(self) -> "Staying":
        from claw_files.services.staying import Staying

        return Staying(self.workspace)

    @cached_property
    def records(self) -> "Records":
        from claw_files.services.records import Records

        return Records(self.workspace, self.runtime, self.sessions, self.checkpoints)

    @cached_property
    def steering(self) -> "Steering":
        from claw_files.services.handing_over import steers
        from claw_files.services.steering import Steering

        ways = steers(self.settings, self.base, self.root, self._env)
        return Steering(self.workspace, self.runtime, self.sessions, self.messages, ways)

    def lanes_held(self) -> list[str]:
        """The sessions that cannot run before the caller's own run has ended."""
        agents = self.settings.agents
        return [agents[run.agent].session for run in self.runs_around()[:1] if run.agent in agents]

    @cached_property
    def runtime(self) -> "CommandRuntime":
        """What starts agents as commands, and looks after their runs."""
        from claw_files.runtimes.command import CommandRuntime
        from claw_files.system.processes import SystemProcesses

        closed = self.root != self.base
        return CommandRuntime(
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
