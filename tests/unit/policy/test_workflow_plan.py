"""Runs of workflows, decided by the planner and played with scripted endings; and cut off at any point."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from claw_files import config
from claw_files.core.model import AgentId, State, TaskId
from claw_files.core.workflow import RunRecord, Workflow
from claw_files.formats import workflow_file
from claw_files.policy.snapshot import Snapshot
from claw_files.policy.workflow_dry_run import DryRun, Script, dry_run, not_begun
from claw_files.policy.workflow_plan import RunAct, StepTask, WorkflowRun, advance, next_due, wanted
from claw_files.policy.workflow_planner import plan_workflows
from tests.each import each

PATTERNS = Path(__file__).parents[3] / "docs/how-to/patterns"
START = datetime(2026, 3, 7, 9, tzinfo=UTC)
PEOPLE = frozenset({AgentId("dimitrios")})
PASSED_ON = Script(says={"answer": ("pass on", "pass on", "")})


def workflow(text: str) -> Workflow:
    found, problems = workflow_file.parse(text.encode(), "x.md", "x")
    assert problems == ()
    return found


def pattern(name: str) -> Workflow:
    return workflow((PATTERNS / f"{name}.md").read_text())


def play(flow: Workflow, script: Script | None = None, **totals: int) -> DryRun:
    return dry_run(not_begun(flow, PEOPLE, totals), script or Script(), START)


def begun(run: DryRun) -> list[str]:
    acts = (RunAct.BEGIN, RunAct.ASK)
    return [
        it.action.task.removeprefix("TC-1-").lower() for it in run.played if it.action.task and it.action.act in acts
    ]


def test_who_answers_in_a_dry_run_does_so_before_a_short_deadline() -> None:
    flow = workflow(
        "## a\n- to: dimitrios; choices: yes, no; within: 20s, else no\n\nx\n## b\n- to: iris; after: a = yes\n\nx\n"
    )
    assert begun(play(flow)) == ["a", "b"]
    assert begun(play(flow, Script(silent=frozenset("a")))) == ["a"]


CHAIN = """## a
- to: peter
- IF FAILS
x
## b
- to: peter; after: a
x
## c
- to: iris; after: a = failed
x
"""


@each(
    "name, script, totals, order, state",
    [
        ("sequential", Script(), {}, "research draft edit", State.DONE),
        ("parallel", Script(), {}, "market rivals summary", State.DONE),
        ("parallel", Script(fails={"rivals": frozenset({0})}), {}, "market rivals summary", State.DONE),
        ("parallel", Script(fails={"market": frozenset({0})}), {}, "market rivals", State.DEAD),
        ("map-reduce", Script(), {"read": 3}, "read-1 read-2 read-3 table", State.DONE),
        (
            "map-reduce",
            Script(fails={"read": frozenset({2, 4})}),
            {"read": 5},
            "read-1 read-2 read-3 read-4 read-5 table",
            State.DONE,
        ),
        (
            "map-reduce",
            Script(fails={"read": frozenset({1, 2, 4})}),
            {"read": 5},
            "read-1 read-2 read-3 read-4 read-5",
            State.DEAD,
        ),
        ("hand-off", Script(), {}, "answer send", State.DONE),
        ("hand-off", PASSED_ON, {}, "answer answer-h2 answer-h3 send", State.DONE),
        ("branch", Script(says={"sort": ("bug",)}), {}, "sort fix close", State.DONE),
        ("branch", Script(says={"sort": ("question",)}), {}, "sort explain close", State.DONE),
        ("branch", Script(says={"sort": ("other",)}), {}, "sort close", State.DONE),
        ("branch", Script(says={"sort": ("nonsense",)}), {}, "sort", State.DEAD),
        ("nested", Script(), {}, "article approve publish", State.DONE),
        ("nested", Script(silent=frozenset({"approve"})), {}, "article approve", State.DONE),
        ("manager-worker", Script(says={"look": ("more", "enough")}), {"work": 2}, "plan work-1 work-2 look plan-p2 "
            "work-1-p2 work-2-p2 look-p2", State.DONE),
        ("review-loop", Script(says={"review": ("redo",)}), {},
            "answer review answer-p2 review-p2 answer-p3 review-p3", State.DEAD),
        ("review-loop", Script(fails={"answer": frozenset({0})}), {}, "answer answer-ask", State.DEAD),
        ("review-loop", Script(fails={"answer": frozenset({0})}, says={"answer-ask": ("go on",)}), {},
            "answer answer-ask review send", State.DONE),
    ],
)  # fmt: skip
def test_a_pattern_runs_in_its_order(
    name: str, script: Script, totals: dict[str, int], order: str, state: State
) -> None:
    run = play(pattern(name), script, **totals)
    assert (" ".join(begun(run)), run.state) == (order, state)


def test_a_step_that_waits_for_a_failure_takes_over() -> None:
    failed = play(workflow(CHAIN.replace("- IF FAILS\n", "\n")), Script(fails={"a": frozenset({0})}))
    assert (begun(failed), failed.state) == (["a", "c"], State.DONE)
    well = play(workflow(CHAIN.replace("- IF FAILS\n", "\n")))
    assert (begun(well), well.state) == (["a", "b"], State.DONE)


def test_a_map_is_given_up_when_ten_items_in_a_row_fail() -> None:
    flow = workflow("## m\n- to: peter; for each: {run}; enough: 1\n\nx {number}\n")
    run = play(flow, Script(fails={"m": frozenset(range(1, 10_001))}), m=10_000)
    assert len(begun(run)) < 20
    assert run.record.steps["m"].why == "0 of 10000 succeeded, 9988 not begun"


def test_a_map_keeps_to_its_window() -> None:
    flow = workflow("---\nat once: 7\n---\n## m\n- to: peter; for each: {run}\n\nx {number}\n")
    run, most = not_begun(flow, PEOPLE, {"m": 500}), 0
    for _ in range(2_000):
        run = replace(run, record=advance(run, START))
        for action in wanted(run, run.record):
            if action.act is RunAct.FINISH:
                assert action.state is State.DONE
                assert most == 7
                return
            tasks = dict(run.tasks)
            if action.act is RunAct.BEGIN and action.task:
                tasks[action.task] = StepTask(id=action.task, state=State.IN_PROGRESS)
            elif action.task:
                del tasks[action.task]
            run = replace(run, tasks=tasks)
        most = max(most, len(run.tasks))
        first = next(iter(run.tasks))
        run = replace(run, tasks={**run.tasks, first: StepTask(id=first, state=State.DONE)})
    pytest.fail("the run did not end")


def test_a_run_ends_when_its_time_is_over() -> None:
    flow = workflow("---\nwithin: 10m\n---\n## a\n- to: peter\n\nx\n")
    run = play(flow, Script(silent=frozenset({"a"})))
    acts = [(it.action.act, it.at - START) for it in run.played]
    late = timedelta(minutes=10)
    assert acts == [(RunAct.BEGIN, timedelta(0)), (RunAct.CANCEL, late), (RunAct.FINISH, late)]
    assert run.state is State.DEAD


def test_a_map_ends_when_its_time_is_over() -> None:
    flow = workflow("## m\n- to: peter; for each: {run}; within: 10m\n\nx {number}\n")
    run = play(flow, Script(silent=frozenset({"m"})), m=2)
    assert (run.state, run.end - START) == (State.DEAD, timedelta(minutes=10))
    assert run.record.stops == "m failed: its time is over: 0 of 2 succeeded"


SPENDS = "---\nspend: 5\nat once: 2\n---\n## read\n- to: peter; for each: a, b, c, d\n\n{item}\n"


def looked_at(run: WorkflowRun, spent: float, **answers: str) -> tuple[WorkflowRun, list[str]]:
    """The run after a look at which these of its tasks are done, and what is to be done then."""
    done = {TaskId(f"TC-1-{it}"): word for it, word in answers.items()}
    tasks = {id: StepTask(id=id, state=State.DONE, answer=word) for id, word in done.items()}
    run = replace(run, spent=spent, tasks={**run.tasks, **tasks})
    run = replace(run, record=advance(run, START))
    acts = list(wanted(run, run.record))
    begun = {it.task: StepTask(id=it.task, state=State.IN_PROGRESS) for it in acts if it.task != run.id and it.task}
    moves = (it.state for it in acts if it.act in (RunAct.MOVE, RunAct.FINISH))
    run = replace(run, tasks={**begun, **run.tasks}, state=next((it for it in moves if it), run.state))
    return run, [f"{it.act} {it.task}" for it in acts if it.act is not RunAct.CLOSE]


def test_nothing_begins_when_the_money_is_used_up_until_a_person_lets_it() -> None:
    run = not_begun(workflow(SPENDS), PEOPLE, {"read": 4})
    run, acts = looked_at(run, 0)
    assert acts == ["begin TC-1-READ-1", "begin TC-1-READ-2"]
    run, acts = looked_at(run, 5, **{"READ-1": ""})
    assert (acts, run.state) == (["ask TC-1-1-ASK", "move TC-1"], State.BLOCKED)
    run, acts = looked_at(run, 6, **{"READ-2": ""})
    assert (acts, run.state) == ([], State.BLOCKED)
    run, acts = looked_at(run, 6, **{"1-ASK": "go on"})
    assert (acts, run.state) == (["begin TC-1-READ-3", "begin TC-1-READ-4", "move TC-1"], State.IN_PROGRESS)
    run, acts = looked_at(run, 99, **{"READ-3": "", "READ-4": ""})
    assert (acts, run.state) == (["finish TC-1"], State.DONE), "all has begun: nobody is asked"


def test_a_run_without_money_that_a_person_stops_is_dead_and_says_why() -> None:
    run, _ = looked_at(not_begun(workflow(SPENDS), PEOPLE, {"read": 4}), 0)
    run, _ = looked_at(run, 5, **{"READ-1": "", "READ-2": ""})
    run, acts = looked_at(run, 5, **{"1-ASK": "stop"})
    assert run.state is State.DEAD
    assert run.record.stops == "its money is used up"
    assert "finish TC-1" in acts


def test_a_run_that_asks_for_money_a_second_time_asks_with_another_task() -> None:
    run, _ = looked_at(not_begun(workflow(SPENDS), PEOPLE, {"read": 4}), 0)
    run, _ = looked_at(run, 5, **{"READ-1": "", "READ-2": ""})
    run, acts = looked_at(run, 10, **{"1-ASK": "go on"})
    assert acts == ["ask TC-1-2-ASK"]


def test_a_run_makes_no_more_tasks_than_it_may() -> None:
    run = replace(not_begun(workflow(SPENDS), PEOPLE, {"read": 4}), most_tasks=3)
    run, _ = looked_at(run, 0)
    run, acts = looked_at(run, 0, **{"READ-1": "", "READ-2": ""})
    assert acts == ["begin TC-1-READ-3"]
    run, _ = looked_at(run, 0, **{"READ-3": ""})
    assert run.state is State.DEAD
    assert "it has made 3 tasks" in run.record.stops


def test_the_id_of_a_task_is_a_file_name_however_long_the_step_is() -> None:
    run = play(workflow(f"## {'long' * 8}\n- to: peter; for each: {{run}}\n\nx {{number}}\n"), **{"long" * 8: 9})
    assert len(set(begun(run))) == 9
    assert all(len(name) <= 64 for name in begun(run))


# --- cut off at any point


def crashed(flow: Workflow, script: Script, totals: dict[str, int], seed: int) -> tuple[list[TaskId], RunRecord, State]:
    """A run whose ticks are cut off at random: after `advance`, or between two actions. What it made, and its end."""
    chance, made, now = Random(seed), list[TaskId](), START
    run: WorkflowRun = not_begun(flow, PEOPLE, totals)
    ends = dict[TaskId, StepTask]()
    said = dict[str, int]()
    for _ in range(3_000):
        now += timedelta(seconds=1)
        record = advance(run, now)
        if chance.random() < 0.2:
            continue  # killed before the record was written
        run = replace(run, record=record)
        for action in wanted(run, record):
            if chance.random() < 0.3:
                break  # killed between two actions
            tasks = dict(run.tasks)
            if action.act is RunAct.FINISH:
                return made, record, action.state or State.DONE
            if action.act in (RunAct.CLOSE, RunAct.CANCEL) and action.task:
                tasks.pop(action.task)
            elif action.task:
                made.append(action.task)
                tasks[action.task] = StepTask(id=action.task, state=State.IN_PROGRESS)
                fails = action.number in script.fails.get(action.step, ())
                answers = script.says.get(action.step, ("",))
                number = said[action.step] = said.get(action.step, -1) + 1
                answer = answers[min(number, len(answers) - 1)] or None
                state = State.DEAD if fails else State.DONE
                ends[action.task] = StepTask(id=action.task, state=state, answer=answer)
            run = replace(run, tasks=tasks)
        over = [task for task in run.tasks if chance.random() < 0.5]
        run = replace(run, tasks={**run.tasks, **{task: ends[task] for task in over}})
    pytest.fail(f"the run of seed {seed} did not end")


@each(
    "name, script, totals",
    [
        ("sequential", Script(), {}),
        ("map-reduce", Script(fails={"read": frozenset({2, 9, 17})}), {"read": 24}),
        ("manager-worker", Script(says={"look": ("more", "enough")}), {"work": 4}),
        ("branch", Script(says={"sort": ("bug",)}), {}),
        ("hand-off", PASSED_ON, {}),
        ("review-loop", Script(says={"review": ("redo", "send")}), {}),
    ],
)
def test_a_run_that_is_cut_off_makes_every_task_once_and_ends_the_same(
    name: str, script: Script, totals: dict[str, int]
) -> None:
    flow = pattern(name)
    expected = play(flow, script, **totals)
    for seed in range(40):
        made, record, state = crashed(flow, script, totals, seed)
        assert len(set(made)) == len(made), f"seed {seed} made a task twice"
        assert sorted(name.removeprefix("TC-1-").lower() for name in made) == sorted(begun(expected)), f"seed {seed}"
        words = {step: it.word for step, it in record.steps.items()}
        assert (words, state) == ({step: it.word for step, it in expected.record.steps.items()}, expected.state)


def test_the_planner_says_when_a_deadline_is_over() -> None:
    flow = workflow("## a\n- to: peter; within: 1h\n\nx\n")
    run = not_begun(flow, PEOPLE, {})
    assert next_due(replace(run, record=advance(run, START))) == START + timedelta(hours=1)


def test_a_run_that_has_ended_and_was_resumed_is_left_to_the_command_that_resumes_it() -> None:
    settings = config.parse(b'[workspace]\ncoordinator = "sam"\n[agents.sam]\n')
    failed = replace(not_begun(workflow(SPENDS), PEOPLE, {"read": 4}), state=State.DEAD)
    resumed = replace(failed, record=RunRecord(started=START, is_resumed=True))
    assert list(plan_workflows(Snapshot(settings=settings, runs=(resumed,)), START)) == []
    cancelled = replace(failed, state=State.CANCELLED)
    (action,) = plan_workflows(Snapshot(settings=settings, runs=(cancelled,)), START)
    assert action.details["record"] == RunRecord(ended=START, outcome=State.CANCELLED), "nothing of it begins"
