"""How an agent is woken: not at all (inbox), or by a command with a supervisor. All pass `tests/contract/`."""

from enum import StrEnum
from typing import Protocol

import msgspec

from claw_files.core.model import Run, RunId, Value

LOST = "lost"  # the reason of a run whose supervisor is gone and has not written its end


class Handover(StrEnum):
    """How an agent is given the message that wakes it."""

    STDIN = "stdin"
    FILE = "file"  # its path fills {message_file} and CLAWFILES_MESSAGE_FILE
    ENV = "env"  # in CLAWFILES_MESSAGE


class Sandbox(Value, frozen=True):
    """How a run is confined. Paths are relative to the workspace unless something else is said."""

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
    """All it takes to start one run. Everything but `message` and the ids comes from the operator's configuration."""

    run: Run  # id, agent, key, task, generation, epoch, timeout, started; the command is filled in from below
    workspace: str  # absolute; CLAWFILES_WORKSPACE, and {workspace} unless `base` says otherwise
    command: tuple[str, ...] = ()  # with {workspace}, {task}, {message_file}, {run_dir}, {label} still to be filled
    message: str = ""
    given: Handover = Handover.STDIN
    env: tuple[str, ...] = ()  # names it may see beside PATH, HOME, LANG, TZ and CLAWFILES_*
    cwd: str | None = None  # absolute, or relative to the workspace, which is also the default
    base: str | None = None  # absolute: the folder of clawfiles.toml, for {workspace}; of a run in a compartment
    label: str | None = None  # of a worker; CLAWFILES_LABEL and {label}
    alone: bool = False  # when it is to end, its own process is asked first, and what that started a moment later
    memory: int | None = None  # bytes, the most that each of its processes may use
    sandbox: Sandbox | None = None
    extra: dict[str, str] = msgspec.field(default_factory=dict)  # more CLAWFILES_* values


class AgentRuntime(Protocol):
    """Waking an agent, and looking after what was started. No method waits for an agent."""

    def start(self, order: StartOrder) -> bool:
        """Start the run, once for each run id: True if this call started it.

        False when its folder is there already, when someone is starting it at this moment, or when this runtime
        starts nothing. A program that cannot run is no error here: the run ends, with the reason.

        Raises BadValue for text with a NUL, BadId, CannotWrite when the folder cannot be written.
        """

    def look(self, run_id: RunId) -> Run | None:
        """The run as it stands now, or None if it was never started.

        `alive`: it is supervised, or something it started still lives. Neither alive nor ended is "lost", and so is
        alive with the reason "lost": its supervisor is gone, call `end_lost`.
        """

    def live(self) -> list[Run]:
        """Runs that have not ended, lost ones included, by id."""

    def stop(self, run_id: RunId, drained: bool = False) -> bool:
        """Ask for the run's end, and return at once whether it is one to be ended; `look` tells when it is over.

        `drained`: because the daemon stops; then that is its reason, unless somebody asked for its end before.
        """

    def lacks_sandbox(self) -> str | None:
        """Why no run can be put into a sandbox here, in one sentence; None where it can."""

    def end_lost(self, run_id: RunId) -> Run | None:
        """Kill what a run without a supervisor left and write its end; a run that is not lost is left alone."""
