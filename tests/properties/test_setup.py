"""`init --for`, again, and `--remove`, over any file that may be there: as before, or nothing was written."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from claw_files import config
from claw_files.core.errors import InvalidFile
from claw_files.formats.own_sections import BEGIN, END
from claw_files.services.admin.init import INSTRUCTIONS, SKILLS, Setup
from claw_files.system.disk_files import DiskFiles
from claw_files.testing.clock import START

PIECES = [
    "mine\n",
    "mine",
    "\r\n",
    "\n",
    "é",
    "\ufeff",
    "\0",
    BEGIN,
    END,
    f"{BEGIN}\n",
    f"\n{END}\n",
    "---\n",
    "name: clawfiles\n",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join).map(str.encode)
OLD = START.replace(year=2020).timestamp()
FILE = st.none() | TEXTS | st.binary(max_size=20)


def contents(files: DiskFiles) -> dict[str, bytes | None]:
    paths = {*INSTRUCTIONS.values(), *SKILLS.values(), "clawfiles.toml", "HEARTBEAT.md"}
    return {path: files.read(path).data if files.stamp(path) else None for path in paths}


@given(instructions=FILE, skill=FILE, program=st.sampled_from(list(INSTRUCTIONS)))
def test_remove_restores_the_files_before_the_setup(
    instructions: bytes | None, skill: bytes | None, program: str
) -> None:
    with TemporaryDirectory() as root:
        check_removal(Path(root), {INSTRUCTIONS[program]: instructions, SKILLS[program]: skill}, program)


def check_removal(root: Path, given: dict[str, bytes | None], program: str) -> None:
    files = DiskFiles(str(root), durable=False)
    setup = Setup(files, lambda raw: config.parse(raw, "clawfiles.toml").workspace.ledger)
    for path, data in given.items():
        if data is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
            os.utime(root / path, (OLD, OLD))
    before = contents(files)
    had_section = any(BEGIN.encode() in (data or b"") for data in given.values())
    try:
        setup.init("default", program)
    except InvalidFile:
        assert contents(files) == before
        return
    once = contents(files)
    setup.init("default", program)
    assert contents(files) == once
    setup.remove(program)
    after = contents(files)

    assert BEGIN.encode() not in (after[INSTRUCTIONS[program]] or b"")
    if not had_section:
        assert {path: after[path] for path in given} == given
