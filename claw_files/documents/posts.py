"""Posts: one Markdown file each in `outbox/`, front matter and the text for the person."""

from claw_files import words
from claw_files.documents.records import Record
from claw_files.documents.records import render as _render
from claw_files.errors import InvalidFile
from claw_files.model import Key, Post


def parse(raw: bytes, path: str) -> Post:
    """The post. Raises InvalidFile: as `frontmatter.parse` does, missing-key (key, to, channel) and bad-value."""
    record = Record(raw, path)
    to = record.agent("to")
    if to is None:
        raise InvalidFile(path, "missing-key", "the front matter has no 'to'", 1)
    return Post(
        id=path.rpartition("/")[2].removesuffix(".md"),
        key=Key(record.read("key", lambda data: words.key(str(data))) or record.needed("key")),
        to=to,
        channel=record.needed("channel"),
        title=record.text("title") or "",
        body=record.body,
        queued=record.instant("queued"),
        critical=record.text("critical") == "true",
        tries=record.number("tries") or 0,
        tried=record.instant("tried"),
        reason=record.text("reason") or "",
        had=record.texts("had"),
    )


def render(post: Post) -> bytes:
    """The post's file."""
    values = {
        "key": post.key,
        "to": post.to,
        "channel": post.channel,
        "title": post.title,
        "queued": post.queued,
        "critical": True if post.critical else None,
        "tries": post.tries or None,
        "tried": post.tried,
        "reason": post.reason or None,
        "had": post.had,
    }
    return _render(values, post.body)
