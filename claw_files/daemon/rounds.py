"""`python -m claw_files.daemon.rounds ROOT`: runs the daemon's pings and the doctor's check once.

A heartbeat of cron starts it when one of them is due. One works at a time for a workspace; it holds no other lock.
"""

import os
import sys
from datetime import timedelta

from claw_files.app.wiring import App
from claw_files.core.errors import Busy, ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit
from claw_files.daemon.doctor_sync import sync
from claw_files.daemon.health_checks import HealthChecks
from claw_files.daemon.log import DaemonLog, to_stderr
from claw_files.policy import health_rules
from claw_files.services.admin import cron_rounds, daemon_state
from claw_files.services.admin.cron_rounds import Rounds

AT_ONCE, LOOK_SECONDS = timedelta(0), 0.2


def go_round(app: App, log: DaemonLog) -> None:
    """Run the due jobs. The next times are written first, so that a failing job is not repeated at once."""
    every, now = health_rules.rounds(app.settings), app.clock.now().timestamp()
    kept = cron_rounds.load(app.root) or Rounds()
    due = {name for name, pause in every.items() if health_rules.is_due(kept.at.get(name, 0.0), pause, now)}
    at = {name: now + pause if name in due else kept.at[name] for name, pause in every.items()}
    cron_rounds.save(app.root, Rounds(at=at, silent=kept.silent))
    if "health" in due:
        asking = HealthChecks(app, log, kept.silent)
        asking.ask()
        app.heartbeat.wake()
        while asking.is_waiting:
            app.clock.sleep(LOOK_SECONDS)
            asking.turn()
        cron_rounds.save(app.root, Rounds(at=at, silent=dict(asking.silent)))
    if "sync" in due:
        sync(app, log)


def main(root: str) -> int:
    """Run one round; 1 if it failed, which is journalled."""
    app = App(root, {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}, None)
    log = DaemonLog(app.clock, to_stderr)
    try:
        with app.workspace.locks.hold(cron_rounds.LOCK, AT_ONCE, "pings and the doctor's visit"):
            if not daemon_state.is_running(root):
                go_round(app, log)
    except Busy:
        return 0
    except (ClawError, OSError) as wrong:
        app.workspace.note(Audit(JournalEvent.ROUNDS_FAILED, actor=app.settings.coordinator, why=str(wrong)[:500]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
