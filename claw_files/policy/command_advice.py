"""Which command would be right, where another one was refused."""

from claw_files.core.model import State, Task


def right_command(task: Task) -> str:
    """The command that would be right from where the task stands."""
    return {
        State.BACKLOG: f"claim it first: `clawfiles claim {task.id}`",
        State.IN_PROGRESS: f"{task.assignee} holds it: `clawfiles done {task.id}`, or `clawfiles release {task.id}`",
        State.REVIEW: f"its reviewer says `clawfiles approve {task.id}` or `clawfiles reopen {task.id} WHY`",
        State.DONE: f"`clawfiles reopen {task.id} WHY` brings it back",
        State.BLOCKED: f"`clawfiles unblock {task.id}` once it can go on, or `clawfiles release {task.id}`",
        State.FAILED: "the next heartbeat decides what follows",
        State.DEAD: f"`clawfiles requeue {task.id}` brings it back",
        State.CANCELLED: "make a new one: `clawfiles task new TITLE`",
    }[task.state]
