"""One command from a sandbox: read, checked, run in a separate process in the run's name, answered.

A request is one JSON line, {"argv": [...], "input": null or text}; an answer one JSON object, {"status", "out", "err"}.
What the command may do is for the rules to say, which the process asks as any other would.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

REQUEST_BYTES, OUTPUT_BYTES = 4 << 20, 1 << 20
WORDS, WORDS_BYTES = 256, 1 << 17
DRAIN_SECONDS = 2.0
READ_SECONDS = 10.0  # for a request to come in
LIMIT_SECONDS = 600.0  # for the command, which may wait for an answer
_LOOK_SECONDS = 0.25
_USAGE, _BUSY, _BUG = 2, 7, 70


def serve(connection: socket.socket, root: str, identity: Mapping[str, str], is_over: Callable[[], bool]) -> None:
    """Answer one request. Raises OSError if the client disconnected."""
    try:
        words, text = _request(_line(connection))
    except ValueError as wrong:
        _answer(connection, _USAGE, b"", f"clawfiles: the daemon refuses the call: {wrong}\n".encode())
        _drain(connection)
        return
    _answer(connection, *_carry_out(connection, root, words, text, identity, is_over))


def _line(connection: socket.socket) -> bytes:
    """The bytes before the first line break. Raises ValueError, and OSError if they do not arrive."""
    until, data = time.monotonic() + READ_SECONDS, bytearray()
    while b"\n" not in data[-65536:]:
        if len(data) > REQUEST_BYTES:
            raise ValueError(f"it is longer than {REQUEST_BYTES >> 20} MiB")
        connection.settimeout(max(0.01, until - time.monotonic()))
        part = connection.recv(65536)
        if not part:
            raise OSError("the client is gone")
        data += part
    connection.settimeout(READ_SECONDS)
    return bytes(data.partition(b"\n")[0])


def _drain(connection: socket.socket) -> None:
    """Read the remaining input for a moment: closing a socket with unread bytes would discard the answer."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + DRAIN_SECONDS
    while (left := until - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(65536):
            return


def _request(line: bytes) -> tuple[list[str], str | None]:
    """The words and the standard input that a line asks for. Raises ValueError."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    words = found.get("argv") if isinstance(found, dict) else None
    text = found.get("input") if isinstance(found, dict) else None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError('it wants {"argv": [text, ...]}')
    if not (text is None or isinstance(text, str)):
        raise ValueError("its input is not text")
    if len(words) > WORDS or sum(map(len, words)) > WORDS_BYTES or any("\0" in word for word in words):
        raise ValueError("it has too many words, or a NUL in one")
    return words, text


def _carry_out(
    connection: socket.socket,
    root: str,
    words: list[str],
    text: str | None,
    identity: Mapping[str, str],
    is_over: Callable[[], bool],
) -> tuple[int, bytes, bytes]:
    """The command's exit status and output; it is stopped if the client disconnects. Raises OSError then."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
    env |= {**identity, "CLAWFILES_SANDBOX": "1", "CLAWFILES_FORWARDED": "1"}
    with tempfile.TemporaryFile() as given:
        given.write((text or "").encode("utf-8", "replace"))
        given.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 - this Python, a module of ours, no shell
                # -P: import nothing from the workspace, which agents write to.
                [sys.executable, "-P", "-m", "claw_files", *words],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=root,
                env=env,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # no memory; text that no process can be given
            return _BUG, b"", f"clawfiles: the daemon could not start the command: {error}\n".encode()
    with process:
        try:
            return _watched(connection, process, is_over)
        finally:
            if process.poll() is None:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)  # the next command recovers an unfinished write


def _watched(
    connection: socket.socket, process: "subprocess.Popen[bytes]", is_over: Callable[[], bool]
) -> tuple[int, bytes, bytes]:
    assert process.stdout is not None and process.stderr is not None
    outputs = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    out, err = outputs.values()
    poll = select.poll()
    for fd in (connection.fileno(), *outputs):
        poll.register(fd, select.POLLIN)
    until = time.monotonic() + LIMIT_SECONDS
    while outputs:
        ready = poll.poll(_LOOK_SECONDS * 1000)
        for fd, _ in ready:
            data = os.read(fd, 65536)
            if fd == connection.fileno():
                if not data:
                    raise OSError("the client is gone")
            elif data:
                outputs[fd] += data[: OUTPUT_BYTES - len(outputs[fd])]
            else:
                poll.unregister(fd)
                del outputs[fd]
        if is_over() or time.monotonic() > until:
            why = "stops" if is_over() else f"waits no longer than {LIMIT_SECONDS:g} s"
            return _BUSY, bytes(out), f"clawfiles: the command was ended, because the daemon {why}\n".encode()
        if not ready and process.poll() is not None:
            break  # something that it started holds its output
    process.wait(READ_SECONDS)
    return process.returncode, bytes(out), bytes(err)


def _answer(connection: socket.socket, status: int, out: bytes, err: bytes) -> None:
    texts = {"out": out.decode("utf-8", "replace"), "err": err.decode("utf-8", "replace")}
    connection.sendall(json.dumps({"status": status if status >= 0 else _BUG, **texts}).encode())
