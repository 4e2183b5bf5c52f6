"""What somebody does to a status file or a report in an editor, and what counts of it: one row for each way.

Every edit is a write to a file, and a tick follows. `file-format.md` ("Whose edit it is") says the same in words.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from claw_files.core.errors import ClawError, NotYours
from claw_files.core.model import AgentId, State, TaskId
from tests.support.office import TEAM, Office

TASK, STATUS = TaskId("TC-1"), "status/tc-1.md"
PETER, IRIS, SAM, PERSON = (AgentId(name) for name in ("peter", "iris", "sam", "dimitrios"))
LINE = "## Delegations\n\n- TC-1, check at 2026-03-09 10:00\n"
MINUTE = timedelta(minutes=1)
CONFIG = TEAM.replace('reviewed = { to = ["peter"], ', 'reviewed = { to = ["peter", "iris"], ')

Step = Callable[[Office], None]


# --- how the task stands before


def free(office: Office) -> None:
    office.new("Checkout", "reviewed")


def delivered(office: Office) -> None:
    free(office)
    office.delegate(TASK, "peter")
    office.tick()


def claimed(office: Office) -> None:
    delivered(office)
    office.app().claims.claim(TASK, PETER)


def acknowledged(office: Office) -> None:
    """Claimed by the first words in the file, by no command."""
    delivered(office)
    office.add(STATUS, "\nTC-1: IN PROGRESS\n")
    office.tick()


def plain(office: Office) -> None:
    """Claimed, of a type that nobody reviews, with a promised output that is not there."""
    office.new("Checkout", "bug")
    defined = office.read("definitions/tc-1.md").replace("type:", "outputs: [./fix.md]\ntype:")
    office.write("definitions/tc-1.md", defined, office.clock.now() + timedelta(seconds=1))
    office.delegate(TASK, "peter")
    office.app().claims.claim(TASK, PETER)


def in_review(office: Office) -> None:
    claimed(office)
    office.app().tasks.done(TASK, PETER)
    office.tick()


def reopened(office: Office) -> None:
    in_review(office)
    office.app().tasks.reopen(TASK, PERSON, "a test is missing")


def reopened_and_acknowledged(office: Office) -> None:
    """Taken up by hand before its second message was sent."""
    reopened(office)
    office.settle()
    office.clock.advance(MINUTE)
    office.write(STATUS, office.read(STATUS).replace("status: backlog", "status: in_progress"))
    office.tick()


def given_back(office: Office) -> None:
    claimed(office)
    office.app().tasks.release(TASK, PETER, "no time")
    office.write("HEARTBEAT.md", LINE)


def given_back_by_hand(office: Office) -> None:
    claimed(office)
    says("backlog")(office)
    office.tick()
    office.write("HEARTBEAT.md", LINE)


def taken_by_hand(office: Office) -> None:
    """Nobody was given it: its first holder wrote its own name into the file."""
    free(office)
    office.write("HEARTBEAT.md", LINE)
    says("in_progress", ("type:", "assignee: peter\ntype:"))(office)
    office.tick()


def freed_by_hand(office: Office) -> None:
    taken_by_hand(office)
    says("backlog")(office)
    office.tick()
    office.write("HEARTBEAT.md", LINE)


def claimed_and_claims_lost(office: Office) -> None:
    """`.clawfiles/` is gone, as promised to be safe while nothing runs."""
    claimed(office)
    shutil.rmtree(office.root / ".clawfiles")


# --- edits


def put(*changes: tuple[str, str]) -> Step:
    """Edit these words in the status file, each of which is there."""

    def edit(office: Office) -> None:
        text = office.read(STATUS)
        for old, new in changes:
            assert old in text, (old, text)
            text = text.replace(old, new, 1)
        office.write(STATUS, text)

    return edit


def key(line: str) -> Step:
    """Add a line to the front matter."""
    return put(("\nrecorded:", f"\n{line}\nrecorded:"))


def says(state: str, *changes: tuple[str, str]) -> Step:
    """Set `status`, and these words."""

    def edit(office: Office) -> None:
        text = office.read(STATUS)
        old = next(line for line in text.splitlines() if line.startswith("status:"))
        put((old, f"status: {state}"), *changes)(office)

    return edit


def over(text: str) -> Step:
    """Write over the whole status file."""
    return lambda office: office.write(STATUS, text)


def adds(text: str) -> Step:
    return lambda office: office.add(STATUS, text)


def reports(agent: str, text: str) -> Step:
    return lambda office: office.write(f"status/{agent}.md", text)


def restores_the_copy_from_before_the_claim(office: Office) -> None:
    text = office.read(STATUS).replace("in_progress", "backlog").replace("generation: 1\n", "")
    office.write(STATUS, "".join(line for line in text.splitlines(True) if not line.startswith("lease:")))


def steals_twice(office: Office) -> None:
    THIEF(office)
    office.tick(MINUTE)
    THIEF(office)


def edits_ledger_too(office: Office) -> None:
    THIEF(office)
    office.write("HEARTBEAT.md", office.read("HEARTBEAT.md").replace("peter", "iris"))


THIEF = put(("assignee: peter", "assignee: iris"))
FREE = ("type:", "assignee: iris\ntype:")
NAMED = ("assignee: peter", "assignee: iris")
ENDS = ("recorded: in_progress", "recorded: done")


class Row(NamedTuple):
    """One way: what is done by hand to a task that stands so, and what is so afterwards."""

    name: str
    before: Step
    edit: Step
    state: State
    holder: AgentId | None = PETER
    told: int = 0  # conflicts that the monitor hears of


S = State
MATRIX = (
    # the holder's own moves: they count, and nothing is told
    Row("the holder says done, which is reviewed", claimed, says("done"), S.REVIEW),
    Row("the holder adds a line that says done", claimed, adds("\nTC-1: DONE\n"), S.REVIEW),
    Row("the holder says done after first words by hand", acknowledged, says("done"), S.REVIEW),
    Row("the holder says blocked", claimed, says("blocked"), S.BLOCKED),
    Row("the holder says failed", claimed, says("failed"), S.FAILED),
    Row("the holder gives it back", claimed, says("backlog"), S.BACKLOG, None),
    Row("the holder writes over the whole file", claimed, over("TC-1: DONE\n"), S.REVIEW),
    Row("the holder writes over it and names itself", claimed, over("Owner: peter\nStatus: done\n"), S.REVIEW),
    Row("the holder loses its name", claimed, put(("assignee: peter\n", "")), S.IN_PROGRESS),
    Row("the holder loses the generation", claimed, put(("generation: 1\n", "")), S.IN_PROGRESS),
    Row("the holder reports done", claimed, reports("peter", "TC-1: DONE\n"), S.REVIEW),
    Row("the holder takes up what was reopened, then says done", reopened_and_acknowledged, says("done"), S.REVIEW),
    Row(
        "somebody takes what is free",
        free,
        says("in progress", ("type:", "assignee: iris\ntype:")),
        S.IN_PROGRESS,
        IRIS,
    ),
    Row("somebody takes what was given back", given_back, says("in_progress", FREE), S.IN_PROGRESS, IRIS),
    Row(
        "somebody takes what was given back by hand", given_back_by_hand, says("in_progress", FREE), S.IN_PROGRESS, IRIS
    ),
    Row(
        "somebody takes what was freed by hand",
        freed_by_hand,
        says("in_progress", FREE),
        S.IN_PROGRESS,
        IRIS,
    ),
    Row("another takes what was taken by hand", taken_by_hand, THIEF, S.IN_PROGRESS, told=1),
    # people
    Row("a person cancels", claimed, says("cancelled"), S.CANCELLED),
    Row("a person cancels in review", in_review, says("cancelled"), S.CANCELLED),
    # what names somebody else: the claim log knows better
    Row("another takes it", claimed, THIEF, S.IN_PROGRESS, told=1),
    Row("another takes it twice", claimed, steals_twice, S.IN_PROGRESS, told=1),
    Row("another takes it in file and ledger", claimed, edits_ledger_too, S.IN_PROGRESS, told=1),
    Row("another takes what was only sent", delivered, says("in progress", NAMED), S.BACKLOG, told=1),
    Row("another takes what was acknowledged by hand", acknowledged, THIEF, S.IN_PROGRESS, told=1),
    Row("another takes what was reopened", reopened_and_acknowledged, THIEF, S.IN_PROGRESS, told=1),
    Row(
        "another takes it with a new generation",
        claimed,
        put(NAMED, ("generation: 1", "generation: 2")),
        S.IN_PROGRESS,
        told=1,
    ),
    Row("another takes it without a generation", claimed, put(NAMED, ("generation: 1\n", "")), S.IN_PROGRESS, told=1),
    Row("another finishes it", claimed, says("done", NAMED), S.IN_PROGRESS, told=1),
    Row("another finishes it as recorded", claimed, says("done", NAMED, ENDS), S.IN_PROGRESS, told=1),
    Row("another fails it", claimed, says("failed", NAMED), S.IN_PROGRESS, told=1),
    Row("another cancels it", claimed, says("cancelled", NAMED), S.IN_PROGRESS, told=1),
    Row("another gives it back", claimed, says("backlog", NAMED), S.IN_PROGRESS, told=1),
    Row("another writes over the whole file", claimed, over("Owner: iris\nStatus: done\n"), S.IN_PROGRESS, told=1),
    Row("another writes over what was only sent", delivered, over("Owner: iris\nStatus: done\n"), S.BACKLOG, told=1),
    Row("another takes it in review", in_review, THIEF, S.REVIEW, told=1),
    Row(
        "another takes it while the claims are lost",
        claimed_and_claims_lost,
        says("done", NAMED),
        S.IN_PROGRESS,
        told=1,
    ),
    Row("a name that nobody has", claimed, put(("assignee: peter", "assignee: mallory")), S.IN_PROGRESS, told=1),
    Row("a generation that nobody was given", claimed, put(("generation: 1", "generation: 9")), S.IN_PROGRESS, told=1),
    Row("an old copy", claimed, restores_the_copy_from_before_the_claim, S.IN_PROGRESS, told=1),
    # another agent's report
    Row("another reports done", claimed, reports("iris", "TC-1: DONE\n"), S.IN_PROGRESS, told=1),
    Row("another reports it cancelled", claimed, reports("iris", "TC-1: CANCELLED\n"), S.IN_PROGRESS, told=1),
    Row("another reports on what was only sent", delivered, reports("iris", "TC-1: DONE\n"), S.BACKLOG, told=1),
    Row("another says how it goes", claimed, reports("iris", "TC-1: BLOCKED on API keys\n"), S.IN_PROGRESS),
    # what binds the holder
    Row(
        "the holder changes the type and says done",
        claimed,
        says("done", ("type: reviewed", "type: bug")),
        S.REVIEW,
        told=1,
    ),
    Row(
        "the holder changes who asked",
        claimed,
        says("done", ("requested_by: sam", "requested_by: iris")),
        S.REVIEW,
        told=1,
    ),
    Row("the holder names its own review", claimed, key("review: none"), S.IN_PROGRESS),
    Row("the holder records done", claimed, says("done", ENDS), S.REVIEW, told=1),
    Row("the holder records done of what nobody reviews", plain, says("done", ENDS), S.BACKLOG, told=1),
    Row("the holder says that it was verified", plain, says("done\nverified: 2026-03-07T08:46:00Z"), S.BACKLOG),
    Row(
        "the holder records and verifies it",
        plain,
        says("done\nverified: 2026-03-07T08:46:00Z", ENDS),
        S.BACKLOG,
        told=1,
    ),
    Row(
        "the holder records it as dead",
        claimed,
        says("dead", ("recorded: in_progress", "recorded: dead")),
        S.IN_PROGRESS,
        told=1,
    ),
    Row("the holder approves itself", in_review, says("done"), S.REVIEW, told=1),
    Row(
        "the holder records its approval",
        in_review,
        says("done", ("recorded: review", "recorded: done")),
        S.REVIEW,
        told=1,
    ),
    Row("the holder takes it back from review", in_review, says("in_progress"), S.REVIEW, told=1),
    Row(
        "and records that",
        in_review,
        says("in_progress", ("recorded: review", "recorded: in_progress")),
        S.REVIEW,
        told=1,
    ),
    Row("the reviewer approves in the file", in_review, adds("\nStatus: done\n"), S.REVIEW, told=1),
)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path / "sam", CONFIG)
    made.write("status/other.md", "# OTHER: Another one\n")  # so that status/ is never empty
    return made


def conflicts(office: Office) -> list[str]:
    return [name for name in office.box("sentry") if ".conflict." in name]


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.name.replace(" ", "-"))
def test_edits_by_hand_count_as_documented(row: Row, office: Office) -> None:
    row.before(office)
    office.settle()
    office.clock.advance(MINUTE)
    row.edit(office)

    office.tick()

    found = office.task(TASK)
    assert (found.state, found.assignee) == (row.state, row.holder)
    assert len(conflicts(office)) == row.told
    settled = office.read(STATUS)
    for _ in range(2):
        assert "conflict TC-1" not in office.acts()
    assert (office.state(TASK), len(conflicts(office))) == (row.state, row.told)
    assert office.read(STATUS) == settled


# --- beside commands


@pytest.mark.parametrize("before", [claimed, acknowledged, claimed_and_claims_lost])
@pytest.mark.parametrize("ticks", [0, 1])
def test_the_winner_finishes_and_the_thief_is_refused_whatever_name_the_file_has(
    before: Step, ticks: int, office: Office
) -> None:
    before(office)
    office.settle()
    office.clock.advance(MINUTE)
    THIEF(office)
    for _ in range(ticks):
        office.tick()

    for move in ("done", "release", "fail"):
        with pytest.raises(NotYours, match="peter"):
            getattr(office.app().tasks, move)(TASK, IRIS, *(("it broke",) if move == "fail" else ()))
    with pytest.raises(ClawError):
        office.app().claims.claim(TASK, IRIS)
    finished = office.app().tasks.done(TASK, PETER, generation=1)

    assert (finished.state, finished.assignee) == (S.REVIEW, PETER)
    office.tick()
    assert len(conflicts(office)) == 1
    assert "assignee: peter" in office.read(STATUS)


def test_text_of_others_below_the_front_matter_stays(office: Office) -> None:
    claimed(office)
    office.settle()
    office.clock.advance(MINUTE)
    adds("\nI looked at routes.ts.\n\nTC-1: DONE\n")(office)
    THIEF(office)

    office.tick()

    assert office.read(STATUS).endswith("\nI looked at routes.ts.\n\nTC-1: DONE\n")
    assert office.state(TASK) is S.IN_PROGRESS
    adds("TC-1: DONE\n")(office)
    office.tick(MINUTE)
    assert office.state(TASK) is S.REVIEW, "the holder's own word counts after it"


def test_the_conflict_names_both_and_what_to_believe(office: Office) -> None:
    claimed(office)
    office.settle()
    office.clock.advance(MINUTE)
    THIEF(office)

    office.tick()

    told = office.message("sentry", conflicts(office)[0])
    assert "names iris, but generation 1 of TC-1 is peter's" in told


# --- the table of file-format.md, "When they disagree"


def blocked(office: Office) -> None:
    claimed(office)
    office.app().tasks.block(TASK, PETER, "no access")


def failed(office: Office) -> None:
    claimed(office)
    office.app().tasks.fail(TASK, PETER, "it broke")


def done(office: Office) -> None:
    in_review(office)
    office.app().tasks.approve(TASK, PERSON)
    office.tick()


def cancelled(office: Office) -> None:
    claimed(office)
    office.app().tasks.cancel(TASK, PERSON, "not needed")
    office.tick()


STANDS = {
    S.BACKLOG: delivered,
    S.IN_PROGRESS: claimed,
    S.BLOCKED: blocked,
    S.REVIEW: in_review,
    S.FAILED: failed,
    S.DONE: done,
    S.CANCELLED: cancelled,
}


def allowed() -> dict[State, set[State]]:
    """What the page's table lets people change by hand, by what is recorded."""
    page = (Path(__file__).parents[2] / "docs/reference/file-format.md").read_text()
    table = page.partition("| `recorded` | may be changed by hand to |\n|---|---|\n")[2].partition("\n\n")[0]
    found: dict[State, set[State]] = {}
    for row in table.splitlines():
        left, right = row.strip("| ").split(" | ")
        named = {state for state in State if f"`{state}`" in right}
        all_but = set(State) - named if right.startswith("any state but") else named
        found |= {State(it.strip("` ")): all_but for it in left.split(",")}
    return found


