"""Compartments, from outside: modes, and files outside that belong inside. No content is named."""

import os
from collections.abc import Iterator
from typing import Final

from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import BOXES, Survey
from claw_files.system.access_modes import opened

FOLDER: Final = "compartments"


def agents_of(s: Survey) -> list[str]:
    """The agents with a compartment; none in a compartment itself."""
    if s.settings is None or s.is_inner:
        return []
    return [agent.name for agent in s.settings.agents.values() if agent.compartment]


def modes(s: Survey) -> Iterator[Finding]:
    """Compartments with open modes: reported with the number of files, not their names."""
    if s.is_inner:
        return
    top = s.tree.node(FOLDER)
    if top and top.kind == "folder" and top.mode & 0o077:
        yield Finding("compartment-open", FOLDER, detail=f"mode {top.mode:o}")
    for node in s.folder(FOLDER).nodes:
        if node.kind != "folder":
            yield Finding("link" if node.kind == "link" else "special-file", node.path)
        elif number := len(opened(os.path.join(s.tree.root, node.path))):
            yield Finding("compartment-open", node.path, detail=f"{number} of its folders and files")


def outside(s: Survey) -> Iterator[Finding]:
    """Files of an agent with a compartment that are outside, where others can read them."""
    agents = agents_of(s)
    for it in s.tasks:
        if it.task and it.task.assignee in agents:
            yield Finding("compartment-outside", it.node.path, task=it.id)
    for agent in agents:
        paths = [f"checkpoints/{agent}.md", f"status/{agent}.md"]
        yield from (Finding("compartment-outside", path) for path in paths if s.tree.node(path))
        if any(s.folder(f"inbox/{agent}/{box}").nodes for box in BOXES):
            yield Finding("compartment-outside", f"inbox/{agent}")
