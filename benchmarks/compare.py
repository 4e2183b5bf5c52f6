"""The same three acts in other tools that keep tasks for people and agents, where those are installed.

`benchmarks/bench.py` calls `main`; alone: `python benchmarks/compare.py [TASKS ...]`. Whole commands are timed, from
nothing to exit, on workspaces of the same size; ratios are to an empty Python process that runs beside each. The tools
promise different things: Taskwarrior keeps all tasks in one file, a line each, and has no claims; Backlog.md writes a
task's file anew from what it understood of it. Data and settings stay in temporary folders.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

SIZES = (1_000, 10_000)
TIMES = 7  # commands of each kind; the first is not counted
HOW = {
    "task": "Taskwarrior is not here; on Debian: apt-get install taskwarrior",
    "backlog": "Backlog.md is not here; with Node: npm install --global backlog.md",
}
CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
takes = ["bug"]
"""

# As after an installation, where the modules are compiled: without this, compiling them is most of what is measured.
HERE = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
Env = Mapping[str, str]
Times = tuple[float, float]  # seconds, and how many empty Pythons that is
Row = tuple[str, Times]


def median(command: Callable[[int], Sequence[str]], env: Env, folder: str) -> Times:
    """The middle of several runs; `command(n)` is the n-th. Raises CalledProcessError.

    An empty Python runs beside each: what else the machine does then weighs on both.
    """
    taken, empty = [], []
    for number in range(TIMES + 1):
        taken.append(seconds(command(number), env, folder))
        empty.append(seconds([sys.executable, "-c", "pass"], HERE, folder))
    middle = statistics.median(taken[1:])
    return middle, middle / statistics.median(empty[1:])


def seconds(command: Sequence[str], env: Env, folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=env, cwd=folder, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - start


@contextmanager
def folder() -> Iterator[str]:
    made = tempfile.mkdtemp(prefix="clawfiles-compare-")
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# --- clawfiles -------------------------------------------------------------------------------------------------------


def clawfiles(tasks: int) -> list[Row]:
    """Claims, list, done; what is done was claimed before, outside the clock."""
    with folder() as root:
        os.mkdir(f"{root}/status")
        write(f"{root}/clawfiles.toml", CONFIG)
        for number in range(1, tasks + 1):
            text = f"---\nid: TC-{number}\ntitle: task {number}\nstatus: backlog\ntype: bug\npriority: normal\n---\n"
            write(f"{root}/status/tc-{number}.md", f"{text}# TC-{number}: task {number}\n\nWhat there is to do.\n")
        env = {**HERE, "CLAWFILES_WORKSPACE": root, "CLAWFILES_AGENT": "peter"}
        base = [sys.executable, "-m", "claw_files"]
        every = tasks // (TIMES + 2)

        def claim(number: int) -> list[str]:
            return [*base, "claim", f"TC-{(number + 1) * every}"]

        claimed = median(claim, env, root)
        return [
            ("claim TC-n", claimed),
            ("claim --next", median(lambda _: [*base, "claim", "--next"], env, root)),
            ("done TC-n", median(lambda n: [*base, "done", f"TC-{(n + 1) * every}", "finished"], env, root)),
            ("task list --limit 10", median(lambda _: [*base, "task", "list", "--limit", "10"], env, root)),
            ("heartbeat", median(lambda _: [*base, "heartbeat"], env, root)),
        ]


# --- Taskwarrior -----------------------------------------------------------------------------------------------------

TASKRC = """data.location={root}/data
confirmation=no
verbose=nothing
hooks=off
gc=on
"""


def taskwarrior(program: str, tasks: int) -> list[Row]:
    with folder() as root:
        os.mkdir(f"{root}/data")
        write(f"{root}/taskrc", TASKRC.format(root=root))
        env = {**HERE, "TASKRC": f"{root}/taskrc", "TASKDATA": f"{root}/data", "HOME": root}
        them = [{"description": f"task {number}", "priority": "M", "tags": ["bug"]} for number in range(tasks)]
        subprocess.run(
            [program, "import", "-"],
            env=env,
            cwd=root,
            input=json.dumps(them).encode(),
            capture_output=True,
            check=True,
        )
        median(lambda _: [program, "limit:10"], env, root)  # its first runs tidy up what was imported
        every = tasks // (TIMES + 2)
        return [
            ("task N start", median(lambda n: [program, f"{(n + 1) * every}", "start"], env, root)),
            ("task N done, from the end", median(lambda n: [program, f"{tasks - n}", "done"], env, root)),
            ("task limit:10", median(lambda _: [program, "limit:10"], env, root)),
        ]


# --- Backlog.md ------------------------------------------------------------------------------------------------------

BACKLOG = """---
id: TASK-{number}
title: task {number}
status: To Do
assignee: []
created_date: '2026-03-07 08:45'
labels:
  - bug
dependencies: []
priority: medium
ordinal: {number}000
---

## Description

<!-- SECTION:DESCRIPTION:BEGIN -->
What there is to do.
<!-- SECTION:DESCRIPTION:END -->
"""


def backlog(program: str, tasks: int) -> list[Row]:
    """With `--no-git`, so that no branches are looked at; its files are written as it writes them itself."""
    with folder() as root:
        env = {**HERE, "HOME": root, "NO_COLOR": "1", "CI": "1"}
        init = ["init", "bench", "--defaults", "--no-git", "--integration-mode", "none", "--auto-open-browser", "false"]
        subprocess.run([program, *init], env=env, cwd=root, capture_output=True, check=True, stdin=subprocess.DEVNULL)
        os.makedirs(f"{root}/backlog/tasks", exist_ok=True)
        for number in range(1, tasks + 1):
            write(f"{root}/backlog/tasks/task-{number} - task-{number}.md", BACKLOG.format(number=number))
        every = tasks // (TIMES + 2)

        listed = ["task", "list", "--plain", "--limit", "10"]

        def edit(number: int) -> list[str]:
            return [program, "task", "edit", str((number + 1) * every), "-s", "Done", "--plain"]

        return [
            ("task edit -s Done", median(edit, env, root)),
            ("task list --plain --limit 10", median(lambda _: [program, *listed], env, root)),
        ]


def rows(tasks: int) -> Iterator[Row]:
    """What each tool takes for each act; a tool that is not here or fails is left out."""
    yield from ((f"clawfiles: {name}", times) for name, times in clawfiles(tasks))
    for name, program, measured in (("Taskwarrior", "task", taskwarrior), ("Backlog.md", "backlog", backlog)):
        found = shutil.which(program)
        try:
            yield from ((f"{name}: {act}", times) for act, times in (measured(found, tasks) if found else []))
        except subprocess.CalledProcessError as error:
            print(f"{name}: {' '.join(map(str, error.cmd))} ended with {error.returncode}: {error.stderr[-200:]!r}")


def main(sizes: Sequence[int] = SIZES) -> None:
    for program, how in HOW.items():
        if not shutil.which(program):
            print(how)
    for tasks in sizes:
        print(f"\n{f'{tasks:,} tasks, beside others':<44}{'median':>12}{'ratio':>9}")
        for name, (taken, ratio) in rows(tasks):
            print(f"{name:<44}{taken * 1e3:>9.2f} ms{ratio:>8.2f}x", flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or SIZES)
