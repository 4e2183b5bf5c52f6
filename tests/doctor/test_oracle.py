"""The product reads as an independent reader does, and the doctor, which reads with the product, writes nothing."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claw_files.core.errors import InvalidFile
from claw_files.core.model import Task
from claw_files.doctor.survey import numbered
from claw_files.formats import frontmatter, status
from claw_files.formats import ledger as product_ledger
from tests.each import each
from tests.proofs import examples

from .oracle import ledger, paper, tasks
from .oracle.paper import Unread

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for path in (ROOT / "claw_files/doctor").rglob("*.py") if not path.name.startswith(("repair", "claim_proof"))
)
# What asks a gateway, a program, an address or bubblewrap reads nothing of the workspace and writes nothing.
# No room above `services` writes by itself; of those that could, only what looks at locks,
# and what a runtime checks, of which tests/contract/test_runtimes.py says the same.
OURS = re.compile(
    r"claw_files\.(?:(?:core|config|formats|policy|doctor|integrations\.notify)(?:\.|$)"
    r"|integrations(?:\.agent_runtimes(?:\.|$)|$)|processes(?:\.Surroundings)?$"
    r"|processes\.(?:bubblewrap|run_locks)(?:\.|$)|system(?:\.(?:procfs|libraries))?(?:\.|$)"
    r"|services\.(?:admin|messaging)(?:\.(?:unwritable_files|message_reader)(?:\.|$)|$))"
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


@each("path", MODULES)
def test_the_check_imports_nothing_that_writes(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [f"{n.module}.{a.name}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names]

    ours = {name for name in names if name.startswith("claw_files.") and not OURS.match(name)}

    assert ours == set()
    assert not any("repair" in name or name.startswith(("shutil", "tempfile", "subprocess")) for name in names)


@each("path", MODULES)
def test_the_check_calls_nothing_that_writes_and_opens_for_reading_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in WRITES, (path, node.lineno)
        if isinstance(node, ast.Attribute):
            assert not re.fullmatch(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)", node.attr), (path, node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", (path, node.lineno)


BODIES = [
    "TC-1: DONE - see PR #142", "Status: in progress", "- **Status:** DONE", "* [x] TC-1 → review", "TC-1: DONE",
    "> quoted\nStatus: WIP", "```\nStatus: done\n```\nTC-1: WIP", "State: done", "TC-1: DONE\nTC-1: WIP\n",
    "<!--\nTC-1: done\n-->\nTC-1: blocked", "a <!-- b\nTC-1: done", "~~~\nTC-1: done", "Status:\n", "TC-11: DONE",
    "TC-1: DONE\nTC-1: DONE", "TC-1: DONE\n\nTC-1: done", "1. TC-1: CANCELED", "Status: done <!-- really -->",
    "<!-- x --> TC-1: done", "- ```\n  TC-1: done\n  ```\nTC-1: wip", "````\n```\nTC-1: done\n````\nTC-1: review",
]  # fmt: skip
FRONTS = [
    "", "status: done", "status: wip\nrecorded: in_progress", "status: in_progress\nrecorded: in_progress\nsaid: done",
    "status: in_progress\nrecorded: in_progress\nsaid: done x2", "recorded: done", "State: Blocked\nrecorded: blocked",
    "status: done\nrecorded: done\nsaid: in_progress", "status: ~\nrecorded: review", "Assigned To: '@Peter'",
    "status: backlog\nrecorded: backlog\nsaid: done x1", "assignee: ['@peter']", "Assignee: [iris]\nstatus: done",
]  # fmt: skip


def product(raw: bytes, name: str = "tc-1.md") -> Task:
    return status.parse(raw, f"status/{name}", datetime(2026, 3, 7, tzinfo=UTC), UTC_ZONE)


def same(raw: bytes, name: str = "tc-1.md") -> None:
    """Assert that both readers understand the same. Words that the product calls unclear it does not have to read."""
    theirs, ours = product(raw, name), tasks.parse(raw, name, UTC)
    if theirs.unclear:
        return
    for key in ("state", "recorded", "assignee", "generation", "attempt", "lease", "after", "parent"):
        assert getattr(theirs, key) == getattr(ours, key), key
    assert theirs.outputs[: len(ours.outputs)] == ours.outputs  # the text may name more
    if theirs.state_line is not None:
        assert theirs.state_line == ours.state_line


def keys(raw: bytes) -> tuple[dict[str, int], str]:
    """The keys of the front matter with their lines, and the text below it, as the product has them; both agree."""
    theirs, ours = frontmatter.parse(raw, "x.md"), paper.read(raw)
    lines = {key.strip().lower().replace("-", "_").replace(" ", "_"): line for key, line in theirs.lines.items()}
    assert lines == {name: key.line for name, key in ours.keys.items()}
    assert theirs.body == ours.body
    for key, value in theirs.meta.items():
        other = ours.keys[key.strip().lower().replace("-", "_").replace(" ", "_")]
        if isinstance(value, str):
            assert other.text == value
        elif isinstance(value, list):
            assert all(item in (other.items or ()) for item in value if isinstance(item, str))
    return lines, theirs.body


@each("front", FRONTS)
@each("body", BODIES)
def test_a_status_file_says_the_same_to_both_readers(front: str, body: str) -> None:
    same((f"---\n{front}\n---\n{body}" if front else body).encode())


WORDS = ["done", "DONE", "in_progress", "In Progress", "wip", "review", "blocked", "failed", "cancelled", "backlog"]
VALUES = {
    "status": [*WORDS, "~", '"done"', "'review'"],
    "recorded": ["done", "in_progress", "backlog", "review", "blocked"],
    "said": ["done", "in_progress", "done x2", "blocked x1"],
    "assignee": ["peter", "'@Peter'", "[iris]", "['@sam']"],
    "after": ["TC-2", "[TC-2, tc-3]", "\n  - TC-4\n  - TC-5", "TC-2, TC-3"],
    "parent": ["TC-8"],
    "outputs": ["report.md", "[a.md, b.md]", "\n- x.md\n- y.md"],
    "attempt": ["1", "2"],
    "generation": ["0", "3"],
    "lease": ["2026-03-07T10:00:00Z", "2026-03-07 10:00"],
    "title": ["A bug", "'it''s: odd'", '"a\\nb"', "|\n  two\n  lines", "Ü <!-- x -->"],
    "x-note": ["{a: b, c: [d]}", "# only a comment", "\n  deep: 1\n  more: '2'"],
}
LINES = [
    *(f"Status: {word}" for word in WORDS[:6]), *(f"- TC-1: {word} - see PR #1" for word in WORDS[:6]),
    "**Status:** done", "# Title", "", "some text", "```", "~~~", "> Status: done", "<!--", "-->", "TC-2: done",
    "a <!-- Status: done --> b",
]  # fmt: skip
FRONT = st.lists(st.sampled_from(sorted(VALUES)), unique=True).flatmap(
    lambda chosen: st.tuples(*(st.sampled_from([f"{key}: {value}" for value in VALUES[key]]) for key in chosen))
)  # fmt: skip


@pytest.mark.proof
@settings(max_examples=examples(1_600), deadline=None)
@given(front=FRONT, body=st.lists(st.sampled_from(LINES), max_size=8), newline=st.sampled_from(["\n", "\r\n"]))
def test_a_file_put_together_at_random_says_the_same_to_both_readers(
    front: tuple[str, ...], body: list[str], newline: str
) -> None:
    block = "---\n" + "".join(f"{line}\n" for line in front) + "---\n" if front else ""
    raw = (block + "\n".join(body)).replace("\n", newline).encode()

    if raw.strip():  # an empty file is refused
        keys(raw)
        same(raw)


REAL = sorted((ROOT / "tests/realfiles/files").rglob("*.md"))


@each("path", REAL)
def test_the_front_matter_of_a_real_file_is_the_same_for_both_readers(path: Path) -> None:
    raw = path.read_bytes()
    try:
        keys(raw)
    except (InvalidFile, Unread):
        assert refused(raw)


BROKEN = [
    b"\xff", b"---\n", b"---\na: &b c\n---\n", b"---\n- a\n---\n", b"---\na: 1\na: 2\n---\n", b"a\0",
    b"---\na: !b c\n---\n", b"---\nid: TC-2\n---\n", b"---\na: [\n---\n", b"---\nx\n---\n", b"---\r",
    b"---\n? [a]\n: b\n---\n", b"---\n---\n",
    b"---\n" + b"[" * 15_000 + b"\n---\n", b"---\n" + b"- " * 8_000 + b"\n---\n",
]  # fmt: skip


@each("raw", BROKEN)
def test_both_readers_refuse_the_same_files(raw: bytes) -> None:
    assert refused(raw)


def refused(raw: bytes) -> bool:
    """Whether both refuse it."""
    with pytest.raises(InvalidFile):
        product(raw)
    with pytest.raises(Unread):
        tasks.parse(raw, "tc-1.md", UTC)
    return True


LEDGER = re.search(r"<!-- example: ledger .*?-->\n```markdown\n(.*?)^```$", FORMAT, re.M | re.S)[1]
ENTRIES = """- TC-1 delegated to peter, check at 2026-03-07 10:00
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
ABC-1 delegated to peter
TC-16/x delegated to peter
<!-- TC-17 delegated to peter -->
TC-18 <!-- x --> delegated to peter
  - TC-22 → Iris — check 10:00"""


@pytest.mark.parametrize("text", [LEDGER, *ENTRIES.split("\n"), ENTRIES, f"```\n{ENTRIES}\n```\nTC-1 -> a"])
def test_a_ledger_has_the_same_entries_for_both_readers(text: str) -> None:
    theirs = product_ledger.entries(text.encode(), datetime(2026, 3, 7, tzinfo=UTC), UTC_ZONE, "TC", lambda _: False)
    ours = list(ledger.entries(text.encode(), "TC", set()))

    assert [(e.task, e.agent, e.is_ticked) for e in ours] == [(e.task, e.agent, e.ticked) for e in theirs]
    assert [line for line, _ in numbered(text.encode(), theirs)] == [entry.line for entry in ours]
