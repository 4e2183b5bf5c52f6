"""Requests of an agent during its work: permissions, and files of its working folder."""

import os
from collections.abc import Callable
from typing import Any, Final

from acp import RequestError
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    ReadTextFileResponse,
    RequestPermissionResponse,
    WriteTextFileResponse,
)

from claw_files.core import text as words
from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import TaskId
from claw_files.integrations.acp.transcript import Transcript
from claw_files.policy import acp_permissions
from claw_files.policy.acp_permissions import Decision, Option, PermissionRequest
from claw_files.system.confined_files import ConfinedFiles

MOST_DECISIONS: Final = 1_000  # in one run: each is a line of the journal
MOST_CALLS: Final = 1_000  # tool calls that are remembered
_COMMANDS: Final = (None, "execute", "read", "search")  # what programs call their shell; other tools are "other"
_FILES: Final = (None, "read", "edit")
_OF_A_CALL: Final = ("kind", "title", "locations", "content", "rawInput")
_SHOWN: Final = ("content", "terminal")
_COMMAND: Final = ("command", "commands", "cmd", "argv", "script")

Note = Callable[[JournalEvent, str], None]


class AgentRequests:
    """Answers the requests of one session. `broken` gets the reason why it cannot continue, in one sentence."""

    def __init__(
        self,
        mode: str,
        within: ConfinedFiles,
        team: ConfinedFiles,
        reports: frozenset[str],
        task: TaskId | None,
        note: Note,
        show: Transcript,
        broken: Callable[[str], None],
        is_protected: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`within` is the working folder, `team` the workspace, in which `reports` (relative) may always be written.

        Args:
            task: the one that the run is for.
            is_protected: whether a sandbox keeps a place, absolute and without links, from being written.
        """
        self._mode, self._within, self._team, self._reports, self._task = mode, within, team, reports, task
        self._note, self._show, self._broken = note, show, broken
        self._is_protected = is_protected
        self._calls: dict[str, dict[str, Any]] = {}
        self._early = set[str]()  # sessions that were spoken for before we knew ours
        self._decided = 0
        self._session: str | None = None
        self._is_new = False  # it has no past
        self.is_quiet = False  # while an old session is told again
        self.is_cancelled = False  # the turn is to end: nothing is granted any more
        self._costs: list[float] = []  # of the session so far: when we began, and as it was told last

    def on_connect(self, conn: Any) -> None:
        """No-op: requests go through the connection itself."""

    def forget(self) -> None:
        """Forget the session."""
        self._session, self._is_new = None, True
        self._early.clear()

    def begin(self, session: str) -> None:
        """Accept only this session from now on."""
        self._session = session
        for other in sorted(self._early - {session}):
            self._is_ours(other)

    def _is_ours(self, session: str) -> bool:
        if self._session is None:
            self._early.add(session)
            return True
        if session != self._session:
            self._broken(f"the agent spoke for {words.said(session, 60)}, which is not the session of this run")
        return session == self._session

    # --- what it tells

    async def session_update(self, session_id: str, update: Any, told: Any = None, **_: Any) -> None:
        """Show the update, and remember the tool call: a request names it by its id."""
        if not self._is_ours(session_id):
            return
        call = self._remembered(told)
        cost = getattr(update, "cost", None)
        if cost is not None and cost.currency.upper() == "USD":
            self._costs = [cost.amount] if self.is_quiet else [*self._costs[:1], cost.amount]
        if not self.is_quiet:
            self._show.update(update, str(call.get("title") or "a tool"))

    @property
    def cost_of_run(self) -> float | None:
        """In US dollars; None if unknown, or if the earlier cost of a resumed session is unknown."""
        before = 0.0 if self._is_new else None
        if len(self._costs) > 1 and not self._is_new:
            before = self._costs[0]
        return self._costs[-1] - before if self._costs and before is not None else None

    def _remembered(self, told: Any) -> dict[str, Any]:
        """All that was said of the tool call so far, newest words last, in the agent's own words."""
        number = told.get("toolCallId") if isinstance(told, dict) else None
        if not isinstance(number, str):
            return {}
        if number not in self._calls and len(self._calls) >= MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        call = self._calls.setdefault(number, {})
        call |= {key: told[key] for key in _OF_A_CALL if told.get(key) is not None}
        return call

    # --- what it asks

    async def request_permission(
        self, session_id: str, tool_call: Any, options: list[Any], told: Any = None, **_: Any
    ) -> RequestPermissionResponse:
        """The answer, journalled before it is sent; `told` is the tool call as the agent sent it."""
        call = self._remembered(told)
        offered = tuple(Option(id=option.option_id, kind=option.kind) for option in options)
        if not self._is_ours(session_id) or self._session is None:
            decision = Decision(allowed=False, why="it was asked for another session, or before there was one")
        elif self.is_cancelled:
            decision = Decision(allowed=False, why="its turn was cancelled")
        else:
            decision = acp_permissions.decide(self._mode, self._asked(call, offered))
        decision = self._noted(decision, f"{call.get('kind') or 'unnamed'} {_what(call)}")
        if decision.option is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=decision.option))

    def _asked(self, call: dict[str, Any], options: tuple[Option, ...]) -> PermissionRequest:
        places = _places(call)
        reports = [place for place in places if self._is_report(place)]
        command, changes = _command(call), any(part not in _SHOWN for part in _types(call))
        kind = str(call["kind"]) if "kind" in call else None
        is_word = bool(command) and not changes and acp_permissions.is_report(command or "", self._task)
        return PermissionRequest(
            kind=kind,
            outside=next((words.safe(one, 200) for one in places if not self._has(one)), None),
            address=acp_permissions.address_in(_given(call)),
            changes=changes or any(key in _COMMAND for key, _ in acp_permissions.values_in(call.get("rawInput"))),
            is_report=(is_word and kind in _COMMANDS)
            or (not command and bool(places) and reports == places and kind in _FILES),
            options=options,
        )

    def _has(self, path: str) -> bool:
        return not acp_permissions.leads_out(path) and self._within.has(path)

    def _is_report(self, path: str) -> bool:
        """Whether the path is one of the agent's own reports, and not a link."""
        real = os.path.realpath(os.path.join(self._within.root, path))
        return self._team.has(real) and self._team.relative(real) in self._reports

    def _noted(self, decision: Decision, what: str) -> Decision:
        """The decision, once it is journalled: a decision that cannot be journalled is a refusal."""
        self._decided += 1
        if self._decided > MOST_DECISIONS:
            self._broken(f"the agent asked for more than {MOST_DECISIONS} permissions")
            return Decision(allowed=False, why="too many requests")
        word = "allowed" if decision.allowed else "refused"
        try:
            self._note(JournalEvent.PERMISSION, f"{word} {words.safe(what, 300)}: {decision.why}")
        except ClawError as wrong:
            self._broken(f"no permission can be given, because it cannot be written down: {wrong}")
            return Decision(allowed=False, why="it cannot be written down")
        self._show.line(f"[{word}] {words.safe(what, 200)}: {decision.why}")
        return decision

    # --- files

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_: Any
    ) -> ReadTextFileResponse:
        """A text file of the working folder, or `limit` lines of it from `line` on, counted from 1."""
        self._check(session_id, path, PermissionRequest(kind="read", outside=self._outside(path), options=_ANY))
        try:
            text = self._within.read(path)
        except ClawError as wrong:
            raise _refused(str(wrong)) from None
        if line is not None or limit is not None:
            lines = text.splitlines(keepends=True)[max((line or 1) - 1, 0) :]
            text = "".join(lines if limit is None else lines[:limit])
        return ReadTextFileResponse(content=text)

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> WriteTextFileResponse:
        """Replace a text file of the working folder."""
        asked = PermissionRequest(
            kind="edit", outside=self._outside(path), changes=True, is_report=self._is_report(path), options=_ANY
        )
        self._check(session_id, path, asked)
        if self._is_protected(os.path.realpath(os.path.join(self._within.root, path))):
            raise _refused(f"{path} is read-only in its sandbox")
        try:
            if asked.is_report:
                self._team.write(os.path.realpath(os.path.join(self._within.root, path)), content)
            else:
                self._within.write(path, content)
        except ClawError as wrong:
            raise _refused(str(wrong)) from None
        return WriteTextFileResponse()

    def _outside(self, path: str) -> str | None:
        return None if self._has(path) else words.safe(path, 200)

    def _check(self, session_id: str, path: str, asked: PermissionRequest) -> None:
        """Raise the refusal for the agent. Reading a file leaves no line in the journal."""
        if not self._is_ours(session_id):
            raise _refused("this is another session")
        decision = acp_permissions.decide(self._mode, asked)
        if self.is_cancelled:
            decision = Decision(allowed=False, why="its turn was cancelled")
        if not decision.allowed or asked.kind != "read":
            decision = self._noted(decision, f"{asked.kind} {path}")
        if not decision.allowed:
            raise _refused(decision.why)

    # --- what we do not offer

    async def create_terminal(self, **_: Any) -> Any:
        """Refused: an agent runs its commands itself, under the supervision of its run."""
        raise RequestError.method_not_found("terminal/create")

    async def terminal_output(self, **_: Any) -> Any:
        """Refused, as above."""
        raise RequestError.method_not_found("terminal/output")

    async def wait_for_terminal_exit(self, **_: Any) -> Any:
        """Refused, as above."""
        raise RequestError.method_not_found("terminal/wait_for_exit")


