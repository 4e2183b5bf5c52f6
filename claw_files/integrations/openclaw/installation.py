"""The OpenClaw installation on this machine: command line, configuration in old and new layout.

`agents.list[]` (until 2026.7) and `agents.entries` (since 2026.8) both name agents and their workspaces. The command
line knows better than the file, which may include others; the file is read where there is no command line.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from claw_files.integrations.openclaw import json5
from claw_files.integrations.openclaw.protocol import record, records, text
from claw_files.system.private_files import load_file

CONFIG_BYTES = 1 << 20
CLI_SECONDS = 30
Agents = dict[
    str, str
]  # the agents that OpenClaw knows, by id: the workspace of each, absolute; "" where it is not told


def agents(environ: Mapping[str, str]) -> Agents | None:
    """The agents of the OpenClaw installation; None if neither its command nor its configuration shows them."""
    found = _by_command(environ)
    return found if found is not None else _by_file(environ)


def listed(rows: object) -> Agents:
    """The agents in the answer to `openclaw agents list --json`, or to the gateway's `agents.list`."""
    found = rows if isinstance(rows, list) else []
    named = [(text(one, "id", 100), text(one, "workspace", 4096)) for one in found if isinstance(one, dict)]
    return {name.lower(): folder for name, folder in named if name}


def differs(told: str, ours: str, root: str) -> bool:
    """Whether the agent's workspace in OpenClaw is another folder than the configured one."""
    return bool(told) and os.path.realpath(told) != os.path.realpath(os.path.join(root, ours))


def configured(config: dict[str, Any], home: str) -> Agents:
    """The agents in a configuration, in either layout; without any, the one called main."""
    section = record(config, "agents")
    entries = record(section, "entries")
    rows = [{**one, "id": name} for name, one in entries.items() if isinstance(one, dict)] or records(section, "list")
    shared = text(record(section, "defaults"), "workspace", 4096)
    rows = rows or [{"id": "main", "workspace": shared}]
    found = [{**row, "workspace": _folder(row, shared, len(rows) == 1, home)} for row in rows]
    return listed(found)


def token(environ: Mapping[str, str]) -> str:
    """The gateway's token in the configuration; empty if it is elsewhere, or others may read the file."""
    config = _config(environ, is_secret=True)
    found = text(record(record(config or {}, "gateway"), "auth"), "token", CONFIG_BYTES)
    return "" if "${" in found else found.strip()


def config_path(environ: Mapping[str, str]) -> str:
    """The path of the configuration."""
    home = environ.get("HOME") or os.path.expanduser("~")
    state = environ.get("OPENCLAW_STATE_DIR") or os.path.join(home, ".openclaw")
    return environ.get("OPENCLAW_CONFIG_PATH") or os.path.join(state, "openclaw.json")


def _by_command(environ: Mapping[str, str]) -> Agents | None:
    answer = _run(["agents", "list", "--json"], environ)
    try:
        found = json.loads(answer) if answer else None
    except (ValueError, RecursionError):
        return None
    return listed(found) if isinstance(found, list) else None


def _by_file(environ: Mapping[str, str]) -> Agents | None:
    config = _config(environ)
    if config is None or "$include" in json.dumps(config):
        return None
    return configured(config, environ.get("HOME") or os.path.expanduser("~"))


def _config(environ: Mapping[str, str], is_secret: bool = False) -> dict[str, Any] | None:
    try:
        raw = load_file(config_path(environ), CONFIG_BYTES, is_secret, follows=True) or b""
        found = json5.loads(raw.decode("utf-8", "replace"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _folder(row: dict[str, Any], shared: str, is_alone: bool, home: str) -> str:
    """The agent's folder: its own setting, else below the shared one; empty if it depends on the version."""
    own = text(row, "workspace", 4096)
    if not own and shared:
        own = shared if is_alone else os.path.join(shared, text(row, "id", 100))
    return os.path.join(home, own[2:]) if own.startswith("~/") else own


def _run(arguments: list[str], environ: Mapping[str, str]) -> str | None:
    program = shutil.which("openclaw", path=environ.get("PATH", os.defpath))
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, and no shell
            [program, *arguments],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CLI_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout[:CONFIG_BYTES].decode("utf-8", "replace") if done.returncode == 0 else None
