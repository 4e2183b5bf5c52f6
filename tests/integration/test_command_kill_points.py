"""Every command that writes, killed before each step that changes something on the disk, or refused it once.

A child, forked from here, runs the command as it is typed and dies before the n-th such step, or gets ENOSPC or EIO for
it. Heartbeats with a moved clock follow until nothing is left to do: then it must be as if the command had never been
typed, or as if it had been typed once. Typed again it must have had one effect.
"""

import errno
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from claw_files import cli
from claw_files.app.wiring import App
from claw_files.core.model import State
from claw_files.storage.locks import Locks
from claw_files.system import kernel
from claw_files.system.clock import SystemClock
from tests.proofs import is_tried

CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
[agents.iris]
[agents.research]
kind = "worker"
runtime = "inbox"
[agents.dimitrios]
kind = "human"
[routes]
bug = { to = ["peter", "self"] }
checked = { to = ["peter"], review = "iris" }
[heartbeat]
ack = "12h"
silent = "12h"
lease = "12h"
backoff = "1s"
[limits]
children = 20
"""
STEPS: list[tuple[Any, str]] = [(os, name) for name in ("rename", "unlink", "write", "mkdir")]
STEPS += [(kernel, "renameat2")]
LATER = (0, 1, 31, 61, 180)  # minutes after the failure at which a heartbeat follows


class Later(SystemClock):
    """The machine's clock, so much ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return super().now() + self.ahead


class Ended(NamedTuple):
    """How a typed command ended: its exit status, -9 for a kill; what it printed; how many steps it took."""

    status: int
    out: str
    err: str
    steps: int


def typed(root: Path, line: str, n: int = 0, how: int | None = None, ahead: int = 0, on: bool = False) -> Ended:
    """Type the command in a child that dies before its n-th step, or gets the error `how` for it.

    Its clock is `ahead` by so many minutes; with `on` the error comes for each step from the n-th on.
    """
    who, *words = split(line)
    said = root.parent / "said"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(f"{said}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - all its life
            os.environ |= {"CLAWFILES_AGENT": who, "CLAWFILES_WORKSPACE": str(root)}
            counted = arm(n, how, on)
            now = SystemClock.now
            SystemClock.now = lambda self: now(self) + timedelta(minutes=ahead)
            code = cli.run(words)
            sys.stdout.flush()
            sys.stderr.flush()
            Path(f"{said}.steps").write_text(str(counted()))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps = int(Path(f"{said}.steps").read_text()) if code >= 0 else 0
    return Ended(code, Path(f"{said}.out").read_text(), Path(f"{said}.err").read_text(), steps)


def split(line: str) -> list[str]:
    """The words of a line, those in quotes together."""
    return [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line)]


def arm(n: int, how: int | None, on: bool) -> Callable[[], int]:
    """Make the n-th step fatal, or fail, or each from there on; returns what counts them."""
    taken = 0
    os.fsync = lambda fd: None  # kills do not show it, and this is done thousands of times

    def armed(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def instead(*args: Any, **named: Any) -> Any:
            nonlocal taken
            if name == "write" and args[0] in (1, 2):
                return call(*args, **named)
            taken += 1
            if taken == n and how is None:
                os.kill(os.getpid(), signal.SIGKILL)
            if how and (taken == n or (on and taken > n > 0)):
                raise OSError(how, os.strerror(how))
            return call(*args, **named)

        return instead

    for module, name in STEPS:
        setattr(module, name, armed(getattr(module, name), name))
    return lambda: taken


def ticks(root: Path) -> None:
    """Heartbeats until nothing is left to do, the clock moved on between them."""
    for minutes in LATER:
        ticked = App(str(root), {}, None, Later(timedelta(minutes=minutes))).heartbeat.tick()
        assert ticked.problems == (), ticked.problems


# --- what is seen afterwards

CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{8}T\d{6}Z-?[a-z]*-?[0-9a-f]*|\b[0-9a-f]{8,}\b"
    r"|(\d{4}-\d\d-\d\d )?\d\d:\d\d(:\d\d)?|\d{8}[Tt]\d{4}"
)


