"""Resources: read-only calls at an address, and the stamps that show a change."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from claw_files.core import text
from claw_files.core.errors import ClawError, NotFound
from claw_files.core.operation_table import OPERATIONS

if TYPE_CHECKING:
    from claw_files.app.wiring import App

SCHEME = "clawfiles://"
TASK = f"{SCHEME}tasks/"
URI_LETTERS = 200


class Found(NamedTuple):
    """The resource at an address, and the operation that shows it."""

    name: str
    says: str
    operation: str
    arguments: Mapping[str, object]


RESOURCES = {
    f"{SCHEME}{it.name}": Found(it.name, it.says, row.name, it.arguments)
    for row in OPERATIONS.values()
    if (it := row.resource)
}
TEMPLATE = f"{TASK}{{id}}"


def found(uri: str) -> Found:
    """The resource at the address. Raises NotFound, BadId."""
    if resource := RESOURCES.get(uri):
        return resource
    if uri.startswith(TASK) and len(uri) <= URI_LETTERS:
        task = text.task_id(uri.removeprefix(TASK))
        return Found(task, "A task with its text and state.", "task_show", {"task": task})
    raise NotFound("resource", text.safe(uri, URI_LETTERS), f"there are {', '.join(RESOURCES)} and {TEMPLATE}")


def stamp(app: "App", uri: str) -> object:
    """A value that changes when the resource may have changed; one stat per file. None if unknown."""
    try:
        return _stamp(app, found(uri))
    except (ClawError, OSError):
        return None


def _stamp(app: "App", resource: Found) -> object:
    files = app.files
    if resource.operation == "board":
        return frozenset((folder, *row) for folder in ("status", "dead-letter") for row in files.survey(folder))
    if resource.operation == "inbox":
        return frozenset(files.survey(f"inbox/{app.actor}/new"))
    if resource.operation == "checkpoint":
        return files.stamp(app.checkpoints.path(app.actor))
    place = app.resolver.find(text.task_id(resource.name)).workspace
    there = place.find(text.task_id(resource.name))
    return (there[0], place.files.stamp(there[0])) if there else None
