"""`daemon run`, `status` and `stop`."""

import gc
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from claw_files.cli.base import command, open_app, shared, show
from claw_files.core.errors import Busy
from claw_files.system import wait_notice
from claw_files.system.clock import awaited

if TYPE_CHECKING:
    from datetime import timedelta

    from claw_files.app.wiring import App

NOT_RUNNING = 3
_POLL_SECONDS = 0.05


@command("run", example="clawfiles daemon run --log json")
@click.option(
    "--log", "log_form", type=click.Choice(["plain", "json"]), default="plain", help="Format of the log lines."
)
def run(log_form: str) -> None:
    """Run until SIGTERM, which stops new work and waits for running work. SIGHUP reloads clawfiles.toml."""
    from claw_files.app.wiring import open_workspace
    from claw_files.daemon.change_hints import ChangeHints
    from claw_files.daemon.log import DaemonLog, to_stderr
    from claw_files.daemon.observers import watcher
    from claw_files.daemon.service import Service
    from claw_files.daemon.signals import Signals

    gc.set_threshold(700)  # the interpreter's own: what lives long must not keep what it has done with
    first = open_app()
    root, log = first.base, DaemonLog(first.clock, to_stderr, log_form == "json")
    log.catch_threads()
    hints, signals = ChangeHints(), Signals()
    signals.install(hints)

    def opened() -> "App":
        return open_workspace(root, os.environ, shared("agent")).outer

    Service(root, opened, first.clock, log, watcher, signals, hints, os.environ).run()


@command("status", example="clawfiles daemon status --json")
def status() -> int:
    """Show the daemon's status; exits 0 if a daemon runs and 3 if not."""
    from claw_files.presentation import views
    from claw_files.services.admin import daemon_state

    app = open_app()
    found = daemon_state.load(app.base)
    if found is None:
        show({"running": False}, "no daemon runs; `clawfiles daemon run` starts one")
        return NOT_RUNNING
    show(views.daemon_json(found), lambda: views.daemon_text(found, app.when))
    return 0


@command("stop", example="clawfiles daemon stop --drain 2m")
@click.option("--drain", metavar="LENGTH", help="How long to wait for running work (default: `drain` under [daemon]).")
def stop(drain: str | None) -> None:
    """Stop the daemon and wait until it has ended; succeeds if no daemon runs."""
    import signal

    from claw_files.services.admin import daemon_state

    app = open_app()
    limit = _length(drain) if drain else app.settings.daemon.drain
    found = daemon_state.load(app.base)
    if found is None:
        show({"running": False}, "no daemon runs")
        return
    daemon_state.order_stop(app.base, found.epoch, limit)
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    seconds = (limit + daemon_state.ENDING).total_seconds()
    with wait_notice.waiting(f"for process {found.pid} to end, until {app.when(app.clock.now() + limit)} and a moment"):
        if not awaited(app.clock, lambda: not daemon_state.is_running(app.base), seconds, _POLL_SECONDS):
            raise Busy("daemon", f"process {found.pid}, which does not exit")
    show({"running": False, "pid": found.pid, "epoch": found.epoch}, f"stopped process {found.pid}")


def _length(text: str) -> "timedelta":
    from datetime import timedelta

    from claw_files.core import text as words

    return timedelta(0) if text.strip() in ("0", "0s") else words.duration(text, "--drain")
