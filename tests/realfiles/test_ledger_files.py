"""Ledgers as people keep them: a delegation from its line to its end gives every other byte back."""

import re
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, TaskId
from tests.each import each
from tests.proofs import is_tried
from tests.support.office import Office

from . import shapes

STORED = sorted((Path(__file__).parent / "files" / "ledgers").iterdir())
NAMED = {path.name for path in STORED}  # as people wrote them; the others are made
FILES = {path.name: path.read_bytes() for path in STORED}
for _path in STORED:
    for _name, _vary in list(shapes.VARIATIONS.items())[1:4]:
        FILES[f"{_path.name} {_name}"] = _vary(_path.read_text("utf-8"))
FILES |= dict(shapes.ledgers())
PETER = AgentId("peter")
MINUTE = timedelta(minutes=1)


def ledger(office: Office) -> bytes:
    return (office.root / "HEARTBEAT.md").read_bytes()


def check(before: bytes, now: bytes, line: bytes) -> None:
    """Assert that `now` is `before` with this one line somewhere, and perhaps the heading that was missing."""
    new = b"\r\n" if b"\r\n" in before.partition(b"\n")[0] + b"\n" else b"\n"
    found = [at.start() for at in re.finditer(rb"^" + re.escape(line) + rb"\r?$", now, re.MULTILINE)]
    assert len(found) == 1, now
    start = found[0]
    heads, gaps = (b"", b"## Delegations" + new, b"## Delegations" + new * 2), (b"", new, new * 2)
    for head, ahead, behind in product(heads, gaps, gaps):
        added = ahead + head + line + behind
        at = start - len(ahead + head)
        if at >= 0 and now[at:].startswith(added) and now[:at] + now[at + len(added) :] == before:
            return
    pytest.fail(f"not one line more: {before!r} -> {now!r}")


def given_back(before: bytes, now: bytes) -> bool:
    """Whether `now` is `before`, but for the heading and the empty lines that were needed to add a line."""
    new = b"\r\n" if b"\r\n" in before.partition(b"\n")[0] + b"\n" else b"\n"
    gaps = (b"", new, new * 2, new * 3)
    for head, ahead, behind in product((b"", b"## Delegations"), gaps, gaps):
        added = ahead + head + behind
        at = now.find(added)
        while added and at >= 0:
            if now[:at] + now[at + len(added) :] == before:
                return True
            at = now.find(added, at + 1)
    return now == before


def test_there_are_many_ledgers() -> None:
    assert len(FILES) >= 60


@pytest.mark.proof
@each("name", [name for n, name in enumerate(FILES) if name in NAMED or is_tried(n)])
def test_a_delegation_from_its_line_to_its_end_keeps_every_other_byte(name: str, tmp_path: Path) -> None:
    office = Office(tmp_path / "sam")
    before = FILES[name]
    office.write("HEARTBEAT.md", before, office.clock.now() - MINUTE)  # an empty file of this moment is waited for
    task = TaskId(office.new(type=None))
    theirs = [line for line in office.lines if task not in line]
    if "+others" not in name:
        assert theirs == []  # an example, a quotation or a remark is no entry

    office.delegate(task, "peter")
    check(before, ledger(office), f"- {task} delegated to peter, check at 2026-03-07 09:15".encode())
    office.tick(MINUTE)
    office.app("peter").claims.claim(task, PETER)
    office.app("peter").tasks.progress(task, PETER, "on it", office.clock.now() + timedelta(hours=2))
    held = ledger(office)
    office.tick(30 * MINUTE)
    check(before, ledger(office), f"- {task} delegated to peter, wait until 2026-03-07 10:46".encode())
    assert given_back(held, ledger(office)) or len(held) != len(ledger(office))
    office.app("peter").tasks.done(task, PETER, "it is there")
    office.tick(MINUTE)

    assert [line for line in office.lines if task in line] == []
    assert office.boxes("sam")["new"] == [f"{task.lower()}.1.done"]
    assert given_back(before, ledger(office)), ledger(office)
    assert office.lines == theirs
