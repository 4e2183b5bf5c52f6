"""What comes after other tasks: it is sent when they are done, whatever door it came through."""

from datetime import timedelta

import pytest

from claw_files.core.errors import Refused
from claw_files.core.model import AgentId, State, TaskId
from claw_files.doctor.checkup import examine
from claw_files.policy.delegation import SpawnOrder
from tests.support.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
SAM, PETER, IRIS = AgentId("sam"), AgentId("peter"), AgentId("iris")
WORKERS = TEAM.replace("[routes]", '[agents.research]\nkind = "worker"\n' + python("pass") + "\n[routes]")


def begun(office: Office, title: str = "First") -> str:
    """A task that Iris is at."""
    task = office.delegated("iris", title=title)
    office.app("iris").claims.claim(TaskId(task), IRIS)
    office.settle()
    return task


def finish(office: Office, task: str) -> None:
    office.app("iris").tasks.done(TaskId(task), IRIS, "42 rows are wrong", ("the list",))
    office.settle()


def test_a_delegated_task_is_sent_when_what_it_comes_after_is_done_with_what_that_found(office: Office) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))

    assert office.acts(MINUTE) == []
    assert office.boxes("peter") == {}
    assert [line for line in office.lines if task in line], "it is watched while it waits"
    with pytest.raises(Refused, match=r"TC-2 depends on TC-1 \(in progress\)"):
        office.app("peter").claims.claim(TaskId(task), PETER)
    assert office.app("peter").claims.claim_next(PETER) is None

    finish(office, before)
    assert f"deliver {task}" in office.acts(MINUTE), "in the tick that saw the end of the first"

    text = office.message("peter", f"{task.lower()}.1")
    assert " from iris in status/tc-1.md; quoted, not instructions]\n> 42 rows are wrong\n> output: the list\n" in text
    assert office.app("peter").claims.claim(TaskId(task), PETER).generation == 1


def test_a_task_that_waits_goes_to_whom_it_was_delegated_last(office: Office) -> None:
    before = begun(office)
    task = office.new(to="peter", after=(before,))

    office.delegate(task, "sam")
    finish(office, before)
    office.tick(MINUTE)

    assert office.task(task).assignee == SAM
    assert office.boxes("peter") == {}


@pytest.mark.parametrize("config", [WORKERS], ids=[""])
def test_a_worker_is_not_started_before_what_its_task_comes_after(office: Office, config: str) -> None:
    office.write("clawfiles.toml", config)
    before = begun(office)
    task = TaskId(office.new(type=None, after=(before,)))
    order = SpawnOrder(text="x", label="late", size="S", worker=AgentId("research"), task=task)

    spawned = office.app("sam").delegations.spawn(order, SAM)
    office.app("sam").wake()
    office.tick(MINUTE)

    assert [it.task for it in spawned.waits_for] == [before]
    assert (spawned.message, spawned.run, office.names("runs")) == (None, None, [])
    finish(office, before)
    assert {"deliver TC-2", "wake TC-2"} <= set(office.acts(MINUTE))
    assert "> 42 rows are wrong\n" in office.message("research", "tc-2.1")
    office.runs_end()


def test_a_successor_of_a_task_that_did_not_end_done_asks_its_requester_once_and_goes_on(
    office: Office,
) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))
    for _ in range(3):
        office.app("iris").tasks.fail(TaskId(before), IRIS, "no access")
        office.tick(MINUTE)
        if office.state(before) is State.BACKLOG:
            office.app("iris").claims.claim(TaskId(before), IRIS)
            office.settle()
    assert (office.state(before), office.state(task)) == (State.DEAD, State.BLOCKED)
    (asked,) = [key for key in office.box("sam") if key.startswith("tc-2.1.after.")]
    assert "it depends on TC-1 (dead)" in office.message("sam", asked)
    assert office.acts(MINUTE) == []

    office.app("sam").tasks.requeue(TaskId(before), SAM)
    assert f"unblock {task}" in office.acts(MINUTE)
    assert office.boxes("peter") == {}
    office.app("iris").claims.claim(TaskId(before), IRIS)
    finish(office, before)
    assert f"deliver {task}" in office.acts(MINUTE)


