"""Messages: one Markdown file each, front matter and the text for its receiver."""

from typing import Final

from claw_files.core.model import Message
from claw_files.formats.record_form import Form, as_name

_SILENT: Final = frozenset({"NO_REPLY", "HEARTBEAT_OK", "REPLY_SKIP", "ANNOUNCE_SKIP"})
_FORM: Final = Form(
    Message,
    "body",
    {"sender": "from", "definition": "task_definition"},
    id=as_name("message id"),
    root=as_name("message id"),
    run=as_name("run id"),
)
parse, render = _FORM.parse, _FORM.render


def is_silent(text: str) -> bool:
    """Whether the whole text is one of OpenClaw's words for "nothing to say", which are never written."""
    return text.strip().strip("*_`.\"'! ").upper().replace(" ", "_") in _SILENT
