"""The table of calls, and the one way to make one."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import msgspec

from claw_files.core.errors import ClawError, UsageError
from claw_files.core.text import safe
from claw_files.operations import arguments as args
from claw_files.operations import on_sessions, on_tasks
from claw_files.policy import payload_sizes

if TYPE_CHECKING:
    from claw_files.app.wiring import App


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked for."""

    name: str
    command: str  # the command whose right it is
    arguments: type[args.Arguments]
    says: str  # when to use it, for models and for people
    function: Callable[["App", Any], object]  # what comes back is ready for `presentation.views.to_json`
    changes: bool = True
    by_action: Mapping[str, str] = {}  # the command, where `action` is another right than `command`

    def right(self, asked: args.Arguments) -> str:
        """The command whose right these arguments need."""
        if getattr(asked, "review", False):
            return "review"
        return self.by_action.get(getattr(asked, "action", ""), self.command)


def _calls() -> Iterator[Call]:
    def call(name: str, command: str, arguments: type[args.Arguments], function: Any, says: str, **more: Any) -> Call:
        return Call(name=name, command=command, arguments=arguments, function=function, says=says, **more)

    yield call(
        "task_new",
        "task new",
        args.TaskNew,
        on_tasks.new,
        "Make a task; `to` delegates it at once. Lengths are like 30m.",
    )
    yield call(
        "task_list",
        "task list",
        args.TaskList,
        on_tasks.list_,
        "List tasks: all, of one status, or of one agent.",
        changes=False,
    )
    yield call(
        "task_show", "task show", args.OneTask, on_tasks.show, "Show a task with its text and state.", changes=False
    )
    yield call(
        "task_claim",
        "claim",
        args.TaskClaim,
        on_tasks.claim,
        "Take a task before working on it, or `next`: the best one ready for you.",
    )
    yield call(
        "task_progress",
        "progress",
        args.TaskProgress,
        on_tasks.progress,
        "Say how your task goes; renews your lease, resumes a blocked task.",
    )
    yield call("task_beat", "beat", args.HeldTask, on_tasks.beat, "Renew your lease, nothing else.")
    yield call("task_done", "done", args.TaskDone, on_tasks.done, "Finish your task; `review` asks for a review.")
    yield call("task_fail", "fail", args.TaskFail, on_tasks.fail, "Give up this attempt, with the reason.")
    yield call("task_block", "block", args.TaskBlock, on_tasks.block, "Say what a task waits for.")
    yield call("task_unblock", "unblock", args.TaskUnblock, on_tasks.unblock, "Let a blocked task go on.")
    yield call("task_comment", "comment", args.TaskComment, on_tasks.comment, "Add a note to anybody's task.")
    yield call("task_need", "need", args.NeedArguments, on_tasks.need, "Block your task until an agent answers.")
    yield call("task_release", "release", args.TaskRelease, on_tasks.release, "Give your task back to the backlog.")
    yield call("task_approve", "approve", args.OneTask, on_tasks.approve, "Accept a task in review.")
    yield call("task_reopen", "reopen", args.ReasonedMove, on_tasks.reopen, "Send a finished task back, with why.")
    yield call("task_cancel", "cancel", args.ReasonedMove, on_tasks.cancel, "Cancel a task and end its runs.")
    yield call(
        "task_delegate",
        "delegate",
        args.TaskDelegate,
        on_tasks.delegate,
        "Give a task to an agent; without `to` its route decides.",
    )
    yield call("board", "board", args.BoardArguments, on_tasks.board, "All tasks by state.", changes=False)
    yield call(
        "sessions_send",
        "sessions send",
        args.SessionsSend,
        on_sessions.send,
        "Message an agent or person; timeoutSeconds waits for the reply. Work is a task, not a message.",
    )
    yield call(
        "sessions_spawn",
        "spawn",
        args.SessionsSpawn,
        on_sessions.spawn,
        "Have a worker do one job; needs label and size (S 5, M 10, L 20 minutes). Its result comes to your inbox.",
    )
    yield call(
        "sessions_list",
        "sessions list",
        args.SessionsList,
        on_sessions.list_,
        "Agents and workers, and how they stand.",
        changes=False,
    )
    yield call(
        "sessions_history",
        "sessions history",
        args.SessionsHistory,
        on_sessions.history,
        "What a session left: messages, output, result.",
        changes=False,
    )
    yield call(
        "subagents",
        "subagents list",
        args.Subagents,
        on_sessions.subagents,
        "List, correct or end workers at work.",
        by_action={"steer": "subagents steer", "kill": "subagents kill"},
    )
    yield call(
        "inbox",
        "inbox",
        args.InboxArguments,
        on_sessions.inbox,
        "Your new messages; `done` puts one away.",
        by_action={"done": "inbox done"},
    )
    yield call("answer", "answer", args.AnswerArguments, on_sessions.answer, "Answer a question from your inbox.")
    yield call(
        "checkpoint",
        "checkpoint show",
        args.CheckpointArguments,
        on_sessions.checkpoint,
        "What you need after a restart: show or save.",
        by_action={"save": "checkpoint save"},
    )


