"""The calls on sessions, messages and checkpoints: what each makes of its arguments.

Those that OpenClaw has answer in its words: `status`, `childSessionKey`, `runId`, `sessionKey`, `hasMore`.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from claw_files.core import text
from claw_files.core.errors import Refused, UsageError
from claw_files.core.model import Size
from claw_files.operations import arguments as args
from claw_files.operations import handing_work
from claw_files.presentation import views

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.policy.session_view import Session
    from claw_files.services.messaging.mailbox import SendResult
    from claw_files.services.sessions.session_list import SessionListing
    from claw_files.services.sessions.steering import SteerResult


def send(app: "App", asked: args.SessionsSend) -> Any:
    from claw_files.policy.session_view import Session
    from claw_files.services.sessions.steering import SteerResult

    receiver = app.steering.receiver(app.actor, _target(asked))
    patience = timedelta(seconds=asked.timeout_seconds) or None
    if isinstance(receiver, Session):
        done = handing_work.send_to_session(app, receiver, asked.message, patience)
        return _steered_json(done) if isinstance(done, SteerResult) else _sent_json(done, receiver.key)
    task = text.task_id(asked.task) if asked.task else None
    # An agent is asked for a turn; a person is told, and asked only by who waits.
    question = patience is not None or not app.settings.is_human(receiver)
    sent = handing_work.send(app, receiver, asked.message, task, patience, asked.critical, question)
    return _sent_json(sent, app.settings.agents[receiver].session)


def _target(asked: args.SessionsSend) -> str:
    """Whom it goes to: the session's key, else the label (of that agent's worker), else the agent."""
    name = asked.session_key or asked.label or asked.agent_id
    if not name:
        raise UsageError("sessions_send needs one of `sessionKey`, `label`, `agentId`")
    if asked.label and asked.agent_id and not asked.session_key:
        return f"agent:{asked.agent_id}:subagent:{asked.label}"
    return name


def _sent_json(sent: "SendResult", session: str) -> dict[str, Any]:
    found = handing_work.sent_json(sent) | {"sessionKey": session}
    if sent.answer:
        return found | {"status": "ok", "reply": sent.answer.body}
    if sent.id:  # whatever comes back comes as a message
        found |= {"delivery": {"status": "pending", "mode": "announce"}}
    return found


def _steered_json(done: "SteerResult") -> dict[str, Any]:
    session = done.session
    found = {"status": "accepted", "id": done.id, "takesEffect": done.takes_effect, "sessionKey": session.key}
    return found | {"runId": session.run, "task": session.task, "targetDisposition": "steered"}


def spawn(app: "App", asked: args.SessionsSpawn) -> Any:
    from claw_files.services.delegation.delegation import SpawnOrder

    if asked.cleanup != "keep":
        raise Refused("spawn-contract", "what a worker leaves is kept", "leave `cleanup` out")
    seconds = asked.run_timeout_seconds or asked.timeout_seconds
    order = SpawnOrder(
        text=asked.task,
        label=asked.task_name or asked.label,
        size=asked.size or (_size(seconds) if seconds else None),
        worker=app.settings.agent(asked.agent_id).name if asked.agent_id else None,
        task=text.task_id(asked.task_id) if asked.task_id else None,
        type=asked.type,
        timeout=timedelta(seconds=seconds) if seconds else None,
        model=asked.model,
        cwd=asked.cwd,
        group=text.label(asked.group) if asked.group else None,
        group_size=asked.group_size,
        attempts=asked.attempts,
        mode=asked.mode,
        runtime=asked.runtime,
        sandbox=asked.sandbox,
        thread=asked.thread,
        cache=not asked.no_cache,
    )
    if asked.items or asked.batch:
        items = "\n".join(f"- {' '.join(item.split())}" for item in asked.items)
        return handing_work.batched_json(handing_work.spawn_items(app, order, items, asked.batch))
    _, done = handing_work.spawn(app, order)
    found = handing_work.delegated_json(done) | {"mode": asked.mode, "runId": done.run}
    found |= {"childSessionKey": f"agent:{done.agent}:subagent:{done.label}"}
    return found | ({"warning": done.warning} if done.warning else {})


def _size(seconds: int) -> Size:
    """The smallest size that so many seconds fit in; L for more, as the time given is what counts."""
    return next((size for size in Size if timedelta(seconds=seconds) <= size.limit), Size.L)


def list_(app: "App", asked: args.SessionsList) -> Any:
    wanted = handing_work.wanted(app, asked.kinds, asked.active_minutes, asked.limit, asked.agent_id)
    return _listing_json(app.sessions.listing(app.actor, wanted, asked.message_limit), "sessions")


def _listing_json(found: "SessionListing", name: str) -> dict[str, Any]:
    rows = [_session_json(it) for it in found.sessions]
    return {"count": len(rows), name: rows, "hasMore": found.more > 0}


_OPENCLAWS = {"agent": "agentId", "updated_at": "updatedAt", "started": "startedAt", "ended": "endedAt", "run": "runId"}


def _session_json(session: "Session") -> dict[str, Any]:
    """The session's facts as far as there are any, under OpenClaw's names where it has one."""
    facts = views.session_json(session).items()
    return {_OPENCLAWS.get(key, key): value for key, value in facts if value not in (None, [], {}, ())}


def history(app: "App", asked: args.SessionsHistory) -> Any:
    found = views.history_json(app.records.history(app.actor, asked.session_key, asked.limit, asked.max_bytes))
    return {
        "sessionKey": found["session"]["key"],
        "status": found["session"]["status"],
        "messages": found["records"],
        "truncated": found["left_out"] > 0,
        "droppedMessages": found["left_out"],
    }


def subagents(app: "App", asked: args.Subagents) -> Any:
    if asked.action == "list":
        wanted = handing_work.wanted(app, (), asked.recent_minutes, 100, None)
        return {"status": "ok", "action": "list"} | _listing_json(
            app.sessions.subagents(app.actor, wanted), "subagents"
        )
    if not asked.target:
        raise UsageError(f"subagents: `{asked.action}` needs `target`: a number, label or run, as `list` shows them")
    if asked.action == "kill":
        return {"status": "ok", "action": "kill"} | handing_work.killed_json(app.steering.kill(app.actor, asked.target))
    if not asked.message:
        raise UsageError("subagents: `steer` needs `message`")
    return {"action": "steer"} | _steered_json(handing_work.steer(app, asked.target, asked.message))


def inbox(app: "App", asked: args.InboxArguments) -> Any:
    if asked.action == "done":
        if not asked.id:
            raise UsageError("inbox: `done` needs `id`")
        return {"done": views.message_json(app.messages.finish(app.actor, asked.id))}
    patience = timedelta(seconds=asked.timeout_seconds)
    found = handing_work.read_inbox(app, asked.action == "peek", bool(patience), patience)
    return {"messages": [views.message_json(message) for message in found]}


def answer(app: "App", asked: args.AnswerArguments) -> Any:
    return handing_work.sent_json(handing_work.answer(app, asked.id, asked.text))


def checkpoint(app: "App", asked: args.CheckpointArguments) -> Any:
    if asked.action == "save":
        lists = (asked.completed, asked.in_progress, asked.pending)
        return views.checkpoint_json(app.checkpoints.save(app.actor, *lists, asked.text))
    found = app.checkpoints.load(app.actor)
    return views.checkpoint_json(found) | {"resume": app.checkpoints.resume(found)}
