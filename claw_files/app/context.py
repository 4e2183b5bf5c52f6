"""The context of a command: configuration, files, compartments, the current run and the caller."""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Self

import msgspec

from claw_files import config
from claw_files.app.workspace_finder import around_of, parsed
from claw_files.core import text as words
from claw_files.core.errors import Busy, CannotRead, CannotWrite, ClawError, InvalidFile, NoAgentNamed, RunFailed
from claw_files.core.keys import letter_id
from claw_files.core.model import AgentId, AgentKind, Note, Run, TaskId
from claw_files.processes import caller_runs
from claw_files.storage.locks import Claims, Locks
from claw_files.storage.places import FOLDER, Siblings
from claw_files.storage.workspace import CONFIG, Workspace
from claw_files.system import workspace_trust
from claw_files.system.cache import Cache
from claw_files.system.clock import Clock, SystemClock
from claw_files.system.disk_files import DiskFiles
from claw_files.system.randomness import token

if TYPE_CHECKING:
    from claw_files.core.model import Message
    from claw_files.services.admin.tokens import Tokens
    from claw_files.storage.locks import Claims, Locks
    from claw_files.system.command_notes import CommandNotes

PRIVATE = ".clawfiles"
OUTSIDE = AgentId("")  # in no compartment, for any caller


