"""What is over moves by month into archives; what is open stays; everything that reads files finds both."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claw_files.core.errors import CannotRead
from claw_files.core.model import AgentId, Box, State, TaskId
from claw_files.services.admin import month_mover
from claw_files.services.workflows.runs import begin
from claw_files.system.month_archive import Archive
from claw_files.system.path_gate import PathGate
from claw_files.testing import FakeClock
from tests.integration.conftest import typed
from tests.support.office import TEAM, Office

DAY = timedelta(days=1)
SAM, PETER = AgentId("sam"), AgentId("peter")
JANUARY = datetime(2025, 1, 6, 9, tzinfo=UTC)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", clock=FakeClock(JANUARY))
    yield made
    made.stop()


def works(office: Office, tasks: int = 1) -> list[str]:
    """A day of work: tasks that peter is given and does, and a message."""
    done = [office.delegated("peter") for _ in range(tasks)]
    for task in done:
        office.app("peter").claims.claim(TaskId(task), PETER)
        office.app("peter").tasks.done(TaskId(task), PETER, f"mended {task}")
    office.app("sam").messages.send(SAM, PETER, f"thanks for {', '.join(done)}")
    for id in office.app().workspace.message_ids(PETER, Box.NEW):
        office.app("peter").messages.finish(PETER, id)
    office.tick()
    for id in office.app().workspace.message_ids(SAM, Box.NEW):
        office.app("sam").messages.finish(SAM, id)
    office.settle()
    return done


def archives(office: Office) -> dict[str, list[str]]:
    """What is in each archive of the office."""
    found = sorted(office.root.rglob("????-??*.zip"))
    return {str(path.relative_to(office.root)): zipfile.ZipFile(path).namelist() for path in found}


def tidied(office: Office) -> None:
    """Tick until nothing is left to move today."""
    for _ in range(50):
        office.tick()
        if not month_mover.MonthMover(office.app().workspace).is_due():
            return
    raise AssertionError("still not through after fifty ticks")


# --- what moves, and how it is found


def test_a_finished_month_is_archived_and_found_by_every_command(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    (task,) = works(office)
    office.clock.advance(DAY)
    works(office)
    before = {name: raw for name, raw in office.tree().items() if "/done/" in name or name.startswith("audit/")}
    office.clock.set(datetime(2025, 2, 6, tzinfo=UTC))
    tidied(office)
    assert not [name for name in archives(office) if name.startswith("audit")]  # not seven days after its end yet

    office.clock.set(datetime(2025, 2, 9, tzinfo=UTC))
    works(office)
    tidied(office)

    moved = archives(office)
    assert "2025-01-06.jsonl" in moved["audit/2025-01.zip"]
    assert f"20250106T090000Z-{task.lower()}.1.md" in moved["inbox/peter/done/2025-01.zip"]
    assert moved["status/archive/2025-01.zip"] == [f"2025-01/{task.lower()}.md", "2025-01/tc-2.md"]
    assert moved["definitions/archive/2025-01.zip"] == [f"{task.lower()}.md", "tc-2.md"]
    assert not office.exists("status/archive/2025-01") and not office.exists("audit/2025-01-06.jsonl")
    files = office.app().files
    assert {name: files.read(name).data for name in before} == before
    for words, said in (
        (("task", "show", task, "--agent", "sam"), f"mended {task}"),
        (("log", "--task", task, "--limit", "50"), "delegated to peter"),
        (("inbox", "done", f"{task.lower()}.1", "--agent", "peter"), f"{task.lower()}.1"),
        (("stats", "--since", "1000d"), "3"),
        (("explain", task), f"{task.lower()}.1"),
    ):
        status, out, err = typed(office, capsys, *words)
        assert (status, err) == (0, "") and said in out, (words, out)


def test_a_messages_sender_is_found_in_an_archived_journal(office: Office) -> None:
    office.app("sam").messages.send(SAM, PETER, "please read this some day")
    office.clock.advance(DAY)
    office.new()
    office.clock.set(datetime(2025, 6, 1, tzinfo=UTC))
    tidied(office)
    assert "audit/2025-01.zip" in archives(office)

    (id,) = office.app().workspace.message_ids(PETER, Box.NEW)
    (message,) = office.app("peter").messages.inbox(PETER)

    assert message.id == id and message.body.strip() == "please read this some day"


def test_an_archived_task_can_be_reopened_and_its_files_are_live_again(office: Office) -> None:
    task, _ = works(office, 2)
    office.clock.set(datetime(2025, 3, 1, tzinfo=UTC))
    tidied(office)
    assert office.app().workspace.find(TaskId(task)) == (f"status/archive/2025-01/{task.lower()}.md", "archive")

    office.app().tasks.reopen(TaskId(task), AgentId("dimitrios"), "it is back")
    office.settle()

    assert office.exists(f"status/{task.lower()}.md") and office.state(task).value == "backlog"
    office.tick()
    assert office.task(task).title == "A bug"


def test_no_number_of_a_task_comes_back(office: Office) -> None:
    works(office, 3)
    office.clock.set(datetime(2025, 6, 1, tzinfo=UTC))
    tidied(office)
    assert office.names("status") == ["archive"]

    assert office.new() == "TC-4"


def test_archives_can_be_read_without_clawfiles_and_put_back(office: Office) -> None:
    works(office, 2)
    office.new()
    before = {name: raw for name, raw in office.tree().items() if name.startswith("inbox/peter/done/")}
    office.clock.set(datetime(2025, 3, 1, tzinfo=UTC))
    tidied(office)
    place = office.root / "inbox/peter/done"
    archive = place / "2025-01.zip"
    assert before and len(list(place.iterdir())) == 1

    zipfile.ZipFile(archive).extractall(place)
    archive.unlink()

    assert {name: raw for name, raw in office.tree().items() if name.startswith("inbox/peter/done/")} == before


# --- what stays


def test_files_that_open_tasks_may_need_are_not_archived(office: Office) -> None:
    first, second = works(office, 2)
    third = office.new(after=(TaskId(first),))
    held = office.delegated("peter")
    office.app("peter").claims.claim(TaskId(held), PETER)
    for id in office.app().workspace.message_ids(PETER, Box.NEW):
        office.app("peter").messages.finish(PETER, id)
    office.settle()

    office.clock.set(datetime(2025, 6, 1, tzinfo=UTC))
    tidied(office)

    assert office.exists(f"inbox/peter/done/20250106T090000Z-{held.lower()}.1.md")
    assert office.exists(f"inbox/peter/done/20250106T090000Z-{first.lower()}.1.md")
    assert office.exists(f"status/{first.lower()}.md")  # the third comes after it
    assert not office.exists(f"inbox/peter/done/20250106T090000Z-{second.lower()}.1.md")
    assert not office.exists(f"status/{second.lower()}.md")
    assert office.state(third).value == "backlog"


def test_a_yearly_schedule_fires_once_a_year_and_remembers_it(tmp_path: Path) -> None:
    yearly = '[schedules.taxes]\ncron = "0 9 31 1 *"\ndo = { task = "File the taxes" }\n'
    monthly = '[schedules.rent]\ncron = "0 9 1 * *"\ndo = { task = "Pay the rent" }\n'
    office = Office(tmp_path / "sam", TEAM + yearly + monthly, FakeClock(JANUARY))
    office.tick()
    for _ in range(100):
        office.tick(DAY * 7)

    made = [name for name in office.app().files.all_names("events/done") if name.count(".") == 3]
    assert len([name for name in made if ".taxes." in name]) == 2  # 2025 and 2026
    assert len([name for name in made if ".rent." in name]) == 23
    live = [name for name in office.names("events/done") if ".taxes." in name]
    assert [name for name in live if name.count(".") == 3] == ["schedule.taxes.20260131T090000Z.md"]


def test_runs_move_whole_and_are_still_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    team = TEAM.replace("[agents.iris]\n", f"[agents.iris]\nruntime = 'command'\n{_PRINTS}\n")
    office = Office(tmp_path / "sam", team, FakeClock(JANUARY))
    office.delegated("iris")
    office.tick()
    office.runs_end()
    os.utime(office.root / "runs/tc-1.1-s1", (JANUARY.timestamp(), JANUARY.timestamp()))
    office.app("sam").tasks.cancel(TaskId("TC-1"), SAM, "no need")
    office.settle()
    office.new()
    office.clock.set(datetime(2025, 6, 1, tzinfo=UTC))
    tidied(office)

    assert office.names("runs") == ["2025-01.zip"]
    assert "tc-1.1-s1/run.md" in archives(office)["runs/2025-01.zip"]
    run = office.app().runtime.look("tc-1.1-s1")
    assert run and run.ended and not run.alive
    assert office.app().files.read("runs/tc-1.1-s1/stdout.log").data == b"at work\n"
    _, out, _ = typed(office, capsys, "stats", "--since", "1000d")
    assert "exited" in out and "gone" not in out
    office.stop()


def test_the_files_of_a_run_move_when_its_tasks_do_and_are_still_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(tmp_path / "sam", clock=FakeClock(JANUARY))
    office.write("workflows/inner.md", "## write\n- to: peter\n\nWrite\n")
    office.write("workflows/outer.md", "## first\n- workflow: inner\n## last\n- to: peter; after: first\n\nLast\n")
    for _ in range(2):
        app = office.app("sam")
        workflow = app.workflows.sound("outer")
        begin(app.workspace, workflow, app.workflows.copies(workflow, "outer"), {}, SAM)
        office.settle()
        for _ in range(3):
            office.tick()
    office.write("flows/tc-1/deep/down/result.md", "42")
    office.app("sam").tasks.cancel(TaskId("TC-1"), SAM, "no need")
    for _ in range(4):
        office.settle()
        office.tick()
    assert office.state("TC-1-FIRST-WRITE") is State.CANCELLED
    for path in sorted((office.root / "flows").rglob("*")):
        os.utime(path, (JANUARY.timestamp(), JANUARY.timestamp()))
    before = {name: raw for name, raw in office.tree().items() if name.startswith("flows/")}
    office.clock.set(datetime(2025, 6, 1, tzinfo=UTC))
    tidied(office)

    assert office.names("flows") == ["2025-01.zip", "tc-2", "tc-2-first"], "what is at work stays where it is"
    moved = {f"flows/{name}" for name in archives(office)["flows/2025-01.zip"]}
    assert moved == {name for name in before if "tc-1" in name.split("/")[1]}
    assert {name: office.app().files.read(name).data for name in before} == before
    status, out, _ = typed(office, capsys, "workflow", "show", "TC-1")
    assert (status, "first" in out) == (0, True)
    assert "outer" in typed(office, capsys, "stats", "--since", "1000d", "--by", "workflow")[1]


_PRINTS = f"command = [{sys.executable!r}, '-S', '-c', 'print(\"at work\")']"


def test_an_editor_that_saves_an_old_file_in_between_loses_nothing(office: Office) -> None:
    works(office, 1)
    office.new()
    office.clock.set(datetime(2025, 3, 1, tzinfo=UTC))
    commit, path = month_mover.added, "inbox/peter/done/20250106T090000Z-tc-1.1.md"

    def edited(raw: bytes | None, members: dict) -> bytes:
        if path.rpartition("/")[2] in members:
            office.write(path, "mine now\n", JANUARY)
        return commit(raw, members)

    month_mover.added = edited
    try:
        office.app().heartbeat.tick()
    finally:
        month_mover.added = commit
    assert office.read(path) == "mine now\n"

    office.clock.advance(DAY)
    tidied(office)

    assert office.app().files.read(path).data == b"mine now\n"  # the newest version of two
    assert "inbox/peter/done/2025-01.2.zip" in archives(office)


def test_a_journal_to_which_a_clock_that_was_set_back_added_is_one_again(office: Office) -> None:
    works(office)
    office.clock.set(datetime(2025, 3, 1, tzinfo=UTC))
    tidied(office)
    old = office.app().files.read("audit/2025-01-06.jsonl").data
    office.write("audit/2025-01-06.jsonl", '{"timestamp":"2025-01-06T23:00:00Z","action":"late"}\n', JANUARY)

    office.clock.advance(DAY)
    tidied(office)

    assert office.app().files.read("audit/2025-01-06.jsonl").data == old + (
        b'{"timestamp":"2025-01-06T23:00:00Z","action":"late"}\n'
    )


# --- settings


def test_nothing_is_deleted_unless_a_setting_says_so(tmp_path: Path) -> None:
    kept = Office(tmp_path / "kept" / "sam", clock=FakeClock(JANUARY))
    short = Office(
        tmp_path / "short" / "sam",
        TEAM + '[retention]\ncompress_after = "0"\ndelete_after = "60d"\n',
        FakeClock(JANUARY),
    )
    for office in (kept, short):
        works(office)
        office.clock.set(datetime(2025, 2, 1, 1, tzinfo=UTC))
        tidied(office)
        office.clock.set(datetime(2027, 1, 1, tzinfo=UTC))
        tidied(office)
    assert "audit/2025-01.zip" in archives(kept)
    assert not [name for name in archives(short) if "2025-01" in name]
    assert [line["action"] for line in short.audit(key="audit/2025-01.zip")] == ["compress", "delete"]


# --- crashes


def test_killed_at_any_removal_nothing_is_lost_and_the_next_tick_ends_it(tmp_path: Path) -> None:
    """Real processes, killed by the kernel at the n-th call of one name."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    office = Office(tmp_path / "sam", clock=FakeClock(JANUARY))
    works(office, 3)
    office.new()
    wanted = {
        name: raw for name, raw in office.tree().items() if name.startswith(("inbox/peter/done/", "audit/2025-01"))
    }
    for call, number in (("unlinkat", 4), ("unlinkat", 9), ("renameat2", 3), ("renameat2", 5), ("fsync", 6)):
        root = tmp_path / f"{call}{number}" / "sam"
        shutil.copytree(office.root, root)
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        env = {key: value for key, value in os.environ.items() if not key.startswith("CLAWFILES_")}
        command = [sys.executable, "-m", "claw_files", "-C", str(root), "heartbeat"]
        killed = subprocess.run([strace, "-f", "-qq", "-o", "/dev/null", *inject, *command], env=env, check=False)
        assert killed.returncode != 0, (call, number)
        now = Office(root, clock=FakeClock(datetime(2025, 6, 1, tzinfo=UTC)))
        assert {name: now.app().files.read(name).data for name in wanted} == wanted, (call, number)

        for _ in range(2):
            subprocess.run(command, env=env, check=True, capture_output=True)

        assert {name: now.app().files.read(name).data for name in wanted} == wanted, (call, number)
        assert [name for name in now.tree() if name in wanted] == [], (call, number)


