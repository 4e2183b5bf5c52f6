"""Resources: calls that only look, under an address, and what tells that they may have changed."""

from typing import TYPE_CHECKING, Any, NamedTuple

from claw_files.core import text
from claw_files.core.errors import ClawError, NotFound

if TYPE_CHECKING:
    from claw_files.app.wiring import App

SCHEME = "clawfiles://"
TASK = f"{SCHEME}tasks/"
URI_LETTERS = 200


class Resource(NamedTuple):
    """What lies at an address, and the call that shows it."""

    name: str
    says: str
    call: str
    arguments: dict[str, Any]


RESOURCES = {
    f"{SCHEME}board": Resource("board", "All tasks by state.", "board", {}),
    f"{SCHEME}inbox": Resource("inbox", "Your new messages; looking leaves them unread.", "inbox", {"action": "peek"}),
    f"{SCHEME}checkpoint": Resource("checkpoint", "What you need to go on after a restart.", "checkpoint", {}),
}
TEMPLATE = f"{TASK}{{id}}"


def found(uri: str) -> Resource:
    """What lies at the address. Raises NotFound, BadId."""
    if resource := RESOURCES.get(uri):
        return resource
    if uri.startswith(TASK) and len(uri) <= URI_LETTERS:
        task = text.task_id(uri.removeprefix(TASK))
        return Resource(task, "A task with its text and state.", "task_show", {"task": task})
    raise NotFound("resource", text.safe(uri, URI_LETTERS), f"there are {', '.join(RESOURCES)} and {TEMPLATE}")


def stamp(app: "App", uri: str) -> object:
    """A value that changes when the resource may have; costs a stat for each file. None where it cannot be told."""
    try:
        return _stamp(app, found(uri))
    except (ClawError, OSError):
        return None


def _stamp(app: "App", resource: Resource) -> object:
    files = app.files
    if resource.call == "board":
        return frozenset((folder, *row) for folder in ("status", "dead-letter") for row in files.survey(folder))
    if resource.call == "inbox":
        return frozenset(files.survey(f"inbox/{app.actor}/new"))
    if resource.call == "checkpoint":
        return files.stamp(app.checkpoints.path(app.actor))
    place = app.place_to_see(text.task_id(resource.name)).workspace
    there = place.find(text.task_id(resource.name))
    return (there[0], place.files.stamp(there[0])) if there else None