_ANY: Final = (Option(id="yes", kind="allow_once"), Option(id="no", kind="reject_once"))


def _refused(why: str) -> RequestError:
    return RequestError.invalid_params({"details": why})


def _given(call: dict[str, Any]) -> list[Any]:
    """The facts of a tool call: its paths, its changes, and its arguments."""
    return [call.get(key) for key in ("locations", "content", "rawInput")]


def _places(call: dict[str, Any]) -> list[str]:
    """Every path that a tool call names."""
    return list(dict.fromkeys(acp_permissions.places_in(_given(call), call.get("kind") in acp_permissions.READS)))


def _types(call: dict[str, Any]) -> list[Any]:
    """The content types: `diff` is a change, and so is an unknown type."""
    content = call.get("content")
    return [part.get("type") for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _command(call: dict[str, Any]) -> str | list[str] | None:
    """The command that a tool call would run."""
    given = call.get("rawInput")
    command = given.get("command") if isinstance(given, dict) else None
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command):
        return command
    return command if isinstance(command, str) and command else None


def _what(call: dict[str, Any]) -> str:
    """The request in a few words of the agent."""
    command = _command(call)
    shown = command if isinstance(command, str) else " ".join(command or ()) or str(call.get("title") or "")
    places = ", ".join(_places(call)[:3])
    return words.said(shown, 160) + (f" at {places}" if places else "")