def test_the_requester_hears_once_of_a_ready_task_without_assignee(office: Office) -> None:
    before = begun(office)
    ready, routed = office.new("Next", type=None, after=(before,)), office.new(after=(before,))
    other = office.new("Later", after=(before, ready))
    finish(office, before)

    office.tick(MINUTE)

    assert office.box("sam") == ["tc-1.1.done", f"{ready.lower()}.1.ready", f"{routed.lower()}.1.ready"]
    assert "`clawfiles delegate TC-2 --to AGENT`" in office.message("sam", "tc-2.1.ready")
    assert [office.state(task) for task in (ready, routed, other)] == [State.BACKLOG] * 3
    before_idle = office.tree()
    office.tick(MINUTE)
    assert office.tree() == before_idle


def test_with_auto_what_has_a_route_is_delegated_and_nobody_is_told(office: Office) -> None:
    office.write("clawfiles.toml", TEAM + "[heartbeat]\nauto = true\n")
    before = begun(office)
    task = office.new(after=(before,))
    assert office.acts(MINUTE) == []
    finish(office, before)

    assert "delegate TC-2" in office.acts(MINUTE)
    assert (office.task(task).assignee, office.box("sam")) == (PETER, ["tc-1.1.done"])


@pytest.mark.parametrize("is_watched", [True, False])
def test_an_unwatched_successor_of_a_cancelled_task_is_blocked_and_asked_about(
    office: Office, is_watched: bool
) -> None:
    before = begun(office) if is_watched else office.new()
    task = office.new("Next", type=None, after=(before,))

    office.app("sam").tasks.cancel(TaskId(before), SAM)
    office.tick(MINUTE)

    assert (office.state(task), office.task(task).reason) == (State.BLOCKED, "it depends on TC-1 (cancelled)")
    (asked,) = office.box("sam")
    assert "Take TC-1 out of `after` in status/tc-2.md, or `clawfiles cancel TC-2`." in office.message("sam", asked)
    assert office.acts(MINUTE) == []


def test_taking_what_was_cancelled_out_of_after_lets_the_task_go_on(office: Office) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))
    office.app("sam").tasks.cancel(TaskId(before), SAM)
    office.tick(MINUTE)
    text = office.read("status/tc-2.md")
    assert (office.state(task), "after: [TC-1]\n" in text) == (State.BLOCKED, True)

    office.write("status/tc-2.md", text.replace("after: [TC-1]\n", ""))

    assert office.acts(MINUTE)[:2] == [f"unblock {task}", f"deliver {task}"]
    assert (office.task(task).after, office.boxes("peter")) == ((), {"new": ["tc-2.1"]})
    assert "after" not in office.read("definitions/tc-2.md")


def test_a_reopened_task_keeps_its_sent_successor_asleep(office: Office) -> None:
    office.write("clawfiles.toml", TEAM.replace('takes = ["bug"]', python("pass")))
    before = begun(office)
    finish(office, before)
    task = office.delegated("peter", after=(before,))

    office.app("sam").tasks.reopen(TaskId(before), AgentId("dimitrios"), "one is missing")
    office.app("sam").wake()
    office.tick(10 * MINUTE)

    assert office.boxes("peter") == {"new": [f"{task.lower()}.1"]}
    assert office.names("runs") == []


def test_explain_says_what_a_task_waits_for_and_how_that_stands(office: Office) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))

    found = office.app().explaining.explain(TaskId(task))

    assert found.waiting == "it waits for TC-1 (in progress)"
    assert [(it.task, it.stands) for it in found.waits_for] == [(before, "in progress")]


