"""What the heartbeat does in the coming hours if nobody acts: the real one, over files in memory, on a moved clock."""

from datetime import datetime
from functools import cached_property

from msgspec.structs import replace

from claw_files.app.resolver import Resolver
from claw_files.app.wiring import App
from claw_files.config import Settings
from claw_files.policy.forecast import NextAction, Simulation
from claw_files.policy.heartbeat_plan import next_due
from claw_files.processes.silent_runner import SilentRunner, end_of
from claw_files.storage.simulated_workspace import SimulatedWorkspace
from claw_files.storage.workspace import Workspace
from claw_files.system.clock import StillClock
from claw_files.system.disk_files import DiskFiles

MOST_ACTIONS, MOST_TICKS = 1_000, 5_000  # so much is followed
MOST_ROUNDS = 3  # ticks on end that decide the same: that is a fault somewhere, and time goes on


class _SimulatedApp(App):
    """A workspace in which a write stays in memory, a run says nothing, and nothing is sent."""

    @cached_property
    def settings(self) -> Settings:
        return replace(super().settings, sources={})  # what they would bring, nobody knows

    @cached_property
    def files(self) -> DiskFiles:
        return self._checked(self.root, closed=bool(self.home))  # and the folder of a compartment is not made

    @cached_property
    def workspace(self) -> Workspace:
        return SimulatedWorkspace(super().workspace)

    @cached_property
    def runtime(self) -> SilentRunner:
        return SilentRunner(super().runtime, lambda: self.workspace.files)

    @cached_property
    def resolver(self) -> "Resolver[App]":
        found = super().resolver
        found.moving = None  # nothing moves into a compartment: the two would not know of each other's files
        return found

    def _afterwards(self) -> str | None:
        return None

    def next_at(self) -> datetime | None:
        """When something may be decided, or the time of a run is over, although nobody acts."""
        now = self.clock.now()
        due = (next_due(seen, now) for seen in self.heartbeat.take_seen())
        ends = (end_of(run) for place in self.resolver.everywhere() for run in place.runtime.live())
        return min((at for at in (*due, *ends) if at and at > now), default=None)


def simulate(app: App, until: datetime, most: int = MOST_ACTIONS) -> Simulation:
    """The heartbeat's actions from now to `until`, inclusive, at most `most`; nothing is carried out.

    It ticks as the daemon does: when something is due, and again after each tick that did something.
    """
    clock = StillClock(app.clock.now())
    here = _SimulatedApp(app.base, app._env, app._asked, clock, app.home)
    start, ticks, problems, cut = clock.at, list[NextAction](), dict[str, None](), ""
    before, rounds, count = set[tuple[object, ...]](), 0, 0
    for _ in range(MOST_TICKS):
        ticked = here.heartbeat.tick()
        problems |= dict.fromkeys((*ticked.problems, *ticked.faults))
        if ticked.actions:
            ticks.append(NextAction(at=clock.at, actions=ticked.actions))
        same: set[tuple[object, ...]] = {(it.act, it.task, it.agent, it.key) for it in ticked.actions}
        rounds, before, count = rounds + 1 if same & before else 0, same, count + len(ticked.actions)
        if count >= most:
            cut = f"{count} actions"
            break
        if (same or ticked.hidden) and rounds < MOST_ROUNDS:
            continue
        at = here.next_at()
        if at is None or at > until:
            break
        clock.at = at
    else:
        cut = f"{MOST_TICKS} ticks"
    end = clock.at if cut else until
    return Simulation(start=start, until=end, ticks=tuple(ticks), problems=tuple(problems), cut=cut)
