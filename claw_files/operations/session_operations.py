"""The operations on workers, sessions and flows.

In JSON these take OpenClaw's arguments and answer with OpenClaw's names: `childSessionKey`, `runId`, `hasMore`. The
shell has names of its own.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from claw_files.core.errors import BadValue, Refused, UsageError
from claw_files.operations.fields import (
    FREE,
    JSON_ONLY,
    SHELL_ONLY,
    UNLISTED,
    Agent,
    ArgumentType,
    Count,
    File,
    Flag,
    Json,
    Length,
    Minutes,
    Name,
    Names,
    Seconds,
    Shell,
    Task,
    Text,
    Texts,
)
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.policy.delegation import SpawnOrder
    from claw_files.policy.session_view import Session
    from claw_files.services.sessions.session_list import SessionListing
    from claw_files.services.sessions.steering import KilledRun

# --- workers


def spawn(
    app: "App",
    text: Annotated[Text, Shell("TASK"), Json("task")],
    *,
    label: Name | None = None,
    task_name: Annotated[Name | None, JSON_ONLY, Json("taskName", is_listed=False)] = None,
    size: Annotated[Literal["S", "M", "L"] | None, FREE] = None,
    worker: Annotated[Agent | None, Json("agentId")] = None,
    task: Annotated[Task | None, Json("taskId")] = None,
    type: Annotated[Name | None, UNLISTED] = None,
    timeout: Annotated[Length | None, Shell("--timeout,--timeoutSeconds"), SHELL_ONLY] = None,
    run_timeout_seconds: Annotated[Seconds, JSON_ONLY, Json("runTimeoutSeconds")] = 0,
    timeout_seconds: Annotated[Seconds, JSON_ONLY, Json("timeoutSeconds", is_listed=False)] = 0,
    model: Name | None = None,
    cwd: Name | None = None,
    group: Annotated[Name | None, UNLISTED] = None,
    group_size: Annotated[Count | None, Shell("--of"), Json("groupSize", is_listed=False)] = None,
    attempts: Annotated[int | None, ArgumentType(int, 1, 100), UNLISTED] = None,
    mode: Literal["run", "session"] = "run",
    runtime: Annotated[Name | None, UNLISTED] = None,
    sandbox: Literal["inherit", "require"] = "inherit",
    thread: Annotated[Flag, JSON_ONLY, UNLISTED] = False,
    cleanup: Annotated[Literal["keep", "delete"], UNLISTED] = "keep",
    items: Annotated[Texts, JSON_ONLY] = (),
    items_file: Annotated[File | None, Shell("--items", is_file=True), Json("items", is_taken=False)] = None,
    batch: Annotated[Count | None, UNLISTED] = None,
    no_cache: Annotated[Flag, Json("noCache", is_listed=False)] = False,
    wait: Annotated[Flag, SHELL_ONLY] = False,
) -> Reply:
    """Start a worker for one task in its own run; you receive the result. Label and size are required.

    Args:
        label: Required: names the result file, checkpoints/subagent-L.md.
        size: Required: the time limit, S, M or L for 300, 600 or 1200 seconds.
        worker: The worker; optional if there is only one.
        task: Do this existing task instead of creating one.
        type: Type of the new task; its route selects the worker.
        timeout: Instead of the size: 90s, or seconds.
        model: The model the worker uses.
        cwd: Working directory (default: the agent's own folder).
        group: A group of spawns that is reported once, with all results.
        group_size: Size of the group.
        attempts: Failed attempts before it becomes a dead letter.
        mode: session: keep it for follow-up messages.
        runtime: Must match the worker's runtime in clawfiles.toml; subagent matches any.
        sandbox: require: fail if no sandbox is available.
        cleanup: Results are always kept.
        items_file: Do TASK for each line or list item of a file, in batches; - reads stdin.
        batch: Items per message (default: `batch` of the route).
        no_cache: Run the task even if the route has a cached result.
        wait: Wait for the result; exit 8 if the run fails.

    Example:
        clawfiles spawn "sum up the inbox" --label email --size S --worker research --agent sam
    """
    from claw_files.core import text as words
    from claw_files.operations.task_operations import delegated
    from claw_files.policy.delegation import SpawnOrder

    if cleanup != "keep":
        raise Refused("spawn-contract", "results of workers are always kept", "omit `cleanup`")
    is_batched = bool(items or batch) or items_file is not None
    if items_file is not None and (wait or group_size):
        raise UsageError(
            f"`{'wait' if wait else 'groupSize'}` cannot be used with `items`: you receive one combined report"
        )
    if batch and not items and items_file is None:
        raise UsageError("`batch` requires `items`")
    seconds = run_timeout_seconds or timeout_seconds
    order = SpawnOrder(
        text=text,
        label=task_name or label,
        size=size or (_size(seconds) if seconds else None),
        worker=worker,
        task=task,
        type=type,
        timeout=timedelta(seconds=seconds) if seconds else timeout,
        model=model,
        cwd=cwd,
        group=words.label(group) if group else None,
        group_size=group_size,
        attempts=attempts,
        mode=mode,
        runtime=runtime,
        sandbox=sandbox,
        thread=thread,
        cache=not no_cache,
    )
    app.check_takes_work()
    if is_batched:
        text = items_file or "\n".join(f"- {' '.join(item.split())}" for item in items)
        return _spawn_items(app, order, text, batch)
    place = app.resolver.find(task) if task else app
    place.begin("spawn", order)
    done = place.delegations.spawn(order, app.actor, app.inside)
    app.wake()
    if wait:
        from claw_files.operations.worker_result import wait_for_result

        return wait_for_result(place, done)
    shown = delegated(place, done)
    more = {"mode": mode, "runId": done.run, "childSessionKey": f"agent:{done.agent}:subagent:{done.label}"}
    return shown._replace(json=lambda: shown.json() | more, shell_json=shown.json)


def _size(seconds: int) -> str:
    """The smallest size that so many seconds fit in; L for more, as the time given is what counts."""
    from claw_files.core.model import Size

    return next((size for size in Size if timedelta(seconds=seconds) <= size.limit), Size.L)


def _spawn_items(app: "App", order: "SpawnOrder", items: str, batch: int | None) -> Reply:
    """Queue the items of a list in batches, and wake whoever may start."""
    from claw_files.operations.task_operations import delegated_json
    from claw_files.services.delegation.batches import BatchSpawner

    app.begin("spawn items", order, items, batch)
    made = BatchSpawner(app.workspace, app.delegations).spawn(order, items, app.actor, app.inside, batch)
    app.wake()
    first, last = made.tasks[0], made.tasks[-1]
    tasks = first.task if first is last else f"{first.task} to {last.task}"
    told = f"accepted: {made.items} items in {len(made.tasks)} messages, {tasks}, reported together as {made.group}"
    document = {"status": "accepted", "group": made.group, "items": made.items, "batch": made.batch}
    return Reply(lambda: document | {"tasks": [delegated_json(it) for it in made.tasks]}, lambda: told)


def list_subagents(app: "App", *, active_minutes: Minutes = 1440, limit: Count = 100) -> Reply:
    """List workers, and named agents with a run, in start order.

    The number of each is the one in the task's id, so it never means another one later.

    Args:
        active_minutes: Active within N minutes.
        limit: At most N.

    Example:
        clawfiles subagents list --active-minutes 60
    """
    from claw_files.policy.session_view import SessionFilter

    wanted = SessionFilter(active=timedelta(minutes=active_minutes), limit=limit)
    return _listed(app, app.sessions.subagents(app.agent, wanted), "subagents", numbered=True)


def kill(app: "App", target: Annotated[Name, Shell("NUMBER|LABEL|RUN|all")]) -> Reply:
    """Stop a run, or all runs that you may stop. The task is then retried; to prevent that, cancel it.

    Example:
        clawfiles subagents kill 12 --agent sam
    """
    import msgspec

    from claw_files.core.text import safe

    def line(it: "KilledRun") -> str:
        return f"stopping {it.run} of {it.agent}" + (f"; {it.task} may be tried again" if it.task else "")

    killed = app.steering.kill(app.actor, target)
    told = safe("\n".join(map(line, killed)) or "nothing runs", lines=True)
    return Reply(lambda: {"killed": [msgspec.structs.asdict(it) for it in killed]}, lambda: told)


def subagents(
    app: "App",
    action: Literal["list", "steer", "kill"] = "list",
    target: Name | None = None,
    message: Text | None = None,
    recent_minutes: Annotated[Minutes, Json("recentMinutes", is_listed=False)] = 1440,
) -> Reply:
    """List, correct or stop running workers."""
    from claw_files.operations.message_operations import steer

    if action != "list" and not target:
        raise UsageError(f"subagents: `{action}` needs `target`: a number, label or run, as `list` shows them")
    if action == "steer" and not message:
        raise UsageError("subagents: `steer` needs `message`")
    if action == "kill" and target:
        done = kill(app, target)
    elif target and message and action == "steer":
        done = steer(app, target, message)
    else:
        done = list_subagents(app, active_minutes=recent_minutes)
    return done._replace(json=lambda: {"status": "ok", "action": action} | done.json())


# --- sessions


def list_sessions(
    app: "App",
    *,
    kinds: Annotated[Names, Shell(is_split=True), UNLISTED] = (),
    active_minutes: Annotated[Minutes | None, Json("activeMinutes", is_listed=False)] = None,
    limit: Annotated[Count, UNLISTED] = 100,
    message_limit: Annotated[
        int, ArgumentType(int, 0, 20), Shell(default=1), Json("messageLimit", is_listed=False)
    ] = 0,
    agent: Annotated[Agent | None, Json("agentId")] = None,
) -> Reply:
    """List sessions, the one that changed last first: read anew from runs, inboxes and status files each time.

    A session is visible to its agent, its spawner, the coordinator, people, and callers without an agent name.

    Args:
        kinds: Only these, with commas between: main, subagent, other.
        active_minutes: Active within N minutes.
        limit: At most N.
        message_limit: Messages each.
        agent: Show only sessions of this agent. Set CLAWFILES_AGENT to act as an agent.

    Example:
        clawfiles sessions list --kinds main,subagent --message-limit 3
    """
    from claw_files.policy.session_view import SessionFilter, SessionKind

    for name in kinds:
        if name.lower() not in list(SessionKind):
            raise BadValue("kinds", name, f"one of {', '.join(SessionKind)}")
    wanted = SessionFilter(
        kinds=tuple(SessionKind(name.lower()) for name in kinds),
        agent=agent,
        active=timedelta(minutes=active_minutes) if active_minutes else None,
        limit=limit,
    )
    return _listed(app, app.sessions.listing(app.agent, wanted, message_limit), "sessions", numbered=False)


def _listed(app: "App", found: "SessionListing", name: str, numbered: bool) -> Reply:
    from claw_files.presentation import views

    def shell_json() -> dict[str, Any]:
        rows = [views.session_json(it) for it in found.sessions]
        return {"count": len(rows), name: rows, "has_more": found.more > 0}

    more = f"\n({found.more} more; use a larger --limit)" if found.more else ""
    rows = {"count": len(found.sessions), name: [_session_json(it) for it in found.sessions]}
    return Reply(
        lambda: rows | {"hasMore": found.more > 0},
        lambda: views.sessions_text(found.sessions, app.when, numbered) + more,
        shell_json=shell_json,
    )


_OPENCLAWS = {"agent": "agentId", "updated_at": "updatedAt", "started": "startedAt", "ended": "endedAt", "run": "runId"}


def _session_json(session: "Session") -> dict[str, Any]:
    """The session's facts as far as there are any, under OpenClaw's names where it has one."""
    from claw_files.presentation import views

    facts = views.session_json(session).items()
    return {_OPENCLAWS.get(key, key): value for key, value in facts if value not in (None, [], {}, ())}


def history(
    app: "App",
    session: Annotated[Name, Json("sessionKey")],
    *,
    limit: Annotated[Count, UNLISTED] = 50,
    max_bytes: Annotated[
        int, ArgumentType(int, 1, 8 << 20), Shell(default=256 << 10), Json("maxBytes", is_listed=False)
    ] = 80_000,
) -> Reply:
    """Show a session's messages, output, result and task states. Name it by key, run, number, task or label.

    Args:
        limit: The last N.
        max_bytes: Limit for all texts together.

    Example:
        clawfiles sessions history agent:research:subagent:email --limit 20
    """
    from claw_files.presentation import views

    def document() -> dict[str, Any]:
        shown = views.history_json(found)
        facts = {"sessionKey": shown["session"]["key"], "status": shown["session"]["status"]}
        facts |= {"messages": shown["records"], "truncated": shown["left_out"] > 0}
        return facts | {"droppedMessages": shown["left_out"]}

    found = app.records.history(app.agent, session, limit, max_bytes)
    return Reply(document, lambda: views.history_text(found, app.when), shell_json=lambda: views.history_json(found))


def close(app: "App", session: Name) -> Reply:
    """Close a worker's session: it accepts no further messages and finishes its current one.

    For a named ACP agent, this ends the program's session; its next run starts a new one.

    Example:
        clawfiles sessions close mail --agent sam
    """
    found = app.sessions.to_steer(app.actor, session)
    told = f"closed {found.key}"
    document: dict[str, object] = {"key": found.key, "task": None, "stays": None, "withdrawn": ()}
    if found.task is None or found.label is None:
        app.staying.close_named(app.actor, found.agent)
    else:
        ended = app.staying.close(app.actor, found.task)
        told += "".join(f"\nwithdrawn: {id}" for id in ended.withdrawn)
        document |= {"task": ended.task.id, "stays": ended.task.session, "withdrawn": ended.withdrawn}
    return Reply(lambda: document, lambda: told)
