"""Installs the daemon as a systemd user unit, marked as clawfiles'; other units are never changed.

The first line of a unit names its workspace and has a digest of the rest, so an edited unit, or another workspace's, is
recognised and left alone. `man systemd.syntax` and `man systemd.service` tell
what each kind of line reads as special.
"""

import os
import re
from datetime import timedelta
from typing import Final

from claw_files.cli.system_programs import call, this_program
from claw_files.core.digest import digest
from claw_files.core.errors import BadValue, CannotWrite, Conflict, RunFailed
from claw_files.core.model import Value
from claw_files.services.admin.daemon_state import ENDING
from claw_files.system.private_files import load_file, replace_file
from claw_files.system.procfs import with_our_programs

_HINT: Final = "without --now the lines to type are shown"
_CAP_BYTES: Final = 1 << 16
LINGERING = "/var/lib/systemd/linger"  # a file for each user whose services outlast the user's sessions
_MARK: Final = re.compile(r"# clawfiles unit for (?P<root>[^\n]*), (?P<digest>[0-9a-f]{16})\n(?P<rest>.*)", re.DOTALL)
_UNSTARTABLE: Final = frozenset("\"'\\")  # "Executable name contains special characters"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

_UNIT: Final = """\
[Unit]
Description=clawfiles daemon ({description})
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
Environment={path}
WorkingDirectory={folder}
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=10s
TimeoutStartSec=5min
# SIGTERM drains. This is longer than the drain, which the daemon tells when it takes longer.
TimeoutStopSec={stop}s
WatchdogSec=2min
# The daemon ends runs itself. When it is killed, they go on under their supervisors, and the next one finds them.
KillMode=process
OOMPolicy=continue

[Install]
WantedBy=default.target
"""


class UnitPlace(Value, frozen=True):
    """The path of a workspace's unit, existing or not."""

    root: str
    name: str  # "clawfiles-team.service"
    path: str  # absolute


class UnitChange(Value, frozen=True):
    """The change of a unit, and the remaining commands."""

    place: UnitPlace
    text: str  # of the unit: as it is to stand there, or stood there
    changed: bool = False
    commands: tuple[str, ...] = ()


def place_of(root: str, name: str | None) -> UnitPlace:
    """The path of the unit of the workspace at `root`, an absolute path.

    Without a name it is the one that the workspace's unit has already, else the folder's own. Raises BadValue.
    """
    found = _file_name(name) if name else _installed(root) or _file_name(_name_of(root))
    return UnitPlace(root=root, name=found, path=os.path.join(_folder(), found))


def unit_text(root: str, drain: timedelta) -> str:
    """The unit of the workspace's daemon with this drain time. Raises BadValue for text that no unit can contain."""
    path = with_our_programs(os.environ.get("PATH", os.defpath))
    for what, text in (("workspace", root), ("PATH", path), ("program", this_program()[0])):
        _check(what, text)
    body = _UNIT.format(
        description=_literal(root),
        path=_word(f"PATH={path}"),
        folder=_literal(root).rstrip("/") + "/",
        start=_command([*this_program(), "-C", root, "daemon", "run"]),
        stop=int((drain + ENDING).total_seconds()),
    )
    return f"# clawfiles unit for {root}, {digest(body.encode())}\n{body}"


def ends_at_logout() -> bool:
    """Whether systemd stops the user's units with the user's last session."""
    import pwd

    return not os.path.exists(os.path.join(LINGERING, pwd.getpwuid(os.geteuid()).pw_name))


def is_installed(root: str) -> bool:
    """Whether the user has a unit of the workspace at `root`."""
    return _installed(root) is not None


def standing(place: UnitPlace) -> str:
    """The installed unit of the workspace; "" without one. Raises Conflict."""
    return _ours(place) or ""


def install(place: UnitPlace, text: str, now: bool) -> UnitChange:
    """Write the unit unless it is there; `now` also runs the commands that start it.

    Raises Conflict if another unit has the name, CannotWrite, NotFound without systemctl, RunFailed.
    """
    _check_manager(now)
    before = _ours(place)
    if before != text:
        _write(place, text)
    manager, changed = "systemctl --user", before != text
    again = (f"{manager} restart {place.name}",) if before and changed else ()
    commands = (f"{manager} daemon-reload", f"{manager} enable --now {place.name}", *again)
    if now:
        _type(*commands)
    return UnitChange(place=place, text=text, changed=changed, commands=() if now else commands)


