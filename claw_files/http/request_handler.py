"""Handles one request in a separate thread, because services lock files and wait for the disk."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from claw_files.core import text as words
from claw_files.core.errors import ClawError, UsageError
from claw_files.core.operation_table import OPERATIONS
from claw_files.http import json_bodies, status_moves
from claw_files.http.authentication import RequestAuthenticator
from claw_files.http.conditional_requests import HttpAnswer, HttpRequest, tag_of
from claw_files.http.routes import OPERATION_OF
from claw_files.operations.dispatch import checked, look, make, perform
from claw_files.presentation import views

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import AgentId

_WHOLE_NUMBERS = ("limit",)  # in a query everything is text


class RequestHandler:
    """Handles the requests for rows of the table, except events."""

    def __init__(self, callers: RequestAuthenticator) -> None:
        self._callers = callers

    def caller(self, asked: HttpRequest) -> "AgentId | None":
        """The agent of the token. Raises Refusal and InvalidConfig."""
        return self._callers.agent_of(asked.authorization, asked.is_near)

    def admit(self, asked: HttpRequest) -> "tuple[App, dict[str, Any]]":
        """The workspace with who asks acting, and the arguments. Raises Refusal and ClawError.

        The token is checked first, so that errors in the rest disclose nothing to strangers.
        """
        row, agent = asked.row, self.caller(asked)
        if row.changes and asked.query:
            raise UsageError("a request with a body must not have a query")
        raw = json_bodies.parse(asked.body) if row.changes else dict[str, Any](json_bodies.query(asked.query))
        if row.takes_agent:
            agent = self._callers.named(agent, raw.pop("agent", None))
        if hidden := sorted(row.hidden & raw.keys()):
            raise UsageError(f"`{hidden[0]}` is not accepted here")
        return self._callers.app(agent), raw

    def answer(self, asked: HttpRequest) -> HttpAnswer:
        """The response. Raises Refusal and ClawError."""
        row = asked.row
        if row.name == "health":
            return health(self._callers.app(None))
        app, raw = self.admit(asked)
        if row.changes and row.has_revision and asked.conditions.are_any:
            asked.conditions.check(_revision(self._shown(app, words.task_id(asked.path["task"]))))
        if row.name == "moveTask":
            return self._moved(app, asked, raw)
        operation = OPERATION_OF[row.name]
        arguments = {**_numbers(raw), **asked.path, **row.fixed, **({"key": asked.key} if row.is_keyed else {})}
        if app.agent is None and not row.takes_agent:
            found = look(app, operation, checked(operation, arguments))  # reading, if no token is required
        else:
            found = make(app, operation, arguments)
        return self._task(app, asked, found) if row.is_task else HttpAnswer(row.status, found)

    # --- tasks

    def _task(self, app: "App", asked: HttpRequest, found: Any) -> HttpAnswer:
        """A task, with its revision if the caller may see it."""
        headers = dict[str, str]()
        with suppress(ClawError):
            headers["ETag"] = _revision(self._shown(app, found["id"]))
        if asked.row.status == 201:
            headers["Location"] = f"/api/{'flows' if asked.row.is_keyed else 'tasks'}/{found['id']}"
        return HttpAnswer(asked.row.status, found, headers)

    def _moved(self, app: "App", asked: HttpRequest, raw: dict[str, Any]) -> HttpAnswer:
        patch = checked(OPERATION_OF["moveTask"], raw)
        task = words.task_id(asked.path["task"])
        place = app.resolver.to_act(task)
        found = place.workspace.in_force(place.workspace.load(task).task)
        name, arguments = status_moves.plan(found, app.actor, patch)
        moved: Any = perform(app, name, arguments)
        if name == "task_claim":  # which answers with a lease
            moved = {key: value for key, value in self._shown(app, task).items() if key != "body"}
        return self._task(app, asked, moved)

    def _shown(self, app: "App", task: str) -> dict[str, Any]:
        show = OPERATIONS["task_show"]
        return dict(look(app, show, checked(show, {"task": task})))


def health(app: "App") -> HttpAnswer:
    """Whether the workspace can be read, and whether a daemon runs."""
    from claw_files.services.admin import daemon_state

    app.check_settings()
    app.files.names("status", 1)
    return HttpAnswer(200, {"status": "ok", "daemon": daemon_state.is_running(app.base)})


def _numbers(raw: dict[str, Any]) -> dict[str, Any]:
    """The arguments with digits converted to whole numbers, for a query."""

    def value(name: str, text: Any) -> Any:
        is_number = name in _WHOLE_NUMBERS and isinstance(text, str) and text.isascii() and text.isdigit()
        return int(text) if is_number and len(text) < 10 else text

    return {name: value(name, text) for name, text in raw.items()}


def _revision(shown: dict[str, Any]) -> str:
    """A value that changes with the task."""
    facts = {key: value for key, value in shown.items() if key != "liveness"}  # the clock alone changes that
    return tag_of(views.to_json(facts).encode())
