"""Worker "tasks": what is open, what is urgent, what is stuck, as `clawfiles task list` has it."""

import json
import subprocess
import time

import result

THINKING_SECONDS = 2  # stands for the model call of a real agent
URGENT = ("critical", "high")


def line(task: dict[str, str]) -> str:
    reason = f" ({task['reason']})" if task.get("reason") else ""
    return f"- {task['id']} [{task['priority']}] {task['title']}{reason}"


def main() -> None:
    answer = subprocess.run(["clawfiles", "task", "list", "--json"], check=True, capture_output=True, text=True)
    urgent = [task for task in json.loads(answer.stdout) if task.get("priority") in URGENT]
    open_ones = [task for task in urgent if task["status"] in ("backlog", "in_progress", "review")]
    blocked = [task for task in urgent if task["status"] == "blocked"]
    time.sleep(THINKING_SECONDS)
    summary = f"{len(open_ones)} tasks of high priority open, {len(blocked)} blocked"
    lines = [*map(line, open_ones), "", "Blocked:", *map(line, blocked)]
    result.write(f"# {summary}\n\n" + "\n".join(lines), outputs=[])


main()