def seen(root: Path) -> dict[str, Any]:
    """What people and agents find: tasks with their lines, messages, notes; tasks by their titles, without times."""
    ws = App(str(root), {}, None).workspace
    found: dict[str, Any] = {"tasks": [], "messages": [], "lines": len(ws.entries())}
    lines = {entry.task: str(entry.agent) + ("[x]" if entry.ticked else "") for entry in ws.entries()}
    names = {}
    for path in sorted([*root.glob("status/**/*.md"), *root.glob("dead-letter/*.md")]):
        loaded = ws.load(path.stem.upper())
        task, place = ws.in_force(loaded.task), loaded.place
        names[task.id] = task.title
        comments = sorted(re.findall(r"^- \S+ \w+(?: \(comment\))?: (.*)", path.read_text(), re.MULTILINE))
        label = task.label if task.id in lines or task.assignee else None  # terms of a spawn that died: nobody's yet
        facts = [task.title, place, task.state, task.assignee, label, task.attempt, task.session, task.summary]
        found["tasks"].append([str(it) for it in (*facts, lines.get(task.id), comments)])
        if task.state in (State.IN_PROGRESS, State.BLOCKED, State.REVIEW) or (
            task.assignee and task.state is State.BACKLOG
        ):
            assert task.id in lines or task.state is State.BACKLOG, f"{task.id} is {task.state} and nobody looks at it"
    assert not set(lines) - set(names), "a line for no task"
    for path in sorted(root.glob("inbox/*/*/*.md")):
        agent, box = path.parts[-3:-1]
        if box == "bodies":
            continue
        message = ws.read_message(agent, box, path.stem)
        text = CHANGING.sub(
            "*", re.sub(r"TC-\d+", lambda it: names.get(it[0], it[0]), message.body, flags=re.IGNORECASE)
        )
        text = re.sub(r"generation \d+", "generation *", text)
        said = re.sub(r"\btc-\d+\b", "*", text, flags=re.IGNORECASE)[:90]
        found["messages"].append(
            [
                agent,
                "new" if box == "new" and not ws.is_answered(message) else "read",
                str(message.kind),
                str(message.sender),
                said,
            ]
        )
    found["tasks"].sort()
    found["messages"].sort()
    found["checkpoints"] = [it.name for it in sorted(root.glob("checkpoints/*.md"))]
    return found


# --- the commands

