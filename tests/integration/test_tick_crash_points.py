"""A tick that dies before any of its writes, or between a write and its line in the journal; then others follow.

Whatever the crash left, the ticks after it must come to the same files as a tick that was never disturbed, tell nobody
anything twice, and leave no task in progress that nobody looks after. `docs/explanation/recovery.md` has the states.
"""

import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, State, TaskId, Usage
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.services.people.notifications import Outbox
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.services.workflows.resume import resume
from claw_files.services.workflows.runs import begin
from claw_files.storage.locks import Claims
from claw_files.system.disk_files import DiskFiles
from claw_files.system.processes import SystemProcesses
from claw_files.testing import Crash
from tests.proofs import is_tried
from tests.support.office import TEAM, Office

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

DIES = "raise SystemExit(3)"
WORKS = """
import os
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
with open(f"checkpoints/subagent-{env['label']}.md", "w") as file:
    file.write(f"---\\nlabel: {env['label']}\\nrun: {env['run']}\\ntask: {env['task']}\\nagent: {env['agent']}\\n"
               f"status: done\\noutputs: []\\n---\\nwhat was found\\n")
"""
CONFIG = f"""{TEAM}
checked = {{ to = ["peter"] }}

[agents.importer]
command = [{sys.executable!r}, "-c", "{DIES}"]
[agents.research]
kind = "worker"
command = [{sys.executable!r}, "-c", '''{WORKS}''']

[quiet_hours]
windows = ["03:00-08:00"]
"""
SCHEDULES = """
[schedules.report]
cron = "0 * * * *"
do = { spawn = ["research"] }
[schedules.tidy]
cron = "30 * * * *"
do = { task = "Tidy up" }
[agents.housekeeper]
[routes.unused]
to = ["peter"]
"""


class Fuse:
    """Counts what a tick does, and ends it before the n-th step."""

    def __init__(self, last: int) -> None:
        self.last, self.steps, self.where = last, 0, ""

    def step(self, what: str) -> None:
        self.steps += 1
        if self.steps == self.last:
            self.where = what
            raise Crash(what)


