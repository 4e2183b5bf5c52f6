"""What a proof tried, and how long it may take: `make prove SHORT=1` tries a tenth as often.

A proof tells of itself by the fixture `tried`; `make prove` prints the table that `docs/explanation/proof.md` shows.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

SHORT = os.environ.get("CLAWFILES_PROVE") == "short"
Tried = tuple[str, str, int, int]  # the promise, how it was tried, tries, violations


def is_tried(step: int, of_five: int = 2) -> bool:
    """Whether a proof that kills a program at every step does so at this one: `make test` takes some of five."""
    return "CLAWFILES_PROVE" in os.environ or step % 5 in (0, 3, 1, 4, 2)[:of_five]


def some(cases: Sequence[Any], count: int) -> list[Any]:
    """The cases of a parameter: the first `count` for `make test`; the others, which are like them, are marked slow."""
    return [*cases[:count], *(pytest.param(case, marks=pytest.mark.slow) for case in cases[count:])]


def examples(count: int) -> int:
    """So many examples of a property in `make prove`, a tenth of them in `make test`."""
    return count if "CLAWFILES_PROVE" in os.environ else max(1, count // 10)


def often(count: int) -> int:
    """So often in a long proof, a tenth of it in a short one."""
    return max(1, count // 10) if SHORT else count


def table(found: Iterable[Tried]) -> str:
    """The table as Markdown, in the order in which promises were met; the tries of one promise are added up."""
    rows: dict[tuple[str, str], list[int]] = {}
    for promise, how, tries, violations in found:
        row = rows.setdefault((promise, how), [0, 0])
        row[0] += tries
        row[1] += violations
    head = ["| promise | how it was tried | tries | violations |", "|---|---|---:|---:|"]
    return "\n".join([*head, *(f"| {what} | {how} | {t:,} | {v:,} |" for (what, how), (t, v) in rows.items())])


def of_reports(reports: Iterable[Any]) -> list[Tried]:
    """What the tests of these reports tell that they tried."""
    return [value for report in reports for name, value in report.user_properties if name == "tried"]