CLAIMED = ["sam task new Pay --to peter", "peter claim TC-1"]
REVIEW = [
    "sam task new Pay --type checked",
    "sam delegate TC-1",
    "peter claim TC-1",
    "peter done TC-1",
    "sam heartbeat",
]
WORKER = ['sam spawn "Read the mail" --label mail --size S']
SCENES: dict[str, tuple[list[str], str]] = {
    "task-new": ([], "sam task new Pay"),
    "task-new-to": ([], "sam task new Pay --to peter"),
    "task-new-after": (["sam task new First"], "sam task new Pay --to peter --after TC-1"),
    "delegate": (["sam task new Pay"], "sam delegate TC-1 --to peter --urgent"),
    "delegate-by-route": (["sam task new Pay --type bug"], "sam delegate TC-1"),
    "spawn": ([], WORKER[0]),
    "spawn-session": ([], f"{WORKER[0]} --mode session"),
    "spawn-task": (["sam task new Pay"], 'sam spawn "Pay it" --task TC-1 --label pay --size S'),
    "spawn-items": ([], 'sam spawn "Look at each" --label look --size S --items {items} --batch 1'),
    "send": ([], 'sam send peter "the host is back"'),
    "send-long": ([], "sam send peter {long}"),
    "ask": ([], 'peter ask iris "which region?" --task TC-9'),
    "answer": (['peter ask iris "which region?"'], 'iris answer {message} "eu-west-1"'),
    "inbox": (['sam send peter "one"', 'sam send peter "two"'], "peter inbox"),
    "inbox-done": (['sam send peter "one"'], "peter inbox done {message}"),
    "claim": (["sam task new Pay"], "peter claim TC-1"),
    "claim-next": (["sam task new Pay"], "peter claim --next"),
    "claim-delegated": (["sam task new Pay --to peter"], "peter claim TC-1"),
    "progress": (CLAIMED, 'peter progress TC-1 "half of it"'),
    "done": (CLAIMED, 'peter done TC-1 "paid" --output receipt'),
    "done-reviewed": (
        ["sam task new Pay --type checked", "sam delegate TC-1", "peter claim TC-1"],
        'peter done TC-1 "paid"',
    ),
    "fail": (CLAIMED, 'peter fail TC-1 "no card"'),
    "block": (CLAIMED, 'peter block TC-1 "no card"'),
    "block-nobodys": (["sam task new Pay"], 'iris block TC-1 "no card"'),
    "need": (CLAIMED, 'peter need TC-1 --from iris "which card?"'),
    "unblock": ([*CLAIMED, 'peter block TC-1 "no card"'], 'sam unblock TC-1 "here it is"'),
    "comment": (CLAIMED, 'iris comment TC-1 "the card is blue"'),
    "approve": (REVIEW, "iris approve TC-1"),
    "reopen": (REVIEW, 'iris reopen TC-1 "no receipt"'),
    "reopen-archived": (
        [*REVIEW, "iris approve TC-1", "sam heartbeat", "wait", "sam archive --older-than 1s"],
        'iris reopen TC-1 "no receipt"',
    ),
    "release": (CLAIMED, "peter release TC-1"),
    "release-unread": (["sam task new Pay --to peter", "peter claim TC-1", "peter block TC-1 x"], "sam release TC-1"),
    "release-claimed": (["sam task new Pay", "peter claim TC-1"], "peter release TC-1"),
    "cancel": (CLAIMED, 'sam cancel TC-1 "not needed"'),
    "cancel-backlog": (["sam task new Pay"], "sam cancel TC-1"),
    "requeue": (["dead"], "dimitrios requeue TC-1"),
    "archive": ([*CLAIMED, "peter done TC-1", "sam heartbeat", "wait"], "sam archive --older-than 1s"),
    "flow-cancel": ([*WORKER], "sam flow cancel TC-1"),
    "sessions-send": ([f"{WORKER[0]} --mode session"], 'sam sessions send mail "and the spam?"'),
    "sessions-close": ([f"{WORKER[0]} --mode session"], "sam sessions close mail"),
    "steer": (CLAIMED, 'sam subagents steer 1 "only the last week"'),
    "checkpoint": ([], 'peter checkpoint save "next: pay" --completed TC-1'),
}


def prepared(root: Path, before: list[str]) -> str:
    """Put the workspace up; the id of the last message of anybody."""
    root.mkdir(parents=True)
    (root / "clawfiles.toml").write_text(CONFIG)
    (root / "items.txt").write_text("- one\n- two\n")
    for line in before:
        if line == "wait":
            time.sleep(1.1)
            continue
        if line == "dead":
            for word in ("sam task new Pay --to peter", "peter claim TC-1"):
                assert typed(root, word).status == 0
            for _ in range(3):
                assert typed(root, "peter fail TC-1 x").status == 0
                for minutes in (0, 1):
                    App(str(root), {}, None, Later(timedelta(minutes=minutes))).heartbeat.tick()
                typed(root, "peter claim TC-1")
            continue
        done = typed(root, line)
        assert done.status == 0, (line, done.err)
    messages = sorted(root.glob("inbox/*/new/*.md"), key=lambda it: it.stat().st_mtime_ns)
    return messages[-1].stem if messages else ""


def points(total: int, every: int) -> Iterator[int]:
    """The steps to fail at: each, or every so many-th beside the first and the last."""
    yield from (n for n in range(1, total + 1) if every == 1 or n % every == 1 or n == total)