CALLS: dict[str, Call] = {call.name: call for call in _calls()}


def perform(app: "App", name: str, raw: Mapping[str, object]) -> object:
    """What the call answers, ready for `presentation.views.to_json`; `app.actor` acts, whatever the arguments say.

    Args:
        raw: the arguments as JSON has them, unchecked; a null counts as not given.

    Raises Usage for a call or arguments that there are not, NoAgentNamed, Refused where whoever acts may not use the
    command, and what the services raise.
    """
    call = CALLS.get(name)
    if call is None:
        raise UsageError(f"no call {safe(name, 80)!r}{_nearest(name, CALLS)}")
    return make(app, call, raw)


def make(app: "App", call: Call, raw: Mapping[str, object]) -> object:
    """As `perform`, for a call that a door has beside those of the table."""
    asked = checked(call, raw)
    _ = app.actor
    app.check_use(call.right(asked))
    try:
        found = call.function(app, asked)
    except ClawError as error:
        app.failed(error)
        raise
    app.finish()
    return found | {"note": "; ".join(app.remarks)} if app.remarks and isinstance(found, dict) else found


def checked(call: Call, raw: Mapping[str, object]) -> args.Arguments:
    """The arguments as the call takes them. Raises Usage that names the one that is wrong."""
    given = {key: value for key, value in raw.items() if value is not None}
    for key, value in given.items():
        _check_text(call, key, value)
    try:
        return msgspec.convert(given, call.arguments)
    except msgspec.ValidationError as error:
        raise UsageError(_sentence(call, str(error))) from None


def _check_text(call: Call, key: str, value: object) -> None:
    """Raises Usage for text that could not stand in a file, or is too long in bytes."""
    for text in value if isinstance(value, list) else (value,):
        if not isinstance(text, str):
            continue
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError:
            raise UsageError(f"{call.name}: `{safe(key, 80)}` is not UTF-8") from None
        if "\0" in text:
            raise UsageError(f"{call.name}: `{safe(key, 80)}` has a NUL in it")
        if size_bytes > args.TEXT_BYTES:
            raise payload_sizes.too_large(f"{call.name}: `{safe(key, 80)}` is over 1 MB")


def _sentence(call: Call, problem: str) -> str:
    """What msgspec says is wrong, as one sentence that names the argument."""
    what, _, place = problem.partition(" - at `$")
    argument, what = place.strip(".`"), what.replace(" | null", "")
    if what.startswith("Object contains unknown field"):
        name = what.partition("`")[2].rstrip("`")
        known = msgspec.structs.fields(call.arguments)
        names = [field.encode_name for field in known]
        near = _nearest(name, names)
        return f"{call.name} takes no `{safe(name, 80)}`{near or '; it takes ' + ', '.join(names)}"
    if what.startswith("Object missing required field"):
        return f"{call.name} needs {what.partition('field ')[2]}"
    told = f"{call.name}: `{safe(argument, 80)}`: {safe(what[:1].lower() + what[1:], 200)}"
    return f"{told}; one of {', '.join(_choices(call, argument))}" if what.startswith("Invalid enum") else told


def _choices(call: Call, argument: str) -> list[str]:
    """What an argument that has only some values may be."""
    found = next(field.type for field in msgspec.structs.fields(call.arguments) if field.encode_name == argument)
    literals = [found] if get_origin(found) is Literal else [it for it in get_args(found) if get_origin(it) is Literal]
    return [str(value) for literal in literals for value in get_args(literal)]


def _nearest(name: str, known: "Mapping[str, object] | list[str]") -> str:
    from difflib import get_close_matches

    near = get_close_matches(name[:80], list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""