def test_old_files_with_hostile_names_move_or_stay_and_none_is_lost(office: Office) -> None:
    office.new()
    names = [
        b"a\nb.md",
        b"\xff\xfe.md",
        b"$(rm).md",
        b"a\\b.md",
        b"\x1b[2J.md",
        "\u202e.md".encode(),
        b"con.md",
        b"x" * 250,
    ]
    place = os.fsencode(office.root / "quarantine")
    os.mkdir(place)
    for name in names:
        Path(os.fsdecode(place + b"/" + name)).write_bytes(name)
        os.utime(place + b"/" + name, (JANUARY.timestamp(), JANUARY.timestamp()))
    office.clock.set(datetime(2025, 6, 1, tzinfo=UTC))

    tidied(office)

    files = office.app().files
    assert {files.read(f"quarantine/{os.fsdecode(name)}").data for name in names} == set(names)
    assert os.listdir(place) != [] and b"\xff\xfe.md" in os.listdir(place)


# --- archives that somebody made up


def _zip(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return out.getvalue()


def _with_name(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    return out.getvalue()


def _damaged() -> bytes:
    raw = bytearray(_zip(a=b"hello hello hello"))
    raw[35:40] = b"\xff" * 5
    return bytes(raw)


HOSTILE = {
    "not an archive": b"PK",
    "empty": b"",
    "noise": os.urandom(4096),
    "a way out": _with_name("../../../tmp/a"),
    "a root": _with_name("/etc/a"),
    "a table too large": _zip(a=b"x")[:-22] + b"PK\5\6" + b"\0" * 8 + (9 << 20).to_bytes(4, "little") + b"\0" * 6,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_made_up_archive_hides_nothing_beside_it_and_the_doctor_names_it(
    office: Office, capsys: pytest.CaptureFixture[str], raw: bytes
) -> None:
    works(office)
    office.write("inbox/peter/done/2025-01.zip", raw)
    office.write("audit/2025-01.zip", raw)
    office.clock.set(datetime(2025, 3, 1, tzinfo=UTC))
    office.new()
    tidied(office)

    assert office.app().files.read("inbox/peter/done/20250106T090000Z-tc-1.1.md").data
    assert typed(office, capsys, "log", "--task", "TC-1")[0] == 0
    assert office.read("audit/2025-01.zip").encode("utf-8", "surrogateescape") == raw
    _, out, _ = typed(office, capsys, "doctor", "--json")
    bad = {one["file"] for one in json.loads(out)["findings"] if one["code"] == "bad-archive"}
    assert bad == {"audit/2025-01.zip", "inbox/peter/done/2025-01.zip"}


def test_a_bomb_in_an_archive_is_read_no_further_than_a_file_may_be_large() -> None:
    archive = Archive(_zip(bomb=b"\0" * (64 << 20)), "audit/2025-01.zip")

    with pytest.raises(CannotRead, match="too large"):
        archive.read("bomb", 4 << 20)


def test_a_damaged_member_is_refused_and_not_taken_for_what_it_was() -> None:
    with pytest.raises(CannotRead, match="bad-archive"):
        Archive(_damaged(), "x.zip").read("a", 100)


# --- a year


def test_folders_are_as_small_in_the_twelfth_month_as_in_the_third(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = {"read": 0, "opened": 0}
    read, folder = PathGate.read, PathGate.folder
    monkeypatch.setattr(PathGate, "read", lambda *a: (counted.update(read=counted["read"] + 1), read(*a))[1])
    monkeypatch.setattr(PathGate, "folder", lambda *a: (counted.update(opened=counted["opened"] + 1), folder(*a))[1])
    measured = {}
    for month in range(1, 13):
        for day in (5, 12, 19, 26):
            office.clock.set(datetime(2025, month, day, 9, tzinfo=UTC))
            works(office, 2)
            tidied(office)
        counted.update(read=0, opened=0)
        office.app().heartbeat.tick()
        live = (path for path in office.root.rglob("*") if path.is_file())
        entries: dict[str, int] = {}
        for path in live:
            entries[str(path.parent.relative_to(office.root))] = (
                entries.get(str(path.parent.relative_to(office.root)), 0) + 1
            )
        measured[month] = (dict(counted), entries)

    third, twelfth = measured[3], measured[12]
    assert twelfth[0] == third[0], (third[0], twelfth[0])
    assert set(twelfth[1]) <= set(third[1]) | {f"status/archive/2025-{n}" for n in ("11", "12")}
    for name, count in twelfth[1].items():
        months = 9 if name.endswith(("archive", "done", "audit")) else 0  # an archive for each month
        assert count <= third[1].get(name, 10) + months, (name, count, third[1].get(name))
