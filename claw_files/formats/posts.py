"""Posts: one Markdown file each in `outbox/`, front matter and the text for the person."""

from typing import Final

from claw_files.core.model import Post
from claw_files.formats.record_form import Form

_FORM: Final = Form(Post, "body", {"id": ""})
render = _FORM.render


def parse(raw: bytes, path: str) -> Post:
    """The post; its id is the file's name. Raises InvalidFile."""
    return _FORM.parse(raw, path, id=path.rpartition("/")[2].removesuffix(".md"))