class Site:
    """One workspace, or one compartment of it: configuration, files, other places, and the caller."""

    def __init__(
        self,
        base: str,
        env: Mapping[str, str],
        agent: str | None,
        clock: Clock | None = None,
        home: AgentId | None = None,
    ) -> None:
        """A site at `base`, the folder of clawfiles.toml.

        Args:
            home: the agent whose compartment is meant; OUTSIDE for none; not given: who acts decides.
        """
        self.base = base
        self._env = env
        self._asked = agent or env.get("CLAWFILES_AGENT") or None
        self._home = home
        self._known: dict[AgentId, Self] = {}
        self._original: Self | None = None  # of a view
        self.remarks: list[str] = []  # problems of a command that succeeded
        self.clock: Clock = clock or SystemClock()

    def close(self) -> None:
        """Close everything that was opened here and in other places; nothing of it may be used afterwards.

        Only for who opens many: services know one another and the places beside them, so their descriptors would
        stay open until the garbage collector comes by.
        """
        for place in (*self._known.values(), self):
            if view := vars(place).pop("view", None):
                vars(view).clear()
            vars(place).clear()

    # --- one command

    @cached_property
    def pending(self) -> "CommandNotes":
        from claw_files.system.command_notes import CommandNotes

        _ = self.files  # which makes the folder of a compartment, and looks at what lies there
        return CommandNotes(self.root, self.clock)

    def begin(self, *call: object) -> Note:
        """The note of a command that creates something, written before its first step; `call` identifies the call.

        It is kept until `finish`, so that the same call goes on where this one failed. Raises CannotWrite, Busy.
        """
        now, actor = self.clock.now(), self.actor
        nonce = letter_id(actor, now, token(2))
        self.workspace.pending = self.pending.begin(msgspec.json.encode((actor, *call)), nonce)
        return self.workspace.pending

    def _known_with(self, part: str) -> list[Self]:
        """The places that have opened that part of theirs."""
        return [it for it in (self, *(it for it in self._known.values() if it is not self)) if part in vars(it)]

    def finish(self, is_over: bool = True) -> None:
        """Record that the command has answered: a repeat is a new command. Raises CannotWrite."""
        for place in self._known_with("pending"):
            place.pending.end(is_over)

    def failed(self, error: ClawError) -> None:
        """Add the completed steps of a failed command to the error, and keep its note if there are any."""
        made = dict.fromkeys(_told(line) for place in self._known_with("files") for line in place.files.made)
        if isinstance(error, RunFailed):  # what was waited for was accepted before
            made.clear()
        if made and (self._known_with("pending") or isinstance(error, (CannotWrite, Busy))):
            what = f"Already done: {', '.join(made)}. "
            error.add_note(what + "Run the same command again: it does the rest, and nothing twice")
        with suppress(ClawError):
            self.finish(is_over=not made and not (isinstance(error, CannotWrite) and error.unknown))

    # --- the configuration

    @cached_property
    def settings(self) -> config.Settings:
        """The checked configuration for this place. Raises InvalidConfig, CannotRead."""
        if not self.home:
            return self._whole
        from claw_files.policy import visibility

        return visibility.inside(self._whole, self.home)

    def check_settings(self) -> None:
        """Raises InvalidConfig, CannotRead for an invalid configuration, even if it is not needed yet."""
        _ = self.settings

    def check_trust(self) -> None:
        """Raises Untrusted if other users decide what is started here."""
        with self._around.opened() as fd:  # check and read the same descriptor, even if the folder is renamed
            workspace_trust.check(self.base, self.base, fd)

    @cached_property
    def _whole(self) -> config.Settings:
        self.check_trust()
        return parsed(self.base, self._around.read(CONFIG))

    # --- what who acts may do

    def check_use(self, command: str) -> None:
        """Raises Refused if the caller may not use the command, or not from inside this run.

        With an invalid configuration nothing is refused here: the doctor must work, and all other commands fail anyway.
        """
        from claw_files.policy import profiles

        with suppress(InvalidFile):
            if agent := self.caller:
                self.check_run(agent)
                profiles.check_command(self._whole, agent, command)

    def check_run(self, agent: AgentId) -> None:
        """Raises Refused inside a run of another agent."""
        for run in self.runs_around()[:1]:
            from claw_files.policy import profiles

            profiles.check_run(self.settings, run.id, run.agent, agent)

    # --- the files

    @cached_property
    def home(self) -> AgentId:
        """The agent of this compartment: the caller, or the spawner of the calling worker; OUTSIDE for none."""
        if self._home is not None or not self.caller:
            return self._home or OUTSIDE
        known = self._whole.agents.get(self.caller)
        if known is None or known.compartment:
            return known.name if known else OUTSIDE
        folder = self._inner.get("CLAWFILES_WORKSPACE", "") if known.kind is AgentKind.WORKER else ""
        name = os.path.basename(os.path.abspath(folder)) if folder and around_of(folder) != folder else ""
        return AgentId(name) if name in self.compartmental else OUTSIDE

    @property
    def root(self) -> str:
        """The folder of everything but the configuration; with an invalid configuration, its folder."""
        with suppress(InvalidFile):  # the doctor works all the same
            if self.home:
                return os.path.join(self.base, FOLDER, self.home)
        return self.base

    def when(self, at: datetime) -> str:
        """The instant in the workspace's time zone; in UTC with an invalid configuration."""
        zone: tzinfo = UTC
        with suppress(InvalidFile):
            zone = self.settings.workspace.zone
        return words.render_for_people(at, self.clock.now(), zone)

    @cached_property
    def _around(self) -> DiskFiles:
        return self._checked(self.base, closed=False)

    @cached_property
    def files(self) -> DiskFiles:
        """Raises CannotRead if something else is in the place of clawfiles' own folder, which it writes to."""
        if not self.home:
            return self._around
        for path in (FOLDER, f"{FOLDER}/{self.home}"):
            self._around.folder(path)
            workspace_trust.check(os.path.join(self.base, path), self.base)
        return self._checked(self.root, closed=True)

    def _checked(self, root: str, closed: bool) -> DiskFiles:
        private = os.path.join(root, PRIVATE)
        if os.path.lexists(private) and (os.path.islink(private) or not os.path.isdir(private)):
            raise CannotRead(PRIVATE, "not-a-folder", "it must be a real folder, not a link; move it away")
        return self._make_files(root, closed)

    def _make_files(self, root: str, closed: bool) -> DiskFiles:
        return DiskFiles(root, clock=self.clock, closed=closed)

    def _make_claims(self) -> "Claims":
        return Claims(self.root)

    @cached_property
    def cache(self) -> Cache:
        return Cache(self.root)

    @cached_property
    def locks(self) -> "Locks":
        """The locks that all places share."""
        return Locks(self.base, self.clock)

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(
            self.root,
            self.settings,
            self.files,
            Locks(self.root, self.clock) if self.home else self.locks,
            self._make_claims(),
            self.clock,
            outside=self._outside,
            cache=self.cache,
            siblings=self._siblings(),
            base=self.base,
            ticking=self.locks,
            cause=self._inner.get("CLAWFILES_ROOT"),
        )

    def _outside(self, folder: str) -> DiskFiles:
        return DiskFiles(os.path.join(self.base, folder), clock=self.clock)

    # --- who acts, and in which run

    def _is_here(self, folder: str) -> bool:
        return os.path.realpath(around_of(folder)) == os.path.realpath(self.base)

    @cached_property
    def _ancestry(self) -> list[Mapping[str, str]]:
        return caller_runs.told(self._env, self._is_here, lambda: self._whole.agents)

    @property
    def _inner(self) -> Mapping[str, str]:
        """The variables of the innermost current run, as it was started; empty outside of any run."""
        return self._ancestry[0] if self._ancestry else {}

    @cached_property
    def _named(self) -> str | None:
        """The caller's name: the given one, else the current run's agent. No agent acts in a check's run."""
        whose = None if self._asked else self._inner.get("CLAWFILES_AGENT")
        return self._asked or (whose if whose and whose in self._whole.agents else None)

    @property
    def caller(self) -> AgentId | None:
        """The caller's name, whether or not it is configured."""
        return AgentId(self._named.lower()) if self._named else None

    def runs_around(self) -> "list[Run]":
        """The live runs of this workspace that this process belongs to, innermost first."""
        return [caller_runs.run_of(told) for told in self._ancestry]

    @property
    def agent(self) -> AgentId | None:
        """The calling agent, if one was named. Raises NotFound for an unknown name."""
        return self.settings.agent(self._named).name if self._named else None

    @property
    def actor(self) -> AgentId:
        """The calling agent. Raises NoAgentNamed, NotFound."""
        if agent := self.agent:
            return agent
        raise NoAgentNamed

    @property
    def coordinator_or_actor(self) -> AgentId:
        """The calling agent, by default the coordinator."""
        return self.agent or self.settings.coordinator

    @property
    def inside(self) -> TaskId | None:
        """The task of the current run."""
        text = self._inner.get("CLAWFILES_TASK")
        return words.task_id(text) if text else None

    @property
    def woken_by(self) -> "Message | None":
        """The message that woke the current run, if it is the actor's."""
        name = self._inner.get("CLAWFILES_MESSAGE_ID")
        if not name:
            return None
        with suppress(ClawError):
            found = self.workspace.find_message(self.actor, words.message_id(name))
            return found[0] if found else None
        return None

    def generation(self, task: TaskId, named: int | None) -> int | None:
        """The generation that the caller claims to hold of `task`: the given one, else its run's for this task."""
        text = self._inner.get("CLAWFILES_GENERATION")
        if named is not None or not text or self.inside != task:
            return named
        return int(text) if text.isdecimal() else None

    @cached_property
    def tokens(self) -> "Tokens":
        """The tokens for HTTP and MCP: those of all agents, in every place."""
        from claw_files.services.admin.tokens import Tokens

        return Tokens(self.base, self._whole)

    # --- compartments

    @cached_property
    def compartmental(self) -> tuple[AgentId, ...]:
        """The agents with a compartment."""
        return tuple(agent.name for agent in self._whole.agents.values() if agent.compartment)

    @property
    def outer(self) -> Self:
        """The workspace around the compartments; itself outside of them."""
        return self.at(OUTSIDE)

    def at(self, home: AgentId) -> Self:
        """The site of that home, created once: all sites from one know each other."""
        if home == self.home:
            return self
        if self._original:
            return self._original.at(home).view
        self._known.setdefault(self.home, self)
        if home not in self._known:
            self._known[home] = made = self._beside(home)
            made._known, made.remarks = self._known, self.remarks
        return self._known[home]

    def _beside(self, home: AgentId | None) -> Self:
        return type(self)(self.base, self._env, self._asked, self.clock, home)

    @cached_property
    def view(self) -> Self:
        """The same site and other places, read-only: for services that only read."""
        from claw_files.storage.view import WorkspaceView

        made = self._beside(self._home)
        made._original, made._whole, made.files, made._ancestry = self, self._whole, self.files, self._ancestry
        made.workspace = WorkspaceView(self.workspace)
        return made

    @property
    def is_blind(self) -> bool:
        """Whether the caller is outside of this compartment: it may act by a task's id, and sees nothing of it."""
        return bool(self.home) and self._home is not None and self.caller != self.home

    def _siblings(self) -> Siblings[Workspace]:
        """The siblings for the workspace."""
        return Siblings()


def _told(line: bytes) -> str:
    """The action of a journal line, in two words."""
    facts = msgspec.json.decode(line)
    return f"{facts['action']} {facts['task'] or facts['agent'] or facts['key'] or ''}".rstrip()