class FusedFiles(DiskFiles):
    """Dies before a write, or when it is made and not in the journal yet."""

    def __init__(self, fuse: Fuse, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fuse = fuse

    def commit(self, path: str, *args: Any, **more: Any) -> Any:
        self.fuse.step(f"commit {path}")
        return super().commit(path, *args, **more)

    def move(self, source: str, target: str, note: bytes | None) -> None:
        self.fuse.step(f"move {source}")
        super().move(source, target, note)

    def remove(self, path: str, note: bytes | None) -> None:
        self.fuse.step(f"remove {path}")
        super().remove(path, note)

    def append(self, path: str, line: bytes) -> None:
        self.fuse.step(f"append {path}")
        super().append(path, line)

    def folder(self, path: str) -> None:
        if path not in self.names(path.rpartition("/")[0]):
            self.fuse.step(f"folder {path}")
        super().folder(path)

    def _journal(self, bench: int, intent: Any, note: bytes | None) -> None:
        self.fuse.step(f"journal {intent.name}")
        super()._journal(bench, intent, note)


class FusedClaims(Claims):
    def __init__(self, fuse: Fuse, root: str) -> None:
        super().__init__(root, durable=False)
        self.fuse = fuse

    def reserve(self, *args: Any) -> None:
        self.fuse.step("reserve")
        super().reserve(*args)


class FusedRuntime(ProcessRunner):
    fuse: Fuse

    def start(self, order: Any) -> bool:
        self.fuse.step(f"start {order.run.id}")
        started = super().start(order)
        self.fuse.step(f"started {order.run.id}")
        return started


# --- what a tick finds


def hour_later(office: Office) -> None:
    office.clock.advance(HOUR)


def deliver(office: Office) -> None:
    office.new()
    office.write("HEARTBEAT.md", "# Mine\n- TC-1 delegated to peter, check at 2026-03-07 10:00\n- TC-2 -> iris\n")


def resend(office: Office) -> None:
    office.delegated("peter")
    office.app("peter").messages.inbox(AgentId("peter"))
    office.clock.advance(5 * MINUTE)


def next_agent(office: Office) -> None:
    office.delegated("peter")
    office.tick(5 * MINUTE)
    office.clock.advance(5 * MINUTE)


def close(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: DONE - PR #1\n")


def record(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: IN PROGRESS\n")


def carry(office: Office) -> None:
    office.delegated("peter")
    office.clock.advance(MINUTE)
    office.write("status/peter.md", "TC-1: DONE - PR #1\n")


def cancelled(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: CANCELLED\n")


def released(office: Office) -> None:
    office.delegated("peter")
    record(office)
    office.tick()
    office.add("status/tc-1.md", "TC-1: BACKLOG\n")


def fail(office: Office) -> None:
    office.delegated("importer", type=None)
    office.tick()
    office.runs_end()


def retry(office: Office) -> None:
    fail(office)
    office.tick()
    office.clock.advance(2 * MINUTE)


def dead_letter(office: Office) -> None:
    office.delegated("peter", type=None)
    office.write("definitions/tc-1.md", office.read("definitions/tc-1.md").replace("title:", "attempts: 1\ntitle:"))
    office.add("status/tc-1.md", "\nTC-1: FAILED - no access\n")


def reopen(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "Status: DONE\nOutput: ./report.md\n")


def review(office: Office) -> None:
    office.delegated("peter", type="reviewed")
    office.write("status/tc-1.md", "Status: DONE\n")


def ask(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: BLOCKED\nNeeds: iris - which port?\n")


def escalate(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: BLOCKED - no access\n")


def nudge(office: Office) -> None:
    record(office)
    office.tick()
    office.clock.advance(2 * HOUR)


def woken(office: Office) -> None:
    """A message that belongs to no task: only its waking moves it."""
    office.app().messages.send(AgentId("sam"), AgentId("importer"), "The mail server moves tonight.")


def announce(office: Office) -> None:
    send(office, "one", "two")


def send(office: Office, *texts: str) -> None:
    for text in texts:
        office.app().messages.send(AgentId("sam"), AgentId("dimitrios"), text)
        office.clock.advance(MINUTE)


def brief(office: Office) -> None:
    office.clock.set(office.clock.now().replace(hour=4))
    send(office, "the backup was slow", "the disk is full")
    office.app().messages.ask(AgentId("sam"), AgentId("dimitrios"), "May I delete it?")
    office.clock.set(office.clock.now().replace(hour=8))


def spawned(office: Office) -> None:
    for label in ("mail", "news"):
        order = SpawnOrder(text=label, label=label, size="S", group="g", group_size=2)
        office.app().delegations.spawn(order, AgentId("sam"))
    office.write("checkpoints/subagent-mail.md", "---\nlabel: mail\nstatus: done\n---\nof yesterday\n")


def finished(office: Office) -> None:
    spawned(office)
    office.tick()
    office.runs_end()


def turn(office: Office) -> None:
    """A worker that stays has answered, and was asked something more."""
    app = office.app()
    app.delegations.spawn(SpawnOrder(text="Read the mail", label="mail", size="S", mode="session"), AgentId("sam"))
    office.tick()
    office.runs_end()
    office.app().staying.send(AgentId("sam"), TaskId("TC-1"), "and the spam?")


def schedule(office: Office) -> None:
    office.add("clawfiles.toml", SCHEDULES)
    office.tick()  # counting starts
    office.clock.advance(HOUR)


def many(office: Office) -> None:
    """Several tasks at once: what one of them leaves must not stop the others."""
    for _ in range(3):
        office.delegated("peter", type=None)
    office.write("status/tc-1.md", "TC-1: DONE\n")
    office.write("status/tc-2.md", "TC-2: BLOCKED - no access\n")
    office.write("status/tc-3.md", "\x00\x01")


def outside(office: Office) -> None:
    """A person who is reached by a service, too."""
    config = office.read("clawfiles.toml")
    office.write("clawfiles.toml", config.replace('["file:', '["json://127.0.0.1:9/", "file:'))
    brief(office)
    send(office, "good morning")


def gone(office: Office) -> None:
    """A post for a channel that was taken out of the configuration: it is told, and set aside."""
    outside(office)
    office.tick()
    office.write("clawfiles.toml", CONFIG)


def chosen(office: Office) -> None:
    """Three boxes that a person has ticked: to approve, to send back, to answer."""
    office.add("clawfiles.toml", '[routes.asked]\nto = ["peter"]\nreview = "dimitrios"\n')
    for number in (1, 2):
        office.delegated("peter", type="asked")
        office.write(f"status/tc-{number}.md", f"TC-{number}: DONE\n")
    office.app().messages.ask(AgentId("iris"), AgentId("dimitrios"), "Which region?")
    for _ in range(3):
        office.tick(MINUTE)
    text = office.read("announcements.md")
    text = text.replace("[ ] approve TC-1", "[x] approve TC-1").replace("[ ] answer", "[x] answer")
    text = text.replace("[ ] reopen TC-2: ", "[x] reopen TC-2: no tests ")
    office.write("announcements.md", re.sub(r"(\[x\] answer .*)", r"\1 eu-west-1", text))


FLOW = """---
inputs: [pages]
at once: 3
---
## read
- to: peter; for each: {pages}; enough: 1

Read {item}

## sum
- to: iris; after: read; makes: sum.md; if it fails: ask

Sum up. {read.failed}

## nested
- workflow: inner; after: sum = done|failed
"""


def workflow(office: Office, text: str = FLOW) -> None:
    """A run that was begun by a command, and nothing else."""
    office.write("workflows/outer.md", text)
    office.write("workflows/inner.md", "## only\n- to: dimitrios\n\nIs it so?\n")
    app = office.app("sam")
    flow = app.workflows.sound("outer")
    begin(app.workspace, flow, app.workflows.copies(flow, "outer"), {"pages": "a, b, c, d"}, AgentId("sam"))


def workflow_items(office: Office) -> None:
    """Some items of a map are done, one failed, one is still to begin."""
    workflow(office)
    for _ in range(3):
        office.tick()
    for number in (1, 2):
        office.write(f"status/tc-1-read-{number}.md", f"TC-1-READ-{number}: DONE\n")
    office.app("sam").tasks.cancel(TaskId("TC-1-READ-3"), AgentId("sam"), "not wanted")


def workflow_nests(office: Office) -> None:
    """The step before a nested run is done."""
    workflow_items(office)
    for _ in range(3):
        office.tick()
    office.write("status/tc-1-read-4.md", "TC-1-READ-4: DONE\n")
    for _ in range(3):
        office.tick()
    office.write("flows/tc-1/sum.md", "4\n")
    office.write("status/tc-1-sum.md", "TC-1-SUM: DONE\n")


def workflow_ends(office: Office) -> None:
    """The last task of a nested run is done."""
    workflow_nests(office)
    for _ in range(5):
        office.tick()
    office.write("status/tc-1-nested-only.md", "TC-1-NESTED-ONLY: DONE\n")


def workflow_cancelled(office: Office) -> None:
    """A run was cancelled while items are at work."""
    workflow(office)
    for _ in range(3):
        office.tick()
    office.app("sam").tasks.cancel(TaskId("TC-1"), AgentId("sam"), "no longer")


EVENTS = """
[events.order]
do = { task = "Pack it", type = "bug" }
[events.query]
do = { spawn = "research" }
at_once = 1
"""


def event_starts(office: Office) -> None:
    """Files lie in events/: of two types, one twice, one that is no event, one that nothing handles."""
    office.add("clawfiles.toml", EVENTS)
    office.write(
        "workflows/ordered.md", "---\nstarts on: order\ninputs: [sum]\n---\n## a\n- to: peter\n\nLook: {sum}\n"
    )
    office.write("events/new/a.json", '{"type": "order", "key": "1", "sum": 3}')
    office.write("events/b.md", "---\ntype: order\nkey: 1\nsum: 3\n---\n")
    office.write("events/new/c.json", '{"type": "query", "key": "2"}')
    office.write("events/new/d.json", "{")
    office.write("events/new/e.json", '{"type": "noise", "key": "3"}')
    office.settle()
    office.clock.advance(MINUTE)


def schedule_runs(office: Office) -> None:
    """A due time that begins a run of a workflow. With two, the order of lines would differ after a crash."""
    office.write("workflows/watch.md", "---\ninputs: [site, text]\n---\n## a\n- to: peter\n\n{site}: {text}\n")
    do = '{ workflow = "watch", items = ["acme"], text = "prices", with = { site = "{item}" } }'
    office.add("clawfiles.toml", f'[schedules.watch]\ncron = "0 * * * *"\ndo = {do}\n')
    office.tick()  # counting starts
    office.clock.advance(HOUR)


def schedule_emits(office: Office) -> None:
    """A due time that makes an event which is handled."""
    office.add("clawfiles.toml", f'{EVENTS}\n[schedules.late]\ncron = "30 * * * *"\ndo = {{ event = "order" }}\n')
    office.tick()  # counting starts
    office.clock.advance(HOUR)


def workflow_out_of_money(office: Office) -> None:
    """Money is used up while items are left."""
    workflow(office, FLOW.replace("---\n", "---\nspend: 1\n", 1))
    for _ in range(3):
        office.tick()
    used = Usage(input=1, output=1, cost=2.0)
    office.app().workspace.note(
        Audit(JournalEvent.USAGE, task=TaskId("TC-1-READ-1"), key="tc-1-read-1.1-s1", usage=used)
    )
    office.write("status/tc-1-read-1.md", "TC-1-READ-1: DONE\n")


def workflow_gets_money(office: Office) -> None:
    """A person lets a run go on that has none."""
    workflow_out_of_money(office)
    for _ in range(3):
        office.tick()
    office.app("dimitrios").tasks.done(TaskId("TC-1-1-ASK"), AgentId("dimitrios"), answer="go on")


def workflow_resumed(office: Office) -> None:
    """A run with a failed map was resumed by a command, and nothing else."""
    workflow(office)
    for _ in range(3):
        office.tick()
    for number in (1, 2, 3):
        office.app("sam").tasks.cancel(TaskId(f"TC-1-READ-{number}"), AgentId("sam"), "not wanted")
    for _ in range(4):
        office.tick()
    office.app("sam").tasks.cancel(TaskId("TC-1-READ-4"), AgentId("sam"), "not wanted")
    for _ in range(4):
        office.tick()
    assert office.state("TC-1") is State.DEAD
    resume(office.app("sam").workspace, TaskId("TC-1"), AgentId("sam"))


@pytest.fixture(autouse=True)
def nobody_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sender does with the outbox is not the tick's."""
    monkeypatch.setattr(Outbox, "start", lambda *_: None)


SCENES: list[Callable[[Office], None]] = [
    deliver, resend, next_agent, close, record, carry, cancelled, released, fail, retry, dead_letter, reopen, review,
    ask, escalate, nudge, woken, announce, brief, spawned, finished, turn, schedule, many,
    outside, gone, chosen, workflow, workflow_items, workflow_nests, workflow_ends, workflow_cancelled,
    event_starts, schedule_runs, schedule_emits,
    workflow_out_of_money, workflow_gets_money, workflow_resumed,
]  # fmt: skip


# --- what must come of it

CHANGING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?|\d{8}T\d{6}Z"
    r"|^ *(generation|lease|status_hash): .*$|generation \d+|-{2,}|[0-9a-f]{8,}|pid: \d+|start_id: .*",
    re.MULTILINE,
)


def ends(office: Office) -> dict[str, str]:
    """Every file with its text, without times, numbers of generations, the journal and what is told from it."""
    found = {}
    for path, raw in office.tree().items():
        text = raw.decode("utf-8", "replace").partition("## History")[0]
        if not path.startswith("audit/") and not (path.startswith("runs/") and not path.endswith("message.md")):
            found[CHANGING.sub("*", path)] = CHANGING.sub("*", text)
    return found


def check(office: Office) -> None:
    """What holds after every crash, whatever it was about."""
    for agent in office.names("inbox"):
        keys = Counter(key for keys in office.boxes(agent).values() for key in keys)
        assert not [key for key, count in keys.items() if count > 1], f"{agent} was told twice: {keys}"
    if office.exists("announcements.md"):
        items = Counter(re.findall(r"<!-- ((?!choice:|taken:).*?) -->", office.read("announcements.md")))
        assert not [item for item, count in items.items() if count > 1]
    failed = set(office.names("events/failed"))
    assert all(name.removesuffix(".reason") in failed for name in failed), "a reason without its event"
    watched = " ".join(office.lines)
    for name in office.names("status"):
        if name.startswith("tc-") and name != "tc-3.md":
            task = name.removesuffix(".md").upper()
            assert office.state(task) is not State.IN_PROGRESS or task in watched
    assert office.names(".clawfiles/swap") == []
    office.audit()  # every line of the journal can be read


def go_on(office: Office, times: int = 4) -> None:
    for _ in range(times):
        office.runs_end()
        ticked = office.app().heartbeat.tick()
        assert ticked.busy is None
        office.settle()
        office.clock.advance(MINUTE)
    office.runs_end()


def tick(app: App) -> None:
    app.heartbeat.tick()


def crashed(office: Office, last: int, act: Callable[[App], object] = tick) -> Fuse:
    """A tick, or something else, that dies at its `last` step, if it has that many."""
    fuse = Fuse(last)
    whole = office.make_files, office.make_claims
    office.make_files = lambda path: FusedFiles(fuse, path, clock=office.clock, durable=False)
    office.make_claims = lambda path: FusedClaims(fuse, path)
    app = office.app()
    runtime = FusedRuntime(str(office.root), SystemProcesses(), office.clock, {})
    runtime.fuse = fuse
    vars(app)["runtime"] = runtime
    with suppress(Crash):
        act(app)
    office.make_files, office.make_claims = whole
    office.settle()
    return fuse


@pytest.mark.proof
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_tick_that_dies_at_any_step_is_finished_by_those_that_follow(
    scene: Callable[[Office], None], tmp_path: Path
) -> None:
    before = Office(tmp_path / "before" / "sam", CONFIG)
    scene(before)
    before.settle()
    start = before.clock.now()
    wanted: dict[str, str] = {}
    last, steps = 0, 0
    offset = SCENES.index(scene)  # so that the scenes, which have much in common, die at different steps
    while True:
        shutil.copytree(tmp_path / "before", tmp_path / f"crash-{last}")
        office = Office(tmp_path / f"crash-{last}" / "sam")
        office.clock.set(start)
        fuse = crashed(office, last)
        go_on(office)
        where = f"step {last}: {fuse.where}"
        found = ends(office)
        wanted, steps = wanted or found, steps or fuse.steps  # the first time nothing crashed
        check(office)
        different = [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]
        assert not different, (where, {name: (wanted.get(name), found.get(name)) for name in different})
        shutil.rmtree(tmp_path / f"crash-{last}")
        if last > 0 and fuse.where == "":
            break
        last = next(step for step in count(last + 1) if is_tried(step + offset, 1 if steps > 12 else 2))
    assert last > 1, "the tick of this scene writes nothing"


def begins_with_key(app: App) -> str:
    flow = app.workflows.sound("inner")
    return begin(app.workspace, flow, app.workflows.copies(flow, "inner"), {}, AgentId("sam"), key="7").id


def test_a_run_with_a_key_whose_command_dies_at_any_step_is_begun_once(tmp_path: Path) -> None:
    for last in count(1):
        office = Office(tmp_path / f"crash-{last}" / "sam", CONFIG)
        office.write("workflows/inner.md", "## only\n- to: dimitrios\n\nIs it so?\n")
        fuse = crashed(office, last, begins_with_key)
        if last % 2:  # somebody takes the number that was drawn
            office.app("sam").tasks.new(NewTask(title="another"), AgentId("sam"))
        go_on(office, 2)
        again = begins_with_key(office.app("sam"))
        assert begins_with_key(office.app("sam")) == again
        go_on(office, 2)
        runs = [name for name in office.names("status") if office.task(name.removesuffix(".md").upper()).workflow]
        where = f"step {last}: {fuse.where}"
        assert runs == [f"{again.lower()}.md"], where
        assert office.state(f"{again}-ONLY") is State.BACKLOG, where
        assert len(office.names("flows")) <= 2
        if fuse.where == "":
            break
    assert last > 5


def dead_run(office: Office) -> None:
    """A run whose second step failed for good, with no line any more."""
    office.write("clawfiles.toml", office.read("clawfiles.toml") + "\n[agents.ann]\n")
    text = "## a\n- to: peter\n\nx\n\n## b\n- to: ann; after: a\n\ny\n"
    office.write("workflows/two.md", text)
    app = office.app("sam")
    flow = app.workflows.sound("two")
    begin(app.workspace, flow, app.workflows.copies(flow, "two"), {}, AgentId("sam"))
    go_on(office, 2)
    office.write("status/tc-1-a.md", "TC-1-A: DONE\n")
    go_on(office, 2)
    office.app("sam").tasks.cancel(TaskId("TC-1-B"), AgentId("sam"), "no")
    go_on(office, 3)
    assert (office.state("TC-1"), office.lines) == (State.DEAD, [])


@pytest.mark.parametrize("ticks", [0, 2])
@pytest.mark.parametrize("how", ["what failed", "from", "current"])
def test_a_resume_that_dies_at_any_step_is_finished_when_it_is_typed_again(
    tmp_path: Path, ticks: int, how: str
) -> None:
    def resumes(app: App) -> None:
        flow = app.workflows.sound("two")
        now = (flow, app.workflows.copies(flow, "two")) if how == "current" else None
        with suppress(Refused):  # it goes on by itself
            resume(app.workspace, TaskId("TC-1"), AgentId("sam"), "b" if how == "from" else None, now)

    before = Office(tmp_path / "before" / "sam", CONFIG)
    dead_run(before)
    before.write("workflows/two.md", before.read("workflows/two.md").replace("\ny\n", "\nz\n"))
    start = before.clock.now()
    for last in count(1):
        shutil.copytree(tmp_path / "before", tmp_path / f"crash-{last}")
        office = Office(tmp_path / f"crash-{last}" / "sam")
        office.clock.set(start)
        fuse = crashed(office, last, resumes)
        where = f"step {last}: {fuse.where}"
        go_on(office, ticks)
        resumes(office.app("sam"))
        go_on(office, 3)
        assert office.state("TC-1") is State.IN_PROGRESS, where
        steps = [name for name in (*office.names("status"), *office.names("dead-letter")) if name.startswith("tc-1-")]
        assert sorted(steps) == ["tc-1-a.md", "tc-1-b-p2.md", "tc-1-b.md"], where
        assert ("z" if how == "current" else "y") in office.read("status/tc-1-b-p2.md").split("\n"), where
        assert office.task("TC-1").attempt == 2, where
        check(office)
        if fuse.where == "":
            break
    assert last > 5
