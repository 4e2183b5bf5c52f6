"""Shared parts of the bridge and the ACP client: message, log sentences, small files."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec

from claw_files import config
from claw_files.processes.supervisor import write_durably
from claw_files.system.private_files import load_file

CONFIG_BYTES = 1 << 20
MESSAGE_BYTES = 8 << 20
RECORD_BYTES = 1 << 14

Record = TypeVar("Record")


def read_message() -> str:
    """The message of the run, from standard input."""
    return sys.stdin.buffer.read(MESSAGE_BYTES).decode("utf-8", "replace")


def read_settings(environ: Mapping[str, str]) -> tuple[str, config.Settings]:
    """The folder of clawfiles.toml, and its content. Raises KeyError, OSError, InvalidConfig."""
    base = environ.get("CLAWFILES_BASE") or environ["CLAWFILES_WORKSPACE"]
    with open(os.path.join(base, "clawfiles.toml"), "rb") as file:
        return base, config.parse(file.read(CONFIG_BYTES))


def tell(sentence: str) -> None:
    """Write a sentence to standard error, which is the log of the run."""
    sys.stderr.write(f"clawfiles: {sentence}\n")
    sys.stderr.flush()


def failed(wrong: Exception) -> int:
    """The exit code of a process that cannot go on, after a sentence that says why."""
    tell(f"{wrong} is missing" if isinstance(wrong, KeyError) else str(wrong))
    return 1


def write_record(folder: str, name: str, facts: object) -> None:
    """Write a file of the run's folder durably."""
    write_durably(folder, name, json.dumps(msgspec.to_builtins(facts)) + "\n")


def read_record(folder: str, name: str, form: type[Record]) -> Record | None:
    """The last written record; None without one, or if it is unreadable."""
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        return msgspec.json.decode(load_file(os.path.join(folder, name), RECORD_BYTES) or b"", type=form)
    return None
