"""The check shares no code with what writes, and its own reading comes to the same result as theirs."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from claw_files.doctor import ledger, tasks
from claw_files.doctor.reading import Unread
from claw_files.documents import ledger as writers_ledger
from claw_files.documents import status
from claw_files.errors import InvalidFile
from claw_files.model import State, Task, TaskId
from claw_files.rules import by_hand

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for path in (ROOT / "claw_files/doctor").rglob("*.py") if not path.name.startswith("repair"))
# What asks a gateway, a program, an address or bubblewrap reads nothing of the workspace and writes nothing.
OURS = re.compile(
    r"claw_files\.(?:(?:model|words|errors|config|doctor|notify)(?:\.|$)"
    r"|openclaw(?:\.(?:health|installed))?$|acp(?:\.installed)?$|runtimes\.bubblewrap(?:\.|$))"
)
WRITES = {
    "write",
    "write_bytes",
    "write_text",
    "rename",
    "replace_file",
    "unlink",
    "remove",
    "rmdir",
    "mkdir",
    "makedirs",
}
WRITES |= {"truncate", "ftruncate", "utime", "chmod", "chown", "link", "symlink", "mkfifo", "commit", "append_line"}
FORMAT = (ROOT / "docs/reference/file-format.md").read_text()
UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_check_imports_nothing_that_writes(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [f"{n.module}.{a.name}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names]

    ours = {name for name in names if name.startswith("claw_files.") and not OURS.match(name)}

    assert ours == set()
    assert not any("repair" in name or name.startswith(("shutil", "tempfile", "subprocess")) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_check_calls_nothing_that_writes_and_opens_for_reading_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in WRITES, (path, node.lineno)
        if isinstance(node, ast.Attribute):
            assert not re.fullmatch(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)", node.attr), (path, node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", (path, node.lineno)


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_which_moves_by_hand_count_is_the_same_as_in_the_rules(before: State, after: State) -> None:
    theirs = by_hand.stand(Task(id=TaskId("TC-1"), recorded=before, state=after), reviewed=False)
    text = f"---\nstatus: {after}\nrecorded: {before}\n---\n"

    ours = tasks.parse(text.encode(), "tc-1.md", 0, UTC)

    assert ours.is_refused == (theirs.conflict is not None)
    assert ours.in_force is theirs.state


EXAMPLES = re.findall(r"<!-- example: status status/(\S+) .*?-->\n```markdown\n(.*?)^```$", FORMAT, re.M | re.S)
BODIES = [
    "TC-1: DONE - see PR #142", "Status: in progress", "- **Status:** DONE", "* [x] TC-1 → review", "# TC-1: ✅",
    "TC-1 = IN PROGRESS, estimated done 11:00", "> quoted\nStatus: WIP", "```\nStatus: done\n```\nTC-1: WIP",
    "<!--\nTC-1: done\n-->\nTC-1: blocked (waits)", "a <!-- b\nTC-1: done", "TC-1 — failed", "State - done",
    "not TC-1: DONE", "TC-1: not done", "~~~\nTC-1: done", "TC-1: DONE\nTC-1: WIP\n", "Status:\n", "TC-11: DONE",
    "TC-1: DONE\nTC-1: DONE", "TC-1: DONE\n\nTC-1: done", "1. TC-1: CANCELED",
    "### **TC-1:** wip 🚧", "Status: done <!-- really -->", "<!-- x --> TC-1: done",
    "- ```\n  TC-1: done\n  ```\nTC-1: wip", "````\n```\nTC-1: done\n````\nTC-1: review", "TC-1: done" + " x" * 1200,
]  # fmt: skip
FRONTS = [
    "", "status: done", "status: wip\nrecorded: in_progress", "status: in_progress\nrecorded: in_progress\nsaid: done",
    "status: in_progress\nrecorded: in_progress\nsaid: done x2", "recorded: done", "State: Blocked\nrecorded: blocked",
    "status: done\nrecorded: done\nsaid: in_progress", "status: ~\nrecorded: review", "Assigned To: '@Peter'",
    "status: backlog\nrecorded: backlog\nsaid: done x1",
]  # fmt: skip


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("body", BODIES)
def test_a_status_file_is_in_the_same_state_for_both_readers(front: str, body: str) -> None:
    raw = (f"---\n{front}\n---\n{body}" if front else body).encode()

    theirs = status.parse(raw, "status/tc-1.md", datetime(2026, 3, 7, tzinfo=UTC), UTC_ZONE)
    ours = tasks.parse(raw, "tc-1.md", 0, UTC)

    assert (ours.state, ours.recorded, ours.assignee) == (theirs.state, theirs.recorded, theirs.assignee)


def test_the_examples_of_the_file_format_are_the_same_for_both_readers() -> None:
    assert len(EXAMPLES) > 4
    for name, text in EXAMPLES:
        theirs = status.parse(text.encode(), f"status/{name}", datetime(2026, 3, 7, tzinfo=UTC), UTC_ZONE)
        ours = tasks.parse(text.encode(), name, 0, UTC)
        assert (ours.state, ours.recorded, ours.generation, ours.lease, ours.after, ours.outputs) == (
            theirs.state, theirs.recorded, theirs.generation, theirs.lease, theirs.after, theirs.outputs
        )  # fmt: skip


BROKEN = [
    b"\xff", b"---\n", b"---\na: &b c\n---\n", b"---\n- a\n---\n", b"---\na: 1\na: 2\n---\n", b"a\0",
    b"---\na: !b c\n---\n",
    b"---\nstatus: x\n---\n", b"---\nid: TC-2\n---\n", b"---\neta: never\n---\n", b"---\na: [\n---\n", b"---\nx\n---\n",
    b"---\nestimate: 0\n---\n", b"---\nattempt: -1\n---\n", b"---\nafter: [a b c/d]\n---\n", b"---\n? [a]\n: b\n---\n",
    b"---\nassignee: a/b\n---\n", b"---\nlease: [a]\n---\n", b"---\n---\n", b"---\nsize: XL\n---\n", b"---\r",
    b"---\n" + b"[" * 15_000 + b"\n---\n", b"---\n" + b"- " * 8_000 + b"\n---\n", b"---\nparent: ../x\n---\n",
]  # fmt: skip


@pytest.mark.parametrize("raw", BROKEN)
def test_what_one_reader_refuses_the_other_refuses(raw: bytes) -> None:
    with pytest.raises(InvalidFile):
        status.parse(raw, "status/tc-1.md", datetime(2026, 3, 7, tzinfo=UTC), UTC_ZONE)
    with pytest.raises(Unread):
        tasks.parse(raw, "tc-1.md", 0, UTC)


LEDGER = re.search(r"<!-- example: ledger .*?-->\n```markdown\n(.*?)^```$", FORMAT, re.M | re.S)[1]
LINES = """- TC-1 delegated to peter, check at 2026-03-07 10:00
TC-2 delegated to Peter, check at 10:00
- [ ] **TC-3** → Peter (check 10:00)
* TC-4 assigned to @iris
1. TC-5 -> iris
TC-6 wait until 11:00
- [x] TC-7 wait until 11:00:30
TC-8 -> done
TC-9 is a nice task
- TC-10 handed over to peter for iris, due in 30m
tc-11 delegated to research for peter, wait until 2026-03-07 11:00
Buy milk. TC-12 delegated to peter
TC-13 check
TC-14, check at noon
`TC-15` => peter: later
ABC-1 delegated to peter
TC-16/x delegated to peter
<!-- TC-17 delegated to peter -->
TC-18 <!-- x --> delegated to peter
## TC-19 delegated to peter
TC-20 is due on 2026-03-07
TC-21 -> the moon and back
  - TC-22 → Iris — check 10:00"""


@pytest.mark.parametrize("text", [LEDGER, *LINES.split("\n"), LINES, f"```\n{LINES}\n```\nTC-1 -> a"])
def test_a_ledger_has_the_same_entries_for_both_readers(text: str) -> None:
    theirs = writers_ledger.entries(text.encode(), datetime(2026, 3, 7, tzinfo=UTC), UTC_ZONE, "TC", lambda _: False)
    ours = list(ledger.entries(text.encode(), "TC", set()))

    assert [(e.task, e.agent, e.is_ticked) for e in ours] == [(e.task, e.agent, e.ticked) for e in theirs]
    assert all(text.split("\n")[e.line - 1].find(e.task[3:]) >= 0 for e in ours)
