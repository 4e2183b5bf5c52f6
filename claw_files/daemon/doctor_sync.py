"""The regular check: repairs unambiguous problems, reports others once per distinct set of findings."""

import errno
import subprocess
import sys
from typing import Final

import msgspec

from claw_files.app.wiring import App
from claw_files.core import text as words
from claw_files.core.digest import digest
from claw_files.core.errors import Busy
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Kind
from claw_files.daemon.log import DaemonLog
from claw_files.doctor.findings import Finding

SHOWN: Final = 50
LIMIT_SECONDS: Final = 600.0


def sync(app: App, log: DaemonLog) -> None:
    """Check, repair, report. A running heartbeat goes first: then the next check does it."""
    findings = _examine(app)
    if any(one.repairable for one in findings):
        try:
            for mended in (one for it in app.repairs(app.settings.coordinator) for one in it.mend()):
                log.say("mended", mended.as_text())
        except Busy as busy:
            log.say("sync", f"nothing was repaired: {busy}")
        findings = _examine(app)
    log.say("sync", f"{len(findings)} findings")
    if findings:
        _tell(app, findings)


def _examine(app: App) -> list[Finding]:
    """The doctor's findings, from a separate process with low priority. Raises OSError if it fails."""
    # -P: import nothing from the current folder, which agents may write to.
    command = [sys.executable, "-P", "-m", "claw_files.daemon.doctor_visit", app.root, str(app.clock.now().timestamp())]
    try:
        done = subprocess.run(  # noqa: S603 - this Python and a module of ours, no shell
            command, capture_output=True, timeout=LIMIT_SECONDS, check=False
        )
        return msgspec.json.decode(done.stdout, type=list[Finding])
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"the doctor did not end within {LIMIT_SECONDS:g} s") from None
    except msgspec.MsgspecError:
        said = words.safe(done.stderr.decode("utf-8", "replace").strip()[-300:])
        raise OSError(errno.EPROTO, f"the doctor ended with {done.returncode}: {said}") from None


def _tell(app: App, findings: list[Finding]) -> None:
    """Notify the monitor, unless the same findings were reported."""
    content = "\n".join(sorted({f"{one.code} {one.file}" for one in findings}))
    key, to = f"sync.{digest(content.encode())}", app.settings.monitor
    if app.workspace.find_message(to, key) is not None:
        return
    more = f"\n... and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    shown = "\n".join(one.as_text() for one in findings[:SHOWN])
    text = f"The doctor found problems that it cannot repair; `clawfiles doctor` lists them:\n\n{shown}{more}"
    audit = Audit(JournalEvent.SYNC, agent=to, key=key, actor=app.settings.coordinator, why=f"{len(findings)} findings")
    app.messages.tell(key, to, words.safe(text, 50_000, lines=True), Kind.ANNOUNCE, None, audit)
