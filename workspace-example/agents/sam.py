"""Sam, the coordinator: woken with one message at a time, does what needs judgement, and ends."""

import argparse
import os
import sys
from datetime import date

from claw import claw

WORKERS = {"email": "Mail", "calendar": "Calendar", "tasks": "Tasks"}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--check", default="+30m", metavar="WHEN", help="when to look at what is delegated")
    check = options.parse_args().check
    sys.stdin.read()  # the text of the message: a model would read it, this script goes by its name
    message = os.environ["CLAWFILES_MESSAGE_ID"]
    if message.endswith(".report"):
        report_the_morning()
        delegate_what_is_critical(check)
    elif message.endswith(".review"):
        review(os.environ["CLAWFILES_TASK"])
    # Anything else is good to know, and needs nothing from us.
    claw("inbox", "done", message)


def report_the_morning() -> None:
    """One report from the three results; a worker that left none is named, not passed over."""
    parts = [f"## {title}: {findings(label)}" for label, title in WORKERS.items()]
    text = f"# Morning report, {date.today()}\n\n" + "\n\n".join(parts) + "\n"
    os.makedirs("reports", exist_ok=True)
    with open("reports/morning.md", "w", encoding="utf-8") as file:
        file.write(text)
    claw("send", "dimitrios", text)


def findings(label: str) -> str:
    """What stands below the front matter of a worker's result, without the mark of its heading."""
    try:
        with open(f"checkpoints/subagent-{label}.md", encoding="utf-8") as file:
            return file.read().split("---\n", 2)[2].strip().removeprefix("# ")
    except FileNotFoundError:
        return "no result"


def delegate_what_is_critical(check: str) -> None:
    for task in claw("task", "list"):
        if task["status"] == "backlog" and task.get("priority") == "critical" and not task.get("assignee"):
            claw("delegate", task["id"], "--check", check)


def review(task_id: str) -> None:
    """A brief look: is there something to be merged?"""
    task = claw("task", "show", task_id)
    if any(output.startswith("PR ") for output in task.get("outputs") or []):
        claw("approve", task_id)
    else:
        claw("reopen", task_id, "no pull request is named")


main()
