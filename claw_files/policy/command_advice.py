"""Which command would be right, where another one was refused."""

from claw_files.core.model import State, Task


def right_command(task: Task) -> str:
    """The command that would be right from where the task stands."""
    return {
        State.BACKLOG: f"claim it first: `clawfiles claim {task.id}`",
        State.IN_PROGRESS: f"{task.assignee} holds it: `clawfiles done {task.id}`, or `clawfiles release {task.id}`",
        State.REVIEW: f"its reviewer runs `clawfiles approve {task.id}` or `clawfiles reopen {task.id} WHY`",
        State.DONE: f"to reopen it: `clawfiles reopen {task.id} WHY`",
        State.BLOCKED: f"to continue: `clawfiles unblock {task.id}`; to give it up: `clawfiles release {task.id}`",
        State.FAILED: "the next heartbeat decides about a retry",
        State.DEAD: f"to bring it back: `clawfiles requeue {task.id}`",
        State.CANCELLED: "create a new task: `clawfiles task new TITLE`",
    }[task.state]
