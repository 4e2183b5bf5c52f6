"""Runs: `runs/RUN-ID/run.md`, one file a run of an agent, the last lines of its output as the text."""

from claw_files import words
from claw_files.documents.records import Record
from claw_files.documents.records import render as _render
from claw_files.errors import InvalidFile
from claw_files.model import Key, Run, RunId


def parse(raw: bytes, path: str) -> Run:
    """The run; `alive` is never read from the file. Raises InvalidFile: missing-key (run, agent, key) and bad-value."""
    record = Record(raw, path)
    for key in ("run", "agent", "key"):
        record.needed(key)
    agent = record.agent("agent")
    if agent is None:  # needed() has seen to it, and the type checker has not
        raise InvalidFile(path, "missing-key", "the front matter is not complete", 1)
    return Run(
        id=RunId(record.read("run", lambda text: words.key(text, "run id")) or ""),
        agent=agent,
        key=Key(record.read("key", words.key) or ""),
        task=record.task("task"),
        generation=record.number("generation"),
        epoch=record.text("epoch"),
        command=record.texts("command"),
        pid=record.number("pid"),
        start_id=record.text("start_id"),
        started=record.instant("started"),
        timeout=record.length("timeout"),
        ended=record.instant("ended"),
        exit=record.number("exit"),
        reason=record.text("reason"),
        usage=record.mapping("usage"),
        tail=record.body,
    )


def render(run: Run) -> bytes:
    """The run's file."""
    values = {
        "run": run.id,
        "agent": run.agent,
        "task": run.task,
        "key": run.key,
        "generation": run.generation,
        "epoch": run.epoch,
        "command": run.command,
        "pid": run.pid,
        "start_id": run.start_id,
        "started": run.started,
        "timeout": run.timeout,
        "ended": run.ended,
        "exit": run.exit,
        "reason": run.reason,
        "usage": run.usage,
    }
    return _render(values, run.tail)
