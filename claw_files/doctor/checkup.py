"""The whole check: every subject in a fixed order; a failing check does not stop the others."""

import os
from collections.abc import Callable, Iterator
from typing import Final

from claw_files.doctor.checks import (
    channels,
    compartments,
    inboxes,
    ledger,
    leftovers,
    modes,
    names,
    setting,
    tasks,
    workflows,
)
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import Survey

CHECKS: Final[tuple[Callable[[Survey], Iterator[Finding]], ...]] = (
    *(setting.openclaw, setting.runtimes, setting.sandboxes, setting.filesystem, setting.writable, channels.channels),
    *(names.nodes, names.names, modes.modes),
    *(compartments.modes, compartments.outside),
    *(
        tasks.names_in_tasks,
        tasks.unclear,
        tasks.circles,
        tasks.parent_circles,
        tasks.places,
        tasks.definitions,
        tasks.moves,
        tasks.leases,
        tasks.outputs,
        tasks.reports,
    ),
    workflows.workflows,
    *(ledger.lines, ledger.watching, ledger.unseen),
    *(inboxes.missing, inboxes.orphans, inboxes.unsent, inboxes.doubles, inboxes.strangers, inboxes.stale),
    *(
        leftovers.kept_aside,
        leftovers.journal,
        leftovers.private,
        leftovers.runs,
        leftovers.events,
        leftovers.sources,
        leftovers.briefs,
    ),
    channels.given_up,
)


def examine(root: str, now: float, base: str | None = None) -> list[Finding]:
    """Everything that is wrong or odd in the workspace at `root`; nothing is changed. Empty is healthy.

    For a compartment it only reports that there is a problem, without details.

    Args:
        now: seconds since 1970, for ages.
        base: the folder of clawfiles.toml, to look at one compartment alone.
    """
    survey = Survey(root, now, None if base in (None, root) else base)
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(survey)
        except Exception as wrong:  # noqa: BLE001 - a fault of ours in one check must not hide what the others see
            findings.append(Finding("check-failed", detail=f"{check.__name__}: {type(wrong).__name__}: {wrong}"))
    for agent in compartments.agents_of(survey):
        path = f"{compartments.FOLDER}/{agent}"
        if survey.tree.node(path) and (inside := examine(os.path.join(root, path), now, root)):
            findings.append(Finding("compartment-ill", path, detail=f"{len(inside)} findings", agent=agent))
    # Findings of reading come first. If two checks report the same about one file, it is reported once.
    return list(dict.fromkeys((*survey.odd, *(one for one in findings if (one.code, one.path) not in _told(survey)))))


def _told(survey: Survey) -> set[tuple[str, str]]:
    return {(one.code, one.path) for one in survey.odd}
