"""Who hears of what a worker spawned, looked up for the tick: the tree above a task, and what of it is at work."""

from msgspec.structs import replace

from claw_files.core.keys import Key
from claw_files.core.model import Entry, RunId, Task, TaskId
from claw_files.policy import flow_tree
from claw_files.policy.flow_tree import Asker
from claw_files.processes.process_runner import ProcessRunner
from claw_files.storage.workspace import Workspace


def asker_of(ws: Workspace, runtime: ProcessRunner, task: Task, entry: Entry) -> Asker | None:
    """As `flows.asker`: None, at the cost of nothing, where no worker asked for it."""

    def live(name: TaskId) -> RunId | None:
        runs = (run for run in runtime.live() if run.alive and run.task == name and Key.parse(run.key).is_attempt)
        return next((run.id for run in runs), None)

    # The line counts, as wherever it says whose it is.
    return flow_tree.asker(ws.settings, replace(task, spawner=entry.spawner or task.spawner), ws.known, live)
