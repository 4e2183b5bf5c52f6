"""Rules of delegation: one hop, no cycles, a spawn's contract."""

from collections.abc import Callable, Collection
from datetime import timedelta

from claw_files.config import Agent, Settings
from claw_files.core.errors import NoSandbox, Refused
from claw_files.core.model import AgentId, AgentKind, Message, Task, TaskId, Value


def check_hop(
    settings: Settings,
    sender: AgentId,
    to: AgentId,
    chain: tuple[AgentId, ...] = (),
    inside_task: Task | None = None,
) -> tuple[AgentId, ...]:
    """The chain of senders that travels with the task message, `sender` last.

    Args:
        chain: of the message that the sender works on; empty where it works on none.
        inside_task: the task delegated to the sender that it now works on, if any.

    Raises:
        NotFound: there is no such agent.
        Refused: `to` is spawn-only, has this work behind it already, or is a second hop. The error names the command
            that is right. The coordinator and people may always delegate; they make no second hop, but may close no
            circle either.
    """
    check_message(settings, to)
    if sender == to:
        return (*chain, sender)
    name = inside_task.id if inside_task else "TASK"
    back = f"run `clawfiles release {name}`"
    if to in chain:
        way = " -> ".join((*chain, sender, to))
        raise Refused("no-circles", f"{to} already passed this work on: {way}", back)
    if (inside_task or chain) and sender != settings.coordinator and not settings.is_human(sender):
        what = f"{name if inside_task else 'this work'} was delegated to {sender} and cannot be passed on to {to}"
        ask = f'run `clawfiles need {name} --from {to} "QUESTION"` to have {to} asked'
        message = f"{what}; only {settings.coordinator} delegates it"
        raise Refused("one-hop", message, f"{ask}, or {back} to return it")
    return (*chain, sender)


def check_message(settings: Settings, to: AgentId) -> None:
    """Raises Refused for a message to a spawn-only worker, with the command that is right; NotFound for no agent."""
    agent = settings.agent(to)
    if agent.kind is AgentKind.WORKER:
        right = f'run `clawfiles spawn "TASK" --worker {agent.name} --label LABEL --size S|M|L`'
        raise Refused("spawn-only", f"{agent.name} is a worker: it can be spawned for a task, but not messaged", right)


def check_contract(label: str | None, size: str | None) -> None:
    """Raises Refused if a spawn's contract lacks its label or time limit."""
    lacks = [what for what, given in (("--label LABEL", label), ("--size S|M|L", size)) if not given]
    if lacks:
        what = "S 300 s, M 600 s, L 1200 s; results go to checkpoints/subagent-LABEL.md"
        raise Refused("spawn-contract", f"a spawn needs {' and '.join(lacks)}", f"add {' '.join(lacks)} ({what})")


class SpawnOrder(Value, frozen=True):
    """The contract of a spawn; label and size are required, cleanup is always keep."""

    text: str
    label: str | None = None
    size: str | None = None
    worker: AgentId | None = None
    task: TaskId | None = None
    timeout: timedelta | None = None
    model: str | None = None
    cwd: str | None = None
    group: str | None = None
    group_size: int | None = None
    attempts: int | None = None
    type: str | None = None
    mode: str = "run"
    runtime: str | None = None
    sandbox: str = "inherit"
    thread: bool = False
    cache: bool = True  # False: have it done, whatever was answered before


def check_spawn(settings: Settings, worker: AgentId, wanted: SpawnOrder, by: AgentId) -> None:
    """Raises Refused if a spawn asks for more than its worker's configuration or the rights of `by` allow."""
    agent, own = settings.agent(worker), settings.agent(worker).runtime
    if wanted.runtime not in (None, SUBAGENT, own):
        raise Refused("spawn-contract", f"the runtime of {worker} is {own}, not {wanted.runtime}", "omit --runtime")
    if wanted.mode == "session":
        _check_session(agent, wanted)
    if wanted.thread:
        message = f"the runtime of {worker}, {own}, cannot bind a session to a thread"
        raise Refused("threads", message, "omit --thread: you receive the result as a message")
    if wanted.cwd is not None:
        walls = settings.profile(by)
        if walls and walls.sandbox != "off":  # or what is behind walls would say where others may write
            message = f"{by} runs in a sandbox and may not choose the working folder of another agent"
            raise Refused("sandbox", message, f"omit --cwd: {worker} has its own folder")
        _check_folder(settings, worker, wanted.cwd)


