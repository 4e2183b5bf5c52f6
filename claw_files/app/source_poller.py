"""One poll of a source as a process, `python -I source_poller.py FOLDER NAME`: the heartbeat starts it as a run.

First the events are durable, then the cursor. Killed between, the next poll gets the same records, and their keys are
known.
"""

import os
import shutil
import sys
from typing import Any

if __name__ == "__main__":  # -I leaves out the folders where somebody could put another package of this name
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import msgspec
from msgspec.structs import replace

from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.core.event import Event, EventsFull, SourceMark
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit
from claw_files.core.text import safe
from claw_files.formats import source_mark
from claw_files.integrations.sources.source_readers import read
from claw_files.policy.source_rules import TOPIC, SourceCursor, SourceRecord, event_of
from claw_files.services.events import source_runs
from claw_files.services.events.event_store import EventStore

BATCH = 100
MOST_NEW = 5_000  # events of one poll; the rest is for the next one
MOST_BAD = 100  # records that are set aside in one poll
KEPT_RUNS = 10  # of the polls of a source


class SourcePoller:
    """Reads one source once."""

    def __init__(self, app: App, source: str) -> None:
        self._ws, self._source, self._store = app.workspace, app.settings.sources[source], EventStore(app.workspace)
        self._new = self._bad = 0

    def poll(self) -> str:
        """Read, keep the events, then write down how far it came; what went wrong, or ""."""
        ws, name = self._ws, self._source.name
        mark = source_runs.load(ws, name)  # in which this poll has failed, so far
        told = SourceMark(polled=mark.polled, good=mark.good, cursor=mark.cursor)
        try:
            cursor = self._take(msgspec.json.decode(mark.cursor or "null"))
            told = replace(told, good=ws.clock.now(), cursor=msgspec.json.encode(cursor).decode())
        except EventsFull:
            pass  # no failure: it goes on when there is room
        except (ClawError, OSError, msgspec.DecodeError, RecursionError) as wrong:
            why = str(wrong) if isinstance(wrong, (ClawError, OSError)) else f"its cursor: {wrong}"
            told = replace(mark, problem=safe(why, 400))
        key, why = os.environ.get("CLAWFILES_RUN", ""), f"{name}: {told.problem or f'{self._new} new'}"
        note = ws.line(Audit(JournalEvent.POLL, key=key, why=why)) if self._new or told.problem else None
        ws.files.commit(f"sources/{name}.md", lambda _: source_mark.render(told), note)
        for run in [it for it in ws.files.names("runs") if it.startswith(f"{TOPIC}.{name}.")][:-KEPT_RUNS]:
            shutil.rmtree(os.path.join(ws.root, "runs", run), ignore_errors=True)
        return told.problem

    def _take(self, cursor: Any) -> Any:
        """Keep the records behind the cursor as events, those before a failure, too; how far that came."""
        waiting = list[Event]()
        try:
            for it in read(self._source, cursor, self._ws.root, os.environ):
                if isinstance(it, SourceCursor):
                    cursor = it.value
                    continue
                waiting += self._events_of(it)
                if len(waiting) == BATCH:
                    self._emit(waiting)
                    if self._new >= MOST_NEW:
                        break
        finally:
            self._emit(waiting)
        return cursor

    def _events_of(self, record: SourceRecord) -> list[Event]:
        try:
            return [event_of(self._source, record)]
        except ValueError as wrong:
            self._store.refuse(record.raw, str(wrong), f"source {self._source.name}")
        self._bad += 1
        if self._bad > MOST_BAD:
            raise ClawError(f"over {MOST_BAD} of its records are none; events/failed/ has them with the reasons")
        return []

    def _emit(self, events: list[Event]) -> None:
        self._new += sum(not it.is_known for it in self._store.emit_many(events))
        events.clear()


def main(folder: str, source: str) -> int:
    """Poll, and end; 1 where that failed."""
    try:
        problem = SourcePoller(App(folder, {}, None), source).poll()
    except (ClawError, OSError) as wrong:
        problem = str(wrong)
    sys.stderr.write(safe(problem, 2000))
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
