"""Guards of the core, each taken out of a copy of the package once: a test must notice every one of them.

`make mutants` takes them all, and prints which test noticed which; `--few` takes every eighth. What is said of a guard
here is what its absence would do. Text that stands no longer in its file is an error: the table follows the code.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("claw_files", "tests", "templates", "workspace-example", "docs")
COPIED += ("pyproject.toml", "constraints.txt", "README.md")
AT_ONCE = 2
FEW = 8  # one of so many in the short form
PATIENCE_SECONDS = 180


class Mutant(NamedTuple):
    """One guard, and what is there in its place."""

    guard: str
    file: str
    line: str  # a text that stands once in the file
    instead: str
    tests: tuple[str, ...]  # the files that must notice it, the quickest first


UNIT = "tests/unit/policy/"
STORY = "tests/integration/"
TRANSITIONS = "claw_files/policy/transitions.py"
DELEGATION = "claw_files/policy/delegation.py"
RESILIENCE = "claw_files/policy/resilience.py"
LANES = "claw_files/policy/dispatch_queue.py"
ENTRY = "claw_files/policy/ledger_line_rules.py"
ROWS = "claw_files/policy/task_state_rules.py"
FLOWS = "claw_files/policy/flow_tree.py"
BY_HAND = "claw_files/policy/manual_edits.py"
CLAIMS = "claw_files/services/tasks/claims.py"
HEARTBEAT = "claw_files/services/heartbeat/heartbeat.py"
LOCKS = "claw_files/storage/locks.py"
GATE = "claw_files/system/path_gate.py"

MUTANTS = (
    # --- who may move a task
    Mutant(
        "a task that is held is claimed by nobody else",
        TRANSITIONS,
        "    if task.state is S.IN_PROGRESS:\n        raise AlreadyClaimed",
        "    if False:\n        raise AlreadyClaimed",
        (UNIT + "test_transitions.py",),
    ),
    Mutant(
        "a delegated task is claimed by its assignee alone",
        TRANSITIONS,
        'raise NotYours(task.id, task.assignee, "it is delegated, so only that agent may claim it")',
        "pass",
        (UNIT + "test_transitions.py",),
    ),
    Mutant(
        "a holder whose generation is over finishes nothing",
        TRANSITIONS,
        "    if named is not None and named != task.generation:",
        "    if False:",
        (UNIT + "test_transitions.py", STORY + "test_generations.py"),
    ),
    Mutant(
        "a holder that names no generation is still the holder",
        TRANSITIONS,
        '    if task.assignee != agent:\n        raise NotYours(task.id, task.assignee, f"claim it first',
        '    if False:\n        raise NotYours(task.id, task.assignee, f"claim it first',
        (UNIT + "test_transitions.py", "tests/unit/services/test_tasks.py"),
    ),
    Mutant(
        "a move is made by those whom the table names",
        TRANSITIONS,
        "        if wearing.intersection(row.who):",
        "        if True:",
        (UNIT + "test_transitions.py",),
    ),
    Mutant(
        "a worker takes no task from the board",
        TRANSITIONS,
        "task.assignee is None and actor.may_take and actor.kind is not AgentKind.WORKER",
        "task.assignee is None and actor.may_take",
        (UNIT + "test_transitions.py",),
    ),
    Mutant(
        "nobody approves work of their own",
        TRANSITIONS,
        "    if other is not None and actor.id in (task.assignee, maker):",
        "    if False:",
        (UNIT + "test_transitions.py", STORY + "test_reviews.py"),
    ),
    Mutant(
        "only the tick marks a result as verified",
        TRANSITIONS,
        "    if task.state is not S.DONE or not actor.tick:",
        "    if False:",
        (UNIT + "test_transitions.py",),
    ),
    Mutant(
        "a blocked task is moved on by its holder",
        TRANSITIONS,
        "    if task.state is S.BLOCKED and task.assignee != actor.id:",
        "    if False:",
        (UNIT + "test_transitions.py", "tests/cli/test_moves.py"),
    ),
    Mutant(
        "what somebody else wrote into a status file moves nothing",
        BY_HAND,
        "    if task.stranger:\n        return ManualEdit",
        "    if False:\n        return ManualEdit",
        (STORY + "test_by_hand_matrix.py",),
    ),
    Mutant(
        "what a superseded holder wrote into the file moves nothing",
        BY_HAND,
        "    if task.superseded is not None:\n        over",
        "    if False:\n        over",
        (STORY + "test_generations.py", STORY + "test_by_hand_matrix.py"),
    ),
    Mutant(
        "done by hand is a review where the route wants one",
        BY_HAND,
        "target = State.REVIEW if now is State.DONE and reviewed and start",
        "target = State.REVIEW if False and start",
        (STORY + "test_by_hand_matrix.py", STORY + "test_reviews.py"),
    ),
    # --- who may hand work to whom
    Mutant(
        "work that was delegated is delegated on to nobody",
        DELEGATION,
        "    if (inside_task or chain) and sender != settings.coordinator and not settings.is_human(sender):",
        "    if False:",
        (UNIT + "test_delegation.py",),
    ),
    Mutant(
        "work comes back to nobody who handed it on",
        DELEGATION,
        "    if to in chain:",
        "    if False:",
        (UNIT + "test_delegation.py",),
    ),
    Mutant(
        "a worker gets no messages",
        DELEGATION,
        "    if agent.kind is AgentKind.WORKER:\n        right = f'run",
        "    if False:\n        right = f'run",
        (UNIT + "test_delegation.py",),
    ),
    Mutant(
        "a spawn has a label and a time limit",
        DELEGATION,
        "    if lacks:\n",
        "    if False:\n",
        (UNIT + "test_delegation.py",),
    ),
    Mutant(
        "two agents that answer each other stop",
        DELEGATION,
        "    if chain.count(by) >= TIMES:",
        "    if False:",
        (STORY + "test_sessions.py", STORY + "test_staying.py", STORY + "test_lanes.py"),
    ),
    Mutant(
        "an inbox does not fill without end",
        DELEGATION,
        "    if unread >= settings.limits.unread and not settings.is_human(by):",
        "    if False:",
        ("tests/hostile/test_agents.py",),
    ),
    Mutant(
        "a spawned task works inside the workspace",
        DELEGATION,
        "    if not is_inside(cwd):",
        "    if False:",
        (UNIT + "test_profiles.py", "tests/cli/test_spawn_contract.py", "tests/cli/test_profiles.py"),
    ),
    Mutant(
        "a spawn is at most limits.depth deep",
        FLOWS,
        "    if caller.depth >= limits.depth:",
        "    if False:",
        (UNIT + "test_flows.py",),
    ),
    Mutant(
        "a task has at most limits.children open spawns",
        FLOWS,
        "    if children + more > limits.children and is_bounded(settings, caller):",
        "    if False:",
        (UNIT + "test_flows.py",),
    ),
    Mutant(
        "below a cancelled task nothing is spawned",
        FLOWS,
        "    if caller.stopped:",
        "    if False:",
        (UNIT + "test_flows.py", STORY + "test_flows.py"),
    ),
    # --- when an agent is woken
    Mutant(
        "one run in a lane",
        LANES,
        "self.lanes[wait.lane] >= (1 if is_worker else most or 1)",
        "False",
        (UNIT + "test_lanes.py",),
    ),
    Mutant(
        "a lane keeps the order of its messages",
        LANES,
        "if wait.lane in self.kept or self.lanes",
        "if self.lanes",
        (UNIT + "test_lanes.py",),
    ),
    Mutant(
        "at most limits.runs runs at once",
        LANES,
        "        if self.left <= 0:",
        "        if False:",
        (UNIT + "test_lanes.py",),
    ),
    Mutant(
        "runs in compartments take their room in limits.runs",
        LANES,
        "        live = [run for run in (*snap.live, *snap.elsewhere) if not is_poll(run)]",
        "        live = [run for run in snap.live if not is_poll(run)]",
        (UNIT + "test_lanes.py", STORY + "test_compartments.py"),
    ),
    Mutant(
        "polls of sources take no room in limits.runs",
        LANES,
        " if not is_poll(run)]",
        "]",
        (UNIT + "test_sources.py",),
    ),
    Mutant(
        "a webhook counts by its signature",
        "claw_files/policy/webhook_signatures.py",
        "hmac.compare_digest(it, one)",
        "True",
        (UNIT + "test_webhook_signatures.py",),
    ),
    Mutant(
        "a webhook is of now",
        "claw_files/policy/webhook_signatures.py",
        "abs(now - claim.at) > AGE",
        "False",
        (UNIT + "test_webhook_signatures.py",),
    ),
    Mutant(
        "the cursor of a source follows its events",
        "claw_files/app/source_poller.py",
        "                waiting += self._events_of(it)",
        "                self._events_of(it)",
        (STORY + "test_sources.py",),
    ),
    Mutant(
        "one message leads to at most limits.wakes runs",
        "claw_files/policy/budgets.py",
        "    is_over = message.follows and caused.get(message.origin, 1) >= settings.limits.wakes",
        "    is_over = False",
        (STORY + "test_wakes.py",),
    ),
    Mutant(
        "an open breaker keeps its agent asleep",
        LANES,
        '        if breaker.state == "open" or ',
        "        if False and ",
        (UNIT + "test_lanes.py", STORY + "test_heartbeat_runs.py"),
    ),
    Mutant(
        "an agent whose budget is used up is not woken",
        LANES,
        "        if budgets.used_up(settings, self.snap.spent, to):",
        "        if False:",
        (UNIT + "test_lanes.py", UNIT + "test_budgets.py", STORY + "test_spending.py"),
    ),
    Mutant(
        "of two commands that wake at once, one decides",
        HEARTBEAT,
        '            with self._ws.ticking.hold("tick", AT_ONCE, "clawfiles send"):\n',
        "            if True:\n",
        (STORY + "test_lanes.py",),
    ),
    Mutant(
        "two ticks at once are one",
        HEARTBEAT,
        '            with self._ws.ticking.hold("tick", AT_ONCE, "clawfiles heartbeat"):\n',
        "            if True:\n",
        (STORY + "test_heartbeat_runs.py",),
    ),
    Mutant(
        "an entry is decided anew before it is acted on",
        HEARTBEAT,
        "                look, steps = self._plan_again(task)",
        "                look, steps = self._plan_again(task) if not done else (None, ())",
        (STORY + "test_heartbeat.py",),
    ),
    Mutant(
        "one bad file does not keep the rest waiting",
        HEARTBEAT,
        '            self._problems.append(f"{what}: {wrong}")\n            return None',
        "            raise",
        (STORY + "test_heartbeat.py", STORY + "test_heartbeat_hostile.py", STORY + "test_heartbeat_people.py"),
    ),
    Mutant(
        "a draining daemon starts no run",
        HEARTBEAT,
        "        if not self.starts:\n            return []",
        "        if False:\n            return []",
        ("tests/daemon/test_loop.py", "tests/daemon/test_stopping.py"),
    ),
    # --- failures
    Mutant(
        "a retry is not early",
        RESILIENCE,
        "    if failures <= 0:\n        return timedelta(0)",
        "    if True:\n        return timedelta(0)",
        (UNIT + "test_resilience.py",),
    ),
    Mutant(
        "a time that was cut to the second is not early either",
        RESILIENCE,
        "(_SECOND if is_cut else timedelta(0))",
        "timedelta(0)",
        (UNIT + "test_resilience.py", STORY + "test_heartbeat_runs.py"),
    ),
    Mutant(
        "one task's failures do not stop its agent",
        RESILIENCE,
        "    row = len({outcome.task for outcome in failed if outcome.task}) + sum(",
        "    row = len(failed) + 0 * sum(",
        (UNIT + "test_resilience.py",),
    ),
    Mutant(
        "a failure from a clock that was put back holds nothing up",
        RESILIENCE,
        "    if not -pause <= now - last < pause:",
        "    if not now - last < pause:",
        (UNIT + "test_resilience.py",),
    ),
    Mutant(
        "a worker's success closes its breaker",
        "claw_files/services/evidence/run_outcomes.py",
        "JournalEvent.REVIEW, JournalEvent.FINISH, ",
        "JournalEvent.REVIEW, ",
        (STORY + "test_journal_facts.py",),
    ),
    Mutant(
        "runs that were started count for the rate of their model",
        "claw_files/services/evidence/run_outcomes.py",
        "        if line.action in STARTED and line.model:",
        "        if False and line.model:",
        (STORY + "test_journal_facts.py",),
    ),
    Mutant(
        "a move is journalled with the state after it",
        "claw_files/storage/workspace.py",
        "before=saved[1].recorded, after=saved[0].state)",
        "before=saved[1].recorded)",
        (STORY + "test_journal_facts.py",),
    ),
    Mutant(
        "statistics read the state after a move",
        "claw_files/policy/work_statistics.py",
        '        return named.get(line.after, "at work")',
        '        return "at work"',
        (STORY + "test_journal_facts.py",),
    ),
    Mutant(
        "a claim made for a worker is no word of the worker",
        "claw_files/services/heartbeat/run_launcher.py",
        'why="its worker starts", reason=Reason.WORKER_STARTS)',
        'why="its worker starts")',
        (STORY + "test_journal_facts.py",),
    ),
    Mutant(
        "usage is journalled as a fact",
        "claw_files/services/accounting/usage_recorder.py",
        "            usage=priced,\n",
        "",
        (STORY + "test_journal_facts.py",),
    ),
    Mutant(
        "no sentence of a line with facts is read",
        "claw_files/formats/journal.py",
        '    if "to" not in facts:',
        "    if True:",
        ("tests/unit/formats/test_usage.py", STORY + "test_journal_facts.py"),
    ),
    Mutant(
        "lines of earlier versions are read",
        "claw_files/formats/journal.py",
        '    if "to" not in facts:',
        "    if False:",
        ("tests/unit/formats/test_usage.py",),
    ),
    Mutant(
        "an agent that is asked for a review has finished nothing",
        "claw_files/services/evidence/run_outcomes.py",
        "        if line.agent and line.after and ",
        "        if line.agent and ",
        ("tests/unit/formats/test_journal_before_facts.py",),
    ),
    Mutant(
        "a line of an earlier version about a message leaves no state",
        "claw_files/formats/journal_compat.py",
        '    if "message_hash" in line:',
        "    if False:",
        ("tests/unit/formats/test_journal_before_facts.py",),
    ),
    Mutant(
        "a key of a whole task has no attempt",
        "claw_files/core/keys.py",
        "        if found := _WIDE.fullmatch(text):",
        "        if False and (found := _WIDE.fullmatch(text)):",
        ("tests/unit/core/test_keys.py",),
    ),
    Mutant(
        "a mark of eight digits in a key is no attempt",
        "claw_files/core/keys.py",
        "0|[1-9][0-9]{0,5}",
        "0|[1-9][0-9]{0,8}",
        ("tests/unit/core/test_keys.py",),
    ),
    # --- what a tick decides
    Mutant(
        "a file that somebody is writing is waited for",
        ENTRY,
        'return WaitReason("its status file is being written") if case.look.pending else None',
        "return None",
        (UNIT + "test_tick.py", UNIT + "test_entry_rows.py"),
    ),
    Mutant(
        "a file that cannot be read is told once",
        ENTRY,
        '    if not case.was_told(monitor, case.key(what)):\n        return (case.act(Act.ESCALATE, "unreadable"',
        '    if True:\n        return (case.act(Act.ESCALATE, "unreadable"',
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "a report of an earlier attempt is old news",
        ENTRY,
        "    if not acknowledgement.is_answer(report, message):",
        "    if False:",
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "a worker is believed by its result, not by its exit code",
        ENTRY,
        "    if result is not None and result.run in (None, run.id):\n        return (case.act(Act.FINISH",
        "    if result is not None:\n        return (case.act(Act.FINISH",
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "a worker is stopped two minutes after its limit",
        ENTRY,
        "    if case.now < over:",
        "    if True:",
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "what was cancelled is stopped before its line goes",
        ENTRY,
        "    if case.is_running:\n        return (case.act(Act.STOP",
        "    if False:\n        return (case.act(Act.STOP",
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "a backoff is waited for",
        ROWS,
        "    if case.task.not_before and case.now < case.task.not_before:",
        "    if False:",
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "traces of its agent are looked for before a message is sent again",
        ROWS,
        "    if found := case.traces:",
        "    if found := ():",
        (UNIT + "test_entry_rows.py", STORY + "test_traces.py"),
    ),
    Mutant(
        "a message is sent again only so often",
        ROWS,
        "    if sends < heartbeat.sends:",
        "    if True:",
        (UNIT + "test_entry_rows.py",),
    ),
    Mutant(
        "quiet hours last over midnight",
        "claw_files/policy/quiet_hours.py",
        "not end <= reading < start",
        "reading >= start",
        (UNIT + "test_quiet.py",),
    ),
    Mutant(
        "a cached answer is in time, and not from the future",
        "claw_files/policy/result_reuse.py",
        "    return timedelta(0) <= now - task.completed < route.cache",
        "    return True",
        (UNIT + "test_caching.py",),
    ),
    Mutant(
        "only those above an agent may give it work",
        "claw_files/policy/authority.py",
        'return "you report to them" if sender in settings.above(to) else None',
        'return "you report to them"',
        (UNIT + "test_authority.py",),
    ),
    # --- files and locks
    Mutant(
        "a claim waits for the tasks that it comes after",
        CLAIMS,
        "        if waiting := self._blockers(task):",
        "        if waiting := ():",
        (STORY + "test_after.py",),
    ),
    Mutant(
        "the ledger line comes before the claim",
        CLAIMS,
        "        self._watch(task.id, agent, audit)\n",
        "",
        ("tests/unit/services/test_tasks.py",),
    ),
    Mutant(
        "a generation is taken once",
        LOCKS,
        "        if not is_free or self.is_spent(generation) or self.is_taken(generation):",
        "        if not is_free:",
        (STORY + "test_generations.py", STORY + "test_exclusion.py", STORY + "test_claim_race.py"),
    ),
    Mutant(
        "a reserved generation is its agent's",
        LOCKS,
        "        if self.reserved(generation) not in (None, agent):",
        "        if False:",
        (STORY + "test_generations.py",),
    ),
    Mutant(
        "a file with a second name is not read",
        GATE,
        "    if found.st_nlink > 1:",
        "    if False:",
        (STORY + "test_gate.py", "tests/contract/test_files.py"),
    ),
    Mutant(
        "only regular files are read",
        GATE,
        "    if not stat.S_ISREG(found.st_mode):",
        "    if False:",
        (STORY + "test_gate.py", "tests/contract/test_files.py"),
    ),
    Mutant(
        "a file over its limit is not read",
        GATE,
        "    if max(found.st_size, len(data)) > cap_bytes:",
        "    if False:",
        (STORY + "test_gate.py", "tests/contract/test_files.py"),
    ),
    Mutant(
        "a workspace folder that was replaced is noticed",
        GATE,
        "        if (now.st_dev, now.st_ino) != self._identity:",
        "        if False:",
        (STORY + "test_gate.py",),
    ),
    Mutant(
        "a worker moves no task",
        "claw_files/services/tasks/lifecycle.py",
        '    if settings.agent(agent).kind is AgentKind.WORKER:\n        raise Refused(\n            "workers report"',
        '    if False:\n        raise Refused(\n            "workers report"',
        ("tests/unit/services/test_tasks.py",),
    ),
)


def stale() -> list[str]:
    """The guards whose text does not stand exactly once in its file, and the tests that are not there."""
    found = []
    for it in MUTANTS:
        count = (ROOT / it.file).read_text().count(it.line) if (ROOT / it.file).exists() else 0
        found += [f"{it.guard}: its text stands {count} times in {it.file}"] if count != 1 else []
        found += [f"{it.guard}: there is no {test}" for test in it.tests if not (ROOT / test).exists()]
    return found


@contextmanager
def copies(count: int) -> Iterator["SimpleQueue[Path]"]:
    """So many copies of the repository, to be taken and given back."""
    free: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="clawfiles-mutants-") as folder:
        for number in range(count):
            copy = Path(folder) / f"{number}"
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
                else:
                    shutil.copy(source, copy / name)
            free.put(copy)
        yield free


def noticed(copy: Path, tests: Sequence[str], seconds: int = PATIENCE_SECONDS) -> str | None:
    """The first of these tests that fails in the copy; None when all pass."""
    env = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in [name for name in env if name.startswith(("CLAWFILES_", "PYTEST_"))]:
        del env[name]
    words = [sys.executable, "-B", "-m", "pytest", "-x", "-n0", "-p", "no:cacheprovider", "--tb=no", *tests]
    try:
        done = subprocess.run(
            words,
            cwd=copy,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            start_new_session=True,  # a background job that asks its terminal for anything is stopped
        )
    except subprocess.TimeoutExpired:
        return f"no end within {seconds} s"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return failed[1] if failed else f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-300:]}"


def killed_by(mutant: Mutant, free: "SimpleQueue[Path]") -> str | None:
    """The test that notices the mutant; None where it survives."""
    copy = free.get()
    file = copy / mutant.file
    whole = file.read_text()
    try:
        file.write_text(whole.replace(mutant.line, mutant.instead))
        return next((test for name in mutant.tests if (test := noticed(copy, [name]))), None)
    finally:
        file.write_text(whole)
        free.put(copy)


def take(mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, str | None]]:
    """Each of the mutants with the test that notices it."""
    with copies(AT_ONCE) as free, ThreadPoolExecutor(AT_ONCE) as pool:
        yield from zip(mutants, pool.map(lambda it: killed_by(it, free), mutants), strict=True)


def main(words: Sequence[str]) -> int:
    """The status: 0 where every guard is missed by a test, and all those tests pass with it."""
    mutants = MUTANTS[::FEW] if "--few" in words else MUTANTS
    if problems := stale():
        print("\n".join(problems))
        return 1
    with copies(1) as free:
        if wrong := noticed(free.get(), sorted({test for it in mutants for test in it.tests}), 1800):
            print(f"without any change {wrong} fails")
            return 1
    survivors = 0
    print("| guard | file | noticed by |\n|---|---|---|")
    for mutant, test in take(mutants):
        survivors += test is None
        print(f"| {mutant.guard} | `{mutant.file}` | {test or '**nobody**'} |", flush=True)
    print(f"\n{len(mutants) - survivors} of {len(mutants)} were noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
