"""Reports: statements of agents about tasks in their own files, never edited by clawfiles."""

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import partial

from msgspec.structs import replace

from claw_files.core import instants, text
from claw_files.core.errors import BadId, BadValue
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, Report, State, TaskId, Unclear
from claw_files.formats import body, report_findings, statements, status
from claw_files.formats.frontmatter import parse as split
from claw_files.formats.vocabulary import BUILT_IN, Vocabulary

_USUAL = pattern(r"[A-Za-z][A-Za-z0-9_.]*-[0-9]+", re.ASCII)


def parse(
    raw: bytes,
    path: str,
    author: AgentId,
    file_time: datetime,
    tz: tzinfo,
    task: TaskId | None = None,
    known: Callable[[TaskId], bool] = lambda _: False,
    vocabulary: Vocabulary = BUILT_IN,
) -> tuple[Report, ...]:
    """The reports of `author` in this file, one per task, in the order of the file.

    Args:
        file_time: aware; the reports' time, and what bare times are relative to.
        task: the whole file is about this task ("../peter/status/tc-47.md"); None: every line "TC-47: IN PROGRESS"
            is a report ("status/peter.md"), of several about one task the last. Words that were not understood and
            follow it are its `unclear`; where nothing else was said, its state is backlog.
        known: lines of tasks that it answers True for count also where their id does not look like TC-47.

    Raises InvalidFile as `frontmatter.parse` does and, for a whole file, as `status.parse` does.
    """
    report = partial(Report, author=author, at=file_time, path=path)
    if task is not None:
        return _whole(raw, path, file_time, tz, vocabulary, report)
    found: dict[TaskId, Report] = {}
    document = split(raw, path)
    for it in statements.named(document.body, vocabulary):
        if not (named := _task(it.name, known)):
            continue
        if it.saying.state:
            rest = it.saying.rest
            found[named] = report(task=named, state=it.saying.state, eta=_eta(rest, file_time, tz), note=rest)
            continue
        line = document.text.count("\n", 0, document.body_start + it.start) + 1
        unclear = Unclear(path=path, line=line, text=it.text.strip()[:200], hint=it.saying.hint)
        before = found.get(named) or report(task=named, state=State.BACKLOG)
        found[named] = replace(before, unclear=(unclear,))
    return tuple(found.values())


def _whole(
    raw: bytes, path: str, file_time: datetime, tz: tzinfo, vocabulary: Vocabulary, report: Callable[..., Report]
) -> tuple[Report, ...]:
    task = status.parse(raw, path, file_time, tz, vocabulary)
    if not task.unclear and task.state_line is None:  # without a state it reads as backlog
        return ()
    note = task.summary or task.reason or ", ".join(task.outputs)
    critical = report_findings.critical(raw.decode("utf-8", "replace"))
    said = report(task=task.id, state=task.state, eta=task.eta, note=note, critical=critical, unclear=task.unclear)
    return (said,)


def _task(name: str, known: Callable[[TaskId], bool]) -> TaskId | None:
    try:
        task = text.task_id(name)
    except BadId:
        return None
    return task if _USUAL.fullmatch(name) or known(task) else None


def _eta(rest: str, file_time: datetime, tz: tzinfo) -> datetime | None:
    try:
        return instants.instant(eta, file_time, tz) if (eta := body.eta_in(rest)) else None
    except BadValue:
        return None
