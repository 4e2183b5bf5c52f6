"""Checkpoints of agents, and result files of spawned workers."""

import re
from typing import Final

from claw_files.core import text as words
from claw_files.core.errors import InvalidFile
from claw_files.core.model import AgentId, Checkpoint, Result, State
from claw_files.formats import body, phrases
from claw_files.formats.frontmatter import name_in
from claw_files.formats.record_form import Form, FrontMatterRecord, as_instant
from claw_files.formats.vocabulary import BUILT_IN, Vocabulary

_CHECKPOINT: Final = Form(Checkpoint, "body")
_RESULT: Final = Form(Result, "body", {"partial": ""})
_FAILED = (State.FAILED, State.CANCELLED, State.BLOCKED, State.DEAD)
render = _CHECKPOINT.render


def parse(raw: bytes, path: str, agent: AgentId) -> Checkpoint:
    """The checkpoint of `agent`; the path determines the agent, not the content.

    A file without front matter is all "how to resume". Raises InvalidFile.
    """
    return _CHECKPOINT.parse(raw, path, agent=agent)


def parse_result(raw: bytes, path: str, vocabulary: Vocabulary = BUILT_IN) -> Result:
    """The worker's result in `checkpoints/subagent-LABEL.md`; the label is the file's name.

    Without `status` in front matter the text is taken at its word: a line "Status: DONE" (or "DONE" as first or last
    line) is done, one that says failed, blocked or cancelled is failed. A text that says neither is partial work:
    findings are there, but nobody claims that they are all.

    Bytes that are UTF-16 with its mark, or else no UTF-8, are read as text all the same: Latin-1 has no wrong bytes.

    Raises InvalidFile, also for a `status` that is none ("bad-value"), for nothing ("empty") and for what is no text.
    """
    record = FrontMatterRecord(_as_utf8(raw, path), path)
    status, partial = _status(record, vocabulary)
    completed = record.read("completed", as_instant) or record.read("ended", as_instant)
    label = name_in(path, lambda name: words.label(name.removeprefix("subagent-")))
    return _RESULT.read(record, label=label, status=status, partial=partial, completed=completed)


def _as_utf8(raw: bytes, path: str) -> bytes:
    """The text as UTF-8, if it has one of the usual Windows encodings."""
    if not raw.strip():
        raise InvalidFile(path, "empty", "it is empty")
    try:
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return raw.decode("utf-16").encode()
        if raw[1:2] == b"\0" or raw[:1] == b"\0":
            return raw.decode("utf-16-le" if raw[1:2] == b"\0" else "utf-16-be").encode()
        raw.decode()
        return raw
    except UnicodeDecodeError:
        pass
    if b"\0" in raw or len(re.findall(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", raw)) > len(raw) // 100:
        raise InvalidFile(path, "encoding", "it is not text in UTF-8, UTF-16 or Latin-1")
    return raw.decode("cp1252", "replace").encode()


def _status(record: FrontMatterRecord, vocabulary: Vocabulary) -> tuple[State, bool]:
    """Done or failed, and whether it is partial work."""
    word = record.text("status")
    if word is None:
        said = _word_in(record.body, vocabulary)
    elif word.strip().lower() in ("partial", "incomplete"):
        said = None
    elif (said := phrases.read(word, vocabulary).state) is None:
        path, line = record.document.path, record.document.lines["status"]
        raise InvalidFile(path, "bad-value", f"status: {word[:80]!r} is not done, failed or partial", line)
    return (State.DONE, False) if said is State.DONE else (State.FAILED, said not in _FAILED)


def _word_in(text: str, vocabulary: Vocabulary) -> State | None:
    told = body.read(text, "status", vocabulary)
    if told.state and not any(it.line > (told.line or 0) for it in told.unclear):
        return told.state
    if told.unclear:
        return None
    lines = [re.sub(r"^[#>*\-\s]+", "", line) for line in text.split("\n") if line.strip()]
    return next((state for line in (*lines[-1:], *lines[:1]) if (state := vocabulary.state(line))), None)


def render_result(result: Result) -> bytes:
    """The result's file."""
    return _RESULT.render(result, status="partial" if result.partial else result.status.value)
