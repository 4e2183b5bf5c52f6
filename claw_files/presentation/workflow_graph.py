"""A workflow as a picture: lines for a terminal, and Mermaid for pages that draw it."""

from claw_files.core.text import safe
from claw_files.core.workflow import Condition, Step, Workflow


def who(step: Step) -> str:
    """The agent of the step, in a few words."""
    if step.again:
        return f"again from {step.again.step}, at most {step.again.most}"
    if step.workflow:
        return f"workflow {step.workflow}"
    if step.type:
        return f"type {safe(step.type, 40)}"
    return " then ".join(step.to) or "each of " + ", ".join(step.to_each)


def text(workflow: Workflow) -> str:
    """A line for each step, in the order of the file: predecessors, name, agent, endings."""
    rows = []
    for step in workflow.steps:
        after = (" or " if step.is_any else ", ").join(map(_condition, step.after))
        ends = " | ".join(step.choices)
        items = f"for each {safe(step.items, 60)}" if step.items else ""
        rows.append((f"{step.name}:", who(step), items, f"after {after}" if after else "at once", ends))
    widths = [max(len(row[column]) for row in rows) for column in range(5)] if rows else []
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def mermaid(workflow: Workflow) -> str:
    """A flow chart. Names are the only text of the file in it, so that no text can end a label."""
    lines = ["flowchart TD"]
    for step in workflow.steps:
        shape = ("{{", "}}") if step.choices else ("[[", "]]") if step.is_map else ("[", "]")
        lines.append(f'    {_node(step.name)}{shape[0]}"{step.name}"{shape[1]}')
    for step in workflow.steps:
        for it in step.after:
            label = f'|"{" or ".join(it.words)}"|' if it.words else ""
            lines.append(f"    {_node(it.step)} -->{label} {_node(step.name)}")
        if step.again:
            lines.append(f'    {_node(step.name)} -.->|"at most {step.again.most}"| {_node(step.again.step)}')
    return "\n".join(lines)


def _node(name: str) -> str:
    return f"step_{name.replace('-', '_')}"


def _condition(it: Condition) -> str:
    return f"{it.step} = {'|'.join(it.words)}" if it.words else it.step
