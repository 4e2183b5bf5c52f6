"""Races for what only one may do, each beside a process that deletes lock files as fast as it can.

Real processes and files. Each race is counted twice: by what the processes were told or wrote themselves, and by what
the workspace says afterwards. The long forms are for `make prove`.
"""

import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from claw_files.app.sender import Sender
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, TaskId
from claw_files.doctor.claim_proof import tidied
from claw_files.services.delegation.spawn_contract import SpawnOrder
from claw_files.services.tasks.lifecycle import NewTask
from tests.integration.test_exclusion import crowd
from tests.integration.test_notify import Server, Team
from tests.proofs import often
from tests.support.office import TEAM, Office, python

CROWD = 6
TIDIED = ("locks", "claims", "runs")
SAM, PETER, ME = AgentId("sam"), AgentId("peter"), AgentId("dimitrios")
HOW = "6 processes at once beside one that deletes lock files"
Tell = Callable[[str, str, int, int], None]
short_and_long = pytest.mark.parametrize(
    "many", [1, pytest.param(often(20), marks=pytest.mark.slow)], ids=["once", "often"]
)

pytestmark = pytest.mark.proof


def beat(office: Office, times: int, number: int) -> None:
    """Ticks, whatever they meet: another one at work is no problem here."""
    for _ in range(times):
        with suppress(ClawError):
            office.app().heartbeat.tick()


def doubled(counts: Counter[str]) -> int:
    return sum(count - 1 for count in counts.values() if count > 1)


# --- runs

NAMES = [f"worker-{number}" for number in range(6)]
WORKS = """
import os, time
run, mine = os.environ["CLAWFILES_RUN"], "inside/" + os.environ["CLAWFILES_RUN"]
with open("starts.txt", "a") as file: file.write(run + "\\n")
open(mine, "w").close()
with open("seen.txt", "a") as file: file.write(f"{len(os.listdir('inside'))}\\n")
began = time.monotonic_ns()
time.sleep(0.15)
os.unlink(mine)
with open("spans.txt", "a") as file: file.write(f"{os.environ['CLAWFILES_AGENT']} {began} {time.monotonic_ns()}\\n")
"""
RUNS = 3
LIMITED = (
    TEAM.partition("[routes]")[0]
    + "".join(f'[agents.{name}]\nreports_to = "sam"\n{python(WORKS)}\n' for name in NAMES)
    + f"[limits]\nruns = {RUNS}\nspawns_per_minute = 1000\n"
)


@short_and_long
def test_runs_never_exceed_their_limit_nor_a_lane_its_one(tmp_path: Path, tried: Tell, many: int) -> None:
    office = Office(tmp_path / "team", LIMITED)
    (office.root / "inside").mkdir()
    each = 1 + many
    for name, _ in itertools.product(NAMES, range(each)):
        send(office, AgentId(name), "work")
    wanted = each * len(NAMES)

    def wake(number: int) -> None:
        end = time.monotonic() + 60 + 5 * many
        while len(lines(office, "spans.txt")) < wanted and time.monotonic() < end:
            with suppress(ClawError):
                office.app().heartbeat.wake()

    try:
        with tidied(str(office.root), TIDIED):
            crowd(wake, CROWD)
        spans = [line.split() for line in lines(office, "spans.txt")]
    finally:
        office.stop()

    assert len(spans) == wanted
    beginnings = [(int(began), 1) for _, began, _ in spans] + [(int(ended), -1) for _, _, ended in spans]
    at_once = max(itertools.accumulate(step for _, step in sorted(beginnings)))
    in_a_lane = max(overlap([(int(b), int(e)) for who, b, e in spans if who == name]) for name in NAMES)
    seen = [int(count) for count in lines(office, "seen.txt")]
    tried("no more runs at once than `limits.runs`", HOW, wanted, (at_once > RUNS) + sum(it > RUNS for it in seen))
    tried("one run in a lane", HOW, wanted, int(in_a_lane > 1))
    tried("one run for a message", HOW, wanted, doubled(Counter(lines(office, "starts.txt"))))


