"""`init`: make a workspace, or add what one lacks. What exists is never touched."""

from collections.abc import Callable
from string import Template

from claw_files.errors import ClawError, NotFound
from claw_files.model import Value
from claw_files.resources import template
from claw_files.system.files import Files

FOLDERS = (
    "status",
    "checkpoints",
    "inbox",
    "events/new",
    "events/done",
    "events/failed",
    "briefs",
    "dead-letter",
    "runs",
    "workflows",
    "audit",
)
CONFIG = "clawfiles.toml"
# Where each program looks for instructions. OpenClaw tidies a HEARTBEAT.md in its workspace away: ours moves.
INSTRUCTIONS = {"openclaw": "AGENTS.md", "claude": "CLAUDE.md", "codex": "AGENTS.md", "gemini": "GEMINI.md"}
_OPENCLAW_LEDGER = "clawfiles/LEDGER.md"


class Done(Value, frozen=True):
    """One line of what `init` did: `what` is "made", "kept" or "add yourself"."""

    what: str
    path: str
    text: str = ""  # what to add by hand


class Setup:
    """Makes a workspace through its door. `ledger_of` reads the ledger's path out of a configuration's bytes."""

    def __init__(self, files: Files, ledger_of: Callable[[bytes], str]) -> None:
        self._files = files
        self._ledger_of = ledger_of

    def init(self, name: str, program: str | None) -> list[Done]:
        """Everything that was made or kept, line by line.

        Args:
            name: of a folder of `templates/workspaces`.
            program: one of INSTRUCTIONS, whose instructions are added, or None.

        Raises NotFound for an unknown template, InvalidConfig for a configuration that is there and wrong: then
        nothing is made.
        """
        config = self._read(CONFIG)
        raw = config if config is not None else self._config(name, program)
        ledger = self._ledger_of(raw)
        done = [self._write(CONFIG, raw), *(self._folder(folder) for folder in FOLDERS)]
        done.append(self._write(ledger, template(f"workspaces/{name}/HEARTBEAT.md").encode()))
        if program:
            done += self._instruct(program, config is not None, ledger)
        return done

    def _config(self, name: str, program: str | None) -> bytes:
        agent = template(f"agents/{program}.toml") if program and program != "openclaw" else ""
        ledger = _OPENCLAW_LEDGER if program == "openclaw" else "HEARTBEAT.md"
        reviewer = program if agent else "peter"
        text = Template(template(f"workspaces/{name}/{CONFIG}"))
        return text.substitute(ledger=ledger, agent=f"\n{agent}" if agent else "", reviewer=reviewer).encode()

    def _instruct(self, program: str, had_config: bool, ledger: str) -> list[Done]:
        text, path = template("instructions.md"), INSTRUCTIONS[program]
        done = [self._write(path, text.encode())]
        if done[0].what == "kept" and "clawfiles" not in (self._read(path) or b"").decode(errors="replace"):
            done = [Done(what="add yourself", path=path, text=text)]
        if had_config and program == "openclaw" and ledger == "HEARTBEAT.md":
            done.append(Done(what="add yourself", path=CONFIG, text=f'[workspace]\nledger = "{_OPENCLAW_LEDGER}"'))
        if had_config and program != "openclaw" and f"[agents.{program}]".encode() not in (self._read(CONFIG) or b""):
            done.append(Done(what="add yourself", path=CONFIG, text=template(f"agents/{program}.toml")))
        return done

    def _read(self, path: str) -> bytes | None:
        try:
            return self._files.read(path).data
        except NotFound:
            return None

    def _write(self, path: str, new: bytes) -> Done:
        """The file made, or kept as it is, whatever it is."""
        made = False

        def change(raw: bytes | None) -> bytes:
            nonlocal made
            made = raw is None
            return new if raw is None else raw

        try:
            self._files.commit(path, change, None)
        except ClawError:
            if self._exists(path):
                return Done(what="kept", path=path)
            raise
        return Done(what="made" if made else "kept", path=path)

    def _exists(self, path: str) -> bool:
        """Whether something is there, also what the door would not open."""
        try:
            self._files.read(path)
        except NotFound:
            return False
        except ClawError:
            return True
        return True

    def _folder(self, path: str) -> Done:
        above, _, name = path.rpartition("/")
        there = name in self._files.names(above)
        self._files.folder(path)
        return Done(what="kept" if there else "made", path=f"{path}/")
