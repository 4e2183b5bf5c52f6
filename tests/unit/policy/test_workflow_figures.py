"""Figures of runs, and what a difference between two versions is able to tell."""

from datetime import UTC, datetime, timedelta

import pytest

from claw_files.core.model import State, TaskId
from claw_files.core.workflow import RunRecord, StepState
from claw_files.policy.workflow_figures import (
    RunFigures,
    by_chance,
    by_workflow,
    figures,
    runs_of,
    runs_to_tell,
    verdict,
)

AT = datetime(2026, 3, 7, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("share", "other", "power", "runs"),
    [  # R: ceiling(power.prop.test(p1=, p2=, power=)$n)
        (0.5, 0.75, 0.9, 77),
        (0.5, 0.6, 0.8, 388),
        (0.6, 0.5, 0.8, 388),
        (0.15, 0.3, 0.8, 121),
        (0.25, 0.75, 0.8, 15),
    ],
)
def test_the_runs_that_show_a_difference_are_those_of_the_textbook(
    share: float, other: float, power: float, runs: int
) -> None:
    assert runs_to_tell(share, other, power) == runs


@pytest.mark.parametrize(
    ("table", "chance"),
    [  # Fisher's tea, Wikipedia's students, the whales and sharks of SciPy's manual
        ((3, 4, 1, 4), 0.4857),
        ((1, 10, 11, 14), 0.002759),
        ((8, 10, 1, 6), 0.0350),
        ((0, 5, 0, 5), 1.0),
        ((360, 410, 361, 380), 0.0004),
    ],
)
def test_chance_is_that_of_fishers_exact_test(table: tuple[int, int, int, int], chance: float) -> None:
    assert by_chance(*table) == pytest.approx(chance, rel=0.02, abs=0.00005)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ((36, 41, 36, 38), "too few to tell: about 260 on each side would show it"),
        ((3, 4, 1, 4), "too few to tell: about 15 on each side would show it"),
        ((3, 3, 0, 3), "too few to tell: about 4 on each side would show it"),
        ((5, 10, 10, 20), "no difference so far"),
        ((1, 10, 11, 14), "hardly by chance (p = 0.003)"),
        ((900, 1000, 100, 1000), "hardly by chance (p = 0.001)"),
        ((0, 0, 3, 4), ""),
    ],
)
def test_a_verdict_says_what_two_shares_tell(table: tuple[int, int, int, int], words: str) -> None:
    assert verdict(*table) == words


def run(minutes: int, outcome: State | None, cost: float | None, **words: str) -> RunFigures:
    ended = AT + timedelta(minutes=minutes) if outcome else None
    steps = {name: StepState(word=word, began=AT, since=ended) for name, word in words.items()}
    record = RunRecord(started=AT, ended=ended, outcome=outcome, steps=steps, first={"look": "redo"} if cost else {})
    return RunFigures(workflow="content", record=record, cost=cost)


def test_figures_hold_the_middle_and_the_quarters_of_what_ended() -> None:
    runs = [run(it, State.DONE, it / 10, draft="done", look="publish") for it in (10, 20, 30, 40)]
    runs += [run(50, State.DEAD, None, draft="failed"), run(1, State.CANCELLED, 9.0), run(1, None, None)]
    found = figures(runs)
    assert (found.ended, found.done, found.open, found.total_cost) == (5, 4, 1, 10.0)
    assert found.time is not None
    assert (found.time.median, found.time.low, found.time.high) == (1800, 1200, 2400)
    assert found.cost is not None
    assert (found.cost.count, found.cost.median) == (4, 2.5)
    assert found.answers == {"look": {"redo": 4}}, "the answer of the first pass; `draft` was not asked for a word"
    assert found.waited_most == "draft"


def test_figures_of_nothing_are_nothing() -> None:
    found = figures([])
    assert (found.ended, found.time, found.cost, found.waited_most, found.answers) == (0, None, None, None, {})


def test_each_workflow_has_the_runs_that_ended_lately_or_are_open() -> None:
    runs = [run(10, State.DONE, None), run(60, State.DONE, None), run(0, None, None)]
    found = by_workflow(runs, AT + timedelta(minutes=30))["content"]
    assert (found.ended, found.open) == (1, 1)


@pytest.mark.parametrize(
    ("task", "runs"),
    [
        ("TC-1-ARTICLE-DRAFT-2", ["tc-1", "tc-1-article"]),
        ("TC-1", ["tc-1"]),
        ("TC-10-DRAFT", []),
        ("TC-12", ["tc-12"]),
    ],
)
def test_the_id_of_a_task_names_its_runs(task: str, runs: list[str]) -> None:
    assert list(runs_of(TaskId(task), {"tc-1", "tc-1-article", "tc-12"})) == runs
