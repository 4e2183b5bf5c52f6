"""One real gateway for all tests here, and a workspace of its own for each; `make test-openclaw` runs them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .model import Model, Rule
from .stage import Gateway, Team

TASK = r"\b(?P<task>TC-\d+): “?(?P<title>[^\n]*)"
FILE = r".*?`status/(?P<file>tc-\d+\.md)`"
GIVEN = r".*?write: `(?P<given>[^`]*?) \.\.\.`"  # what its commands are to be given


def write(how: str) -> dict[str, object]:
    return {"tool": "write", "args": {"path": "status/{file}", "content": f"{{task}}: DONE ({how})\n"}}


RULES = [
    Rule(r"TC-\d+: “?TALK", [{"say": "I shall do it some time."}]),
    Rule(r"(?=.*TC-\d+: “?SLOWLY)" + TASK + FILE, [
        {"tool": "exec", "args": {"command": "sleep 6"}}, write("slowly"), {"say": "slow and done."},
    ]),
    Rule(r"(?=.*TC-\d+: “?COMMAND)" + TASK + GIVEN, [
        {"tool": "exec", "args": {"command": "{given} claim {task}"}},
        {"tool": "exec", "args": {"command": "{given} done {task} 'by command'"}},
        {"say": "done by command."},
    ]),
    Rule(TASK + FILE, [write("looked at it"), {"say": "{task} is done."}]),
    Rule(r"CORRECTION", [{"say": "corrected."}]),
    Rule(r"Follow the heartbeat monitor", [{"say": "NO_REPLY"}]),
]  # fmt: skip


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    made = Model(RULES)
    yield made
    made.close()


@pytest.fixture(scope="session")
def gateway(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is up; a test that stops it starts it again."""
    if shutil.which("openclaw", path=os.environ.get("OC_PATH", "")) is None:
        pytest.skip("no OpenClaw: `make test-openclaw` installs it")
    made = Gateway(tmp_path_factory.mktemp("openclaw"), model.port)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def team(gateway: Gateway, model: Model, tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path, gateway)
    shutil.rmtree(gateway.workspace("peter") / "status", ignore_errors=True)
    model.requests.clear()
    yield made
    made.stop()
