"""The daemon's log: one line per event, plain or as JSON."""

import sys
from collections.abc import Callable
from contextlib import suppress

from claw_files.core.text import json_line, render_instant, safe
from claw_files.system.clock import Clock

Write = Callable[[bytes], None]


class DaemonLog:
    """Lines with time, event, sentence and facts. Control characters are always escaped."""

    def __init__(self, clock: Clock, write: Write, as_json: bool = False) -> None:
        self._clock, self._write, self._as_json = clock, write, as_json
        self._last: dict[str, str] = {}

    def say(self, event: str, sentence: str = "", **facts: object) -> None:
        """Write one line. A log that cannot be written stops nothing."""
        now = render_instant(self._clock.now())
        if self._as_json:
            line = json_line({"at": now, "event": event, "text": sentence} | facts)
        else:
            told = " ".join(f"{key}={value}" for key, value in facts.items())
            line = " ".join(safe(part) for part in (now, event, sentence, told) if part).encode() + b"\n"
        with suppress(OSError):
            self._write(line)

    def catch_threads(self) -> None:
        """Log an error that ends a thread as one line, instead of a traceback on standard error."""
        import threading

        def told(args: "threading.ExceptHookArgs") -> None:
            self.say("thread ended", f"{args.exc_type.__name__}: {args.exc_value}")

        threading.excepthook = told

    def news(self, event: str, sentence: str, **facts: object) -> None:
        """As `say`, but not again while the text is unchanged; "" ends it, and is not logged."""
        if self._last.get(event, "") != sentence:
            self._last[event] = sentence
            if sentence:
                self.say(event, sentence, **facts)


def to_stderr(line: bytes) -> None:
    """Write to standard error."""
    sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()
