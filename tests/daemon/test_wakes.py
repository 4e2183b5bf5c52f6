"""Two real agents that send two messages in each run: one message leads to so many runs and no more."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing.patience import until
from tests.support import office
from tests.support.office import python

from .conftest import Home

LIMIT = 10
# Says nothing of who it is: its variables are gone, as with programs that drop them.
TWICE = """
import os, subprocess
other = "pong" if os.environ["CLAWFILES_AGENT"] == "ping" else "ping"
for text in ("and you?", "and then?"):
    subprocess.run(["env", "-i", "PATH=" + os.environ["PATH"], "clawfiles", "send", other, text], check=False)
"""
TEAM = f"""{office.TEAM.partition("[routes]")[0]}
[agents.ping]
{python(TWICE)}
[agents.pong]
{python(TWICE)}
[limits]
wakes = {LIMIT}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "sam", TEAM)
    yield made
    made.close()


def told(home: Home) -> list[str]:
    """To whom it was said that the limit is reached."""
    lines = [json.loads(line) for path in home.root.glob("audit/*.jsonl") for line in path.read_text().splitlines()]
    return [line["agent"] for line in lines if line["action"] == "escalate" and "limits.wakes" in line["why"]]


@pytest.mark.parametrize("by", ["daemon", "cron"])
def test_two_agents_that_send_two_messages_in_each_run_stop_at_the_limit(home: Home, by: str) -> None:
    if by == "daemon":
        home.start()
    home.ok("send", "ping", "begin", by="dimitrios")

    def is_over() -> bool:
        if by == "cron":
            subprocess.run([*home.command, "heartbeat"], env=home.env, capture_output=True)
        return told(home) == ["dimitrios"] and not home.app().runtime.live()

    until(is_over, "the limit is reached, and said")
    for _ in range(3):
        home.ok("heartbeat")
        until(lambda: not home.app().runtime.live(), "nothing runs")

    assert len(list((home.root / "runs").iterdir())) == LIMIT
    assert told(home) == ["dimitrios"]
    assert list((home.root / "inbox/pong/new").iterdir()), "what was said is kept"
