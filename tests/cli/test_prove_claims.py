"""`doctor --prove-claims`: the race on the user's own disk, which leaves nothing behind and can be lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from claw_files.core.errors import AlreadyClaimed
from claw_files.core.model import AgentId, TaskId
from claw_files.doctor import claim_proof
from claw_files.storage.locks import Claims
from claw_files.system.disk_files import DiskFiles
from claw_files.testing.patience import until

ROOT = Path(__file__).parents[2]


def test_the_race_is_one_line_and_leaves_nothing_behind(desk) -> None:
    desk.task()
    before = desk.read("HEARTBEAT.md") if (desk.root / "HEARTBEAT.md").exists() else ""

    told = desk("doctor", "--prove-claims", "64")

    assert (told.status, told.out.count("\n")) == (0, 1)
    assert told.out.startswith("64 claims by 8 processes in ")
    assert told.out.endswith(" s: 0 doubled, 0 lost\n")
    assert not (desk.root / ".clawfiles/proof").exists()
    assert before == (desk.read("HEARTBEAT.md") if (desk.root / "HEARTBEAT.md").exists() else "")


def test_as_json_it_names_the_file_system(desk) -> None:
    found = desk("doctor", "--prove-claims", "16", "--json").json

    assert (found["claims"], found["processes"], found["doubled"], found["lost"]) == (16, 8, 0, 0)
    assert found["filesystem"] == claim_proof.filesystem_of(str(desk.root))


def test_a_race_that_is_lost_exits_1_and_says_how_often(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring stick: with a look in place of a claim, several processes have the same task."""

    def look_and_write(files: DiskFiles, claims: Claims, task: TaskId, agent: AgentId) -> bool:
        path = Path(files._gate.root) / f"status/{task.lower()}.md"
        if path.read_bytes() != claim_proof.BACKLOG:
            return False
        sleep(0.0005)  # else one processor may never leave a process between its look and its write
        path.write_text(f"status: in_progress\nassignee: {agent}\n")
        return True

    monkeypatch.setattr(claim_proof, "claim", look_and_write)

    counts = (desk("doctor", "--prove-claims", "400", "--json") for _ in range(5))

    assert any(found.status == 1 and found.json["doubled"] > 0 for found in counts)


def test_a_task_that_nobody_has_in_the_end_is_lost(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(files: DiskFiles, claims: Claims, task: TaskId, agent: AgentId) -> bool:
        try:
            with claims.take(task, 1, agent):
                return True
        except AlreadyClaimed:
            return False

    monkeypatch.setattr(claim_proof, "claim", forget)

    found = desk("doctor", "--prove-claims", "16", "--json")

    assert (found.status, found.json["lost"]) == (1, 16)


def test_a_disk_that_keeps_less_is_named_and_exits_1(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(claim_proof.folder_locks, "take", lambda *_: True)
    monkeypatch.setattr(claim_proof.folder_locks, "is_taken", lambda *_: False)
    monkeypatch.setattr(claim_proof.kernel, "exchange", refuse)
    monkeypatch.setattr(claim_proof, "filesystem_of", lambda _: "nfs4")
    monkeypatch.setattr(claim_proof, "race", lambda place, ids, durable=True: [])

    told = desk("doctor", "--prove-claims", "2")

    assert told.status == 1
    assert [line.partition(":")[0] for line in told.out.splitlines()[1:]] == [
        "nfs4 is not a local Unix file system",
        "folders cannot be locked",
        "names cannot be exchanged",
    ]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_cut_off_it_leaves_no_process_and_the_next_one_tidies_up(desk, sent: signal.Signals) -> None:
    command = [sys.executable, "-m", "claw_files", "-C", str(desk.root), "doctor", "--prove-claims", "9000", "--json"]
    racing = subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, start_new_session=True)
    claims = desk.root / ".clawfiles/proof/.clawfiles/claims"
    until(lambda: any(claims.iterdir()), "the race")

    if sent is signal.SIGINT:
        os.killpg(racing.pid, sent)  # as a terminal does
    else:
        racing.kill()
    racing.wait(60)

    until(lambda: not group(racing.pid), "the end of all its processes")
    assert (sent is signal.SIGKILL) == (desk.root / ".clawfiles/proof").exists()
    assert json.loads(desk("doctor", "--prove-claims", "16", "--json").out)["lost"] == 0
    assert not (desk.root / ".clawfiles/proof").exists()


def group(leader: int) -> list[str]:
    """The processes of a group that live."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] not in ("Z", "X"):
            found.append(name)
    return found


def test_two_at_once_take_turns(desk) -> None:
    from datetime import timedelta

    from claw_files.storage.locks import Locks

    with Locks(str(desk.root)).hold(claim_proof.LOCK, timedelta(0), "another"):
        assert desk("doctor", "--prove-claims", "8").status == 7
