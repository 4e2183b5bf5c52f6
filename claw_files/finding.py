"""Finding the workspace that a command is meant for, and making one."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from claw_files import config
from claw_files.errors import NoWorkspace
from claw_files.system.disk import DiskFiles
from claw_files.system.owner import make_folders
from claw_files.workspace import CONFIG
from claw_files.workspace.places import FOLDER

if TYPE_CHECKING:
    from claw_files.services.setup import Done, Setup


def set_up(root: str, template: str, program: str | None) -> "list[Done]":
    """Make or complete the workspace in the folder `root`, which is made if need be; says what was made and kept."""
    from claw_files.errors import CannotWrite

    try:
        make_folders(os.path.abspath(root))
    except OSError as error:
        raise CannotWrite(root, error.strerror or str(error)) from None
    return _setup(root).init(template, program)


def take_out(root: str, program: str) -> "list[Done]":
    """Take out of the folder `root` what `set_up` had put in for the program; says what was taken out and kept."""
    return _setup(root).remove(program)


def _setup(root: str) -> "Setup":
    from claw_files.services.setup import Setup

    return Setup(DiskFiles(root), lambda raw: config.parse(raw, CONFIG).workspace.ledger)


def find_root(start: str | None, env: Mapping[str, str]) -> str:
    """The absolute path of the folder with clawfiles.toml. Raises NoWorkspace."""
    named = env.get("CLAWFILES_WORKSPACE")
    if not start and named:
        around = around_of(named)
        if _is_workspace(around):
            return around
        raise NoWorkspace(named)
    folder = os.path.abspath(start or os.getcwd())
    while not _is_workspace(folder):
        above = os.path.dirname(folder)
        if above == folder:
            raise NoWorkspace(os.path.abspath(start or os.getcwd()))
        folder = above
    return folder


def around_of(folder: str) -> str:
    """The absolute path of the workspace in which the folder is a compartment; else that of the folder."""
    path = os.path.abspath(folder)
    above, here = os.path.split(os.path.dirname(path))
    return above if here == FOLDER and not _is_workspace(path) else path


def _is_workspace(folder: str) -> bool:
    """Whether clawfiles.toml is there, readable or not: what is wrong with it is told when it is read."""
    return os.path.lexists(os.path.join(folder, CONFIG))
