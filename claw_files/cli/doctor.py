"""`doctor`: what is wrong or odd, and mending what has exactly one meaning."""

import sys
from typing import TYPE_CHECKING

import click

from claw_files.cli.base import command, open_app, shared, show, warn

if TYPE_CHECKING:
    from claw_files.app import App
    from claw_files.doctor.repair import Mended


@command("doctor", example="clawfiles doctor\nclawfiles doctor --repair --json")
@click.option("--repair", is_flag=True, help="Mend what has exactly one meaning, and say what was done.")
def doctor(repair: bool) -> int:
    """Name what is wrong or odd in the workspace, with what to do; exits 1 when something is left.

    docs/reference/doctor.md lists every finding.
    """
    from claw_files.doctor.examine import examine

    app = open_app()
    mended = _mended(app) if repair else []
    findings = examine(app.root, app.clock.now().timestamp())
    notices = _notices(app) if shared("json") or sys.stderr.isatty() else []
    if not shared("json"):
        for notice in notices:
            warn(notice)
    document = {
        "findings": [one.as_json() for one in findings],
        "repaired": [one.as_json() for one in mended],
        "notices": notices,
    }
    lines = [*(one.as_text() for one in mended), *([one.as_text() for one in findings] or ["nothing found"])]
    show(document, "\n".join(lines))
    return 1 if findings else 0


def _mended(app: "App") -> "list[Mended]":
    """What was mended; what could not be is said beside the answer. Nothing can be under a wrong configuration."""
    from claw_files.doctor.repair import Repair
    from claw_files.errors import InvalidFile

    try:
        repair = Repair(app.workspace, app.files, app.runtime, app.coordinator_or_actor)
    except InvalidFile as wrong:
        warn(f"nothing can be mended before the configuration is right: {wrong}")
        return []
    done = repair.mend()
    for sentence in repair.failed:
        warn(f"not mended: {sentence}")
    return done


def _notices(app: "App") -> list[str]:
    """What may be as it should, and is worth knowing."""
    from claw_files.cli.crontab import is_installed

    if is_installed(app.root):
        return []
    return ["no-cron: your crontab does not call the heartbeat; `clawfiles install cron` adds it"]
