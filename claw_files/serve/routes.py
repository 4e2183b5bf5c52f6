"""The table of what can be asked over HTTP: each row a method, a path, and the call that answers it.

The application, the description at /openapi.json and `docs/reference/http.md` are made from it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from claw_files.calls import arguments as args
from claw_files.serve.moves import Patch

Where = Literal["query", "body", "none"]


class Message(args.Arguments, frozen=True, kw_only=True):
    to: args.Name
    text: args.Text
    task: args.Name | None = None
    critical: bool = False
    question: bool = False


class Lines(args.Arguments, frozen=True, kw_only=True):
    task: args.Name | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked."""

    method: Literal["GET", "POST", "PATCH"]
    path: str  # names in braces go to the call
    name: str  # of the operation
    call: str  # of the table of calls; "" where the application itself answers
    says: str
    takes: type[args.Arguments] = args.Arguments
    where: Where = "none"  # what `takes` names
    fixed: Mapping[str, object] = {}  # what the call is told beside
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
    def names(self) -> list[str]:
        """The names in braces in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def takes_agent(self) -> bool:
        """Whether `agent` beside the arguments says who asks."""
        return self.changes or self.is_mine


ROUTES: tuple[Row, ...] = (
    Row(
        method="GET",
        path="/api/tasks",
        name="listTasks",
        call="task_list",
        says="The tasks, open and closed, without the archive.",
        takes=args.TaskList,
        where="query",
        gives="Tasks",
    ),
    Row(
        method="POST",
        path="/api/tasks",
        name="newTask",
        call="task_new",
        says="Make a task; `to` delegates it at once.",
        takes=args.TaskNew,
        where="body",
        gives="Task",
        status=201,
        is_task=True,
    ),
    Row(
        method="GET",
        path="/api/tasks/{task}",
        name="showTask",
        call="task_show",
        says="One task with its text. The archive is searched, too.",
        gives="WholeTask",
        is_task=True,
    ),
    Row(
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
    Row(
        method="POST",
        path="/api/tasks/{task}/claim",
        name="claimTask",
        call="task_claim",
        says="Take a task; exactly one agent gets it. Whoever names the generation it holds renews its lease.",
        takes=args.TaskClaim,
        where="body",
        gives="Lease",
    ),
    Row(
        method="POST",
        path="/api/tasks/{task}/delegate",
        name="delegateTask",
        call="task_delegate",
        says="Give a task to an agent; without `to` its route decides.",
        takes=args.TaskDelegate,
        where="body",
        gives="Delegated",
    ),
    Row(
        method="POST",
        path="/api/claim",
        name="claimNext",
        call="task_claim",
        says="Take the best task that is ready for you.",
        takes=args.TaskClaim,
        where="body",
        fixed={"next": True},
        gives="Lease",
    ),
    Row(
        method="GET",
        path="/api/inbox",
        name="inbox",
        call="inbox",
        says="Your new messages, oldest first; they stay unread.",
        fixed={"action": "peek"},
        gives="Messages",
        is_mine=True,
    ),
    Row(
        method="POST",
        path="/api/inbox/read",
        name="readInbox",
        call="inbox",
        says="Your new messages, oldest first; from now on they are read.",
        where="body",
        fixed={"action": "read"},
        gives="Messages",
    ),
    Row(
        method="POST",
        path="/api/messages",
        name="sendMessage",
        call="message_send",
        says="Send a message and return at once: accepted means that it is durably in the agent's inbox.",
        takes=Message,
        where="body",
        gives="Sent",
    ),
    Row(
        method="POST",
        path="/api/messages/{id}/answer",
        name="answerMessage",
        call="answer",
        says="Answer a question from your inbox.",
        takes=args.Answer,
        where="body",
        gives="Sent",
    ),
    Row(
        method="POST",
        path="/api/messages/{id}/done",
        name="finishMessage",
        call="inbox",
        says="Put a message of yours away.",
        where="body",
        fixed={"action": "done"},
        gives="Finished",
    ),
    Row(
        method="GET",
        path="/api/events",
        name="events",
        call="",
        says="What the journal writes from now on, as server-sent events; `Last-Event-ID` goes on behind that one.",
        takes=Lines,
        where="query",
        gives="Event",
        is_mine=True,
    ),
    Row(
        method="GET",
        path="/healthz",
        name="health",
        call="",
        says="Whether the workspace can be read, and whether a daemon runs.",
        gives="Health",
        is_open=True,
    ),
    Row(
        method="GET",
        path="/openapi.json",
        name="description",
        call="",
        says="This description.",
        gives="Description",
        is_open=True,
    ),
)


def message_send(app: Any, asked: Message) -> Any:
    """What `send` and `ask` of the shell do."""
    from claw_files import words
    from claw_files.calls import talk

    receiver = app.settings.agent(asked.to).name
    task = words.task_id(asked.task) if asked.task else None
    return talk.sent_json(talk.send(app, receiver, asked.text, task, None, asked.critical, asked.question))


OWN: dict[str, Callable[[Any, Any], Any]] = {"message_send": message_send}
"""Calls that only HTTP has."""
