"""Idempotency keys: each makes an action happen once, and names its message file or run folder.

    tc-89.1                           the task message of attempt 1
    tc-89.1.nudge, tc-89.1.conflict.3fa2b1c0   something else that happens once in the attempt
    tc-89.critical.3fa2b1c0           something that happens once in the task, whatever the attempt
    tc-5.turn.2                       the second message of a worker's session
    health.peter.20260307T084500Z     something about a name, from an instant on; a mark of a schedule has a word more
    tc-89.1-s2, tc-89.1.verify-s1     the run of the second send; the first run of the route's check

The id of a task's message is its key behind the instant of sending: 20260307T084500Z-tc-89.1. Every other text is a
key without parts.
"""

import re
from datetime import UTC, datetime
from typing import Self

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import KeyText, Message, RunId, Task, TaskId, Value
from claw_files.core.text import parse_instant

_NEVER = datetime.min.replace(tzinfo=UTC)
_FORM = "%Y%m%dT%H%M%SZ"
_AT = r"[0-9]{8}T[0-9]{6}Z"
_SEND = pattern(r"(.+)-s(0|[1-9][0-9]{0,8})", re.DOTALL)
_TURN = pattern(r"(?P<name>.+)\.turn\.(?P<turn>0|[1-9][0-9]{0,8})", re.DOTALL)
_TOPIC = pattern(rf"(?P<topic>[a-z]+)\.(?P<name>.+)\.(?P<at>{_AT})(?:\.(?P<what>.+))?", re.DOTALL)
_WIDE = pattern(r"(?P<name>.+)\.(?P<what>(?:critical|unclear-line)\..+|date|two-lines)", re.DOTALL)
# The last number of at most six digits: a mark, which may be all digits, has eight.
_ATTEMPT = pattern(r"(?P<name>.+)\.(?P<attempt>0|[1-9][0-9]{0,5})(?:\.(?P<what>[a-z].*))?", re.DOTALL)
_ID = pattern(rf"{_AT}-(.+)", re.DOTALL)


class Key(Value, frozen=True):
    """The parts of a key. `Key.parse(text).render()` is `text`, whatever the text."""

    name: str  # the task in lower case, the name behind a topic, or a text without parts
    attempt: int | None = None
    turn: int | None = None
    topic: str = ""  # "health", "ping", "brief", "schedule"
    at: datetime = _NEVER  # of a topic, UTC
    what: str = ""  # "nudge", "conflict.3fa2b1c0"
    send: int | None = None  # of a run

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key in parts."""
        run = _SEND.fullmatch(text)
        text, send = (run[1], int(run[2])) if run else (text, None)
        if found := _TURN.fullmatch(text):
            return cls(name=found["name"], turn=int(found["turn"]), send=send)
        if (found := _TOPIC.fullmatch(text)) and (at := parse_instant(found["at"])):
            return cls(name=found["name"], topic=found["topic"], at=at, what=found["what"] or "", send=send)
        if found := _WIDE.fullmatch(text):
            return cls(name=found["name"], what=found["what"], send=send)
        if found := _ATTEMPT.fullmatch(text):
            return cls(name=found["name"], attempt=int(found["attempt"]), what=found["what"] or "", send=send)
        return cls(name=text, send=send)

    def render(self) -> KeyText:
        """The key as text."""
        parts = [self.topic, self.name, f"{self.at.astimezone(UTC):{_FORM}}" if self.topic else ""]
        parts += [] if self.turn is None else ["turn", str(self.turn)]
        parts += ["" if self.attempt is None else str(self.attempt), self.what]
        return KeyText(".".join(filter(None, parts)) + ("" if self.send is None else f"-s{self.send}"))

    @property
    def is_attempt(self) -> bool:
        """Whether the key is a task message's, or of its run: such a run does the task."""
        return self.attempt is not None and not self.what


def task_key(task: Task, what: str = "") -> KeyText:
    """ "tc-89.1" for the task message of attempt 1; with `what`, the key of something else that happens once in it."""
    return Key(name=task.id.lower(), attempt=task.attempt, what=what).render()


def wide_key(task: TaskId, what: str) -> KeyText:
    """ "tc-89.critical.3fa2b1c0": the key of something that happens once in the task, whatever the attempt."""
    return Key(name=task.lower(), what=what).render()


def answer_key(key: str) -> KeyText:
    """ "tc-89.1.ask.iris.3fa2b1c0.answer": the key of the answer to the question with that key."""
    return KeyText(f"{key}.answer")


def turn_key(task: TaskId, number: int) -> KeyText:
    """ "tc-5.turn.2": the second message of a session; the first is the task itself."""
    return Key(name=task.lower(), turn=number).render()


def topic_key(topic: str, name: str, at: datetime, what: str = "") -> KeyText:
    """ "brief.dimitrios.20260307T084500Z"; `at` is aware."""
    return Key(topic=topic, name=name, at=at, what=what).render()


def run_id(key: str, send: int) -> RunId:
    """ "tc-89.1-s2": the run that a key's message starts when it is sent for the second time."""
    return RunId(f"{key}-s{send}")


def run_for(message: Message) -> RunId:
    """The run that the message is for, or else starts."""
    return message.run or run_id(message.key, message.sends)


def message_id(key: str, at: datetime) -> str:
    """The id of the task message with this key."""
    return f"{at.astimezone(UTC):{_FORM}}-{key}"


def key_in(id: str) -> str | None:
    """The key in a message's id that begins with the instant of sending; None in another id."""
    found = _ID.fullmatch(id)
    return found[1] if found else None


def key_of(id: str) -> Key:
    """The key of the message with this id."""
    return Key.parse(key_in(id) or id)


def attempt_in(id: str) -> Key | None:
    """The key of the task message that has this id; None for any other message."""
    key = Key.parse(key_in(id) or "")
    return key if key.is_attempt else None


def letter_id(sender: str, at: datetime, mark: str) -> str:
    """The id, and key, of a message with text from `sender`; microseconds keep the order within a second."""
    return message_id(f"{sender}-{at.microsecond:06d}{mark}", at)


def is_sent_by(id: str, sender: str) -> bool:
    """Whether `letter_id` made the id for `sender`."""
    return (key_in(id) or "").startswith(f"{sender}-")
