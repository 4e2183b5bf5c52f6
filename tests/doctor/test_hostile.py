"""Everything bad at once: the doctor gets through it, names it, and leaves the folder as it was."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.model import State
from claw_files.core.text import safe
from claw_files.doctor.bounded_reader import MOST_NAMES, DiskTree
from claw_files.doctor.checkup import examine
from claw_files.doctor.survey import Survey

NAMES: list[bytes] = [
    b"-rf.md", b"--help.md", b"$(id).md", b";x.md", b"`x`.md", b"*.md", b" lead.md", b"trail..md", b"a\nb.md",
    b"a\rb.md",
    b"\x1b[2J.md", b"\x07.md", b"\x7f.md", b"\xc2\x9b.md", b"\xff.md", b"\xfe\xff.md", b"CON.md", b"nul.md",
    b"a:b.md",
    b"x" * 252 + b".md", "тс-1.md".encode(), "e\u0301.md".encode(), "\u00e9.md".encode(), "a\u202eb.md".encode(),
    "a\u200bb.md".encode(), "\ufeffa.md".encode(), b"TC-500.md", b"tc-500.md", b"Tc-500.md", b"a.lock.md",
    b"x.tmp", b"y",
    b"%s%n.md", b"{0}.md", b"[red]x.md", "\U0001f600.md".encode(), b"a" + "\u0301".encode() * 60 + b".md", b"\\x.md",
]  # fmt: skip
CONTENTS: list[bytes] = [
    b"", b"\0", b"\xff\xfe", b"---", b"---\n", b"---\n---", b"---\n---\n", b"---\n- a\n---\n", b"---\nx\n---\n",
    b"{", b"+++\na=1\n+++\n",
    b"---\n" + b"[" * 16_000 + b"\n---\n", b"---\n" + b"[" * 25_000 + b"\n---\n",
    b"---\n" + b"- " * 8_000 + b"\n---\n",
    b"---\n" + b"{a: " * 4_000 + b"\n---\n", b"---\n" + b"? " * 8_000 + b"\n---\n", b"---\na: &a [*a]\n---\n",
    b"---\na: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n---\n", b"---\n<<: [*a, *a]\n---\n", b"---\na: !!binary x\n---\n",
    b"---\na: !!python/object/apply:os.system ['true']\n---\n", b"---\n%TAG ! x\n---\n", b"---\na: 1\na: 2\n---\n",
    b"---\n1: x\n~: y\n---\n", b"---\n[a]: b\n---\n", b"---\ncontent: x\nhandler: y\n__class__: z\n---\nok\n",
    b"---\nid: TC-1\n" + b"".join(b"k%d: v\n" % n for n in range(3_000)) + b"---\n", b"---\na: \"\\x00\"\n---\n",
    b"---\na: '\xed\xa0\x80'\n---\n", b"---\rid: x\r---\r", b"---\nid: x\r\n---\r\n",
    b"\xef\xbb\xbf---\nstatus: wip\n---\n",
    b"---\nattempt: " + b"9" * 5_000 + b"\n---\n", b"---\ncreated: 0001-01-01\n---\n", b"---\neta: 9999-12-31\n---\n",
    b"---\nestimate: every 0s\n---\n", b"---\npriority: NaN\n---\n", b"---\nafter: [" + b"TC-1, "
    * 1_900 + b"]\n---\n",
    b"x" * 900_000, b"TC-1: " + b"x" * 900_000, b"\n" * 900_000, b"- a\n" * 220_000, b"***" * 300_000,
    b"[[[[" * 200_000,
    b"|" * 900_000, b"<!--" * 200_000, b"<!--\n" * 150_000, b"```\n" * 200_000, b"`" * 900_000, b"~~~\n" * 200_000,
    b"Status: done\n" * 70_000, b"Status: x\n" * 90_000, b"> " * 400_000, b"# " * 400_000, b"a: b\n" * 180_000,
    b"{t.__init__.__globals__}\nTC-1: {0:>1000000000}\n", b"Status: \x1b[2Jdone\n", b"\r" * 5_000, b"   \t" * 200_000,
    b"---\nstatus: done\n---\n---\nstatus: wip\n---\n", b"---\na: |\n  ---\n  b\n---\n",
    b"---\na: \xe2\x80\xa8b\n---\n",
    b"1. " * 300_000, b"- [ ] " * 150_000, b"**" * 400_000 + b"TC-1", b"\xf0\x9f\x9a\xa7" * 200_000,
    b"-->\n" * 200_000,
]  # fmt: skip
PLACES = (
    "status/bad-{}.md",
    "inbox/peter/new/bad-{}.md",
    "runs/bad-{}/run.md",
    "briefs/2026-01-{}.md",
    "audit/{}.jsonl",
)


def corpus(root: Path) -> int:
    """Over 300 bad files, in every place where something is read; how many."""
    count = 0
    for folder in ("status", "inbox/peter/new", "checkpoints"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            os.close(os.open(os.fsencode(root / folder) + b"/" + name, os.O_CREAT | os.O_WRONLY))
            count += 1
    for place in PLACES:
        for number, content in enumerate(CONTENTS):
            file = root / place.format(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            count += 1
    (root / "status/loop.md").symlink_to(".")
    (root / "events").symlink_to("/")
    os.mkfifo(root / "status/pipe.md")
    os.truncate(os.open(root / "status/large.md", os.O_CREAT | os.O_RDWR), 1 << 40)
    deep = root / "workflows"
    for _ in range(300):
        deep /= "d"
    os.makedirs(deep)
    return count


def test_a_folder_full_of_bad_files_is_looked_through_and_left_as_it_was(clinic) -> None:
    good = [clinic.new(title=f"Good {n}") for n in range(5)]
    clinic.held("TC-6")
    assert clinic.findings() == []
    assert corpus(clinic.root) >= 300
    clinic.clock.advance(timedelta(seconds=60))
    for path in clinic.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (clinic.now - 60,) * 2)
    before = clinic.sums()

    found = examine(str(clinic.root), clinic.now)

    assert clinic.sums() == before
    assert [one.as_text() for one in found if one.code == "check-failed"] == []
    assert len(found) > 150
    for one in found:
        text = one.as_text()
        assert safe(text, 5_000, lines=True) == text
        assert text.isprintable() or all(line.isprintable() for line in text.split("\n"))
    named = {one.path for one in found}
    assert not named & {f"status/{task.lower()}.md" for task in good}
    assert "status/tc-6.md" not in named
    survey = Survey(str(clinic.root), clinic.now)
    assert [survey.file_of(task).task.state for task in good] == [State.BACKLOG] * 5, "all good tasks are still read"


@pytest.mark.parametrize("number", range(len(CONTENTS)))
def test_a_bad_file_alone_costs_little(clinic, number: int) -> None:
    """Measured in work, not in time: the processor's seconds of this thread, with much room."""
    for place in ("status/tc-1.md", "status/peter.md", "HEARTBEAT.md", "inbox/peter/new/x.md"):
        clinic.write(place, CONTENTS[number])
    started = time.thread_time()

    clinic.findings()

    assert time.thread_time() - started < 4 * 1.0, "over a second of work for one file"


def test_more_names_than_the_limit_are_counted_and_the_first_are_looked_at(clinic) -> None:
    folder = clinic.root / "status"
    folder.mkdir()
    for number in range(MOST_NAMES + 5):
        os.close(os.open(folder / f"{number:06}.md", os.O_CREAT | os.O_WRONLY))
    (folder / "000000.md").write_bytes(b"TC: \xff")
    listed = DiskTree(str(clinic.root)).folder("status")

    assert len(listed.nodes) == MOST_NAMES
    assert len(listed.names) == MOST_NAMES + 5
    assert listed.is_cut


def test_a_root_that_is_gone_is_no_crash(clinic) -> None:
    assert examine(str(clinic.root / "nowhere"), 0.0) == []
