"""Finds the workspace of a command, and creates one."""

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from claw_files import __version__, config
from claw_files.core.errors import CannotWrite, NoWorkspace
from claw_files.storage.places import FOLDER
from claw_files.storage.workspace import CONFIG
from claw_files.system.cache import Cache
from claw_files.system.disk_files import DiskFiles
from claw_files.system.file_owner import make_folders
from claw_files.system.files import Content
from claw_files.system.workspace_trust import check, is_foreign, trusted

if TYPE_CHECKING:
    from claw_files.services.admin.init import InitStep, Setup


def set_up(root: str, template: str, program: str | None) -> "list[InitStep]":
    """Create or complete the workspace in the folder `root`, created if missing; returns each step.

    Raises Untrusted for a folder in which others decide what is started.
    """
    from claw_files.services.admin.init import InitStep

    try:
        make_folders(os.path.abspath(root))
    except OSError as error:
        raise CannotWrite(root, error.strerror or str(error)) from None
    check(root, root)
    done = _setup(root).init(template, program)
    if (counts := counting(root)) != root:
        text = f"it counts here as well, and not {root}, until you type\n`clawfiles trust {shlex.quote(root)}`"
        done.append(InitStep(what="this folder is inside another workspace", path=counts, text=text))
    return done


def take_out(root: str, program: str) -> "list[InitStep]":
    """Remove from the folder `root` what `set_up` added for the program; returns each step."""
    check(root, root)
    return _setup(root).remove(program)


def _setup(root: str) -> "Setup":
    from claw_files.services.admin.init import Setup

    return Setup(DiskFiles(root), lambda raw: config.parse(raw, CONFIG).workspace.ledger)


def find_root(start: str | None, env: Mapping[str, str]) -> str:
    """The absolute path of the workspace's folder; `Site` checks its owner. Raises NoWorkspace."""
    named = env.get("CLAWFILES_WORKSPACE")
    if not start and named:
        folder = os.path.abspath(named) if _is_workspace(named) else around_of(named)
        if _is_workspace(folder):
            return counting(folder)
        raise NoWorkspace(named)
    folder = os.path.abspath(start or os.getcwd())
    while not _is_workspace(folder):
        above = os.path.dirname(folder)
        if above == folder:
            raise NoWorkspace(os.path.abspath(start or os.getcwd()))
        folder = above
    return counting(folder)


def counting(folder: str) -> str:
    """The folder whose configuration counts, of the folder and the workspaces around it; else the folder.

    A run writes to its working folder, so a configuration inside the user's workspace is ignored unless it is trusted.
    Another user's workspace around it is ignored.
    """
    above = os.path.dirname(real := os.path.realpath(folder))
    around = [above] if _is_workspace(above) else []
    while above != (above := os.path.dirname(above)):
        around += [above] if _is_workspace(above) else []
    if not around:
        return folder
    listed = trusted()
    if found := next((it for it in (real, *around) if it in listed), None):
        return folder if found == real else found
    return next((it for it in reversed(around) if not is_foreign(it)), folder)


def parsed(base: str, content: Content) -> config.Settings:
    """The settings of a configuration's content; from the cache if the same version checked them.

    Raises InvalidConfig.
    """
    cache, head = Cache(base), f"{__version__} {content.digest}\n".encode()
    if kept := cache.known("config", config.Settings, head):
        return kept
    settings = config.parse(content.data, CONFIG)
    cache.keep("config", settings, head)
    return settings


def around_of(folder: str) -> str:
    """The absolute path of the workspace in which the folder is a compartment; else that of the folder."""
    path = os.path.abspath(folder)
    above, here = os.path.split(os.path.dirname(path))
    return above if here == FOLDER and _is_workspace(above) else path


def _is_workspace(folder: str) -> bool:
    """Whether clawfiles.toml exists, readable or not: reading it reports any error."""
    return os.path.lexists(os.path.join(folder, CONFIG))
