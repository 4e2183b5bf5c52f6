"""The tables of workflows: limits, and which version of which workflow is run."""

import pytest

from claw_files import config
from claw_files.config import WorkflowPin
from claw_files.core.errors import InvalidConfig

HEAD = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n'


def parsed(text: str) -> config.Settings:
    return config.parse((HEAD + text).encode())


def test_pins_stand_beside_the_limits() -> None:
    found = parsed(
        "[workflows]\nruns = 5\n[workflows.content]\nuse = 2\n[workflows.desk]\nsplit = { 10 = 30, 3 = 70 }\n"
    ).workflows
    assert (found.runs, found.tasks, found.depth, found.at_once) == (5, 20_000, 3, 100)
    assert found.pins == {"content": WorkflowPin(use=2), "desk": WorkflowPin(split=((3, 70), (10, 30)))}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[workflows.x]\nsplit = { 2 = 50, 3 = 40 }", "line 5: workflows.x.split: .*adds up to 90 percent, not to 100"),
        ("[workflows.x]\nsplit = { a = 100 }", "wants versions with whole numbers of percent"),
        ("[workflows.x]\nsplit = { 2 = 100.0 }", "wants versions with whole numbers of percent"),
        ("[workflows.x]\nsplit = { 2 = -50, 3 = 150 }", "wants versions with whole numbers of percent"),
        ("[workflows.x]\nsplit = { 0 = 100 }", "wants versions with whole numbers of percent"),
        ("[workflows.x]\nsplit = 7", "wants versions with whole numbers of percent"),
        ("[workflows.x]\nuse = 0", "must be a whole number, 1 or more"),
        ("[workflows.x]\nuse = 2\nsplit = { 2 = 100 }", "has `use` and `split`; they exclude each other"),
        ("[workflows.x]\nuze = 2", "unknown key; did you mean `use`"),
        ("[workflows]\nruns = 0", "must be a whole number, 1 or more"),
    ],
)
def test_what_is_wrong_with_a_pin_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        parsed(text)
