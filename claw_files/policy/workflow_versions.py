"""Versions of a workflow: which one a run follows, and what one changed. Pure.

The content is the version: the same bytes are the same version, whoever wrote them and when.
"""

import hashlib
from collections.abc import Iterator

from msgspec.structs import replace

from claw_files.config.settings import WorkflowPin
from claw_files.core.workflow import Step, Workflow


def content_hash(raw: bytes) -> str:
    """The hash of a content, in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


def pick(pin: WorkflowPin | None, workflow: str, key: str) -> int | None:
    """The version that a run with the key follows; None: the file as it is. The same key always meets the same one."""
    if pin is None or not pin.split:
        return pin.use if pin else None
    place, upto = int(content_hash(f"{workflow}\n{key}".encode()), 16) % 100, 0
    for version, percent in pin.split:
        upto += percent
        if place < upto:
            return version
    return None


def changes(old: Workflow, new: Workflow) -> Iterator[str]:
    """The changed steps, in words: "+look" is new, "-look" was removed, "~look" was changed."""
    before, after = ({step.name: _bare(step) for step in flow.steps} for flow in (old, new))
    if replace(old, steps=(), lines={}) != replace(new, steps=(), lines={}):
        yield "~head"
    yield from (f"-{name}" for name in before if name not in after)
    for name, step in after.items():
        if before.get(name) != step:
            yield f"{'~' if name in before else '+'}{name}"


def _bare(step: Step) -> Step:
    """The step without the lines on which it stands."""
    return replace(step, line=0, text_line=0, lines={})
