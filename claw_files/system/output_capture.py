"""A process's output, kept within a cap and made safe to read. Standard library only, as in `system.procfs`."""

import os

from claw_files.system.file_owner import open_or_make

TAIL_BYTES = 8192
TAIL_LINES = 20


class OutputTail:
    """The last bytes of one or several streams, in the order in which they arrived."""

    def __init__(self, cap_bytes: int = TAIL_BYTES) -> None:
        self.cap_bytes, self.total = cap_bytes, 0
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Keep `data`, and drop the oldest bytes beyond the cap."""
        self._kept += data
        self.total += len(data)
        if len(self._kept) > 4 * self.cap_bytes:  # seldom: cutting at each small read would copy the whole again
            del self._kept[: -self.cap_bytes]

    def bytes(self) -> bytes:
        """The last `cap_bytes` at most."""
        return bytes(self._kept[-self.cap_bytes :]) if self.cap_bytes else b""


class Capture:
    """Drains a pipe into a file of at most `cap_bytes`: its beginning at once, its end when closed.

    It never stops reading: a process that floods its output must not be blocked, and a full disk must not stop it.
    """

    def __init__(self, source: int, path: str, cap_bytes: int, shared: OutputTail) -> None:
        self.source = source
        self._shared, self._left, self._tail = shared, cap_bytes // 2, OutputTail(cap_bytes - cap_bytes // 2)
        self._target = open_or_make(path, os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.set_blocking(source, False)

    def drain(self, reads: int = 16) -> bool:
        """Read the available data, at most `reads` pieces; False at the end of the stream."""
        for _ in range(reads):
            try:
                data = os.read(self.source, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.keep(data)
        return True

    def keep(self, data: bytes) -> None:
        """Take this as the stream's next piece."""
        self._shared.add(data)
        head, rest = data[: self._left], data[self._left :]
        self._left -= len(head)
        self._write(head)
        self._tail.add(rest)

    def close(self) -> None:
        """Write the end of the stream, make the file durable."""
        tail = self._tail.bytes()
        if missing := self._tail.total - len(tail):
            self._write(f"\n[clawfiles: {missing} bytes left out here]\n".encode())
        self._write(tail)
        try:
            os.fsync(self._target)
            os.close(self._target)
        except OSError:
            pass  # a log: the run's end is told in run.md, with the last lines
        os.close(self.source)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._target, view) :]
            except OSError:
                return  # disk full: this piece is missing in the log, the process goes on


def last_lines(data: bytes) -> str:
    """Return the last lines of `data` as text, control characters spelled out.

    What is not printable becomes `\\x1b` and the like, so nothing in it moves a cursor, sets a title or hides text.
    """
    text = data.decode("utf-8", "backslashreplace")
    shown = "".join(ch if ch.isprintable() or ch == "\n" else ascii(ch)[1:-1] for ch in text)
    return "\n".join(line[:2000] for line in shown.strip("\n").split("\n")[-TAIL_LINES:])


def fenced(text: str) -> str:
    """Return `text` as a block of Markdown, nothing for nothing; the fence is longer than any inside."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}\n" if text else ""
