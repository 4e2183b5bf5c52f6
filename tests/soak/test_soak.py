"""A busy office with a daemon that is killed again and again; an independent checker looks at all that must be so.

`make soak` lets it go on for ten minutes, or `MINUTES=`; here it is a quarter of one.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import Home
from tests.soak.world import COMMANDED, World, stopped, told

MINUTES = float(os.environ.get("SOAK_MINUTES") or 0.25)
IS_LONG = MINUTES >= 2
LIFE_SECONDS, LOOK_SECONDS, WARM_SECONDS = (30.0, 10.0, 10.0) if IS_LONG else (6.0, 5.0, 3.0)


def doctor(home: Home) -> str:
    """What the doctor says: run without an agent, which would be probed."""
    return subprocess.run([*home.command, "doctor"], env=home.env, capture_output=True, text=True).stdout


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "team")
    yield made
    made.close()


@pytest.mark.timeout(MINUTES * 60 + 600)
def test_in_a_busy_office_nothing_is_lost_doubled_or_left_open(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(home, seed=int(os.environ.get("SOAK_SEED") or 7), warm_seconds=WARM_SECONDS)

    world.live(MINUTES * 60, LIFE_SECONDS, LOOK_SECONDS)

    assert (world.findings, world.problems) == ([], [])
    assert world.checker.rest() == []
    assert stopped(home) == 0
    assert doctor(home) == "nothing found\n"
    words = told(world.beside / "told.jsonl")
    made = {line["task"] for line in words if line["what"] == "new"}
    assert world.counts["kills"] >= 1 and world.counts["looks"] >= 2 and len(made) > len(COMMANDED)
    with capsys.disabled():
        print(f"\n  {len(made)} tasks, {len(home.names('runs'))} runs, {world.counts}")
