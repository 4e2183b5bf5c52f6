"""Sources as the heartbeat sees them: how far each was read (`sources/NAME.md`), and the run that polls it."""

import os
import sys
from contextlib import suppress

from msgspec.structs import replace

import claw_files
from claw_files.core.errors import InvalidFile, NotFound
from claw_files.core.event import SourceMark
from claw_files.core.keys import run_id
from claw_files.core.model import AgentId, KeyText, Run
from claw_files.formats import source_mark
from claw_files.policy.snapshot import Action
from claw_files.processes import StartOrder
from claw_files.processes.process_runner import ProcessRunner
from claw_files.storage.workspace import Workspace

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(claw_files.__file__)), "app", "source_poller.py")
_SILENT = "a poll ended without a word, by its limit, a signal or an error: its folder in runs/ has the last lines"


def load(ws: Workspace, source: str) -> SourceMark:
    """The mark of a source; a new one where there is none. Raises InvalidFile."""
    try:
        return source_mark.parse(ws.files.read(path := f"sources/{source}.md").data, path)
    except NotFound:
        return SourceMark()


def marks(ws: Workspace) -> dict[str, SourceMark]:
    """The mark of each source. Of one that cannot be read nothing is known; it is not polled: see `start`."""
    found = dict[str, SourceMark]()
    for source in ws.settings.sources:
        with suppress(InvalidFile):
            found[source] = load(ws, source)
    return found


def start(ws: Workspace, runtime: ProcessRunner, action: Action) -> None:
    """Start the poll as a run of its own: however long it takes, the tick does not wait.

    It counts as failed until it has said how it ended: whoever is killed writes nothing. Raises InvalidFile.
    """
    source, now = ws.settings.sources[action.details["source"]], ws.clock.now()
    mark = load(ws, source.name)
    mark = replace(mark, polled=now, since=mark.since or now, failures=mark.failures + 1, problem=_SILENT)
    ws.files.commit(f"sources/{source.name}.md", lambda _: source_mark.render(mark), None)
    key, agent = KeyText(action.key), AgentId(f"source-{source.name}")
    run = Run(id=run_id(key, 1), agent=agent, key=key, started=now, timeout=source.limit)
    command = (sys.executable, "-I", "-X", "utf8", PROGRAM, "{workspace}", source.name)
    env = (*source.env, *((source.url_env,) if source.url_env else ()))
    runtime.start(StartOrder(run=run, workspace=ws.root, base=ws.base, command=command, env=env))
