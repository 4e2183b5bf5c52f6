"""One request, answered: runs in a thread of its own, because services lock files and wait for the disk."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from claw_files import views, words
from claw_files.calls import CALLS, perform
from claw_files.calls.table import checked, make
from claw_files.errors import ClawError, Usage
from claw_files.serve import bodies, moves
from claw_files.serve.asked import Answer, Asked, tag_of
from claw_files.serve.callers import Callers
from claw_files.serve.routes import call_of

if TYPE_CHECKING:
    from claw_files.app import App
    from claw_files.model import AgentId

_WHOLE_NUMBERS = ("limit",)  # in a query everything is text


class Answering:
    """Answers what rows of the table ask for, all but events."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def caller(self, asked: Asked) -> "AgentId | None":
        """Whose token is shown. Raises Refusal and InvalidConfig."""
        return self._callers.agent_of(asked.authorization, asked.is_near)

    def admit(self, asked: Asked) -> "tuple[App, dict[str, Any]]":
        """The workspace with who asks acting, and the arguments. Raises Refusal and ClawError.

        The token comes first: nobody learns anything from what is wrong with the rest.
        """
        row, agent = asked.row, self.caller(asked)
        if row.where == "body" and asked.query:
            raise Usage("a request with a body takes nothing in the query")
        raw = bodies.parse(asked.body) if row.where == "body" else dict[str, Any](bodies.query(asked.query))
        if row.takes_agent:
            agent = self._callers.named(agent, raw.pop("agent", None))
        if hidden := sorted(row.hidden & raw.keys()):
            raise Usage(f"`{hidden[0]}` is not taken here")
        return self._callers.app(agent), raw

    def answer(self, asked: Asked) -> Answer:
        """What is answered. Raises Refusal and ClawError."""
        row = asked.row
        if row.name == "health":
            return self._health()
        app, raw = self.admit(asked)
        if row.changes and row.has_revision and asked.conditions.are_any:
            asked.conditions.check(_revision(self._shown(app, words.task_id(asked.path["task"]))))
        if row.name == "moveTask":
            return self._moved(app, asked, raw)
        call = call_of(row)
        assert call is not None, row.name
        arguments = {**_numbers(raw), **asked.path, **row.fixed}
        if app.agent is None and not row.takes_agent:
            found = call.function(app, checked(call, arguments))  # reading, where nobody has to say who they are
        else:
            found = make(app, call, arguments)
        return self._task(app, asked, found) if row.is_task else Answer(row.status, found)

    # --- tasks

    def _task(self, app: "App", asked: Asked, found: Any) -> Answer:
        """A task, with its revision where who asks may see it."""
        headers = dict[str, str]()
        with suppress(ClawError):
            headers["ETag"] = _revision(self._shown(app, found["id"]))
        if asked.row.status == 201:
            headers["Location"] = f"/api/tasks/{found['id']}"
        return Answer(asked.row.status, found, headers)

    def _moved(self, app: "App", asked: Asked, raw: dict[str, Any]) -> Answer:
        patch: moves.Patch = bodies.convert(raw, moves.Patch)
        task = words.task_id(asked.path["task"])
        place = app.place_to_act(task)
        found = place.workspace.in_force(place.workspace.load(task).task)
        call, arguments = moves.plan(found, app.actor, patch)
        moved = perform(app, call, arguments)
        if call == "task_claim":  # which answers with a lease
            moved = {key: value for key, value in self._shown(app, task).items() if key != "body"}
        return self._task(app, asked, moved)

    def _shown(self, app: "App", task: str) -> dict[str, Any]:
        call = CALLS["task_show"]
        found: Any = call.function(app, checked(call, {"task": task}))
        return dict(found)

    # --- the rest

    def _health(self) -> Answer:
        from claw_files.services import standing

        app = self._callers.app(None)
        app.check_settings()
        app.files.names("status", 1)
        return Answer(200, {"status": "ok", "daemon": standing.is_running(app.base)})


def _numbers(raw: dict[str, Any]) -> dict[str, Any]:
    """The arguments with whole numbers where a query has their digits."""

    def value(name: str, text: Any) -> Any:
        is_number = name in _WHOLE_NUMBERS and isinstance(text, str) and text.isascii() and text.isdigit()
        return int(text) if is_number and len(text) < 10 else text

    return {name: value(name, text) for name, text in raw.items()}


def _revision(shown: dict[str, Any]) -> str:
    """What changes when the task does."""
    facts = {key: value for key, value in shown.items() if key != "liveness"}  # the clock alone changes that
    return tag_of(views.to_json(facts).encode())
