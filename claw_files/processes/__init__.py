"""The interface of a runtime, and the order for one run. All runtimes pass `tests/contract/`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from claw_files.config import Agent, Settings
from claw_files.core.model import AgentId, Message, Run, Value

NOW = "now"  # when a correction takes effect: at the next step of the turn that is going on
LOST = "lost"  # the reason of a run whose supervisor is gone and has not written its end


class Sandbox(Value, frozen=True):
    """The sandbox of a run. Paths are relative to the workspace unless stated otherwise."""

    required: bool  # without one the run does not start; else it starts without
    network: bool = True
    read: tuple[str, ...] = ()  # absolute, or with ~ in front: what else it may read
    hidden: tuple[str, ...] = ()  # absolute: folders that it sees empty, but for what is its own
    secrets: tuple[str, ...] = ()  # absolute: files that it must not read
    kept: tuple[str, ...] = ()  # absolute: files that must not lie in its working folder
    inbox: str = ""  # its folder, which it may read
    own: tuple[str, ...] = ()  # files it may write; made, empty, where they are not there
    outside: int = 0  # so many words of the command stay outside: a client of ours, which starts the rest


class StartOrder(Value, frozen=True):
    """Everything needed to start one run. All but `message` and the ids comes from the operator's configuration."""

    run: Run  # id, agent, key, task, generation, epoch, timeout, started; the command is filled in from below
    workspace: str  # absolute; CLAWFILES_WORKSPACE, and {workspace} unless `base` says otherwise
    command: tuple[str, ...] = ()  # with {workspace}, {task}, {message_file}, {run_dir}, {label} still to be filled
    message: str = ""
    given: Literal["stdin", "file", "env"] = "stdin"  # how the agent gets it; see `message` in the settings
    env: tuple[str, ...] = ()  # names it may see beside PATH, HOME, LANG, TZ and CLAWFILES_*
    cwd: str | None = None  # absolute, or relative to the workspace, which is also the default
    base: str | None = None  # absolute: the folder of clawfiles.toml, for {workspace}; of a run in a compartment
    label: str | None = None  # of a worker; CLAWFILES_LABEL and {label}
    alone: bool = False  # when it is to end, its own process is asked first, and what that started a moment later
    memory: int | None = None  # bytes, the most that each of its processes may use
    sandbox: Sandbox | None = None
    extra: dict[str, str] = msgspec.field(default_factory=dict)  # more CLAWFILES_* values


class Surroundings(Value, frozen=True):
    """The part of the workspace that a runtime may use."""

    settings: Settings
    base: str  # the folder of clawfiles.toml, absolute
    root: str  # where the runs' folders lie, absolute: `base`, or a compartment of it
    environ: Mapping[str, str]


class HandshakeResult(Value, frozen=True):
    """The result of a handshake; `problem` is empty if the agent can be given work."""

    problem: str = ""
    advice: tuple[str, ...] = ()


class SetupProblem(Value, frozen=True):
    """A problem of a runtime for the doctor: a code of `doctor.codes`, and its place in clawfiles.toml."""

    code: str
    detail: str = ""
    agent: AgentId | None = None
    key: str = "runtime"  # of the agent's table


class AgentRuntime:
    """One way to wake agents and to send to them: a value of the setting `runtime`. No method waits for a turn.

    `integrations.agent_runtimes` has the implementations by name, `config.RUNTIMES` what the rules know of them. These
    methods are enough for an agent whose runs start the command of their order, and that nobody can ask or correct.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def prepare(self, order: StartOrder, agent: Agent, message: Message) -> StartOrder:
        """The order as this runtime starts it; the input is the order for a plain command."""
        return order

    def launch(self, order: StartOrder, start: Callable[[StartOrder], bool]) -> bool:
        """Start the run of a prepared order by `start`, of `ProcessRunner`: True if this call started it.

        False where the run was started before, or where this runtime starts nothing.
        """
        return start(order)

    def steer(self, run: Run, message: Message) -> str | None:
        """When the agent of the live run sees a correction; None if it only reads steer.md.

        The correction stands in the run's steer.md already. Raises Refused where the run takes none any more.
        """
        return None

    def ping(self, agent: Agent, patience: timedelta) -> str | None:
        """Why the agent could not be woken now, in one sentence; None if no problem is known."""
        return None

    def probe(self, agent: Agent, say: Callable[[str], None]) -> HandshakeResult:
        """Whether the agent can be given work, without a prompt; `say` gets each step. Raises NotInstalled."""
        return HandshakeResult()

    def doctor(self, agents: Sequence[Agent]) -> Iterable[SetupProblem]:
        """The problems in the set-up of this runtime's agents, without starting a program or writing a file."""
        return ()


class InboxRuntime(AgentRuntime):
    """Agents that read their inbox themselves: nothing is started, so nothing can be prepared, asked or missing."""

    def launch(self, order: StartOrder, start: Callable[[StartOrder], bool]) -> bool:
        return False
