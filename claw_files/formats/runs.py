"""Runs: `runs/RUN-ID/run.md`, one file per run, with the last lines of its output."""

from typing import Final

from claw_files.core.model import Run
from claw_files.formats.record_form import Form, as_name

_FORM: Final = Form(Run, "tail", {"id": "run", "alive": ""}, id=as_name("run id"))
parse, render = _FORM.parse, _FORM.render