SUBAGENT = "subagent"  # as OpenClaw's users say: the worker's own runtime


def _check_session(agent: Agent, wanted: SpawnOrder) -> None:
    if agent.kind is not AgentKind.WORKER:
        right = f'`clawfiles send {agent.name} "TEXT"` speaks to it'
        raise Refused("spawn-contract", f"{agent.name} is a {agent.kind} agent, which is always available", right)
    if wanted.group:
        message = "a group is reported when all its tasks have ended, but a session does not end"
        raise Refused("groups", message, "omit --group or --mode session")


def _check_folder(settings: Settings, worker: AgentId, cwd: str) -> None:
    profile = settings.profile(worker)
    fixed = profile.cwd if profile and (profile.cwd or "").find("{") < 0 else None
    if fixed and not f"{cwd}/".startswith(f"{fixed}/"):
        message = f"{cwd[:80]!r} is not inside {fixed}, where the profile of {worker} has it work"
        raise Refused("working folder", message, "use a folder inside that one, or omit --cwd")
    if not is_inside(cwd):
        raise Refused("working folder", f"{cwd[:80]!r} is not inside the workspace", "use a relative path")


def is_inside(folder: str) -> bool:
    """Whether a working folder that a task names stays in the workspace: any other is for the configuration to say."""
    parts = folder.split("/")
    return (
        bool(folder) and not folder.startswith("/") and ".." not in parts and "\\" not in folder and "\0" not in folder
    )


def check_sandbox(settings: Settings, agent: AgentId, asked: bool, lacks: Callable[[], str | None]) -> None:
    """Raises NoSandbox for work that requires a sandbox on a machine without one.

    Args:
        asked: the spawn itself asks for one.
        lacks: why none can be built, in one sentence, or None; asked only where it matters.
    """
    profile = settings.profile(agent)
    if not asked and not (profile and profile.sandbox == "require"):
        return
    if asked and not settings.agents[agent].traits.has_command:
        raise NoSandbox("sandbox", f"{agent} cannot run in a sandbox", "omit --sandbox")
    if why := lacks():
        raise NoSandbox("sandbox", f"{agent} may only run in a sandbox", why)


def check_wait(settings: Settings, caller: AgentId, to: AgentId, lanes_held: Collection[str] = ()) -> None:
    """Raises Refused if the caller would wait for an agent that cannot run before the caller ends.

    Args:
        lanes_held: sessions of the live runs that the caller is part of; its own counts whenever it is in a run.
    """
    lane = settings.agent(to).session
    if to == caller or lane in lanes_held:
        message = f"{caller} occupies the session {lane} that {to} needs, so the wait would never end"
        raise Refused("waiting", message, "send without --wait; the answer comes as a message")


def check_unread(settings: Settings, by: AgentId, to: AgentId, unread: int) -> None:
    """Raises Refused if too many messages of `by` are unread in the inbox of `to`."""
    if unread >= settings.limits.unread and not settings.is_human(by):
        message = f"{to} has {unread} unread messages from {by}, and limits.unread is {settings.limits.unread}"
        raise Refused("full inboxes", message, f"wait until {to} has read them, then send one message")


TIMES = 3  # that one agent may speak in one conversation: between two, a message and five replies


def check_turn(by: AgentId, after: Message | None) -> tuple[AgentId, ...]:
    """The chain of a message that `by` sends because of `after`, with `by` last; empty for a new conversation.

    Raises Refused where `by` has spoken so often already: replies that wake one another would never end.
    """
    if after is None:
        return ()
    chain = after.chain or (after.sender,)
    if chain.count(by) >= TIMES:
        message = f"this would be turn {len(chain)} of {' -> '.join(chain[-8:])}: {by} has had its {TIMES}"
        right = "end it with REPLY_SKIP, write the decision into the status file, or ask a new question"
        raise Refused("reply loops", message, right)
    return (*chain, by)
