"""An agent's actions as readable text: the run's stdout.log."""

from typing import Any, TextIO

from claw_files.core import text as words

_CHUNK = 1 << 16  # characters of one piece
_MARKS = {"completed": "done", "failed": "failed"}


class Transcript:
    """Writes updates to `out`: text as it arrives, everything else as separate lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._in_a_line = False
        self.said = False  # whether the agent has said anything

    def words(self, text: str) -> None:
        """Write a piece of the agent's text."""
        shown = words.safe(text, _CHUNK, lines=True)
        if shown:
            self._out.write(shown)
            self._out.flush()
            self._in_a_line, self.said = not shown.endswith("\n"), True

    def line(self, text: str) -> None:
        """One line of its own."""
        self.end_line()
        self._out.write(words.safe(text, 400) + "\n")
        self._out.flush()

    def end_line(self) -> None:
        """End a line that was begun."""
        if self._in_a_line:
            self._out.write("\n")
            self._out.flush()
        self._in_a_line = False

    def update(self, update: Any, title: str) -> None:
        """Write one `session/update`; `title` is the name of its tool call."""
        kind = getattr(update, "session_update", "")
        if kind == "agent_message_chunk":
            self.words(getattr(update.content, "text", None) or f"[{update.content.type}]")
        elif kind == "tool_call":
            self.line(f"[{update.kind or 'tool'}] {title}")
        elif kind == "tool_call_update" and update.status in _MARKS:
            self.line(f"[{_MARKS[update.status]}] {title}")
        elif kind == "plan":
            done = sum(entry.status == "completed" for entry in update.entries)
            self.line(f"[plan] {done} of {len(update.entries)} done")