def test_a_run_whose_lock_file_was_deleted_still_takes_its_room(tmp_path: Path) -> None:
    office = Office(tmp_path / "team", LIMITED.replace("runs = 3", "runs = 1").replace("sleep(0.15)", "sleep(600)"))
    (office.root / "inside").mkdir()
    for name in NAMES[:2]:
        send(office, AgentId(name), "work")
    try:
        office.tick()
        for lock in (office.root / ".clawfiles/runs").iterdir():
            lock.unlink()

        office.tick()

        assert [run.agent for run in office.app().runtime.live()] == [NAMES[0]]
        assert len(office.names("runs")) == 1
    finally:
        office.stop()


def send(office: Office, to: AgentId, text: str) -> None:
    """Send at a moment of its own: a message's name is when it was sent, and the office's clock stands."""
    office.clock.advance(timedelta(microseconds=7))
    office.app().messages.send(SAM, to, text)


def overlap(spans: list[tuple[int, int]]) -> int:
    steps = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    return max(itertools.accumulate(step for _, step in steps))


def lines(office: Office, path: str) -> list[str]:
    return office.read(path).splitlines() if office.exists(path) else []


# --- people


@short_and_long
def test_an_item_of_a_file_arrives_once(tmp_path: Path, tried: Tell, many: int) -> None:
    office = Office(tmp_path / "team", TEAM + "[limits]\nunread = 100000\n")
    items = 60 * many
    for number in range(items):
        send(office, ME, f"item {number}.")

    with tidied(str(office.root), TIDIED):
        crowd(partial(until_told, office), CROWD)

    counts = Counter(re.findall(r"item \d+\.", office.read("announcements.md")))
    handed = Counter(str(line["key"]) for line in office.audit(action="announce"))
    assert (len(counts), len(handed)) == (items, items)
    tried("an item of a `file:` channel arrives once", HOW, items, doubled(counts) + doubled(handed))


def until_told(office: Office, number: int) -> None:
    while office.names("inbox/dimitrios/new"):
        beat(office, 1, number)


def test_messages_held_back_by_quiet_hours_are_in_one_brief_once(tmp_path: Path, tried: Tell) -> None:
    office = Office(tmp_path / "team", TEAM + '[quiet_hours]\nwindows = ["03:00-08:00"]\n')
    office.clock.set(office.clock.now().replace(hour=4))
    for number in range(30):
        send(office, ME, f"item {number}.")
    office.clock.set(office.clock.now().replace(hour=9))

    with tidied(str(office.root), TIDIED):
        crowd(partial(until_told, office), CROWD)

    told = Counter(re.findall(r"item \d+\.", office.read("announcements.md")))
    assert len(told) == 30
    tried("a brief tells each thing once", HOW, 30, doubled(told) + len(office.names("briefs")) - 1)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def test_a_post_is_delivered_once_by_several_senders(tmp_path: Path, server: Server, tried: Tell) -> None:
    team = Team(tmp_path / "team", [server.address])
    for number in range(12):
        team.send(f"item {number}.")
    app = team.app()
    for message in app.workspace.messages_in(AgentId("me"), "new"):
        app.people.announce(AgentId("me"), message.id)
    assert len(team.names("outbox")) == 12

    with tidied(str(team.root), TIDIED):
        crowd(lambda _: Sender(team.app()).run(), CROWD)

    assert len(team.names("outbox/sent")) == 12
    twice = sum(server.count(f"item {number}.") - 1 for number in range(12))
    tried("a post is delivered once while no sender dies", HOW, 12, twice)


# --- tasks


@short_and_long
def test_each_new_task_has_a_number_of_its_own(tmp_path: Path, tried: Tell, many: int) -> None:
    office, each = Office(tmp_path / "team"), 15 * many

    def make(number: int) -> list[str]:
        app = office.app("sam")
        return [str(app.tasks.new(NewTask(title=f"{number}-{n}"), SAM).id) for n in range(each)]

    with tidied(str(office.root), TIDIED):
        made = [task for told in crowd(make, CROWD) for task in told]

    titles = {office.task(task).title for task in made}
    assert len(titles) == len(made)
    tried("a task number is given once", HOW, len(made), doubled(Counter(made)))


