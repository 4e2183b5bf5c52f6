"""What every worker does at its end: one file, checkpoints/subagent-LABEL.md, and nothing else."""

import os
from datetime import UTC, datetime


def write(findings: str, outputs: list[str]) -> None:
    """Put the result where clawfiles looks for it; whole or not at all, thanks to the rename."""
    label = os.environ["CLAWFILES_LABEL"]
    head = {
        "label": label,
        "run": os.environ["CLAWFILES_RUN"],
        "task": os.environ["CLAWFILES_TASK"],
        "agent": os.environ["CLAWFILES_AGENT"],
        "status": "done",
        "completed": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "outputs": "[" + ", ".join(outputs) + "]",
        "usage": "{input: 0, output: 0, cost: 0}",  # a script; an agent with a model says what it used
    }
    folder = os.path.join(os.environ["CLAWFILES_WORKSPACE"], "checkpoints")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"subagent-{label}.md")
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write("---\n" + "".join(f"{key}: {value}\n" for key, value in head.items()) + f"---\n{findings.strip()}\n")
    os.replace(f"{path}.tmp", path)
