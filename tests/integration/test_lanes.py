"""Two layers of concurrency with real processes: one run in a lane, so many in all; who waits learns what is ahead.

Order and overlap are read from what the runs' own files say; nothing here is measured against the clock on the wall.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, Run
from claw_files.policy.dispatch_queue import HoldReason, sentence
from claw_files.processes import StartOrder
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.testing.patience import until
from tests.support.office import TEAM, Office, python

SECOND = timedelta(seconds=1)
T = 0.5  # seconds that every worker takes

# Each leaves the nanoseconds of its beginning and end: run.md has whole seconds only.
WORKS = f"""
import os, time
env = {{key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}}
began = time.monotonic_ns()
while env["label"].startswith("gated") and not os.path.exists("go-" + env["label"]): time.sleep(0.01)
if not env["label"].startswith("gated"): time.sleep({T})
with open(f"checkpoints/subagent-{{env['label']}}.md", "w") as file:
    file.write(f"---\\nrun: {{env['run']}}\\nstatus: done\\n---\\n{{began}} {{time.monotonic_ns()}}\\n")
"""
READS = """
import os, time
with open("lane.txt", "a") as file: file.write(os.environ["CLAWFILES_RUN"] + " begins\\n")
while not os.path.exists("go-lane"): time.sleep(0.01)
with open("lane.txt", "a") as file: file.write(os.environ["CLAWFILES_RUN"] + " ends\\n")
"""


CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.reader]
model = "small"
{python(READS)}
[agents.research]
kind = "worker"
{python(WORKS)}

[limits]
runs = 4
spawns_per_minute = 100
per_model = {{ small = "2/min" }}
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    made.stop()


def spawn(office: Office, *labels: str) -> None:
    """Workers that were spawned by sam, a second apart, and not started yet."""
    for label in labels:
        office.clock.advance(SECOND)
        order = SpawnOrder(text=f"Look into {label}", label=label, size="S")
        office.app().delegations.spawn(order, AgentId("sam"))


def live(office: Office) -> list[Run]:
    return [run for run in office.app().runtime.live() if run.alive]


def labels(office: Office, runs: list[Run]) -> list[str]:
    return sorted(str(office.task(run.task or "").label) for run in runs)


def tick_until_all_have_a_result(office: Office, names: list[str]) -> None:
    """The loop that a daemon goes through: a tick, and another as soon as a run has ended."""
    files = [f"checkpoints/subagent-{name}.md" for name in names]
    until(lambda: all(map(office.exists, files)), "the workers come to an end", between=office.tick)
    office.runs_end()


def times(office: Office, names: list[str]) -> list[tuple[int, int]]:
    """When each worker began and ended, by its own monotonic clock."""
    texts = [office.read(f"checkpoints/subagent-{name}.md").splitlines()[-1] for name in names]
    return [(int(began), int(ended)) for began, ended in map(str.split, texts)]


def most_at_once(spans: list[tuple[int, int]]) -> int:
    return max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)


def test_of_five_at_once_four_start_and_the_fifth_when_the_first_ends(office: Office) -> None:
    spawn(office, *(f"gated{n}" for n in range(1, 6)))

    office.tick()
    assert labels(office, live(office)) == ["gated1", "gated2", "gated3", "gated4"]
    office.tick()
    assert len(live(office)) == 4
    (fifth,) = office.app().snapshots.waits()
    assert (fifth.held_by, len(fifth.runs), fifth.ahead) == (HoldReason.RUNS, 4, 0)
    said = sentence(fifth, office.app().when)
    assert said.startswith("waits for limits.runs since ")
    assert "ago), behind 4 runs (" in said or "(now), behind 4 runs (" in said
    explained = office.app().explaining.explain(fifth.message.task or "")
    assert explained.wait == fifth

    office.write("go-gated3", "")
    office.until(lambda: len(live(office)) == 3, "the third has ended")
    office.tick()

    assert labels(office, live(office)) == ["gated1", "gated2", "gated4", "gated5"]
    assert office.app().snapshots.waits() == ()
    for n in range(1, 6):
        office.write(f"go-gated{n}", "")


def test_the_last_three_of_seven_equal_runs_wait_for_the_first_four(office: Office) -> None:
    names = [f"seven{n}" for n in range(7)]
    spawn(office, *names)

    tick_until_all_have_a_result(office, names)

    spans = times(office, names)
    assert most_at_once(spans) == 4, "four really ran side by side, and never a fifth"
    first_ends = sorted(ended for _, ended in spans[:4])
    assert all(began > first_ends[0] for began, _ in spans[4:])
    seventh = spans[6][0] - min(began for began, _ in spans)
    assert seventh >= T * 1e9, "the seventh waited the length of one"


def test_twenty_of_equal_length_take_five_waves(office: Office) -> None:
    names = [f"twenty{n:02}" for n in range(20)]
    spawn(office, *names)

    tick_until_all_have_a_result(office, names)

    spans = sorted(times(office, names))
    assert most_at_once(spans) == 4
    for place in range(4, 20):
        earlier = sorted(ended for _, ended in spans[:place])
        assert spans[place][0] > earlier[place - 4], "each begins only when one of those before it has ended"
    assert max(ended for _, ended in spans) - spans[0][0] >= 5 * T * 1e9, "five waves"
    assert [line["task"] for line in office.audit(action="wake")] == [f"TC-{n}" for n in range(1, 21)]


def test_one_lane_has_one_run_at_a_time_in_the_order_in_which_its_messages_were_sent(office: Office) -> None:
    for text in ("first", "second", "third"):
        office.clock.advance(SECOND)
        office.app().messages.send(AgentId("sam"), AgentId("reader"), text)
    office.tick()
    office.tick()

    second, third = office.app().snapshots.waits()
    assert (second.held_by, second.ahead, third.ahead) == (HoldReason.LANE, 0, 1)
    assert third.messages == (second.message.id,)
    assert len(live(office)) == 1

    office.write("go-lane", "")
    office.runs_end()
    office.tick()
    office.runs_end()

    told = office.read("lane.txt").splitlines()
    assert [line.split()[1] for line in told] == ["begins", "ends"] * 2
    (third,) = office.app().snapshots.waits()
    assert third.held_by is HoldReason.MODEL, "its model has had its two runs in this minute"
    assert third.until is not None
    office.clock.advance(third.until - office.clock.now() - SECOND)
    assert "wake" not in " ".join(office.acts())
    assert "wake" in " ".join(office.acts(SECOND))


def test_the_rate_of_a_model_is_kept_by_a_program_that_was_just_started(office: Office) -> None:
    for name in ("a", "b", "c"):
        order = SpawnOrder(text="x", label=name, size="S", model="small")
        office.app().delegations.spawn(order, AgentId("sam"))
    woken = office.tick().woken
    assert woken == (AgentId("research"),)

    (held,) = office.app().snapshots.waits()  # every App reads the journal anew, as a new process does

    assert (held.held_by, held.model) == (HoldReason.MODEL, "small")
    assert held.until is not None
    assert timedelta(seconds=58) < held.until - office.clock.now() <= timedelta(seconds=61)


def test_a_worker_of_which_two_may_run_keeps_its_third_waiting_though_slots_are_free(office: Office) -> None:
    office.write("clawfiles.toml", CONFIG.replace('kind = "worker"', 'kind = "worker"\nruns = 2'))
    spawn(office, "gated1", "gated2", "gated3")

    office.tick()

    (third,) = office.app().snapshots.waits()
    assert (third.held_by, len(third.runs)) == (HoldReason.AGENT, 2)
    for n in (1, 2, 3):
        office.write(f"go-gated{n}", "")


def test_a_message_that_names_another_receiver_is_for_whose_inbox_it_lies_in_and_stops_no_tick(office: Office) -> None:
    head = "---\nid: x\nkey: {}\nkind: announce\nfrom: sam\nto: {}\n---\nhello\n"
    office.write("go-lane", "")
    for name, to in (("a", "ghost"), ("b", "peter"), ("c", "reader")):
        office.write(f"inbox/reader/new/{name}.md", head.format(name, to))

    for _ in range(3):
        office.tick(timedelta(minutes=2))
        office.runs_end()

    assert office.box("reader") == []
    assert office.boxes("peter") == {}
    assert [line["key"] for line in office.audit(action="wake")] == ["a-s1", "b-s1", "c-s1"]


def test_a_command_that_wakes_while_another_is_about_to_start_a_run_starts_none_over_the_limit(tmp_path: Path) -> None:
    """The first has seen that nothing runs, and has not started its run yet: without the tick's lock both would."""
    config = CONFIG.replace("runs = 4", "runs = 1").replace("[agents.research]", f"[agents.other]\n{python(READS)}[x]")
    office = Office(tmp_path / "sam", config.partition("[x]")[0] + "\n[limits]\nruns = 1\n")
    for agent in ("reader", "other"):
        office.app().messages.send(AgentId("sam"), AgentId(agent), "look")
    child = os.fork()
    if child == 0:
        try:
            app = office.app()
            start = app.runtime.start

            def slowly(order: StartOrder) -> bool:
                (office.root / "planned").touch()
                until(lambda: (office.root / "go").exists(), "the other has tried")
                return start(order)

            vars(app.runtime)["start"] = slowly
            app.heartbeat.wake()
        finally:
            os._exit(0)
    until(lambda: (office.root / "planned").exists(), "the first has planned")

    woken = office.app().heartbeat.wake()

    (office.root / "go").touch()
    os.waitpid(child, 0)
    started = len(office.app().runtime.live())
    (office.root / "go-lane").touch()
    office.stop()
    assert (woken, started) == ((), 1)
