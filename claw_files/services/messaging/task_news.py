"""News about a task's end: critical findings first, the report's first lines, its path."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from claw_files.core import text as words
from claw_files.core.errors import ClawError
from claw_files.core.keys import Key, wide_key
from claw_files.core.model import AgentId, Box, Message, Report, State, Task, TaskId
from claw_files.formats import frontmatter, report_findings
from claw_files.policy.rule_context import mark
from claw_files.policy.snapshot import TaskEvidence
from claw_files.services.messaging import prompt_templates
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Content


def with_report(ws: Workspace, text: str, look: TaskEvidence) -> str:
    """`text`, the news of an end, with the findings: a worker's result, else the status file's text."""
    if look.result:
        path = Checkpoints.worker_path(look.result.label)
        head = prompt_templates.critical(report_findings.critical(look.result.body))
        return f"{head}{text}\n\n{prompt_templates.found(look.result, path)}"
    if look.task is None:
        return text
    said, is_cut, path, critical = report_of(ws, look.task)
    path, who = path or look.path, look.task.assignee or "somebody"
    report = prompt_templates.report(said, is_cut, f"{who} in {path}", path)
    return f"{prompt_templates.critical(critical)}{text}\n\n{report}"


def report_of(ws: Workspace, task: Task) -> tuple[str, bool, str, list[str]]:
    """The status file's text beyond the request: first lines, whether there are more, path, critical findings."""
    asked, said, is_cut, path, critical = _asked(ws, task.id), "", False, "", list[str]()
    for where, content in _files(ws, task):
        with suppress(ClawError):
            body = frontmatter.parse(content.data, where).body
            critical += report_findings.critical(body, asked)
            more, more_is_cut = report_findings.beginning(body, task.id, asked)
            said, is_cut, path = (said, is_cut, path) if said else (more, more_is_cut, where)
    return said, is_cut, path, critical


def _files(ws: Workspace, task: Task) -> Iterator[tuple[str, Content]]:
    """The status file, and the agent's own file on the task, each with its path."""
    with suppress(ClawError):
        loaded = ws.load(task.id)
        yield loaded.path, loaded.content
    agent, path = ws.settings.agents.get(task.assignee or AgentId("")), f"status/{words.file_name(task.id)}"
    if agent and agent.workspace and (files := ws.outside(agent.workspace)):
        with suppress(ClawError):
            yield f"{agent.workspace}/{path}", files.read(path)


def warnings(
    ws: Workspace, task: Task, content: Content, message: Message | None, reports: tuple[Report, ...]
) -> dict[str, Any]:
    """For `Look`: critical findings that were not reported to the coordinator yet, and the time of the last report.

    Where the file has no such word, which costs a look at its bytes, nothing else is read.
    """
    low = content.data.lower()
    theirs = [finding for report in reports for finding in report.critical]
    is_there = theirs or b"critical" in low or b"kritisch" in low
    if task.state in (State.BACKLOG, State.CANCELLED) or not is_there:
        return {}
    text, asked = content.data.decode("utf-8", "replace"), _quoted(message)
    if report_findings.critical(text, asked) or theirs:  # only then is the definition read
        asked = _asked(ws, task.id)
    own = report_findings.critical(text, asked)
    if not (found := dict.fromkeys((*own, *(it for it in theirs if it not in asked)))):
        return {}
    boss, head = ws.settings.coordinator, wide_key(task.id, "critical.")
    home = ws.mailbox(boss)
    ids = {id: box for box in Box for id in home.message_ids(boss, box) if id.startswith(head)}
    told = {part for id in ids for part in Key.parse(id).what.split(".")[1:]}
    fresh = tuple(finding for finding in found if mark(finding) not in told)[: report_findings.MOST]
    paths = (f"inbox/{boss}/{box}/{id}.md" for id, box in ids.items())
    times = [stamp.mtime for path in paths if (stamp := home.files.stamp(path))] if fresh else []
    return {"critical": fresh, "warned": max(times, default=None)}


def _quoted(message: Message | None) -> frozenset[str]:
    """The lines that a task's message quotes: the request, or its beginning."""
    lines = message.body.splitlines() if message else ()
    return frozenset(line[2:].strip() for line in lines if line.startswith("> "))


def _asked(ws: Workspace, task: TaskId) -> frozenset[str]:
    """The lines of the task's definition: the request is not part of a report."""
    with suppress(ClawError):
        known = ws.definition(task)
        return frozenset(line.strip() for line in known.text.splitlines()) if known else frozenset()
    return frozenset()
