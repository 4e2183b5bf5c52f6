"""What a day of looking costs: OpenClaw's own heartbeat beside ours, both with a real gateway and a scripted model.

    make bench-openclaw                       48 beats, one every 20 seconds, both days at the same time: 16 minutes
    BEATS=6 make bench-openclaw               a shorter day

The same three tasks reach the same agent on both days. On the first, OpenClaw's heartbeat wakes the coordinator's model
at each beat, which has nothing to do; on the second its heartbeat is off, and `clawfiles heartbeat` runs at each beat.
Requests are counted where they arrive, at the model; a token is four letters of a request.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from openclaw.model import Model, Rule
from openclaw.stage import TOKEN, Gateway, Team, wait_for

from claw_files.integrations.openclaw.gateway_client import Gateway as Client

WORK = Rule(r"(?P<task>TC-\d+): .*?`status/(?P<file>tc-\d+\.md)`", [
    {"tool": "write", "args": {"path": "status/{file}", "content": "{task}: DONE (looked at it)\n"}},
    {"say": "{task} is done."},
])  # fmt: skip
BEAT = Rule("Follow the heartbeat monitor", [{"say": "NO_REPLY"}])
LEDGER = "# HEARTBEAT\n\n## Delegations\n\n- TC-1 delegated to peter, check at 2026-03-07 10:00\n"


class Count(NamedTuple):
    """What arrived at the model in a day."""

    beats: int
    calls: int
    tokens: int
    idle_calls: int  # at beats, when there was nothing to do
    idle_tokens: int


def count(model: Model, beats: int) -> Count:
    idle = [one for one in model.requests if "Follow the heartbeat monitor" in one.turn]
    letters = sum(one.letters for one in idle)
    return Count(beats, len(model.requests), model.tokens, len(idle), letters // 4)


def theirs(folder: Path, beats: int, every: int) -> Count:
    """A day with OpenClaw's heartbeat for the coordinator's agent."""
    model = Model([WORK, BEAT])
    gateway = Gateway(folder, model.port, {"main": f"{every}s", "peter": "0m"}).start()
    try:
        gateway.cli("cron", "scratch", gateway.monitor("main"), "--set", LEDGER)
        model.requests.clear()
        begin = time.monotonic()
        for beat in range(1, beats + 1):
            if beat in tasks(beats):
                _tell(gateway, beat)
            time.sleep(max(0.0, begin + beat * every - time.monotonic()))
        return count(model, beats)
    finally:
        gateway.stop()
        model.close()


def _tell(gateway: Gateway, number: int) -> None:
    with Client(gateway.url, TOKEN) as client:
        message = f"TC-{number}: Look at the login\n\nWrite what you find into `status/tc-{number}.md`."
        target = {"agentId": "peter", "sessionKey": "agent:peter:main", "deliver": False}
        client.call("agent", {"message": message, "idempotencyKey": f"bench:{number}", **target})


def ours(folder: Path, beats: int, every: int) -> Count:
    """The same day with `clawfiles heartbeat` at each beat."""
    model = Model([WORK, BEAT])
    gateway = Gateway(folder, model.port).start()
    try:
        team = Team(folder, gateway)
        begin, made = time.monotonic(), list[str]()
        for beat in range(1, beats + 1):
            if beat in tasks(beats):
                made.append(team.task())
            time.sleep(max(0.0, begin + beat * every - time.monotonic()))
            team("heartbeat")
        for task in made:
            wait_for(f"{task} to be done", lambda task=task: team("heartbeat") is None or _is_done(team, task))
        return count(model, beats)
    finally:
        gateway.stop()
        model.close()


def _is_done(team: Team, task: str) -> bool:
    return team.shown(task)["status"] == "done"


def tasks(beats: int) -> set[int]:
    """The beats of a day at which a task comes up."""
    return {max(1, beats // 12), max(1, beats // 2), max(1, beats * 3 // 4)}


def table(first: Count, second: Count) -> str:
    """Both days as Markdown."""
    rows = ["| | OpenClaw's heartbeat | `clawfiles heartbeat` |", "|---|---|---|"]
    rows += [
        f"| {name} | {getattr(first, key):,} | {getattr(second, key):,} |"
        for name, key in (
            ("beats", "beats"),
            ("model calls at beats with nothing to do", "idle_calls"),
            ("tokens of these calls", "idle_tokens"),
            ("model calls in all, with those for the three tasks", "calls"),
            ("tokens in all", "tokens"),
        )
    ]
    return "\n".join(rows)


def both(folder: Path, beats: int, every: int) -> tuple[Count, Count]:
    """Both days at the same time."""
    found: dict[str, Count] = {}
    days = {"theirs": theirs, "ours": ours}
    threads = [
        threading.Thread(target=lambda n=name, d=day: found.update({n: d(folder / n, beats, every)}))
        for name, day in days.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found["theirs"], found["ours"]


if __name__ == "__main__":
    beats, every = int(os.environ.get("BEATS", "48")), int(os.environ.get("EVERY", "20"))
    with tempfile.TemporaryDirectory(prefix="clawfiles-bench-") as folder:
        print(table(*both(Path(folder), beats, every)))