@pytest.mark.parametrize("said", State)
@pytest.mark.parametrize("before", STANDS)
def test_a_state_that_is_edited_counts_if_the_page_allows_it(before: State, said: State, office: Office) -> None:
    STANDS[before](office)
    office.settle()
    office.clock.advance(MINUTE)
    is_watched = bool(office.lines)
    assert office.state(TASK) is before
    says(said)(office)

    may = said is before or said in allowed()[before]
    in_force = office.state(TASK)
    ticked = office.app().heartbeat.tick()

    counted = S.REVIEW if said is S.DONE and before is not S.DONE else said  # the route wants a review
    assert in_force is (counted if may else before)
    assert ticked.problems == ()
    assert len(conflicts(office)) == (is_watched and not may)


# --- the ledger


def ledger(change: Callable[[str], str]) -> Step:
    def edit(office: Office) -> None:
        lines = office.read("HEARTBEAT.md").splitlines(keepends=True)
        office.write("HEARTBEAT.md", "".join(change(line) if "TC-1" in line else line for line in lines))

    return edit


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        (lambda line: "", False),
        (lambda line: line.replace("- TC-1", "- [x] TC-1"), False),
        (lambda line: line.replace("- TC-1", "- [-] TC-1"), True),
        (lambda line: f"- ~~{line[2:-1]}~~\n", True),
        (lambda line: line.replace("TC-1", "~~TC-1~~"), True),
    ],
    ids=["deleted", "ticked", "dropped", "struck", "id-struck"],
)
def test_a_line_that_is_taken_out_by_hand_ends_the_watching_and_changes_no_state(
    change: Callable[[str], str], stays: bool, office: Office
) -> None:
    claimed(office)
    office.settle()
    ledger(change)(office)
    there = office.read("HEARTBEAT.md")

    acts = [act for _ in range(4) for act in office.acts(timedelta(hours=2))]

    assert [act for act in acts if not act.startswith("unwatch")] == []
    assert (office.state(TASK), office.lines) == (S.IN_PROGRESS, [])
    assert (office.read("HEARTBEAT.md") == there) is (stays or "TC-1" not in there)


def test_a_time_that_is_edited_in_the_ledger_is_when_the_heartbeat_looks(office: Office) -> None:
    claimed(office)
    office.settle()
    ledger(lambda line: f"{line.partition(', check')[0]}, check at 2026-03-08 10:00\n")(office)

    assert office.acts(timedelta(hours=20)) == []
    assert office.acts(timedelta(hours=10)) == ["nudge TC-1"]
