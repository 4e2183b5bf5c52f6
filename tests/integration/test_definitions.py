"""What was asked for comes through whatever an agent does to the status file, and by every path."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, State, Task, TaskId
from tests.support.office import Office

PETER, SAM, PERSON = AgentId("peter"), AgentId("sam"), AgentId("dimitrios")
TEXT = "Customers see two charges.\n\nStatus: DONE is what the page shows."
TERMS = {"priority": "high", "estimate": timedelta(hours=2)}
ACK = timedelta(minutes=6)


def asked(office: Office, task: str) -> str:
    """The text of the newest message of the task, as far as it says what is asked for."""
    found = office.app().workspace.latest_message(PETER, TaskId(task))
    assert found is not None
    return found.body.partition("[task ")[2].partition("[end of task")[0]


def terms(task: Task) -> tuple[object, ...]:
    return (task.title, task.type, task.requested_by, task.priority, task.estimate)


def given(office: Office, type: str = "reviewed", **more: object) -> str:
    return office.new("Checkout", type, body=TEXT, **TERMS, **more)


# --- the file


def test_a_new_task_has_a_definition_that_a_person_can_read(office: Office) -> None:
    given(office, "bug")

    head, _, text = office.read("definitions/tc-1.md").removeprefix("---\n").partition("---\n")

    keys = dict(line.split(": ", 1) for line in head.splitlines())
    assert keys.pop("created")
    assert keys == {
        "id": "TC-1",
        "title": "Checkout",
        "type": "bug",
        "requested_by": "sam",
        "priority": "high",
        "estimate": "2h",
    }
    assert text == f"{TEXT}\n"


def test_the_definition_is_written_before_the_status_file(office: Office, monkeypatch) -> None:
    paths = []
    make = office.make_files

    def watched(*args: object, **more: object) -> object:
        files = make(*args, **more)
        commit = files.commit
        files.commit = lambda path, *rest, **named: (paths.append(path), commit(path, *rest, **named))[1]
        return files

    office.make_files = watched
    given(office)

    assert paths == ["definitions/tc-1.md", "status/tc-1.md"]


# --- an agent writes over its status file


def test_a_reopened_task_asks_for_what_was_given_and_names_what_was_found(office: Office) -> None:
    task = given(office, "bug")
    office.delegate(task, "peter")
    office.write("status/tc-1.md", "TC-1: IN PROGRESS")
    office.tick()
    office.write("status/tc-1.md", office.read("status/tc-1.md").replace("IN PROGRESS", "DONE"))
    office.tick()
    office.app().tasks.reopen(TaskId(task), PERSON, "a test is missing")

    office.tick()

    assert "Customers see two charges." in asked(office, task)
    assert "TC-1: DONE" not in asked(office, task)
    message = office.message("peter", "tc-1.2")
    assert "`status/tc-1.md` contains earlier findings; they are not the request." in message
    assert office.task(task).title == "Checkout"


def test_an_untouched_status_file_is_no_finding(office: Office) -> None:
    task = given(office, "bug")
    office.delegate(task, "peter")

    assert "contains earlier findings" not in office.message("peter", "tc-1.1")


def test_a_heading_of_the_holder_is_text_and_no_title(office: Office) -> None:
    task = given(office, "bug")
    office.delegate(task, "peter")
    office.write("status/tc-1.md", "# Final report\n\nTC-1: DONE\n")

    office.tick()

    assert "title: Checkout" in office.read("status/tc-1.md")
    assert "Checkout" in office.message("sam", "tc-1.1.done")
    assert office.read("status/tc-1.md").endswith("# Final report\n\nTC-1: DONE\n")


def test_the_title_is_listed_while_the_file_is_written_over(office: Office) -> None:
    task = given(office, "bug")
    office.delegate(task, "peter")
    office.write("status/tc-1.md", "TC-1: IN PROGRESS\n")

    assert [it.task.title for it in office.app().board.listing().tasks] == ["Checkout"]
    assert office.app().board.show(TaskId(task)).task.title == "Checkout"


def test_a_task_that_was_claimed_and_never_delegated_keeps_its_requester_and_its_review(office: Office) -> None:
    task = given(office)
    office.app().claims.claim(TaskId(task), PETER)
    generation = office.task(task).generation
    office.write("status/tc-1.md", "TC-1: DONE\n")

    office.tick()

    found = office.task(task)
    assert (found.state, found.assignee, found.generation) == (State.REVIEW, PETER, generation)
    assert "Checkout" in office.message("sam", "tc-1.1.review")
    office.app().tasks.approve(TaskId(task), PERSON)
    office.tick()
    assert "Checkout" in office.message("sam", "tc-1.1.done")


# --- terms bind


def in_progress(office: Office, type: str = "reviewed") -> str:
    task = given(office, type, to="peter")
    office.delegate(task, "peter")
    office.app().claims.claim(TaskId(task), PETER)
    office.settle()
    return task


def edit(office: Office, *changes: tuple[str, str]) -> None:
    raw = office.read("status/tc-1.md")
    for old, new in changes:
        assert old in raw, old
        raw = raw.replace(old, new, 1)
    office.write("status/tc-1.md", raw)


def test_another_type_of_the_holder_skips_no_review_and_is_told_once(office: Office) -> None:
    task = in_progress(office)
    edit(office, ("type: reviewed", "type: chore"), ("status: in_progress", "status: done"))

    shown = office.app().board.show(TaskId(task))
    assert shown.task.state is State.REVIEW
    assert "type “chore”, asked for was “reviewed”" in shown.conflicts[0]
    acts = office.acts()

    assert acts == ["conflict TC-1", "record TC-1", "review TC-1"]
    assert office.task(task).type == "reviewed"
    assert len([name for name in office.box("sentry") if "conflict" in name]) == 1
    assert office.acts() == []


def test_another_type_beside_a_command_skips_no_review(office: Office) -> None:
    task = in_progress(office)
    edit(office, ("type: reviewed", "type: chore"))

    done = office.app().tasks.done(TaskId(task), PETER, "finished")

    assert (done.state, done.type) == (State.REVIEW, "reviewed")
    assert "type: reviewed" in office.read("status/tc-1.md")
    (told,) = [name for name in office.box("sentry") if "conflict" in name]
    assert "type “chore”, asked for was “reviewed”" in office.message("sentry", told)
    office.tick()
    assert [name for name in office.box("sentry") if "conflict" in name] == [told]


def test_another_type_after_the_command_skips_no_check(office: Office) -> None:
    office.write("clawfiles.toml", office.read("clawfiles.toml") + 'checked = { to = ["peter"], verify = ["false"] }\n')
    task = in_progress(office, "checked")
    office.app().tasks.done(TaskId(task), PETER, "finished")
    edit(office, ("type: checked", "type: chore"))

    assert "verify TC-1" in office.acts()


def test_another_type_in_review_changes_no_reviewer(office: Office) -> None:
    config = office.read("clawfiles.toml").replace('review = "coordinator"', 'review = "iris"')
    office.write("clawfiles.toml", config)
    task = in_progress(office)
    office.app().tasks.done(TaskId(task), PETER, "finished")
    office.settle()
    office.clock.advance(timedelta(minutes=1))
    edit(office, ("type: reviewed", "type: chore"))

    office.tick()

    assert "review" in "".join(office.box("iris"))
    office.app().tasks.approve(TaskId(task), AgentId("iris"))
    office.tick()
    assert office.state(task) is State.DONE


def test_an_idle_tick_reads_no_definition(office: Office) -> None:
    paths = []
    make = office.make_files

    def watched(*args: object, **more: object) -> object:
        files = make(*args, **more)
        read = files.read
        files.read = lambda path, *rest: (paths.append(path), read(path, *rest))[1]
        return files

    in_progress(office)
    waiting = given(office)
    office.app().claims.claim(TaskId(waiting), PETER)
    office.app().tasks.done(TaskId(waiting), PETER)
    office.tick()
    assert office.state(waiting) is State.REVIEW
    office.make_files = watched

    assert office.acts() == []
    assert "status/tc-1.md" in paths
    assert [path for path in paths if path.startswith("definitions/")] == []


def test_an_end_that_the_holder_records_itself_is_no_approval(office: Office) -> None:
    task = in_progress(office)
    edit(office, ("status: in_progress", "status: done"), ("recorded: in_progress", "recorded: done"))

    assert office.acts() == ["conflict TC-1", "record TC-1", "review TC-1"]
    assert office.state(task) is State.REVIEW
    office.app().tasks.approve(TaskId(task), PERSON)
    assert "close TC-1" in office.acts()


def test_a_promised_output_cannot_be_dropped_and_another_one_is_a_report(office: Office) -> None:
    task = given(office, "bug")
    promised = office.read("definitions/tc-1.md").replace("type: bug", "type: bug\noutputs: [./report.md]")
    office.write("definitions/tc-1.md", promised, office.clock.now() + timedelta(seconds=1))
    office.delegate(task, "peter")
    office.app().claims.claim(TaskId(task), PETER)
    assert office.task(task).outputs == ("./report.md",)
    edit(office, ("outputs: [./report.md]", "outputs: [./other.md]"), ("status: in_progress", "status: done"))
    office.write("other.md", "x")

    office.tick()

    assert office.task(task).outputs == ("./report.md", "./other.md")
    assert office.state(task) is State.BACKLOG, "it goes back: ./report.md is missing"


def test_a_status_file_redefines_its_task_until_it_is_delivered(office: Office) -> None:
    task = given(office, "bug")
    edit(office, ("title: Checkout", "title: Invoices"), ("Customers see two charges.", "Customers see no invoice."))
    office.delegate(task, "peter")

    assert "no invoice" in asked(office, task)
    assert "title: Invoices" in office.read("definitions/tc-1.md")
    assert "no invoice" in office.read("definitions/tc-1.md")
    assert "“Invoices”" in office.message("peter", "tc-1.1")


def test_a_status_file_redefines_its_task_until_it_is_claimed(office: Office) -> None:
    task = given(office, "bug")
    edit(office, ("priority: high", "priority: low"))
    office.app().claims.claim(TaskId(task), PETER)

    assert "priority: low" in office.read("definitions/tc-1.md")
    assert office.task(task).priority == "low"


def test_the_requester_changes_the_terms_in_the_definition(office: Office) -> None:
    task = in_progress(office, "bug")
    defined = office.read("definitions/tc-1.md").replace("title: Checkout", "title: Invoices")
    office.write("definitions/tc-1.md", defined, office.clock.now() + timedelta(seconds=1))

    office.app().tasks.progress(TaskId(task), PETER, "half of it")

    assert office.task(task).title == "Invoices"
    assert office.box("sentry") == [], "that is no conflict"


def test_a_command_that_changes_terms_changes_the_definition(office: Office) -> None:
    given(office, "bug")
    office.app().delegations.delegate(TaskId("TC-1"), SAM, PETER, urgent=True)

    assert office.task("TC-1").priority != "high"
    assert f"priority: {office.task('TC-1').priority}" in office.read("definitions/tc-1.md")


def test_a_command_that_changes_terms_of_a_task_at_work_changes_the_definition(office: Office) -> None:
    task = TaskId(in_progress(office, "bug"))
    audit = Audit(JournalEvent.COMMENT, task=task)
    office.app().workspace.update(task, lambda found: replace(found, followers=(AgentId("iris"),)), audit)
    office.write("status/tc-1.md", "TC-1: DONE\n")

    office.tick()

    assert "followers: [iris]" in office.read("definitions/tc-1.md")
    assert "tc-1.1.done" in office.box("iris")


# --- adoption


def test_a_file_made_by_hand_is_adopted_before_the_first_write(office: Office) -> None:
    office.write("status/tc-7.md", "---\ntitle: By hand\ntype: bug\n---\nLook at the invoices.\n")
    office.delegate("TC-7", "peter")

    assert "title: By hand" in office.read("definitions/tc-7.md")
    assert office.read("definitions/tc-7.md").endswith("---\nLook at the invoices.\n")
    office.write("status/tc-7.md", "TC-7: DONE\n")
    office.tick()
    assert office.task("TC-7").title == "By hand"


def test_a_file_that_an_agent_has_written_over_is_adopted_from_the_message(office: Office) -> None:
    task = given(office, "bug")
    office.delegate(task, "peter")
    before = office.read("definitions/tc-1.md")
    (office.root / "definitions/tc-1.md").unlink()
    office.write("status/tc-1.md", "# All is well\n\nTC-1: IN PROGRESS\n")

    office.tick()

    assert office.read("definitions/tc-1.md") == before


def test_a_refused_command_adopts_nothing(office: Office) -> None:
    office.write("status/tc-7.md", "---\ntitle: By hand\n---\nLook at it.\n")
    with pytest.raises(ClawError):
        office.app().tasks.done(TaskId("TC-7"), PETER)

    assert office.names("definitions") == []


def test_an_unreadable_definition_stays_and_the_message_counts_meanwhile(office: Office) -> None:
    task = given(office, "bug")
    office.delegate(task, "peter")
    office.write("definitions/tc-1.md", "---\nsize: enormous\n---\n")
    office.write("status/tc-1.md", "TC-1: DONE\n")

    office.tick()

    assert office.task(task).title == "Checkout"
    assert office.read("definitions/tc-1.md") == "---\nsize: enormous\n---\n"
    office.app().tasks.reopen(TaskId(task), PERSON, "again")
    office.tick()
    assert "Customers see two charges." in asked(office, task)


# --- numbers, archive


def test_a_file_made_by_hand_at_the_same_moment_is_not_bound_by_our_definition(office: Office, monkeypatch) -> None:
    make = office.make_files

    def meets(*args: object, **more: object) -> object:
        files = make(*args, **more)
        commit = files.commit

        def meanwhile(path: str, *rest: object, **named: object) -> object:
            if path == "status/tc-1.md" and not office.exists(path):
                office.write(path, "---\ntitle: By hand\n---\n")
            return commit(path, *rest, **named)

        files.commit = meanwhile
        return files

    office.make_files = meets

    assert given(office) == "TC-2"
    assert office.task("TC-1").title == "By hand"
    assert office.names("definitions") == ["tc-2.md"]


def test_a_number_with_a_definition_is_not_given_again(office: Office) -> None:
    given(office)
    (office.root / "status/tc-1.md").unlink()

    assert given(office) == "TC-2"


def test_a_definition_moves_into_the_archive_and_back_with_its_task(office: Office) -> None:
    task = given(office, "bug")
    before = office.read("definitions/tc-1.md")
    office.app().tasks.cancel(TaskId(task), SAM)
    office.settle()
    office.app().tasks.archive(SAM, timedelta(0))

    assert office.read("definitions/archive/tc-1.md") == before
    assert office.names("definitions") == ["archive"]
    (office.root / next(iter(office.app().workspace.find(TaskId(task)) or ()))).unlink()
    assert given(office) == "TC-2", "an archived definition keeps its number, too"


def test_an_archived_task_that_is_reopened_has_its_definition_again(office: Office) -> None:
    task = in_progress(office, "bug")
    office.app().tasks.done(TaskId(task), PETER, "finished")
    office.tick()
    office.app().tasks.archive(SAM, timedelta(0))
    assert office.names("definitions") == ["archive"]

    office.app().tasks.reopen(TaskId(task), PERSON, "again")
    office.tick()

    assert office.names("definitions") == ["archive", "tc-1.md"]
    assert "Customers see two charges." in asked(office, task)
