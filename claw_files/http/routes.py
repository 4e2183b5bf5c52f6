"""The table of what can be asked over HTTP: each row a method, a path, and the call that answers it.

The application, the description at /openapi.json and `docs/reference/http.md` are made from it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from claw_files.http.status_moves import Patch
from claw_files.operations import CALLS, Call
from claw_files.operations import arguments as args

if TYPE_CHECKING:
    from claw_files.app.wiring import App

Where = Literal["query", "body", "none"]


class MessageBody(args.Arguments, frozen=True, kw_only=True):
    to: args.Name
    text: args.Text
    task: args.Name | None = None
    critical: bool = False
    question: bool = False


class LogQuery(args.Arguments, frozen=True, kw_only=True):
    task: args.Name | None = None


class RouteRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked."""

    method: Literal["GET", "POST", "PATCH"]
    path: str  # names in braces go to the call
    name: str  # of the operation
    call: str  # of the table of calls; "" where the application itself answers
    says: str
    takes: type[args.Arguments] = args.Arguments  # where there is no call
    where: Where = "none"  # the arguments stand
    fixed: Mapping[str, object] = {}  # what the call is told beside
    without: tuple[str, ...] = ()  # arguments of the call that are not taken here
    gives: str  # the name of a schema in `schemas`
    status: int = 200
    is_open: bool = False  # needs no token
    is_task: bool = False  # answers with a task, its revision in `ETag`
    is_mine: bool = False  # is about whoever asks, who has to be known

    @property
    def changes(self) -> bool:
        """Whether it may change something: no GET does."""
        return self.method != "GET"

    @property
    def has_revision(self) -> bool:
        """Whether `If-Match` and `If-None-Match` are looked at: where something is shown, or a task changed."""
        return "task" in self.names if self.changes else self.name != "events"

    @property
    def names(self) -> list[str]:
        """The names in braces in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def hidden(self) -> frozenset[str]:
        """The arguments of the call that nobody gives by name."""
        return frozenset((*self.names, *self.fixed, *self.without))

    @property
    def takes_agent(self) -> bool:
        """Whether `agent` beside the arguments says who asks."""
        return self.changes or self.is_mine


ROUTES: tuple[RouteRow, ...] = (
    RouteRow(
        method="GET",
        path="/api/tasks",
        name="listTasks",
        call="task_list",
        says="The tasks, open and closed, without the archive.",
        where="query",
        gives="Tasks",
    ),
    RouteRow(
        method="POST",
        path="/api/tasks",
        name="newTask",
        call="task_new",
        says="Make a task; `to` delegates it at once.",
        where="body",
        gives="Task",
        status=201,
        is_task=True,
    ),
    RouteRow(
        method="GET",
        path="/api/tasks/{task}",
        name="showTask",
        call="task_show",
        says="One task with its text. The archive is searched, too.",
        gives="WholeTask",
        is_task=True,
    ),
    RouteRow(
        method="PATCH",
        path="/api/tasks/{task}",
        name="moveTask",
        call="",
        says="Move a task to a status: claim it, say how it goes, finish it. Without a status, a note on one you hold.",
        takes=Patch,
        where="body",
        gives="Task",
        is_task=True,
    ),
    RouteRow(
        method="POST",
        path="/api/tasks/{task}/claim",
        name="claimTask",
        call="task_claim",
        says="Take a task; exactly one agent gets it. Whoever names the generation it holds renews its lease.",
        where="body",
        without=("next", "type"),
        gives="Lease",
    ),
    RouteRow(
        method="POST",
        path="/api/tasks/{task}/delegate",
        name="delegateTask",
        call="task_delegate",
        says="Give a task to an agent; without `to` its route decides.",
        where="body",
        gives="Delegated",
    ),
    RouteRow(
        method="POST",
        path="/api/claim",
        name="claimNext",
        call="task_claim",
        says="Take the best task that is ready for you.",
        where="body",
        fixed={"next": True},
        without=("task", "generation"),
        gives="Lease",
    ),
    RouteRow(
        method="GET",
        path="/api/inbox",
        name="inbox",
        call="inbox",
        says="Your new messages, oldest first; they stay unread.",
        fixed={"action": "peek"},
        without=("id", "timeoutSeconds"),
        gives="Messages",
        is_mine=True,
    ),
    RouteRow(
        method="POST",
        path="/api/inbox/read",
        name="readInbox",
        call="inbox",
        says="Your new messages, oldest first; from now on they are read.",
        where="body",
        fixed={"action": "read"},
        without=("id", "timeoutSeconds"),
        gives="Messages",
    ),
    RouteRow(
        method="POST",
        path="/api/messages",
        name="sendMessage",
        call="message_send",
        says="Send a message and return at once: accepted means that it is durably in the agent's inbox.",
        where="body",
        gives="Sent",
    ),
    RouteRow(
        method="POST",
        path="/api/messages/{id}/answer",
        name="answerMessage",
        call="answer",
        says="Answer a question from your inbox.",
        where="body",
        gives="Sent",
    ),
    RouteRow(
        method="POST",
        path="/api/messages/{id}/done",
        name="finishMessage",
        call="inbox",
        says="Put a message of yours away.",
        where="body",
        fixed={"action": "done"},
        without=("timeoutSeconds",),
        gives="Finished",
    ),
    RouteRow(
        method="GET",
        path="/api/events",
        name="events",
        call="",
        says="What the journal writes from now on, as server-sent events; `Last-Event-ID` goes on behind that one.",
        takes=LogQuery,
        where="query",
        gives="Event",
        is_mine=True,
    ),
    RouteRow(
        method="GET",
        path="/healthz",
        name="health",
        call="",
        says="Whether the workspace can be read, and whether a daemon runs.",
        gives="Health",
        is_open=True,
    ),
    RouteRow(
        method="GET",
        path="/openapi.json",
        name="description",
        call="",
        says="This description.",
        gives="Description",
        is_open=True,
    ),
)


def _send(app: "App", asked: MessageBody) -> object:
    """What `send` and `ask` of the shell do."""
    from claw_files.core import text as words
    from claw_files.operations import handing_work

    receiver = app.settings.agent(asked.to).name
    task = words.task_id(asked.task) if asked.task else None
    return handing_work.sent_json(
        handing_work.send(app, receiver, asked.text, task, None, asked.critical, asked.question)
    )


OWN = {"message_send": Call(name="message_send", command="send", arguments=MessageBody, says="Send.", function=_send)}
"""Calls that only HTTP has: OpenClaw's agents know `sessions_send` instead."""


def call_of(row: RouteRow) -> Call | None:
    """The call that answers the row; None where the application itself does."""
    return OWN.get(row.call) or CALLS.get(row.call)
