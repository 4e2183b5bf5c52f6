"""Who looks at the journal again reads what is new in it, and sees what somebody who has just come sees."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.office import TEAM, Office


def line(office: Office, action: str, agent: str) -> str:
    at = office.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'{{"timestamp":"{at}","action":"{action}","agent":"{agent}"}}\n'


CHANGES: dict[str, Callable[[str, str], str]] = {
    "grown": lambda text, new: text + new,
    "grown by a torn line": lambda text, new: text + new[:20],
    "grown after a torn line": lambda text, new: text + new[:20] + "\n" + new,
    "not changed": lambda text, new: text,
    "without its first line": lambda text, new: text.partition("\n")[2],
    "with its first line changed": lambda text, new: text.replace('"fail"', '"done"', 1),
    "emptied": lambda text, new: "",
    "begun anew": lambda text, new: new,
}


@pytest.mark.parametrize("change", CHANGES)
def test_however_the_journal_was_changed_it_is_seen_as_by_one_who_reads_it_for_the_first_time(
    tmp_path: Path, change: str
) -> None:
    office = Office(tmp_path / "sam", TEAM)
    path = f"audit/{office.clock.now():%Y-%m-%d}.jsonl"
    office.write(path, line(office, "fail", "peter") + line(office, "done", "iris") + line(office, "fail", "peter"))
    snapshots = office.app().snapshots
    assert [len(ends) for ends in snapshots.outcomes().values()] == [2, 1]

    for _ in range(2):
        office.write(path, CHANGES[change]((office.root / path).read_text(), line(office, "fail", "iris")))

        assert snapshots.outcomes() == office.app().snapshots.outcomes()