def fails(tmp_path: Path, scene: str, how: int | None, every: int) -> None:
    before, line = SCENES[scene]
    message = prepared(tmp_path / "before" / "o", before)
    line = line.format(
        message=message, items=tmp_path / "before" / "o" / "items.txt", long='"' + "long words " * 1500 + '"'
    )

    def world(name: str) -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / name, copy_function=shutil.copy2)
        return tmp_path / name / "o"

    never, once = world("never"), world("once")
    ticks(never)
    whole = typed(once, line)
    assert whole.status == 0, whole.err
    assert whole.steps > 2
    assert not list(once.glob(".clawfiles/pending/*"))
    ticks(once)
    wanted = {"never": seen(never), "once": seen(once)}
    typed(never, line)
    ticks(never)
    late = seen(never)  # the heartbeats before it may have told of more
    wrong = []
    for n in points(whole.steps, every):
        root = world("now")
        failed = typed(root, line, n, how)
        where = f"step {n}, exit {failed.status} {failed.err.strip()}"
        assert failed.status in ((0, 6, 7) if how else (-9, 0)), where  # 0: it took fewer steps than the first time
        if failed.status > 0 and "Already done" not in failed.err:
            assert any(it in failed.err for it in ("nothing was changed", "may not survive", "try again")), where
        ticks(root)
        found = seen(root)
        name = next((it for it, state in wanted.items() if found == state), None)
        if failed.status != 0 and any(is_nearly(scene, found, state) for state in wanted.values()):
            name = name or "nearly"
        if name is None or (failed.status == 0 and found != wanted["once"]):
            wrong.append(f"{where}: neither never nor once: {difference(found, wanted)}")
            continue
        if failed.status == 0:
            continue
        again = typed(root, line)
        ticks(root)
        is_once = (found := seen(root)) in (wanted["once"], late)
        if not is_once and not (name == "nearly" and found["tasks"] == wanted["once"]["tasks"]):
            wrong.append(f"{where}; typed again ({again.status} {again.err.strip()}): {difference(found, wanted)}")
    assert not wrong, f"{scene}: {len(wrong)} of {whole.steps} steps:\n" + "\n".join(wrong)


def is_nearly(scene: str, found: dict[str, Any], state: dict[str, Any]) -> bool:
    """What a kill may leave beside never and once, as docs/explanation/recovery.md says."""
    if scene.startswith("claim"):  # its line reads as a delegation to the claimant, who then gets the task sent
        return [it[3] for it in found["tasks"]] == ["peter"] and all(it[0] == "peter" for it in found["messages"])
    if scene == "spawn-items":  # each task of a batch stands by itself; typed again the rest follows
        return all(it in state["tasks"] for it in found["tasks"]) and found["lines"] == len(found["tasks"])
    if scene == "reopen-archived":  # its file was brought back, and goes into the archive again
        return [it[:1] + it[2:] for it in found["tasks"]] == [it[:1] + it[2:] for it in state["tasks"]]
    # The holder of what was unblocked is nudged instead; an inbox is read message by message.
    return scene in ("unblock", "inbox") and found["tasks"] == state["tasks"]


def difference(found: dict[str, Any], wanted: dict[str, dict[str, Any]]) -> str:
    """What is there and not in the world in which the command was typed once, and the other way round."""
    parts = []
    for key, value in found.items():
        there, here = wanted["once"][key], value
        if there != here and isinstance(here, list):
            more, less = [it for it in here if it not in there], [it for it in there if it not in here]
            parts.append(f"{key}: more {json.dumps(more)}, less {json.dumps(less)}")
        elif there != here:
            parts.append(f"{key}: {here} instead of {there}")
    return "; ".join(parts) or f"{found} instead of {wanted['once']}"


SHORT = (
    "task-new-to",
    "delegate",
    "spawn",
    "spawn-task",
    "send",
    "answer",
    "block-nobodys",
    "comment",
    "release",
    "archive",
)


