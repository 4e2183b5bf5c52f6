"""How runs of workflows went: time, cost, outcome, answers, where they waited; and what that can tell. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from math import ceil, comb, floor, log10, sqrt

from claw_files.core.model import State, TaskId, Value
from claw_files.core.workflow import DONE, FAILED, SKIPPED, RunRecord

CHANCE = 0.05  # so rarely chance alone shows a difference that is called one
POWER = 0.8  # so often a difference of that size is seen


class RunFigures(Value, frozen=True):
    """One run of a workflow."""

    workflow: str
    record: RunRecord
    cost: float | None = None  # None: nobody reported any


class Spread(Value, frozen=True):
    """The median of some values, and the quartiles around it."""

    count: int
    median: float
    low: float
    high: float


class WorkflowFigures(Value, frozen=True):
    """What some runs have in common. The names of the fields are the keys of its JSON; lengths are in seconds."""

    ended: int  # done or dead; what was cancelled tells nothing of the workflow
    done: int
    open: int
    time: Spread | None
    cost: Spread | None
    total_cost: float | None
    answers: dict[
        str, dict[str, int]
    ]  # how often a step gave each answer in its first pass, where it was asked for one
    waited_most: str | None  # the step that took longest, by its median
    waited: Spread | None


def figures(runs: Collection[RunFigures]) -> WorkflowFigures:
    """The figures of all these runs together."""
    ended = [run for run in runs if run.record.outcome in (State.DONE, State.DEAD)]
    answers, took = defaultdict[str, Counter[str]](Counter), defaultdict[str, list[float]](list)
    for record in (run.record for run in ended):
        for step, state in record.steps.items():
            if word := record.first.get(step) or state.word:
                answers[step][word] += 1
            if state.since and state.began:
                took[step].append((state.since - state.began).total_seconds())
    times = [(it.ended - it.started).total_seconds() for run in ended if (it := run.record).ended and it.started]
    costs = [run.cost for run in ended if run.cost is not None]
    waits = {step: spread for step in sorted(took) if (spread := _spread(took[step]))}
    longest = max(waits, key=lambda step: waits[step].median, default=None)
    return WorkflowFigures(
        ended=len(ended),
        done=sum(run.record.outcome is State.DONE for run in ended),
        open=sum(run.record.outcome is None for run in runs),
        time=_spread(times),
        cost=_spread(costs),
        total_cost=round(sum(costs), 6) if costs else None,
        answers={step: dict(found) for step, found in answers.items() if set(found) - {DONE, FAILED, SKIPPED}},
        waited_most=longest,
        waited=waits.get(longest or ""),
    )


def by_workflow(runs: Iterable[RunFigures], since: datetime) -> dict[str, WorkflowFigures]:
    """The figures of each workflow, of the runs that are open or ended since."""
    groups = defaultdict[str, list[RunFigures]](list)
    for run in runs:
        if run.record.ended is None or run.record.ended >= since:
            groups[run.workflow].append(run)
    return {name: figures(groups[name]) for name in sorted(groups)}


def _spread(values: Sequence[float]) -> Spread | None:
    order, last = sorted(values), len(values) - 1
    if not order:
        return None
    median = (order[last // 2] + order[(last + 1) // 2]) / 2
    return Spread(count=len(order), median=median, low=order[round(last / 4)], high=order[round(last * 3 / 4)])


# --- what a difference of two shares tells


def verdict(good: int, of: int, other_good: int, of_other: int) -> str:
    """Whether two shares differ by more than chance, in words; "" where one of them is of nothing."""
    if not of or not of_other:
        return ""
    if (chance := by_chance(good, of, other_good, of_other)) < CHANCE:
        return f"hardly by chance (p = {max(chance, 0.001):.3f})"
    if good * of_other == other_good * of:
        return "no difference so far"
    share, other = good / of, other_good / of_other
    least = runs_to_tell(share, other)
    while by_chance(round(share * least), least, round(other * least), least) >= CHANCE:  # the formula is for many
        least += 1
    unit = 10 ** max(floor(log10(least)) - 1, 0)
    return f"too few to tell: about {ceil(least / unit) * unit} on each side would show it"


def by_chance(good: int, of: int, other_good: int, of_other: int) -> float:
    """How often two groups without a difference would differ as much as these, or more.

    Source: Fisher's exact test, two-sided: the sum of the tables that are no more likely.
    """
    least, most = max(0, good + other_good - of_other), min(of, good + other_good)
    weights = {it: comb(of, it) * comb(of_other, good + other_good - it) for it in range(least, most + 1)}
    return sum(it for it in weights.values() if it <= weights[good]) / sum(weights.values())


def runs_to_tell(share: float, other: float, power: float = POWER) -> int:
    """How many runs on each side show a difference of these shares, which are not the same, at the level `CHANCE`.

    Source: sample size for two proportions; Fleiss, "Statistical Methods for Rates and Proportions" (1981), chapter 3,
    without the correction for continuity.
    """
    from statistics import NormalDist

    level, seen = (NormalDist().inv_cdf(it) for it in (1 - CHANCE / 2, power))
    mean, each = (share + other) / 2, share * (1 - share) + other * (1 - other)
    return ceil(((level * sqrt(2 * mean * (1 - mean)) + seen * sqrt(each)) / (share - other)) ** 2)


def runs_of(task: TaskId, runs: Collection[str]) -> Iterator[str]:
    """The runs that made the task, itself included, the outermost first: their ids are how the task's begins.

    Args:
        runs: their ids in lower case.
    """
    parts = task.lower().split("-")
    heads = ("-".join(parts[:number]) for number in range(1, len(parts) + 1))
    return (head for head in heads if head in runs)
