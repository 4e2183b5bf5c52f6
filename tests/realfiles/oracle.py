"""What an edit of front matter may touch, worked out from the lines alone: nothing here uses our parser or YAML.

A key's lines are the one that begins with it and those that continue it: deeper ones, list items, closing brackets,
and the blank and comment lines between them. What comes behind the last of these is somebody else's.
"""

import re
from typing import NamedTuple

_KEY = re.compile(rb"""(?P<quote>["']?)(?P<key>[^\s"'#:\-\[\]{}][^:"']*?)(?P=quote)[ \t]*:(?=[ \t\r\n]|$)""")
_FENCE = re.compile(rb"---[ \t]*\r?\n?")


class Parts(NamedTuple):
    """A file in lines, line ends included; without front matter all of it is body."""

    bom: bytes
    opening: bytes
    front: list[bytes]
    closing: bytes
    body: bytes


def parts(raw: bytes) -> Parts:
    bom = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    lines = raw[len(bom) :].split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    if not lines or not _FENCE.fullmatch(lines[0]):
        return Parts(bom, b"", [], b"", b"".join(lines))
    end = next(at for at in range(1, len(lines)) if _FENCE.fullmatch(lines[at]))
    return Parts(bom, lines[0], lines[1:end], lines[end], b"".join(lines[end + 1 :]))


def spans(front: list[bytes]) -> dict[str, tuple[int, int]]:
    """Each key's lines, as (first, behind the last)."""
    found: dict[str, tuple[int, int]] = {}
    key, start, last = None, 0, 0
    text, keeps = re.compile(rb": *[|>]"), re.compile(rb": *[|>]\+")  # of the latter, empty lines below are text too
    for at, line in enumerate(front):
        begins = _KEY.match(line)
        if begins:
            if key is not None:
                found[key] = start, last + 1
            key, start, last = begins["key"].decode(), at, at
        elif key is not None and (keeps.search(front[start]) or _continues(line, bool(text.search(front[start])))):
            last = at
    if key is not None:
        found[key] = start, last + 1
    return found


def _continues(line: bytes, is_text: bool) -> bool:
    if line.lstrip().startswith(b"#") and not is_text:
        return False  # a comment; between two lines of the value it goes with them
    return line.strip() != b"" and (line[:1] in b" \t" or line[:1] in b"]}" or line.startswith((b"- ", b"-\r", b"-\n")))


def without(front: list[bytes], keys: set[str]) -> list[bytes]:
    """The lines that belong to none of these keys; case and punctuation of a key do not matter."""
    gone = {at for key, (start, end) in spans(front).items() if plain(key) in keys for at in range(start, end)}
    return [line for at, line in enumerate(front) if at not in gone]


def plain(key: str) -> str:
    return key.strip().lower().replace("-", "_").replace(" ", "_")


def only_changes(old: bytes, new: bytes, keys: set[str], body: bytes = b"") -> None:
    """Assert that `new` is `old` but for the lines of these keys, with `body` behind the last byte.

    A key that was there keeps its place and, if a comment stands behind its value, that too; a new one comes last.
    """
    before, after = parts(old), parts(new)
    assert after.bom == before.bom
    if not before.opening:
        rest = {plain(key) for key in spans(after.front)} - keys
        assert not rest, f"keys out of nowhere: {rest}"
        assert after.body == before.body + body, "the text is not what it was"
        return
    assert after.opening == before.opening
    ended = b"" if before.closing.endswith(b"\n") or not body else body[-2:] if body.endswith(b"\r\n") else b"\n"
    assert after.closing == before.closing + ended
    assert after.body == before.body + body, "the text is not what it was"
    assert without(after.front, keys) == without(before.front, keys)
    _in_place(before.front, after.front)
    ends = {line[-2:] == b"\r\n" for line in [before.opening, *after.front]}
    assert len(ends) == 1, "line ends are mixed"


def _in_place(before: list[bytes], after: list[bytes]) -> None:
    was, now = spans(before), spans(after)
    kept = [key for key in was if key in now]
    assert [key for key in now if key in was] == kept, "keys changed their order"
    assert list(now)[: len(kept)] == kept, "a new key is not at the end"
    for key in kept:
        if b"# keep" in before[was[key][0]]:
            assert b"# keep" in after[now[key][0]], f"the comment behind {key} is gone"
    if len(was) == len(now):
        assert len(before) - sum(b - a for a, b in was.values()) == len(after) - sum(b - a for a, b in now.values())