@pytest.mark.parametrize("scene", SHORT)
def test_a_command_that_is_killed_at_some_steps_was_never_typed_or_once(scene: str, tmp_path: Path) -> None:
    fails(tmp_path, scene, how=None, every=4)


@pytest.mark.parametrize("scene", ["task-new-to", "release"])
def test_a_command_that_is_refused_some_steps_says_what_stands(scene: str, tmp_path: Path) -> None:
    fails(tmp_path, scene, how=errno.EIO, every=6)


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_command_that_is_killed_anywhere_was_never_typed_or_once(scene: str, tmp_path: Path) -> None:
    fails(tmp_path, scene, how=None, every=1)


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_command_that_fails_at_any_step_lists_the_completed_steps(scene: str, tmp_path: Path) -> None:
    fails(tmp_path, scene, how=errno.ENOSPC, every=1)


# --- the heartbeat on a full disk

BUSY = CONFIG.replace('kind = "human"', 'kind = "human"\nchannels = ["file:announcements.md"]').replace(
    "[agents.iris]", f"[agents.iris]\n[agents.runner]\ncommand = [{sys.executable!r}, '-c', 'pass']"
)
SCHEDULE = """
[schedules.tidy]
cron = "* * * * *"
do = { task = "Tidy up" }
"""
RESULT = "---\nlabel: {0}\nstatus: done\n---\nfound it\n"
TICKS: dict[str, list[str]] = {
    "deliver": ["sam task new Pay", "line - TC-1 delegated to peter"],
    "close": ["dimitrios task new Pay --to peter", "peter claim TC-1", "peter done TC-1"],
    "people": ['sam send dimitrios "the disk is full"', 'sam ask dimitrios "may I?"'],
    "schedule": ["schedule", "sam heartbeat"],
    "wake": ['locked sam send runner "go on"'],
    "retry": [*CLAIMED, 'peter fail TC-1 "no card"'],
}


@pytest.mark.proof
@pytest.mark.parametrize("scene", TICKS)
def test_a_heartbeat_that_could_not_write_what_it_decided_exits_6(scene: str, tmp_path: Path) -> None:
    before = tmp_path / "before" / "o"
    prepared(before, [])
    (before / "clawfiles.toml").write_text(BUSY + (SCHEDULE if scene == "schedule" else ""))
    for line in TICKS[scene]:
        if line.startswith("line "):
            (before / "HEARTBEAT.md").write_text(line.removeprefix("line ") + "\n")
        elif line.startswith("locked "):  # so that nobody is woken by it
            with Locks(str(before)).hold("tick", timedelta(0), "a test"):
                assert typed(before, line.removeprefix("locked ")).status == 0, line
        elif line != "schedule":
            assert typed(before, line).status == 0, line
    ended: dict[int, int] = {}
    wanted, n, total = "", 0, 1
    while n <= total:
        root = tmp_path / f"now-{n}" / "o"  # a run of its own may write there still
        shutil.copytree(before, root, copy_function=shutil.copy2)
        done = typed(root, "sam heartbeat", n, errno.ENOSPC if n else None, ahead=3, on=True)
        assert done.status in (0, 6), done.err
        if n == 0:
            wanted, total = _written(root), done.steps
            assert total > 4, "this heartbeat writes nothing"
        assert done.status == 6 or _written(root) == wanted, f"step {n} of {total}: exit 0, and something is missing"
        ended[n] = done.status
        n = next((step for step in range(n + 1, total) if is_tried(step)), max(n + 1, total))
    assert ended[0] == 0
    assert 6 in ended.values()


def _written(root: Path) -> str:
    """The files that people and agents look at, without times."""
    paths = [
        path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_relative_to(root / ".clawfiles")
    ]
    kept = [path for path in paths if path.parts[-2] != "audit" and "runs" not in path.parts]
    return CHANGING.sub("*", "\n".join(f"{path.relative_to(root)}: {path.read_text()}" for path in kept))