@short_and_long
def test_a_task_that_several_delegate_has_one_line_one_message_and_one_holder(
    tmp_path: Path, tried: Tell, many: int
) -> None:
    office = Office(tmp_path / "team")
    tasks = [office.new(title=f"task {number}") for number in range(12 * many)]

    def give(number: int) -> list[tuple[str, str]]:
        agent, told = ("peter", "iris")[number % 2], []
        for task in tasks:
            with suppress(ClawError):
                office.app("sam").delegations.delegate(TaskId(task), SAM, AgentId(agent))
                told.append((task, agent))
        return told

    with tidied(str(office.root), TIDIED):
        told = [one for each in crowd(give, CROWD) for one in each]

    holders = {task: str(office.task(task).assignee) for task in tasks}
    watched = [(str(entry.task), str(entry.agent)) for entry in office.app().workspace.entries()]
    sent = Counter(re.sub(r".*Z-", "", name) for agent in ("peter", "iris") for name in office.box(agent))
    wrong = doubled(Counter(task for task, _ in told)) + doubled(sent) + sum(holders[task] != who for task, who in told)
    assert len(sent) == len(tasks)
    tried("a delegated task has one message and one holder", HOW, len(tasks), wrong)
    lost = len(set(watched) ^ set(holders.items())) + len(watched) - len(set(watched))
    tried("a task has one ledger line, which names its holder", HOW, len(tasks), lost)


SPAWNING = TEAM.partition("[routes]")[0] + '[agents.research]\nkind = "worker"\ncommand = ["true"]\n'


@short_and_long
def test_a_label_is_given_once_and_children_stay_within_their_limit(tmp_path: Path, tried: Tell, many: int) -> None:
    wrong = 0
    for round_ in range(many):
        office = Office(tmp_path / f"team-{round_}", SPAWNING + "[limits]\nchildren = 4\n")

        def spawn(number: int, office: Office = office) -> list[str]:
            told = []
            for label in ("one", "two", "three", "four", "five", "six"):
                with suppress(ClawError):
                    order = SpawnOrder(text="look", label=label, size="S", worker=AgentId("research"))
                    told.append(str(office.app("peter").delegations.spawn(order, PETER).label))
            return told

        with tidied(str(office.root), TIDIED):
            told = Counter(label for labels in crowd(spawn, CROWD) for label in labels)
        labels = Counter(office.task(name.removesuffix(".md")).label for name in office.names("status"))
        wrong += doubled(told) + doubled(labels) + (told.total() != 4) + (labels.total() != 4)
    tried("a label is used once, and spawns stay within `limits.children`", HOW, 6 * many, wrong)


SCHEDULED = TEAM + '[schedules.tidy]\ncron = "30 * * * *"\ndo = { task = "Tidy up" }\n'


def test_a_due_time_is_one_event_and_one_task_for_many_ticks_at_once(tmp_path: Path, tried: Tell) -> None:
    office = Office(tmp_path / "team", SCHEDULED)
    office.tick()
    for _ in range(5):
        office.clock.advance(timedelta(hours=1))
        office.settle()
        with tidied(str(office.root), TIDIED):
            crowd(partial(beat, office, 3), CROWD)

    tasks = [name for name in office.names("status") if "tidy" in name]
    events = [name for name in office.names("events/done") if name.count(".") == 3]
    asked = Counter(re.findall(r"TC-TIDY-\S+?(?=[ ,])", office.read("HEARTBEAT.md"), re.IGNORECASE))
    assert (len(tasks), len(events)) == (5, 5)
    tried("a due time is one event and one task", HOW, 5, doubled(asked))


def test_a_group_has_one_report(tmp_path: Path, tried: Tell) -> None:
    office = Office(tmp_path / "team", SPAWNING)
    for label in ("one", "two"):
        order = SpawnOrder(text="look", label=label, size="S", worker=AgentId("research"), group="week", group_size=2)
        task = office.app("peter").delegations.spawn(order, PETER).task
        office.app("sam").tasks.cancel(task, SAM)

    with tidied(str(office.root), TIDIED):
        crowd(partial(beat, office, 4), CROWD)

    reports = [name for box in ("new", "cur", "done") for name in office.box("peter", box) if ".report" in name]
    told = office.audit(action="report")
    assert reports
    tried("a group has one report", HOW, 1, len(reports) - 1)
    assert json.dumps([str(line["key"]) for line in told]).count("group.week.report") <= 1
