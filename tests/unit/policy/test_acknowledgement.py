"""Traces of an attempt: each kind, and what is none."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from claw_files.core.model import Box, State, Unclear
from claw_files.policy.acknowledgement import TraceKind, is_changed, sentence, traces
from claw_files.policy.snapshot import TaskEvidence
from tests.support import builders as a
from tests.support.builders import IRIS, START

MINUTE = timedelta(minutes=1)


def kinds(look: TaskEvidence, is_woken: bool = False) -> list[TraceKind]:
    return [trace.kind for trace in traces(look, IRIS, is_woken)]


def sent(box: Box = Box.NEW, **fields: object) -> TaskEvidence:
    """A message of Iris's, in a file that stands as it was when it was sent."""
    task = a.task(assignee=IRIS, **fields.pop("task", {}))
    message = a.message(task, status_hash="0123456789abcdef", **fields.pop("message", {}))
    return a.look(task, sent=message, box=box, **{"modified": START - MINUTE, **fields})


def test_a_message_that_lies_unread_over_an_unchanged_file_leaves_no_trace() -> None:
    assert kinds(sent()) == []


@pytest.mark.parametrize("box", [Box.CUR, Box.DONE])
def test_a_message_that_was_read_is_a_trace(box: Box) -> None:
    (trace,) = traces(sent(box), IRIS, is_woken=False)

    assert trace.kind is TraceKind.READ
    assert trace.path == f"inbox/iris/{box}/20260307T084500Z-tc-47.1.md"


def test_a_message_that_we_moved_for_a_run_was_not_read() -> None:
    over = a.run(a.task(assignee=IRIS), ended=START)

    assert kinds(sent(Box.CUR, run=over), is_woken=True) == []
    assert kinds(sent(Box.CUR), is_woken=True) == [TraceKind.READ], "without a run somebody else moved it"


def test_a_withdrawn_message_was_not_read() -> None:
    look = sent(Box.DONE)

    assert kinds(replace(look, entry=replace(look.entry, agent=a.PETER))) == []


def test_the_message_of_a_delegation_that_was_given_back_is_no_trace() -> None:
    assert kinds(sent(Box.DONE, task={"generation": 3}, message={"generation": 1})) == []


def test_a_file_that_somebody_changed_after_the_message_is_a_trace() -> None:
    overwritten = sent(task={"updated": None, "recorded": None}, digest="f" * 16, modified=START + MINUTE)
    edited = sent(digest="f" * 16, modified=START + MINUTE)

    for look in (overwritten, edited):
        (trace,) = traces(look, IRIS, is_woken=False)
        assert (trace.kind, trace.path, trace.at) == (TraceKind.CHANGED, "status/tc-47.md", START + MINUTE)


def test_writes_of_clawfiles_itself_are_no_acknowledgement() -> None:
    kept = sent(task={"updated": START + MINUTE}, digest="f" * 16)
    stamped = sent(task={"updated": START + MINUTE}, digest="f" * 16, modified=START + MINUTE + timedelta(seconds=1))

    assert not is_changed(kept)
    assert not is_changed(stamped)
    assert is_changed(replace(stamped, modified=START + 2 * MINUTE))


def test_a_changed_file_points_to_the_words_that_were_not_understood() -> None:
    words = (Unclear(path="status/tc-47.md", line=3, text="In Progess", hint=""),)

    (trace,) = traces(sent(task={"unclear": words}, digest="f" * 16, modified=START + MINUTE), IRIS, is_woken=False)

    assert trace.line == 3
    assert "status/tc-47.md, line 3" in sentence(trace, str)


def test_a_claim_a_recorded_state_and_a_live_run_are_traces_newest_first() -> None:
    task = a.task(assignee=IRIS, state=State.IN_PROGRESS, updated=START + MINUTE)
    look = a.look(task, sent=True, box=Box.NEW, claimed=True, run=a.run(task))

    assert kinds(look, is_woken=True) == [TraceKind.RECORDED, TraceKind.RUN, TraceKind.CLAIM]


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, True),
        ({"at": START.replace(microsecond=0)}, True),  # file times may be whole seconds
        ({"state": State.BACKLOG}, False),
        ({"at": START - timedelta(seconds=5)}, False),  # of an earlier attempt
        ({"author": a.PETER}, False),
    ],
)
def test_a_report_is_a_trace_when_it_is_the_receivers_about_this_task_and_since(fields: dict, counts: bool) -> None:
    task = a.task(assignee=IRIS)
    said = a.report(task, **{"state": State.IN_PROGRESS, "at": START + MINUTE, "author": IRIS, **fields})
    message = a.message(task, sent=START + timedelta(milliseconds=300))

    found = traces(a.look(task, sent=message, box=Box.NEW, reports=(said,)), IRIS, is_woken=False)

    assert bool(found) is counts
