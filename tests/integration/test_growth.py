"""One limit for one file, and nothing that clawfiles keeps for itself grows without end."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claw_files.core.errors import CannotRead, Refused
from claw_files.core.text import FILE_BYTES
from claw_files.system.disk_files import DiskFiles
from claw_files.testing import FakeClock

LEDGER = "HEARTBEAT.md"


@pytest.fixture
def files(tmp_path: Path) -> DiskFiles:
    return DiskFiles(str(tmp_path), clock=FakeClock(datetime.now(UTC)), durable=False)


def kept(root: Path) -> list[Path]:
    return sorted((root / ".clawfiles/kept").iterdir())


# --- one limit


def test_reads_accept_the_largest_write_and_one_byte_more_is_refused(files: DiskFiles, tmp_path: Path) -> None:
    files.commit(LEDGER, lambda _: b"x" * FILE_BYTES, None)
    assert len(files.read(LEDGER).data) == FILE_BYTES

    with pytest.raises(Refused, match="larger than 4 MiB"):
        files.commit(LEDGER, lambda raw: (raw or b"") + b"x", None)

    assert (tmp_path / LEDGER).stat().st_size == FILE_BYTES


def test_an_oversized_file_can_shrink_but_not_grow(files: DiskFiles, tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"x" * (FILE_BYTES + 100))
    with pytest.raises(CannotRead, match="4 MiB; move"):
        files.read(LEDGER)

    files.commit(LEDGER, lambda raw: (raw or b"")[:-1], None)
    with pytest.raises(Refused):
        files.commit(LEDGER, lambda raw: (raw or b"") + b"xx", None)

    assert (tmp_path / LEDGER).stat().st_size == FILE_BYTES + 99


# --- displaced versions


def test_of_many_writes_to_one_file_sixteen_displaced_versions_stay(files: DiskFiles, tmp_path: Path) -> None:
    for number in range(200):
        files.commit(LEDGER, lambda raw, n=number: (raw or b"") + b"%d\n" % n, None)

    assert len(kept(tmp_path)) == 16
    newest = {path.read_bytes().splitlines()[-1] for path in kept(tmp_path)}
    assert newest == {b"%d" % number for number in range(183, 199)}


def test_a_version_that_an_editor_has_open_stays_however_many_writes_follow(files: DiskFiles, tmp_path: Path) -> None:
    files.commit(LEDGER, lambda _: b"first\n", None)
    with (tmp_path / LEDGER).open("ab", buffering=0) as editor:
        for number in range(100):
            files.commit(LEDGER, lambda raw, n=number: (raw or b"") + b"%d\n" % n, None)
        editor.write(b"theirs\n")
        assert files.adopt() == [(LEDGER, "late lines added")]

    assert b"theirs\n" in (tmp_path / LEDGER).read_bytes()


def test_a_displaced_version_that_was_changed_and_closed_is_not_thinned_away(files: DiskFiles, tmp_path: Path) -> None:
    files.commit(LEDGER, lambda _: b"first\n", None)
    with (tmp_path / LEDGER).open("ab", buffering=0) as editor:
        files.commit(LEDGER, lambda raw: (raw or b"") + b"ours\n", None)
        editor.write(b"theirs\n")
    for number in range(100):
        files.commit(LEDGER, lambda raw, n=number: (raw or b"") + b"%d\n" % n, None)

    assert files.adopt() == [(LEDGER, "late lines added")]
    for number in range(100):
        files.commit(LEDGER, lambda raw, n=number: (raw or b"") + b"%d\n" % n, None)
    assert any("~late-" in path.name for path in kept(tmp_path))  # asked again after ten minutes


def test_files_of_a_person_among_displaced_versions_are_left_alone(files: DiskFiles, tmp_path: Path) -> None:
    files.commit(LEDGER, lambda _: b"first\n", None)
    files.commit(LEDGER, lambda _: b"second\n", None)
    (tmp_path / ".clawfiles/kept/mine").write_text("mine")
    for number in range(40):
        files.commit(LEDGER, lambda raw, n=number: (raw or b"") + b"%d\n" % n, None)

    assert (tmp_path / ".clawfiles/kept/mine").read_text() == "mine"
    assert len(os.listdir(tmp_path / ".clawfiles/kept")) == 17
