"""The environment: other programs in the folder, runtimes, the file system."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import CONFIG, Survey
from claw_files.integrations.agent_runtimes import runtime_of
from claw_files.processes import Surroundings
from claw_files.processes.bubblewrap import options, problem
from claw_files.services.admin.unwritable_files import unwritable, unwritable_locks
from claw_files.system.inotify_info import filesystem_of

_OPENCLAW: Final = ("SOUL.md", "IDENTITY.md", "BOOTSTRAP.md")  # AGENTS.md alone is other programs', too
# These refuse to exchange two names, or guarantee it for one machine only.
WEAK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "vfat", "msdos", "exfat", "ntfs", "ntfs3",
                         "fuseblk", "hfsplus", "hfs"})  # fmt: skip


def openclaw(s: Survey) -> Iterator[Finding]:
    """An OpenClaw workspace with the ledger in its root, under the name that its doctor removes."""
    path = s.ledger_path.removeprefix("./")
    beside = [name for name in ("AGENTS.md", *_OPENCLAW) if s.tree.node(name)]
    woken = s.settings and any(agent.traits.tidies_ledger for agent in s.settings.agents.values())
    is_its = any(name in _OPENCLAW for name in beside) or (woken and beside)
    if path == "HEARTBEAT.md" and s.tree.node(path) and is_its:
        yield Finding("openclaw-ledger", path, detail=f"{' and '.join(beside)} beside it")


def runtimes(s: Survey) -> Iterator[Finding]:
    """The set-up problems of each runtime in use. No agent is started: `agents probe NAME` does that."""
    if s.settings is None or s.is_inner:
        return
    raw = s.tree.read(CONFIG).decode("utf-8", "replace")
    around = Surroundings(settings=s.settings, base=s.tree.root, root=s.tree.root, environ=os.environ)
    agents = s.settings.agents.values()
    for name in dict.fromkeys(agent.runtime for agent in agents):
        for it in runtime_of(name, around).doctor([agent for agent in agents if agent.runtime == name]):
            line = line_of(raw, it.agent, it.key) if it.agent else None
            yield Finding(it.code, CONFIG, line, it.detail, "", it.agent or "")


def sandboxes(s: Survey) -> Iterator[Finding]:
    """Agents that require a sandbox on a machine with none, or only a weak one."""
    if s.settings is None or s.is_inner:
        return
    raw = s.tree.read(CONFIG).decode("utf-8", "replace")
    required = [one for one in s.settings.agents if (it := s.settings.profile(one)) and it.sandbox == "require"]
    if required and (why := problem(os.environ)):
        for name in required:
            yield Finding("no-sandbox", CONFIG, line_of(raw, name, "profile"), why, "", name)
    elif required and not options(os.environ):
        yield Finding("weak-sandbox", CONFIG)


def line_of(raw: str, agent: str, key: str) -> int | None:
    """The line of the key in the agent's table; else that of the table."""
    table = None
    for number, line in enumerate(raw.splitlines(), 1):
        if re.match(r"\s*\[", line):
            if table is not None:
                return table
            is_it = re.match(rf"\s*\[\s*agents\s*\.\s*[\"']?{re.escape(agent)}[\"']?\s*\]", line, re.IGNORECASE)
            table = number if is_it else None
        elif table is not None and re.match(rf"\s*{key}\s*=", line):
            return number
    return table


def filesystem(s: Survey) -> Iterator[Finding]:
    """A file system with a weaker promise."""
    kind = filesystem_of(s.tree.root)
    if kind in WEAK:
        yield Finding("weak-filesystem", ".", detail=str(kind))


def writable(s: Survey) -> Iterator[Finding]:
    """Files that this user may not write: usually a command of another user, often root, created them."""
    agents = s.settings.agents if s.settings else ()
    closed = unwritable(s.tree.root, agents, datetime.fromtimestamp(s.now, UTC))
    for path in dict.fromkeys((*closed, *unwritable_locks(s.tree.root))):
        yield Finding("not-writable", path)
