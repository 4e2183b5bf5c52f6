"""Runs: `runs/RUN-ID/run.md`, one file a run of an agent, the last lines of its output as the text."""

from typing import Final

from claw_files.documents.records import Form, as_name
from claw_files.model import Run

_FORM: Final = Form(Run, "tail", {"id": "run", "alive": ""}, id=as_name("run id"))
parse, render = _FORM.parse, _FORM.render
