"""`doctor`: the check of a workspace, its repair, and the probe of an agent."""

import sys
from typing import TYPE_CHECKING

import click

from claw_files.cli.base import Command, command, open_app, shared, show, warn
from claw_files.core.errors import InvalidFile

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.doctor.repair import RepairStep

TASKS = click.IntRange(1, 100_000)
RACE = "Let eight processes race to claim N (2,000) tasks on this disk, in a temporary folder."


@command("doctor", example="clawfiles doctor\nclawfiles doctor --repair --json\nclawfiles doctor --prove-claims")
@click.option("--repair", is_flag=True, help="Fix unambiguous problems and print what was done.")
@click.option("--agent", metavar="NAME", help="With --repair: act as this agent. Alone: the old form of `probe NAME`.")
@click.option("--patience", metavar="L", default="2m", help="How long that probe waits for the agent.")
@click.option("--prove-claims", "tasks", type=TASKS, is_flag=False, flag_value=2_000, metavar="[N]", help=RACE)
def doctor(repair: bool, agent: str | None, patience: str, tasks: int | None) -> int:
    """Check the workspace and print each problem with what to do; exits 1 when a problem remains.

    docs/reference/doctor.md lists every finding. With --prove-claims, exits 1 if a task had two winners or
    none, or if this disk does not support a promise of docs/explanation/promises.md.
    """
    from claw_files.doctor.checkup import examine

    if tasks:
        return _prove(tasks)
    if agent and not repair:
        warn(f"`doctor --agent {agent}` starts the agent: write `clawfiles agents probe {agent}`")
        return _probe(agent, patience)
    app = open_app(agent)
    mended = _mended(app) if repair else []
    findings = examine(app.root, app.clock.now().timestamp(), app.base)
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


def _prove(tasks: int) -> int:
    from msgspec.structs import asdict

    from claw_files.doctor.claim_proof import prove

    found = prove(open_app().base, tasks)
    told = f"{tasks:,} claims by {found.processes} processes in {found.seconds} s"
    told += f": {found.doubled} doubled, {found.lost} lost"
    show(asdict(found), "\n".join([told, *found.weak]))
    return 1 if found.doubled or found.lost or found.weak else 0


@command("probe", example="clawfiles probe peter --patience 5m")
@click.argument("name", metavar="AGENT")
@click.option("--patience", metavar="L", default="2m", show_default=True, help="How long to wait for the agent.")
def probe(name: str, patience: str) -> int:
    """Send an agent a test task and print each step; exits 1 if the agent does not act."""
    return _probe(name, patience)


agents_probe = Command(
    "probe", callback=probe.callback, params=list(probe.params), help=probe.help, example="clawfiles agents probe peter"
)


def _probe(agent: str, patience: str) -> int:
    from claw_files.core import text
    from claw_files.presentation import figures

    app = open_app()
    if sys.stderr.isatty():
        app.probing.progress = lambda step: warn(figures.step_text(step))
    found = app.probing.probe(agent, text.duration(patience, "--patience"))
    show(figures.probe_json(found), lambda: figures.probe_text(found))
    return 0 if found.acts else 1


def _mended(app: "App") -> "list[RepairStep]":
    """The repairs that were made. Failed ones are warnings; an invalid configuration prevents all of them."""
    try:
        mending = app.repairs(app.coordinator_or_actor)
    except InvalidFile as wrong:
        warn(f"--repair needs a valid configuration: {wrong}")
        return []
    done = [one for it in mending for one in it.mend()]
    for sentence in (one for it in mending for one in it.failed):
        warn(f"not repaired: {sentence}")
    return done


def _notices(app: "App") -> list[str]:
    """What may be as it should, and is worth knowing."""
    from claw_files.cli import crontab, systemd

    if systemd.is_installed(app.base) or crontab.is_installed(app.base):
        return []
    return [
        "no-cron: neither your crontab nor a systemd unit of your user runs the heartbeat; "
        "`clawfiles install cron` or `clawfiles install systemd` adds it"
    ]
