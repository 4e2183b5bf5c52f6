"""Which version a run follows, and what one changed."""

from collections import Counter

from claw_files.config.settings import WorkflowPin
from claw_files.core.workflow import Workflow
from claw_files.formats import workflow_file
from claw_files.policy.workflow_versions import changes, pick

OLD = b"---\ninputs: [a]\n---\n## one\n- to: peter\n\nx\n## two\n- to: peter\n\ny\n"


def test_a_split_gives_each_version_its_share_and_a_key_always_the_same() -> None:
    pin = WorkflowPin(split=((2, 30), (3, 70)))
    found = [pick(pin, "content", f"customer {number}") for number in range(2000)]
    assert found == [pick(pin, "content", f"customer {number}") for number in range(2000)]
    assert 540 <= Counter(found)[2] <= 660
    assert found != [pick(pin, "other", f"customer {number}") for number in range(2000)], "each workflow draws anew"


def test_a_version_without_a_share_is_never_met_and_a_pin_always() -> None:
    assert {pick(WorkflowPin(split=((2, 0), (3, 100))), "x", str(it)) for it in range(500)} == {3}
    assert pick(WorkflowPin(use=2), "x", "any") == 2
    assert pick(WorkflowPin(), "x", "any") is None
    assert pick(None, "x", "any") is None


def flow(raw: bytes) -> Workflow:
    return workflow_file.parse(raw, "x.md", "x")[0]


def test_changes_name_the_steps_that_are_new_gone_or_other() -> None:
    assert list(changes(flow(OLD), flow(OLD))) == []
    assert list(changes(flow(OLD), flow(OLD.replace(b"## one", b"\n\n## one")))) == [], "lines are no content"
    new = OLD.replace(b"[a]", b"[a, b]").replace(b"## one\n- to: peter\n\nx\n", b"") + b"## three\n- to: peter\n\nz\n"
    assert list(changes(flow(OLD), flow(new.replace(b"\ny\n", b"\nz\n")))) == ["~head", "-one", "~two", "+three"]
