"""Mending what concerns compartments: closing what is open, moving in what lies outside, and each by itself."""

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta

from claw_files.doctor.repair import Mended, Repair
from claw_files.errors import ClawError
from claw_files.services.compartments import MovingIn
from claw_files.system import modes
from claw_files.workspace import Workspace
from claw_files.workspace.places import FOLDER

PATIENCE = timedelta(seconds=5)


class Closing:
    """Mends the compartments of one workspace. What is in one is not named in what was done."""

    def __init__(self, outer: Workspace, moving: MovingIn, inner: Iterable[tuple[Workspace, Repair]]) -> None:
        self._outer, self._moving, self._inner = outer, moving, inner
        self.failed: list[str] = []

    def mend(self) -> list[Mended]:
        """What was done, in order. Raises Busy while a heartbeat is at work."""
        with self._outer.ticking.hold("tick", PATIENCE, "clawfiles doctor --repair"):
            done = [*self._moved(), *self._closed()]
        for workspace, repair in self._inner:
            path = os.path.relpath(workspace.root, self._outer.root)
            if number := len(repair.mend()):
                done.append(Mended(code="compartment-ill", path=path, did=f"mended {number} findings in it"))
            self.failed += [f"{path}: {len(repair.failed)} findings"] if repair.failed else []
        return done

    def _moved(self) -> Iterator[Mended]:
        for path, move in [*(("", move) for move in self._moving.moves()), *self._moving.rest()]:
            try:
                move()
            except (ClawError, OSError) as wrong:
                self.failed.append(f"{path or FOLDER}: {wrong}")
            else:
                yield Mended(code="compartment-outside", path=path or FOLDER, did="moved into its compartment")

    def _closed(self) -> Iterator[Mended]:
        root = os.path.join(self._outer.root, FOLDER)
        if os.path.islink(root) or not os.path.isdir(root):
            return
        closed = sum(modes.tighten(root, path) for path in modes.opened(root))
        if closed:
            yield Mended(code="compartment-open", path=FOLDER, did=f"took the rights of others from {closed} names")
