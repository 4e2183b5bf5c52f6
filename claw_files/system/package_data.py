"""Finds the program's data files: templates and the example workspace.

They live at the top of the repository, where people look for them, and inside the package once installed (`_data/`).
"""

import os
from functools import cache

from claw_files.core.errors import NotFound

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@cache
def folder(name: str) -> str:
    """The absolute path of "templates" or "workspace-example". Raises NotFound if the installation lacks it."""
    for root in (os.path.join(_PACKAGE, "_data"), os.path.dirname(_PACKAGE)):
        path = os.path.join(root, name)
        if os.path.isdir(path):
            return path
    raise NotFound("folder of the installation", name, "install clawfiles again")


@cache
def template(name: str) -> str:
    """The text of `templates/NAME`; `name` is a constant, never from a file. Raises NotFound."""
    try:
        with open(os.path.join(folder("templates"), name), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise NotFound("template", name) from None


@cache
def template_paths(name: str) -> tuple[str, ...]:
    """The files below `templates/NAME`, as relative paths, sorted; empty without such a folder."""
    top = os.path.join(folder("templates"), name)
    found = (os.path.relpath(os.path.join(at, file), top) for at, _, files in os.walk(top) for file in files)
    return tuple(sorted(path.replace(os.sep, "/") for path in found))
