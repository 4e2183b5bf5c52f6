"""The doctor's regular visit: what has one meaning is mended, the rest told to the monitor, once for each content."""

from claw_files import words
from claw_files.app import App
from claw_files.daemon.log import Log
from claw_files.digest import digest
from claw_files.doctor.examine import examine
from claw_files.doctor.findings import Finding
from claw_files.doctor.repair import Mended, Repair
from claw_files.errors import Busy
from claw_files.model import Audit, Kind

SHOWN = 50


def sync(app: App, log: Log) -> None:
    """Look, mend, tell. A heartbeat that is at work comes first: then the next visit does it."""
    findings = _examine(app)
    if any(one.repairable for one in findings):
        try:
            for mended in _mend(app):
                log.say("mended", mended.as_text())
        except Busy as busy:
            log.say("sync", f"nothing was mended: {busy}")
        findings = _examine(app)
    log.say("sync", f"{len(findings)} findings")
    if findings:
        _tell(app, findings)


def _mend(app: App) -> list[Mended]:
    def repair(place: App) -> Repair:
        return Repair(place.workspace, place.files, place.runtime, app.settings.coordinator)

    return [*repair(app).mend(), *(app.closing(repair).mend() if app.has_compartments else ())]


def _examine(app: App) -> list[Finding]:
    return examine(app.root, app.clock.now().timestamp())


def _tell(app: App, findings: list[Finding]) -> None:
    """Tell the monitor, unless it was told the very same."""
    content = "\n".join(sorted({f"{one.code} {one.file}" for one in findings}))
    key, to = f"sync.{digest(content.encode())}", app.settings.monitor
    if app.workspace.find_message(to, key) is not None:
        return
    more = f"\n... and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    shown = "\n".join(one.as_text() for one in findings[:SHOWN])
    text = f"The doctor found what only somebody can decide; `clawfiles doctor` lists it:\n\n{shown}{more}"
    audit = Audit(action="sync", agent=to, key=key, actor=app.settings.coordinator, why=f"{len(findings)} findings")
    app.messages.tell(key, to, words.safe(text, 50_000, lines=True), Kind.ANNOUNCE, None, audit)
