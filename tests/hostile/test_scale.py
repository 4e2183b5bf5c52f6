"""Many hostile files at once, and large ones: time grows with their number, memory hardly, and good work is served."""

import os
import re
import subprocess
import sys
import time

import pytest

from tests.hostile.conftest import HANG_SECONDS, RAW, environment, fingerprint
from tests.hostile.corpus import NAMES, NODES, TEXTS, task

RSS_KB = 64 << 10
GOOD = tuple(range(1, 21))


def measured(site, *arguments: str, by: str | None = None, limit: float = HANG_SECONDS) -> tuple[int, str, str, int]:
    """Status, output, errors and the peak memory in KB of the command in a process of its own.

    Not from `getrusage`, which counts the memory of the process that started it as well.
    """
    code = (
        "import sys\nfrom claw_files.cli import run\nstatus = run(sys.argv[1:])\nsys.stdout.flush()\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(peak.split()[1], file=sys.stderr)\nsys.exit(status)"
    )
    named = ["--agent", by] if by else []
    done = subprocess.run(
        [sys.executable, "-c", code, "-C", str(site.root), *named, *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit,
        check=False,
    )
    err, _, peak = done.stderr.decode().rstrip().rpartition("\n")
    assert "Traceback" not in err and not RAW.search(done.stdout.decode() + err), (arguments, err)
    return done.returncode, done.stdout.decode(), err, int(peak)


PLACEMENTS = (
    "status/tc-{n}.md",
    "inbox/peter/new/h{n}.md",
    "inbox/dimitrios/new/h{n}.md",
    "checkpoints/subagent-h{n}.md",
    "events/new/h{n}.md",
    "dead-letter/tc-{n}.md",
    "conflicts/h{n}.md",
    "audit/h{n}.jsonl",
    "runs/h{n}-s1/run.md",
)


def test_three_hundred_hostile_files_at_once_stop_no_good_task(site) -> None:
    quiet = {
        line: measured(site, *line, by="peter")[3]
        for line in (("heartbeat",), ("task", "list"), ("board",), ("inbox",))
    }
    site.good(*GOOD)
    count, watched = 0, []
    for item in (*TEXTS, *NODES):
        if item.number == 31:
            continue  # 10 MB each: they have their own test
        for placement in PLACEMENTS:
            count += 1
            number = 1000 + count
            path = placement.format(n=number)
            if hasattr(item, "data"):
                site.write(path, item.data if placement.startswith("status") else item.data[:200_000])
            else:
                site.put(item, path)
            if placement.startswith("status") and item.problem:
                watched.append(number)
    for _, name in NAMES:
        site.place(b"status/" + name).write_bytes(b"---\nid: [\n---\n")
    assert count >= 300
    site.delegated(*watched, *GOOD)
    before = fingerprint(site.root)

    for line, expected in ((("heartbeat",), 0), (("task", "list"), 0), (("board",), 0), (("inbox",), 0)):
        status, out, err, peak = measured(site, *line, by="peter")
        assert status == expected, (line, err)
        assert peak - quiet[line] <= RSS_KB, (line, peak, quiet[line])
        if line == ("inbox",):
            assert all(f"task from sam, TC-{number}\n" in out for number in GOOD)
        if line == ("heartbeat",):
            assert all(f"TC-{number} " in out for number in GOOD)
            assert err == ""

    after = fingerprint(site.root)
    kept = {what for path, what in after.items() if path.startswith("quarantine/")}
    ours = re.compile(r"HEARTBEAT\.md|status/tc-\d{1,2}\.md|audit/20.*|audit")
    lost = [
        path
        for path, what in before.items()
        if after.get(path) != what and what not in kept and not ours.fullmatch(path)
    ]
    readable = {f"status/tc-{n}.md" for n in range(1001, 1001 + count)} - {f"status/tc-{n}.md" for n in watched}
    assert [path for path in lost if path not in readable] == []
    reasons = [name for name in site.names("quarantine") if name.endswith(".reason")]
    assert len(reasons) == len(site.names("quarantine")) / 2 >= 80
    reported = [name for name in site.names("inbox/sentry/new") if ".unreadable." in name]
    assert len(reported) == len(watched)


def spent(call) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


@pytest.mark.parametrize(
    "line",
    [
        b"- Status: WIP\n",
        b"```\n",
        b"<!--",
        b"*",
        b"[",
        b"|",
        b"- [ ] ",
        b"TC-9: ",
        b"> ",
        b"Needs: iris - x\n",
        b"#",
        b"\\",
        b"~~~\n",
        b"`",
        b"=> ",
    ],
    ids=repr,
)
def test_a_text_eight_times_as_long_takes_about_eight_times_as_long(site, line: bytes) -> None:
    """Three times the ratio is allowed for noise; quadratic growth would be 64."""
    times = []
    for size in (100_000, 800_000):
        site.write("status/tc-9.md", task("status: backlog", body=(line * (size // len(line))).decode()))
        times.append(min(spent(lambda: site("task", "show", "TC-9", "--json")) for _ in range(3)))
    assert times[1] < 24 * max(times[0], 0.004), times


@pytest.mark.parametrize(
    "folder", ["status", "inbox/iris/new", "inbox/dimitrios/new", "quarantine", "runs", "events/new"]
)
def test_four_times_the_files_take_about_four_times_as_long(site, folder: str) -> None:
    site.good(1)
    site.delegated(1)
    times = []
    for many in (500, 2_000):
        for number in range(many):
            path = site.root / folder / f"x{number:06d}.md"
            if not path.exists():
                site.write(f"{folder}/x{number:06d}.md", "---\nid: [\n---\n")

        def beat() -> None:
            site.ok("heartbeat", "--dry-run")
            site("task", "list")

        times.append(min(spent(beat) for _ in range(2)))
    assert times[1] < 12 * max(times[0], 0.02), times


@pytest.mark.slow
def test_a_hundred_thousand_files_hide_no_task_and_starve_no_inbox(site) -> None:
    site.good(1)
    site.delegated(1)
    folders = ("status", "inbox/iris/new", "inbox/dimitrios/new")
    for folder in folders:
        site.place(f"{folder}/x")
        for number in range(100_000):
            fd = os.open(site.root / folder / f"y{number:06d}.md", os.O_WRONLY | os.O_CREAT)
            os.close(fd)
    site.write("inbox/dimitrios/new/z.md", "---\nid: z\nkey: z\nkind: announce\nfrom: sam\nto: dimitrios\n---\nhello\n")
    site.write("status/zz-1.md", "# ZZ-1: the last\n")
    status, _, _, beat_kb = measured(site, "heartbeat", by="sam", limit=1800)
    assert status == 0
    assert site.served(1) and "hello" in site.read("announcements.md")
    _, listed, _, list_kb = measured(site, "task", "list", limit=1800)
    assert "ZZ-1" in listed
    assert max(beat_kb, list_kb) <= 256 << 10
