"""Records of runs: what was written is read again, whatever the run has been through."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from claw_files.core.errors import InvalidFile
from claw_files.core.workflow import Pass, RunRecord, StepState
from claw_files.formats import workflow_file, workflow_record

AT = datetime(2026, 3, 7, 9, tzinfo=UTC)
FLOW, _ = workflow_file.parse(b"## draft\n- to: peter\n\nx\n## look\n- to: peter; after: draft\n\nx\n", "x.md", "x")
RECORD = RunRecord(
    started=AT,
    passes=(Pass(number=2, step="draft", by="look"), Pass(number=3, step="look", by="look")),
    steps={
        "draft": StepState(pass_number=2, since=AT, word="ship it", why="well: #1 \"so\"\n---\n- [ ] x"),
        "look": StepState(since=AT + timedelta(seconds=5), total=10, next=7, done=3, failed=1, in_a_row=1, open=(5, 6)),
    },
)  # fmt: skip


def test_a_record_is_read_as_it_was_written() -> None:
    for record in (
        RunRecord(),
        RECORD,
        replace(RECORD, stops="draft failed: no", is_over=True),
        replace(
            RECORD, steps={"draft": StepState(is_asked=True, hop=3, word="failed"), "look": StepState(is_forgiven=True)}
        ),
    ):
        again = workflow_record.parse(workflow_record.render(record, FLOW), "flows/tc-1/record.md")
        whys = {name: state.why for name, state in again.steps.items()}
        assert all("\n" not in why for why in whys.values())
        assert replace(again, steps={k: replace(v, why="") for k, v in again.steps.items()}) == replace(
            record, steps={k: replace(v, why="") for k, v in record.steps.items()}
        )


def test_people_see_a_check_list() -> None:
    text = workflow_record.render(RECORD, FLOW).decode()
    assert "- [x] draft: ship it (well" in text
    assert text.endswith("- [ ] look: 3 of 10 done\n")
    assert text.count("\n---\n") == 1


@pytest.mark.parametrize("bad", ["step draft: done=x", "step draft: colour=3", "passes: [once]", "step draft: asks"])
def test_a_record_that_was_changed_into_something_else_is_refused(bad: str) -> None:
    with pytest.raises(InvalidFile, match="no record of a run"):
        workflow_record.parse(f"---\n{bad}\n---\n".encode(), "flows/tc-1/record.md")
