"""What the configuration says of events, and everything that is wrong with it at once."""

from datetime import timedelta

import pytest

from claw_files.config import EventHandler, InvalidConfig, parse
from tests.each import each

WORKERS = '[agents.research]\nkind = "worker"\n[agents.reader]\nkind = "worker"\n'
TEAM = f'[workspace]\ncoordinator = "sam"\n[agents.sam]\n{WORKERS}'


def test_a_handler_is_read_with_its_defaults() -> None:
    text = '[events]\nkeep = "60d"\n[events."github.push"]\ndo = { spawn = "research" }\nwith = { sha = "head.id" }\n'
    found = parse(f"{TEAM}{text}".encode()).events
    assert found.keep == timedelta(days=60)
    handler = EventHandler(event="github.push", spawn=("research",), given=(("sha", "head.id"),))
    assert found.handlers == {"github.push": handler}
    assert found.of("other") == EventHandler(event="other")


@each(
    "text, line, words",
    [
        ('[events."../x"]\ndo = { task = "x" }\n', 8, "is no type of events"),
        ('[events.x]\ndo = { task = "x", workflow = "y" }\n', 9, "must contain one of spawn, task and workflow"),
        ('[events.x]\ndo = { spawn = "reserch" }\n', 9, "did you mean `research`?"),
        ('[events.x]\ndo = { workflow = "y", text = "z" }\n', 9, "goes with spawn and task"),
        ('[events.x]\ndo = { worfklow = "y" }\n', 9, "did you mean `workflow`?"),
        ('[events.x]\nwith = "y"\n', 9, "must be a table"),
        ('[events.x]\nat_once = 0\n', 9, "1 or more"),
        ('[events.x]\npriority = "soon"\n', 9, "critical, high"),
        ('[events]\nx = 3\n', 9, "must be a table: [events.x]"),
        ('[schedules.x]\ncron = "@daily"\ndo = { workflow = "y", type = "z" }\n', 10, "goes with spawn and task"),
        ('[schedules.x]\ncron = "@daily"\ndo = { task = "y", with = { a = "b" } }\n', 10, "goes with workflow"),
        ('[schedules.x]\ncron = "@daily"\ndo = { task = "y", workflow = "z" }\n', 10, "exactly one of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidConfig) as wrong:
        parse(f"{TEAM}{text}".encode())
    assert [(number, words in said) for number, said in wrong.value.problems] == [(line, True)], wrong.value.problems
