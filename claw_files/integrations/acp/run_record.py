"""What a run's folder says about its session: `acp.json`; and the session that the agent's next run goes on with."""

import json
import os
from contextlib import suppress
from enum import StrEnum

import msgspec

from claw_files.core.model import Value
from claw_files.processes.supervisor import write_durably

NAME, STEER = "acp.json", "steer.md"
RECORD_BYTES = 1 << 14
STEER_BYTES = 1 << 20


class Stage(StrEnum):
    """How far a run is."""

    STARTING = "starting"  # no session yet: a correction waits until there is one
    READY = "ready"
    ENDING = "ending"  # nothing is taken any more


class AcpRecord(Value, frozen=True):
    """The run's session, for people and for those who correct it."""

    stage: Stage = Stage.STARTING
    session: str = ""
    program: str = ""
    taken: int = 0  # bytes of steer.md that the session has


def write(folder: str, record: AcpRecord) -> None:
    """Write it so that it survives a power cut."""
    write_durably(folder, NAME, json.dumps(msgspec.to_builtins(record)) + "\n")


def read(folder: str) -> AcpRecord | None:
    """What the run wrote last; None before its first word, or where it cannot be read."""
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        return msgspec.json.decode(_bytes(os.path.join(folder, NAME), RECORD_BYTES), type=AcpRecord)
    return None


def corrections(folder: str, taken: int) -> tuple[str, int]:
    """What stands in steer.md behind the first `taken` bytes, and how many bytes it holds now."""
    try:
        raw = _bytes(os.path.join(folder, STEER), STEER_BYTES)
    except OSError:
        return "", taken
    return raw[taken:].decode("utf-8", "replace").strip(), max(len(raw), taken)


def _bytes(path: str, cap: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return file.read(cap)
