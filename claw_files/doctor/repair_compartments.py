"""Repairs compartments: closes open modes, moves files in; each repair is independent."""

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta

from claw_files.core.errors import ClawError
from claw_files.doctor.repair import Repair, RepairStep
from claw_files.services.compartments.compartments import MovingIn
from claw_files.storage.places import FOLDER
from claw_files.storage.workspace import Workspace
from claw_files.system import access_modes

PATIENCE = timedelta(seconds=5)


class CompartmentRepair:
    """Repairs the compartments of one workspace, without naming their content."""

    def __init__(self, outer: Workspace, moving: MovingIn, inner: Iterable[tuple[Workspace, Repair]]) -> None:
        self._outer, self._moving, self._inner = outer, moving, inner
        self.failed: list[str] = []

    def mend(self) -> list[RepairStep]:
        """The repairs, in order. Raises Busy during a heartbeat."""
        with self._outer.ticking.hold("tick", PATIENCE, "clawfiles doctor --repair"):
            done = [*self._moved(), *self._closed()]
        for workspace, repair in self._inner:
            path = os.path.relpath(workspace.root, self._outer.root)
            if number := len(repair.mend()):
                done.append(RepairStep(code="compartment-ill", path=path, did=f"repaired {number} findings in it"))
            self.failed += [f"{path}: {len(repair.failed)} findings"] if repair.failed else []
        return done

    def _moved(self) -> Iterator[RepairStep]:
        for path, move in [*(("", move) for move in self._moving.moves()), *self._moving.rest()]:
            try:
                move()
            except (ClawError, OSError) as wrong:
                self.failed.append(f"{path or FOLDER}: {wrong}")
            else:
                yield RepairStep(code="compartment-outside", path=path or FOLDER, did="moved into its compartment")

    def _closed(self) -> Iterator[RepairStep]:
        root = os.path.join(self._outer.root, FOLDER)
        if os.path.islink(root) or not os.path.isdir(root):
            return
        closed = sum(access_modes.tighten(root, path) for path in access_modes.opened(root))
        if closed:
            yield RepairStep(code="compartment-open", path=FOLDER, did=f"removed other users' access to {closed} names")
