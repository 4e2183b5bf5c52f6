"""A daemon with nothing to do: what it costs, and that it does not grow."""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.daemon.conftest import TEAM, Home

TASKS, DELEGATED = 10_000, 20
MINUTES = 3
EVERY_SECONDS = 5
MOST_CPU = 0.01  # of one core
MOST_GROWTH_KIB = 256  # from the first third's highest to the last third's: the noise of an allocator
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """What the process has used itself, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid: int) -> int:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0])


@pytest.fixture
def large(home: Home) -> Home:
    """A workspace with ten thousand tasks, of which twenty are given to somebody and not due for hours."""
    head = "---\nid: {0}\ntitle: task {0}\nstatus: {1}\nrecorded: {1}\n{2}---\n# {0}: task {0}\n\nWhat is to be done.\n"
    lines = []
    for number in range(1, TASKS + 1):
        task, held = f"TC-{number}", number <= DELEGATED
        more = "assignee: iris\ngeneration: 1\nlease: 2999-01-01T00:00:00Z\n" if held else ""
        home.write(f"status/{task.lower()}.md", head.format(task, "in_progress" if held else "backlog", more))
        if held:
            lines.append(f"- {task} delegated to iris, check at 2999-01-01 00:00\n")
    home.write("HEARTBEAT.md", "# HEARTBEAT\n\n" + "".join(lines))
    home.write("clawfiles.toml", TEAM + '\n[heartbeat]\nsilent = "100d"\nlease = "100d"\n')
    return home


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 300)
def test_an_idle_daemon_uses_no_hundredth_of_a_core_and_does_not_grow(large: Home) -> None:
    pid = large.start()
    large.until(lambda: large.log("sync"), "the doctor has been here", 120)
    time.sleep(35)  # and a rescan after it

    start, before = time.monotonic(), cpu_seconds(pid)
    sizes = []
    while time.monotonic() - start < MINUTES * 60:
        time.sleep(EVERY_SECONDS)
        sizes.append(rss_kib(pid))
    share = (cpu_seconds(pid) - before) / (time.monotonic() - start)

    third = len(sizes) // 3
    growth = max(sizes[-third:]) - max(sizes[:third])
    print(f"{share:.3%} of a core; {sizes[0]} to {sizes[-1]} KiB, growth {growth}", file=sys.stderr)
    assert large.state.watch.faults == {}
    assert share < MOST_CPU
    assert growth <= MOST_GROWTH_KIB
