"""How far a source was read: `sources/NAME.md`, with the cursor as JSON below the front matter."""

from typing import Final

from claw_files.core.event import SourceMark
from claw_files.formats.record_form import Form

_FORM: Final = Form(SourceMark, "cursor")
parse, render = _FORM.parse, _FORM.render