def remove(place: UnitPlace, now: bool) -> UnitChange:
    """Delete the unit, and the link that enabled it; `now` ends its daemon first. Raises as `install`."""
    _check_manager(now)
    text = _ours(place)
    if text is None:
        return UnitChange(place=place, text="")
    stop, reload = f"systemctl --user stop {place.name}", "systemctl --user daemon-reload"
    if now:
        _type(stop)
    _delete(place)
    if now:
        _type(reload)
    return UnitChange(place=place, text=text, changed=True, commands=() if now else (stop, reload))


def _check_manager(now: bool) -> None:
    """Check for systemctl before anything is written."""
    if now:
        call(["systemctl", "--version"], _HINT)


def _type(*commands: str) -> None:
    """Run systemctl without a time limit, because systemd limits start and stop itself. Raises RunFailed."""
    for command in commands:
        done = call(command.split(), _HINT, wait_seconds=None)
        if done.returncode:
            said = done.stderr.strip()[:300] or f"it ended with {done.returncode}"
            raise RunFailed(command, f"{said}; {_HINT}")


def _write(place: UnitPlace, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(place.path), exist_ok=True)
        replace_file(place.path, text.encode())
    except OSError as wrong:
        raise CannotWrite(place.path, wrong.strerror or str(wrong)) from None


def _delete(place: UnitPlace) -> None:
    """Delete the unit, and the link that enabled it, which would be dangling."""
    link = os.path.join(_folder(), "default.target.wants", place.name)
    try:
        os.unlink(place.path)
        if os.path.islink(link) and os.path.join(os.path.dirname(link), os.readlink(link)) == place.path:
            os.unlink(link)
    except OSError as wrong:
        raise CannotWrite(place.path, wrong.strerror or str(wrong)) from None


# --- whose it is


def _ours(place: UnitPlace) -> str | None:
    """The content at the path, if clawfiles wrote it; None if missing. Raises Conflict for everything else."""
    try:
        raw = load_file(place.path, _CAP_BYTES)
    except OSError:
        raise _foreign(place, "it is a link or not a regular file") from None
    if raw is None:
        return None
    text = raw.decode("utf-8", "surrogateescape")
    found = _MARK.fullmatch(text)
    if found is None:
        raise _foreign(place, "it was not made by clawfiles")
    if found["root"] != place.root:
        raise _foreign(place, f"it belongs to the workspace {found['root']}")
    if digest(raw.partition(b"\n")[2]) != found["digest"]:
        why = f"it was edited by hand; keep the changes with `systemctl --user edit {place.name}`, delete it"
        raise Conflict(f"{place.path} was not changed: {why}, and try again")
    return text


def _foreign(place: UnitPlace, why: str) -> Conflict:
    return Conflict(f"{place.path} was not changed: {why}; choose another name with --name NAME")


def _installed(root: str) -> str | None:
    """The file name of the workspace's unit, whatever its name."""
    folder = _folder()
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        if name.startswith("clawfiles-") and name.endswith(".service") and _root_of(os.path.join(folder, name)) == root:
            return name
    return None


def _root_of(path: str) -> str | None:
    try:
        raw = load_file(path, _CAP_BYTES)
    except OSError:
        return None
    found = _MARK.fullmatch((raw or b"").decode("utf-8", "surrogateescape"))
    return found["root"] if found else None


def _folder() -> str:
    """The user's own units. XDG_CONFIG_HOME is not asked: a shell's is rarely that of the user's systemd."""
    return os.path.join(os.path.expanduser("~"), ".config", "systemd", "user")


def _file_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadValue("--name", name, "letters, digits, '.', '_' and '-', a letter or digit first, 100 at most")
    return f"clawfiles-{name}.service"


def _name_of(root: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", os.path.basename(root)).strip("-._")
    return plain[:100] or "workspace"


# --- how a unit is spelled


def _check(what: str, text: str) -> None:
    """Refuse text that no line of a unit can contain: invalid UTF-8 and line breaks."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise BadValue(what, text, "a path without control characters, which a unit cannot hold")
    if what == "program" and _UNSTARTABLE.intersection(text):
        raise BadValue(what, text, "a path without quotes and backslashes, which systemd does not start")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadValue(what, text, "a path in UTF-8, which a unit must be") from None


def _literal(text: str) -> str:
    """Text for a literal setting, with "%" escaped, and a space or backslash at its end."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """One word of a line that is split into words, in double quotes."""
    escaped = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _command(words: list[str]) -> str:
    """A command line; if it contains a "$", a colon disables variables (systemd 244 and newer)."""
    line = " ".join(_word(word) for word in words)
    return f":{line}" if "$" in line else line