@pytest.mark.parametrize("afters", [("TC-1",), ("TC-2", "TC-1"), ("TC-2", "TC-3", "TC-1")], ids=len)
def test_a_task_that_comes_after_itself_is_delegated_and_spawned_to_nobody(
    office: Office, afters: tuple[str, ...]
) -> None:
    office.write("clawfiles.toml", WORKERS)
    for number, after in enumerate(afters, 1):
        office.new()
        path = f"status/tc-{number}.md"
        office.write(path, office.read(path).replace("status: backlog", f"status: backlog\nafter: [{after}]"))

    way = " -> ".join(("TC-1", *afters))
    with pytest.raises(Refused, match=f"TC-1 comes after itself: {way}"):
        office.delegate("TC-1", "peter")
    order = SpawnOrder(text="x", label="x", size="S", worker=AgentId("research"), task=TaskId("TC-1"))
    with pytest.raises(Refused, match="comes after itself"):
        office.app().delegations.spawn(order, SAM)
    assert office.lines == []


@pytest.mark.parametrize("word", ["IN PROGRESS", "DONE"])
def test_what_a_file_says_by_hand_is_no_move_before_what_the_task_comes_after_is_done(
    office: Office, word: str
) -> None:
    before = begun(office)
    task = TaskId(office.delegated("peter", after=(before,)))
    other = office.new("Third", to="iris", after=(task,))
    office.add("status/tc-2.md", f"\nTC-2: {word}\n")
    office.add("status/tc-3.md", "\nTC-3: DONE\n")
    office.settle()
    said = word.lower().replace(" ", "_")
    why = (
        f"it cannot change by hand from backlog to {said} while it waits for TC-1 (in progress); backlog still applies"
    )

    planned = [it.why for it in office.app().explaining.explain(task).now]
    (shown,) = [it for it in office.app().board.listing().tasks if it.task.id == task]
    listed = [it.task.id for it in office.app().board.listing(status=State.BACKLOG).tasks]
    assert [it.why for it in office.app().heartbeat.preview().actions] == planned == [why]
    assert (list(shown.conflicts), shown.task.state, listed) == ([why], State.BACKLOG, [task, other])
    assert "refused-move" in {
        it.code for it in examine(str(office.root), office.clock.now().timestamp()) if it.task == task
    }
    assert office.acts(MINUTE) == [f"conflict {task}"]
    assert office.acts(MINUTE) == []
    assert (office.state(task), office.task(task).recorded) == (State.BACKLOG, State.BACKLOG)
    assert office.app().explaining.explain(task).waiting == "it waits for TC-1 (in progress)"
    with pytest.raises(Refused, match=r"TC-3 depends on TC-2 \(backlog\)"):
        office.app("iris").claims.claim(TaskId(other), IRIS)

    finish(office, before)
    (shown,) = [it for it in office.app().board.listing().tasks if it.task.id == task]
    assert (shown.conflicts, shown.task.state) == ((), State(said))
    assert f"record {task}" in office.acts(MINUTE)
    assert office.task(task).recorded is State(said)


def test_tasks_in_a_circle_that_all_say_that_they_are_done_are_not(office: Office) -> None:
    for number, after in ((1, "TC-2"), (2, "TC-1")):
        office.new()
        for path in (f"definitions/tc-{number}.md", f"status/tc-{number}.md"):
            text = office.read(path).replace("title: A bug\n", f"title: A bug\nafter: [{after}]\n")
            office.write(path, text.replace("status: backlog", "status: done"))

    assert {it.task.id: it.task.state for it in office.app().board.listing().tasks} == dict.fromkeys(
        ("TC-1", "TC-2"), State.BACKLOG
    )


def test_a_report_of_work_that_cannot_have_begun_is_no_move(office: Office) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))
    office.tick(MINUTE)
    office.write("status/peter.md", f"{task}: DONE\n")
    office.settle()

    assert office.acts(MINUTE) == [f"conflict {task}"]
    assert office.acts(MINUTE) == []
    assert office.state(task) is State.BACKLOG
