"""Sam, the coordinator, as in the example workspace, but with nothing than the tools of MCP."""

import argparse
import os
import sys
from datetime import date

from door import Call, live

WORKERS = {"email": "Mail", "calendar": "Calendar", "tasks": "Tasks"}

options = argparse.ArgumentParser()
options.add_argument("--check", default="+30m", metavar="WHEN")
check = options.parse_args().check
sys.stdin.read()


async def sam(call: Call) -> None:
    message = os.environ["CLAWFILES_MESSAGE_ID"]
    if message.endswith(".report"):
        parts = [f"## {title}: {await findings(call, label)}" for label, title in WORKERS.items()]
        text = f"# Morning report, {date.today()}\n\n" + "\n\n".join(parts)
        await call("sessions_send", agentId="dimitrios", message=text)
        for task in (await call("task_list", status="backlog"))["tasks"]:
            if task.get("priority") == "critical" and not task.get("assignee"):
                await call("task_delegate", task=task["id"], check=check)
    elif message.endswith(".review"):
        task = await call("task_show", task=os.environ["CLAWFILES_TASK"])
        if any(output.startswith("PR ") for output in task["outputs"]):
            await call("task_approve", task=task["id"])
        else:
            await call("task_reopen", task=task["id"], why="no pull request is named")
    await call("inbox", action="done", id=message)


async def findings(call: Call, label: str) -> str:
    """What stands below the front matter of a worker's result."""
    history = await call("sessions_history", sessionKey=f"agent:{label}:subagent:{label}")
    results = [record["text"] for record in history["messages"] if record["type"] == "result"]
    return results[-1].split("---\n", 2)[-1].strip().removeprefix("# ") if results else "no result"


live(sam)
