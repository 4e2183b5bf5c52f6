"""Choices: the lines with a check box in which a person answers, parsed and marked.

    - [ ] approve TC-47 <!-- choice: tc-47.1.review -->

A choice counts when its box is ticked. The comment is its key: that of the message it was offered with. What other
people and agents say never gets a comment of ours into such a file (`core.text.inert`), so none of it can be a choice.
"""

import re
from typing import Final

from claw_files.core import text as words
from claw_files.core.keys import Key
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, Kind, Message, Value

MARK: Final = r"<!-- (?:choice|taken|over): [A-Za-z0-9._-]{1,200} -->"
_TEXT = r"[^\r\n]{0,2000}?"
_LINE = pattern(
    r"^[ \t]{0,40}[-*+] \[(?P<box>[xX])\] (?P<verb>approve|reopen|answer) (?P<what>[A-Za-z0-9][A-Za-z0-9._-]{0,199}):?"
    rf"(?P<before>{_TEXT})<!-- choice: (?P<key>[A-Za-z0-9._-]{{1,200}}) -->(?P<after>{_TEXT})(?P<end>\r?\n|\Z)",
    re.MULTILINE,
)
_NOTE = re.compile(r" \(not taken: [^()\r\n]*\)")
_NOTE_LETTERS = 300


class TickedChoice(Value, frozen=True):
    """One ticked line."""

    verb: str  # approve, reopen or answer
    what: str  # the task's id, or the message's
    text: str  # why, or the answer; "" where nothing was written
    key: str
    line: str  # as it stands, without its line ending
    is_whole: bool  # it ends with a newline, so it is not being written


def is_review(message: Message) -> bool:
    """Whether the message asks for a review."""
    return message.kind is Kind.TASK and message.task is not None and Key.parse(message.key).what == "review"


def is_question(message: Message) -> bool:
    """Whether the message wants an answer."""
    return message.kind is Kind.QUESTION


def words_of(message: Message) -> list[str]:
    """The allowed answers of a task."""
    is_task = message.kind is Kind.TASK and message.task is not None and not is_review(message)
    return message.definition.get("choices", "").split("\n") if is_task and message.definition.get("choices") else []


def offered(message: Message) -> list[str]:
    """The lines with which a person can answer the message in a file; none if it needs no answer."""
    mark = f"<!-- choice: {message.key} -->"
    if is_review(message):
        return [f"- [ ] approve {message.task} {mark}", f"- [ ] reopen {message.task}: {mark}"]
    if words_of(message):
        return [f"- [ ] answer {message.task}: {word} {mark}" for word in words_of(message)]
    return [f"- [ ] answer {message.id}: {mark}"] if is_question(message) else []


def commands(message: Message, person: AgentId) -> list[str]:
    """The commands by which the person answers from a shell."""
    by = f"--agent {person}"
    if is_review(message):
        return [f"clawfiles approve {message.task} {by}", f'clawfiles reopen {message.task} "WHY" {by}']
    if found := words_of(message):
        return [f"clawfiles done {message.task} --answer '{word}' {by}" for word in found]
    if message.kind is Kind.TASK and message.task:
        return [f"clawfiles claim {message.task} {by}", f'clawfiles done {message.task} "WHAT CAME OF IT" {by}']
    return [f'clawfiles answer {message.id} "TEXT" {by}'] if is_question(message) else []


def ticked(raw: bytes) -> list[TickedChoice]:
    """The choices that were ticked, in their order."""
    if b"<!-- choice: " not in raw:
        return []
    return [_choice(found) for found in _LINE.finditer(_decoded(raw))]


def _choice(found: "re.Match[str]") -> TickedChoice:
    said = _NOTE.sub("", f"{found['before']} {found['after']}")
    text = " ".join(re.sub(r"<!--.*?-->", " ", said).split())
    line, is_whole = found[0].removesuffix(found["end"]), bool(found["end"])
    return TickedChoice(text=text, line=line, is_whole=is_whole, **{it: found[it] for it in ("verb", "what", "key")})


def taken(raw: bytes, choice: TickedChoice, said: str) -> bytes:
    """The file with the choice marked as carried out at `said`; all other bytes are kept."""
    return _replaced(raw, choice, _marked(choice, "taken") + f" (taken {said})")


def over(raw: bytes, choice: TickedChoice, said: str) -> bytes:
    """The file with the choice marked as too late; it does not count again."""
    return _replaced(raw, choice, _marked(choice, "over") + f" (over: {_said(said)})")


def refused(raw: bytes, choice: TickedChoice, said: str) -> bytes:
    """The file with the choice's box emptied, followed by the reason; it may be ticked again."""
    line = _NOTE.sub("", choice.line).replace("[x]", "[ ]", 1).replace("[X]", "[ ]", 1).rstrip()
    return _replaced(raw, choice, f"{line} (not taken: {_said(said)})")


def _marked(choice: TickedChoice, word: str) -> str:
    line = _NOTE.sub("", choice.line).rstrip()
    return line.replace(f"<!-- choice: {choice.key} -->", f"<!-- {word}: {choice.key} -->", 1)


def _said(why: str) -> str:
    """A reason for a note: one line, without brackets and comments."""
    flat = " ".join(why.split()).replace("(", "[").replace(")", "]").replace("<!--", "").replace("-->", "")
    return words.inert(flat[:_NOTE_LETTERS])


def _replaced(raw: bytes, choice: TickedChoice, line: str) -> bytes:
    """The file with the choice's line replaced; unchanged if the line does not exist any more."""
    text = _decoded(raw)
    for found in _LINE.finditer(text):
        if found[0].removesuffix(found["end"]) == choice.line:
            end = found.start() + len(choice.line)
            return (text[: found.start()] + line + text[end:]).encode("utf-8", "surrogateescape")
    return raw


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
