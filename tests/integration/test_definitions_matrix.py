"""Each way to lose a status file, before each path that a task can go: terms and text come through all of them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, State, TaskId
from tests.support.office import TEAM, Office

TASK, PETER, IRIS, SAM, PERSON = (
    TaskId("TC-1"),
    *(AgentId(name) for name in ("peter", "iris", "sam", "dimitrios")),
)
STATUS, DEFINITION = "status/tc-1.md", "definitions/tc-1.md"
TEXT = "Customers see two charges."
REST = timedelta(minutes=1)
CONFIG = f"{TEAM}\n[heartbeat]\nattempts = 2\nbackoff = 0\n".replace(
    'reviewed = { to = ["peter"], ', 'reviewed = { to = ["peter", "iris"], '
)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """With a task whose definition promises an output and names a follower."""
    made = Office(tmp_path / "sam", CONFIG)
    made.new("Checkout", "reviewed", body=TEXT, priority="high", estimate=timedelta(hours=2))
    defined = made.read(DEFINITION).replace("type:", "outputs: [PR 142]\nfollowers: [iris]\ntype:")
    made.write(DEFINITION, defined, made.clock.now() + timedelta(seconds=1))
    made.new("Another one")  # with a file of its own, so that status/ is never empty
    return made


# --- ways to lose it; at the end each has the agent's word in the file


def overwritten(office: Office, word: str) -> None:
    office.write(STATUS, f"{word}\n")


def emptied(office: Office, word: str) -> None:
    office.write(STATUS, "")
    office.tick(REST)
    office.write(STATUS, f"# Findings\n\n{word}\n")


def deleted(office: Office, word: str) -> None:
    (office.root / STATUS).unlink()
    office.tick(REST)
    office.write(STATUS, f"{word}\n")


def renamed(office: Office, word: str) -> None:
    (office.root / STATUS).rename(office.root / "status/checkout.old")
    office.tick(REST)
    office.write(STATUS, f"{word}\n")


def replaced_by_an_old_copy(office: Office, word: str) -> None:
    old = "---\nid: TC-1\ntitle: Draft\nstatus: backlog\nattempt: 1\nrecorded: backlog\n---\n# TC-1: Draft\n"
    office.write(STATUS, old)
    office.tick(REST)
    office.add(STATUS, f"\n{word}\n")


def said(word: str) -> str:
    return f"TC-1: {word}"


# --- paths


def is_whole(office: Office) -> None:
    found = office.task("TC-1")
    assert (found.title, found.type, found.requested_by, found.priority) == ("Checkout", "reviewed", SAM, "high")
    assert (found.estimate, found.followers) == (timedelta(hours=2), (IRIS,))
    assert "PR 142" in found.outputs


def asks(office: Office, agent: AgentId, attempt: int) -> None:
    """Whether the message asks for what was given, and for nothing else."""
    message = office.message(agent, f"tc-1.{attempt}")
    asked = message.partition("[task ")[2].partition("[end of task")[0]
    assert f"> {TEXT}\n" in asked
    assert "TC-1:" not in asked
    assert "“Checkout”" in message


def is_recorded(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("IN PROGRESS"))
    office.tick()
    assert office.state("TC-1") is State.IN_PROGRESS


def is_sent_again(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("TODO"))
    office.app().delegations.resend(TASK, PETER, SAM, "not read")
    asks(office, PETER, 1)


def goes_to_the_next_agent(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("FAILED"))
    entry = office.app().workspace.entry(TASK)
    assert entry is not None
    ws = office.app().workspace
    assert ws.in_force(ws.load(TASK).task).state is State.FAILED
    office.app().delegations.next_agent(entry, IRIS, SAM, "peter's breaker is open")
    asks(office, IRIS, 2)


def is_reopened(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("DONE"))
    office.tick()
    office.app().tasks.reopen(TASK, PERSON, "a test is missing")
    office.tick()
    asks(office, PETER, 2)


def is_tried_again(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("FAILED"))
    office.tick()
    office.tick(REST)
    asks(office, PETER, 2)


def is_released_and_claimed(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("IN PROGRESS"))
    office.tick()
    office.app().tasks.release(TASK, PETER, "no time")
    office.settle()
    office.app().claims.claim(TASK, PETER)
    assert office.task("TC-1").assignee == PETER


def is_requeued(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("FAILED"))
    office.tick()
    office.tick(REST)
    office.app().claims.claim(TASK, PETER)
    office.app().tasks.fail(TASK, PETER, "again")
    office.tick(REST)
    assert office.exists("dead-letter/tc-1.md")
    office.app().tasks.requeue(TASK, PERSON)
    office.tick()
    asks(office, PETER, office.task("TC-1").attempt)


def is_approved(office: Office, lose: Callable[[Office, str], None]) -> None:
    lose(office, said("DONE"))
    office.tick()
    assert office.state("TC-1") is State.REVIEW
    assert "“Checkout”" in office.message("sam", "tc-1.1.review")
    office.app().tasks.approve(TASK, PERSON)
    office.tick()
    assert "“Checkout”" in office.message("sam", "tc-1.1.done")
    assert "“Checkout”" in office.message("iris", "tc-1.1.done")


WAYS = (overwritten, emptied, deleted, renamed, replaced_by_an_old_copy)
OF_A_MESSAGE = (is_sent_again, goes_to_the_next_agent)
OF_ALL = (is_recorded, is_reopened, is_tried_again, is_released_and_claimed, is_requeued, is_approved)
Lose = Callable[[Office, str], None]


@pytest.mark.parametrize("path", [*OF_ALL, *OF_A_MESSAGE], ids=lambda it: it.__name__)
@pytest.mark.parametrize("lose", WAYS, ids=lambda it: it.__name__)
def test_a_delegated_task_keeps_terms_and_text(
    office: Office, lose: Lose, path: Callable[[Office, Lose], None]
) -> None:
    before = office.read(DEFINITION)
    office.delegate("TC-1", "peter")

    path(office, lose)

    is_whole(office)
    assert office.read(DEFINITION) == before


@pytest.mark.parametrize("path", OF_ALL, ids=lambda it: it.__name__)
@pytest.mark.parametrize("lose", WAYS, ids=lambda it: it.__name__)
def test_a_task_that_was_claimed_and_never_delegated_keeps_terms_and_text(
    office: Office, lose: Lose, path: Callable[[Office, Lose], None]
) -> None:
    before = office.read(DEFINITION)
    office.app().claims.claim(TASK, PETER)
    office.settle()

    path(office, lose)

    is_whole(office)
    assert office.read(DEFINITION) == before
