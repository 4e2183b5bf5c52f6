"""In a sandbox: the daemon runs the command outside, in the name of this run.

What is sent is the words and, where a command reads it, standard input: one JSON line. What comes back is the exit
status and both outputs. Who this run is, the daemon knows from the socket.
"""

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

import click

from claw_files.cli.base import read_text
from claw_files.core.errors import DaemonNeeded
from claw_files.system import wait_notice

PATIENCE_SECONDS = 3.0  # a daemon that just started listens for us within a second
_ANSWER_BYTES = 8 << 20
_VALUED = ("-C", "--agent")  # shared options that are followed by a value
_LOCAL = ("checkpoint",)


def is_local(arguments: Sequence[str]) -> bool:
    """Whether this process runs the command itself: help, and commands for the one writable file."""
    words = _words(arguments)
    return not words or words[0] in _LOCAL or not {"--help", "-h", "--version"}.isdisjoint(arguments)


def _words(arguments: Sequence[str]) -> list[str]:
    """The arguments before the command, without shared options."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in _VALUED else rest[1:]
    return rest


def call(path: str, arguments: Sequence[str]) -> int:
    """The exit status of the command; prints what it printed. Raises DaemonNeeded, and as `read_text`."""
    words, text = _with_input(arguments)
    request = json.dumps({"argv": words, "input": text}).encode() + b"\n"
    with wait_notice.waiting("for the daemon, which carries the command out"):
        answer = ask(path, request)
    click.echo(answer["out"], nl=False)
    click.echo(answer["err"], nl=False, err=True)
    return int(answer["status"])


def _with_input(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments with the text of the file that an option names: the daemon reads no file for a sandbox."""
    words, text = list(arguments), None
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option not in ("--body", "--items"):
            continue
        if not equals and number + 1 < len(words):
            words[number + 1], text = "-", read_text(words[number + 1])
        elif equals:
            words[number], text = f"{option}=-", read_text(value)
    return words, text


def ask(path: str, request: bytes) -> dict[str, str]:
    """The daemon's answer to a request. Raises DaemonNeeded."""
    with _connected(path) as connection:
        with suppress(OSError):  # refused before it had read all: its answer says why
            connection.sendall(request)
        data = bytearray()
        try:
            while len(data) < _ANSWER_BYTES and (part := connection.recv(1 << 16)):
                data += part
        except OSError as error:
            raise DaemonNeeded(error.strerror or str(error)) from None
    try:
        found: dict[str, str] = json.loads(data)
        return {key: found[key] for key in ("status", "out", "err")}
    except (ValueError, KeyError, TypeError):
        raise DaemonNeeded("it went away before it had answered") from None


def _connected(path: str) -> socket.socket:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            if time.monotonic() > until:
                raise DaemonNeeded(error.strerror or str(error)) from None
            time.sleep(0.05)
        else:
            return connection
