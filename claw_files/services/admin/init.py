"""`init`: creates a workspace, or adds missing parts. In existing files only marked sections are changed."""

import re
from collections.abc import Callable
from string import Template

from claw_files.core.errors import ClawError, InvalidFile, NotFound
from claw_files.core.model import Value
from claw_files.formats import own_sections
from claw_files.services.admin.agent_briefing import SKILL, skill_text
from claw_files.system.files import Files
from claw_files.system.package_data import template, template_paths

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
# The paths at which each program reads instructions and skills.
INSTRUCTIONS = {"openclaw": "AGENTS.md", "claude": "CLAUDE.md", "codex": "AGENTS.md", "gemini": "GEMINI.md"}
_SHARED_SKILL = f".agents/{SKILL}"
SKILLS = {"openclaw": _SHARED_SKILL, "claude": f".claude/{SKILL}", "codex": _SHARED_SKILL, "gemini": _SHARED_SKILL}
_STAND_IN = "stand-in.py"  # plays the agents of a workspace that has no model yet
_OPENCLAW_LEDGER = "clawfiles/LEDGER.md"  # OpenClaw tidies a HEARTBEAT.md in its workspace away: ours moves
_FRONT_MATTER_ONLY = re.compile(rb"---\r?\n(?:(?!---)[^\n]*\n)*---\s*")


class InitStep(Value, frozen=True):
    """One line of `init`: `what` is made, updated, kept, taken out, removed or add yourself."""

    what: str
    path: str
    text: str = ""  # settings to add by hand


class Setup:
    """Makes a workspace through its door. `ledger_of` reads the ledger's path out of a configuration's bytes."""

    def __init__(self, files: Files, ledger_of: Callable[[bytes], str]) -> None:
        self._files = files
        self._ledger_of = ledger_of

    def init(self, name: str, program: str | None) -> list[InitStep]:
        """Everything that was made, brought up to date or kept, line by line.

        Args:
            name: of a folder of `templates/workspaces`.
            program: one of INSTRUCTIONS, whose instructions and skill are added, or None.

        Raises NotFound for an unknown template, InvalidConfig for a configuration that is there and wrong, InvalidFile
        for instructions that our section cannot be put into: then nothing is made.
        """
        config = self._read(CONFIG)
        raw = config if config is not None else self._config(name, program)
        ledger = self._ledger_of(raw)
        if program:
            self._check(program)
            own_sections.put(self._read(INSTRUCTIONS[program]), skill_text(), INSTRUCTIONS[program])
        done = [self._write(CONFIG, raw), *(self._folder(folder) for folder in FOLDERS)]
        done.append(self._write(ledger, template(f"workspaces/{name}/HEARTBEAT.md").encode()))
        for path in template_paths(f"workspaces/{name}"):
            if path not in (CONFIG, "HEARTBEAT.md"):
                done.append(self._write(path, template(f"workspaces/{name}/{path}").encode()))
        if _STAND_IN.encode() in raw:
            done.append(self._write(_STAND_IN, template(f"agents/{_STAND_IN}").encode()))
        if program:
            done += [self._put(INSTRUCTIONS[program], skill_text()), self._skill(SKILLS[program])]
            done += self._settings_to_add(program, config is not None, ledger)
        return done

    def remove(self, program: str) -> list[InitStep]:
        """Remove what `init` added for the program; the workspace itself is kept.

        Raises as `init`; then nothing was changed.
        """
        self._check(program)
        instructions, skill = INSTRUCTIONS[program], SKILLS[program]
        done = [self._take(instructions)]
        others = {file for other, file in INSTRUCTIONS.items() if SKILLS[other] == skill and file != instructions}
        is_used = any(self._has_section(file) for file in others)
        return [*done, InitStep(what="kept", path=skill) if is_used else self._take(skill)]

    def _config(self, name: str, program: str | None) -> bytes:
        agent = template(f"agents/{program}.toml") if program and program != "openclaw" else ""
        ledger = _OPENCLAW_LEDGER if program == "openclaw" else "HEARTBEAT.md"
        reviewer = program if agent else "peter"
        text = Template(template(f"workspaces/{name}/{CONFIG}"))
        _, _, runs = (agent or template("agents/stand-in.toml")).partition('kind = "named"\n')
        values = {"ledger": ledger, "agent": f"\n{agent}" if agent else "", "reviewer": reviewer, "runs": runs.rstrip()}
        return text.substitute(values).encode()

    def _settings_to_add(self, program: str, had_config: bool, ledger: str) -> list[InitStep]:
        """The settings that an existing configuration lacks for the program, for its owner to add."""
        if not had_config:
            return []
        if program == "openclaw":
            text = f'[workspace]\nledger = "{_OPENCLAW_LEDGER}"' if ledger == "HEARTBEAT.md" else ""
        else:
            is_there = f"[agents.{program}]".encode() in (self._read(CONFIG) or b"")
            text = "" if is_there else template(f"agents/{program}.toml")
        return [InitStep(what="add yourself", path=CONFIG, text=text)] if text else []

    # --- our sections

    def _check(self, program: str) -> None:
        """Raises InvalidFile if the section cannot be inserted or found."""
        for path in (INSTRUCTIONS[program], SKILLS[program]):
            own_sections.inside(self._read(path), path)

    def _has_section(self, path: str) -> bool:
        try:
            return own_sections.inside(self._read(path), path) is not None
        except InvalidFile:
            return True  # an unreadable file may be in use

    def _put(self, path: str, inner: str) -> InitStep:
        before = self._read(path)
        after = self._files.commit(path, lambda raw: own_sections.put(raw, inner, path), None).data
        what = "made" if before is None else "kept" if after == before else "updated"
        return InitStep(what=what, path=path)

    def _skill(self, path: str) -> InitStep:
        """Create or update the skill; a skill without clawfiles' marks is not changed."""
        ours = template(SKILL)
        there = self._read(path)
        if there is None:
            return self._write(path, ours.encode())
        if own_sections.inside(there, path) is None:
            return InitStep(what="kept", path=path)
        return self._put(path, own_sections.inside(ours.encode(), path) or "")

    def _take(self, path: str) -> InitStep:
        """Our section taken out; a file in which nothing else is, or of a skill only its front matter, is removed."""
        before = self._read(path)
        after = own_sections.take(before, path)
        if after == before:
            return InitStep(what="nothing to take out", path=path)
        if after is None or (path in SKILLS.values() and _FRONT_MATTER_ONLY.fullmatch(after)):
            self._files.remove(path, None)
            return InitStep(what="removed", path=path)
        self._files.commit(path, lambda raw: own_sections.take(raw, path) or b"", None)
        return InitStep(what="taken out", path=path)

    # --- files

    def _read(self, path: str) -> bytes | None:
        try:
            return self._files.read(path).data
        except NotFound:
            return None

    def _write(self, path: str, new: bytes) -> InitStep:
        """Create the file; an existing one is kept."""
        try:
            self._files.read(path)
        except NotFound:
            self._files.commit(path, lambda raw: new if raw is None else raw, None)
            return InitStep(what="made", path=path)
        except ClawError:
            pass  # a link, a folder, too large: it is there
        return InitStep(what="kept", path=path)

    def _folder(self, path: str) -> InitStep:
        above, _, name = path.rpartition("/")
        there = name in self._files.names(above)
        self._files.folder(path)
        return InitStep(what="kept" if there else "made", path=f"{path}/")
