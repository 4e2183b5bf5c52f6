"""Heartbeats that are killed again and again while events arrive, each key three times: each is handled once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs import often
from tests.support.office import TEAM, Office

EVENTS = 60
CONFIG = f"""{TEAM}
[limits]
unread = 10000
[events.order]
do = {{ task = "Pack it", type = "bug" }}
at_once = 1000
"""
FLOW = "---\nstarts on: order\ninputs: [sum]\n---\n## look\n- to: iris\n\nLook at {sum}\n"


@pytest.mark.proof
def test_each_key_is_handled_once_however_often_heartbeats_are_killed(
    tmp_path: Path, tried: Callable[[str, str, int, int], None]
) -> None:
    office, chance = Office(tmp_path / "sam", CONFIG), random.Random(7)
    office.write("workflows/packing.md", FLOW)
    (office.root / "events/new").mkdir(parents=True)
    left = [(key, copy) for key in range(EVENTS) for copy in range(3)]
    chance.shuffle(left)
    kills, wanted = 0, often(60)
    while kills < wanted or left or os.listdir(office.root / "events/new") or office.names("events/cur"):
        for key, copy in [left.pop() for _ in range(min(len(left), 20))]:
            part = office.root / f"{key}-{copy}.part"
            part.write_text(json.dumps({"type": "order", "key": key, "sum": 3}))
            part.rename(office.root / "events/new" / f"{key}-{copy}.json")
        command = [sys.executable, "-m", "claw_files", "-C", str(office.root), "heartbeat"]
        beat = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kills < wanted:
            time.sleep(chance.uniform(0.1, 0.8))
            beat.send_signal(signal.SIGKILL)
            kills += 1
        assert beat.wait() in (0, -signal.SIGKILL)

    made = [name for name in office.names("status") if name.startswith("tc-") and not name.endswith("-look.md")]
    runs = [name for name in made if name.startswith("tc-packing-")]
    assert (len(made), len(runs)) == (2 * EVENTS, EVENTS)
    given = office.boxes("peter")["new"]
    assert len(given) == len(set(given)) == EVENTS
    assert office.names("events/failed") == []
    done = office.names("events/done")
    assert (len(done), sum(name.endswith(".again") for name in done)) == (3 * EVENTS, 2 * EVENTS)
    tried(
        "an event is handled once for each key", "SIGKILL of heartbeats while every key arrives three times", kills, 0
    )
