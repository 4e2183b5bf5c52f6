"""What has exactly one meaning is mended, once; everything else stays to the byte, and nothing is ever lost."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest

from claw_files.core.model import State
from claw_files.core.text import render_instant


def did(clinic) -> list[str]:
    return [f"{it.code} {it.path}" for it in clinic.repair()]


def test_a_healthy_workspace_is_left_alone(clinic) -> None:
    clinic.delegated("peter")
    clinic.tick()
    before = clinic.tree()

    assert clinic.repair() == []
    assert clinic.tree() == before


def test_a_lost_ledger_is_rebuilt_and_says_which_check_times_it_could_not_know(clinic) -> None:
    waiting, working, blocked = (clinic.delegated("peter") for _ in range(3))
    clinic.new(title="not given to anybody", type=None)
    app = clinic.app("peter")
    app.claims.claim(working, "peter")
    app.claims.claim(blocked, "peter")
    app = clinic.app("peter")
    app.tasks.block(blocked, "peter", "no key")
    app.tasks.progress(working, "peter", "half", clinic.clock.now() + timedelta(hours=3))
    clinic.settle()
    (clinic.root / "HEARTBEAT.md").unlink()
    messages = clinic.boxes("peter")

    done = clinic.repair()

    assert [it.code for it in done] == ["ledger-lost"] * 3
    assert "not known" in done[0].did and "ETA" in done[1].did and "not known" in done[2].did
    assert [line.split(",")[0] for line in clinic.lines] == [
        f"- {task} delegated to peter" for task in (waiting, working, blocked)
    ]
    assert "wait until" in clinic.lines[1]
    assert clinic.repair() == []
    assert "ledger-lost" not in clinic.codes()
    clinic.tick()
    assert clinic.boxes("peter") == messages, "nothing is sent twice"


def test_a_spawned_workers_line_gets_its_time_limit_back(clinic) -> None:
    clinic.write("clawfiles.toml", clinic.read("clawfiles.toml") + '[agents.mail]\nkind = "worker"\n')
    from claw_files.services.delegation.delegation import SpawnOrder

    made = clinic.app("sam").delegations.spawn(SpawnOrder(text="Read", label="mail", size="M", worker="mail"), "iris")
    clinic.settle()
    before = clinic.lines
    (clinic.root / "HEARTBEAT.md").unlink()

    assert did(clinic) == ["ledger-lost HEARTBEAT.md"]
    assert clinic.lines == before
    assert made.task in before[0] and "for iris" in before[0]


def test_other_open_tasks_without_a_line_are_named_only(clinic) -> None:
    clinic.held("TC-1")
    clinic.status("TC-2", "status: review\nassignee: peter\nrecorded: review")

    assert clinic.repair() == []
    assert "not-watched" in clinic.codes()


def test_in_progress_without_a_line_gets_one_and_other_lines_stay(clinic) -> None:
    clinic.held("TC-1")
    clinic.held("TC-2")
    text = "# Mine\n\nBuy milk.  \r\n- TC-2 delegated to peter, check at 2026-03-07 10:00\n"
    clinic.write("HEARTBEAT.md", text)

    assert did(clinic) == ["no-line HEARTBEAT.md"]
    assert clinic.read("HEARTBEAT.md").startswith(text)
    assert "TC-1 delegated to peter, check at" in clinic.read("HEARTBEAT.md")
    assert clinic.repair() == []


@pytest.mark.parametrize(
    ("source", "text", "target"),
    [
        ("status/tc-1.md", "---\nstatus: dead\nrecorded: dead\n---\n", "dead-letter/tc-1.md"),
        ("dead-letter/tc-1.md", "---\nstatus: backlog\nrecorded: backlog\n---\n", "status/tc-1.md"),
    ],
)
def test_a_file_in_the_wrong_folder_is_moved_unchanged(clinic, source: str, text: str, target: str) -> None:
    clinic.write(source, text)

    assert did(clinic) == [f"misplaced {source}"]
    assert clinic.tree()[target] == text.encode()
    assert not clinic.exists(source)
    assert clinic.repair() == []


def test_a_dead_letter_whose_state_was_changed_by_hand_stays_where_it_is(clinic) -> None:
    clinic.write("dead-letter/tc-1.md", "---\nstatus: backlog\nrecorded: dead\n---\n")

    assert clinic.repair() == []
    assert clinic.codes() == ["refused-move"]


def test_nothing_is_moved_onto_a_file_that_is_there(clinic) -> None:
    clinic.write("status/tc-1.md", "---\nstatus: dead\nrecorded: dead\n---\n")
    clinic.write("dead-letter/tc-1.md", "---\nstatus: dead\nrecorded: dead\n---\nold\n")
    before = clinic.tree()
    app = clinic.app("sam")
    from claw_files.doctor.repair import Repair

    repair = Repair(app.workspace, app.files, app.runtime, app.actor)

    assert repair.mend() == []
    assert clinic.tree() == before
    assert "already there" in repair.failed[0]


def test_equal_twins_become_one_and_unequal_ones_stay(clinic) -> None:
    for name in ("tc-1", "TC-1"):
        clinic.write(f"status/{name}.md", "TC-1: TODO\n")
    for name, text in (("tc-2", "TODO"), ("TC-2", "DONE")):
        clinic.write(f"status/{name}.md", f"TC-2: {text}\n")

    assert did(clinic) == ["case-twins status/TC-1.md"]
    assert clinic.names("status") == ["TC-2.md", "tc-1.md", "tc-2.md"]
    kept = [name for name in clinic.names("conflicts") if not name.endswith(".reason")]
    assert [clinic.read(f"conflicts/{name}") for name in kept] == ["TC-1: TODO\n"]
    assert clinic.repair() == []
    assert clinic.codes() == ["case-twins", "conflict-kept"]


def test_half_delivered_messages_are_set_aside_after_36_hours(clinic) -> None:
    for name, hours in (("old", 37), ("young", 35)):
        clinic.write(f"inbox/peter/tmp/{name}", name)
        clinic.age(f"inbox/peter/tmp/{name}", hours * 3600)

    assert did(clinic) == ["stale-tmp inbox/peter/tmp/old"]
    assert clinic.names("inbox/peter/tmp") == ["young"]
    kept = [name for name in clinic.names("quarantine") if not name.endswith(".reason")]
    assert [clinic.read(f"quarantine/{name}") for name in kept] == ["old"]
    assert clinic.repair() == []


def test_a_torn_line_of_the_journal_is_ended_and_kept_aside(clinic) -> None:
    text = '{"action": "x"}\n{"act'
    clinic.write("audit/2026-03-01.jsonl", text, clinic.clock.now() - timedelta(days=1))

    assert did(clinic) == ["journal-torn audit/2026-03-01.jsonl"]
    assert clinic.read("audit/2026-03-01.jsonl").startswith(f"{text}\n")
    assert clinic.read("audit/2026-03-01.jsonl").endswith("\n")
    kept = [name for name in clinic.names("quarantine") if not name.endswith(".reason")]
    assert [clinic.read(f"quarantine/{name}") for name in kept] == ['{"act']
    assert clinic.codes() == ["quarantined"], "the line is known, and not told for ever"
    assert clinic.repair() == []


def test_a_lost_run_is_ended_and_the_next_tick_fails_its_task(clinic) -> None:
    clinic.held(more="attempt: 1")
    front = "run: tc-1.1-s1\nagent: peter\ntask: TC-1\nkey: tc-1.1\ngeneration: 1\npid: 4194304"
    clinic.write("runs/tc-1.1-s1/run.md", f"---\n{front}\n---\n")
    clinic.age("runs/tc-1.1-s1", 60)

    assert did(clinic) == ["run-lost runs/tc-1.1-s1"]
    assert "reason: lost" in clinic.read("runs/tc-1.1-s1/run.md")
    assert clinic.repair() == []
    assert clinic.codes() == []


def test_a_write_that_a_crash_cut_short_is_finished(clinic) -> None:
    clinic.new()
    clinic.write(".clawfiles/swap/status%tc-1.md~none~abcd~5-01234567.part", "x")

    assert [it.code for it in clinic.repair()] == ["swap-left"]
    assert clinic.names(".clawfiles/swap") == []
    assert clinic.repair() == []


def test_displaced_versions_are_looked_at_again_after_ten_minutes(clinic) -> None:
    task = clinic.new()
    clinic.app("peter").claims.claim(task, "peter")
    clinic.settle()
    clinic.clock.advance(timedelta(minutes=11))
    assert "no-heartbeat" not in clinic.codes()  # the next heartbeat takes it away
    clinic.clock.advance(timedelta(minutes=2))
    assert "no-heartbeat" in clinic.codes()

    assert [it.code for it in clinic.repair()] == ["no-heartbeat"]
    assert clinic.repair() == []
    assert "no-heartbeat" not in clinic.codes()


def everything_wrong(clinic) -> None:
    clinic.held("TC-1")
    clinic.held("TC-2")
    clinic.write("HEARTBEAT.md", "# Mine\nBuy milk.\n- TC-2 delegated to peter, check at 2026-03-07 10:00\n")
    for name, text in {
        "status/TC-2.md": clinic.read("status/tc-2.md"),
        "status/tc-3.md": "---\nstatus: dead\nrecorded: dead\n---\n",
        "status/tc-4.md": "---\nstatus: done\nrecorded: review\n---\nnot so fast\n",
        "status/tc-5.md": "\x00",
        "status/two words.md": "x",
        "status/tc-6.md": "---\nafter: TC-6\n---\n",
        "dead-letter/tc-7.md": "---\nstatus: dead\nrecorded: dead\n---\n",
        "inbox/peter/tmp/half": "half",
        "inbox/peter/new/bad.md": "not a message",
        "notes/mine.md": "mine",
        "conflicts/x": "theirs",
        "audit/2026-03-01.jsonl": '{"a": 1}\n{"b',
        "runs/tc-1.1-s1/run.md": "---\nrun: tc-1.1-s1\nagent: peter\nkey: tc-1.1\n---\n",
    }.items():
        clinic.write(name, text, clinic.clock.now() - timedelta(hours=40))
    clinic.age("runs/tc-1.1-s1", 60)
    (clinic.root / "status/link.md").symlink_to("tc-1.md")


def test_repair_changes_no_foreign_byte_and_does_nothing_the_second_time(clinic) -> None:
    everything_wrong(clinic)
    before = clinic.tree()

    done = clinic.repair()

    after = clinic.tree()
    claimed = {it.path for it in done} | {"HEARTBEAT.md", "runs/tc-1.1-s1/run.md"}
    assert {it.code for it in done} == {
        "no-line", "case-twins", "misplaced", "stale-tmp", "journal-torn", "run-lost"
    }  # fmt: skip
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed <= claimed, changed - claimed
    everything = b"\n".join(after.values())
    for name in changed - {"runs/tc-1.1-s1/run.md"}:
        for line in before[name].split(b"\n"):
            assert line in everything, f"{name}: {line!r} is lost"
    again = clinic.sums()
    assert clinic.repair() == []
    left = clinic.sums()
    assert {k: v for k, v in again.items() if not k.startswith(".clawfiles")} == {
        k: v for k, v in left.items() if not k.startswith(".clawfiles")
    }


def test_repair_waits_for_a_heartbeat_that_is_at_work(clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    from claw_files.core.errors import Busy
    from claw_files.doctor import repair

    monkeypatch.setattr(repair, "PATIENCE", timedelta(0))
    everything_wrong(clinic)
    before = clinic.tree()
    with clinic.app("sam").workspace.locks.hold("tick", timedelta(0), "a tick"), pytest.raises(Busy):
        clinic.repair()

    assert clinic.tree() == before


@pytest.fixture
def program(clinic) -> Callable[..., subprocess.CompletedProcess[str]]:
    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
        command = [sys.executable, "-m", "claw_files", "-C", str(clinic.root), "doctor", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    return start


def test_the_command_tells_what_it_mended_and_what_is_left(clinic, program) -> None:
    everything_wrong(clinic)

    first, second = program("--repair", "--json"), program("--repair", "--json")
    document, again = json.loads(first.stdout), json.loads(second.stdout)

    assert (first.returncode, second.returncode) == (1, 1)
    assert len(document["repaired"]) == 6
    assert again["repaired"] == []
    assert set(document["findings"][0]) == {"code", "file", "line", "meaning", "do", "repairable"}
    assert set(document["repaired"][0]) == {"code", "file", "did"}
    assert not [one for one in document["findings"] if one["repairable"]]
    assert document["notices"][0].startswith("no-cron")


def test_the_command_exits_0_when_all_was_mended(clinic, program) -> None:
    clinic.held("TC-1")
    clinic.write("HEARTBEAT.md", "# Mine\n")
    assert program().returncode == 1

    mended = program("--repair")

    assert mended.returncode == 0, mended
    assert mended.stdout.startswith("repaired no-line: HEARTBEAT.md: a line for TC-1, peter")
    assert mended.stdout.endswith("nothing found\n")
    assert program().stdout == "nothing found\n"


def test_a_wrong_configuration_is_told_and_nothing_is_mended(clinic, program) -> None:
    everything_wrong(clinic)
    clinic.write("clawfiles.toml", "[workspace]\nx = 1\n")
    before = clinic.tree()

    answer = program("--repair")

    assert answer.returncode == 1
    assert "invalid-config: clawfiles.toml:2:" in answer.stdout
    assert "needs a valid configuration" in answer.stderr
    assert clinic.tree() == before


def test_states_are_never_guessed(clinic) -> None:
    everything_wrong(clinic)
    clinic.repair()

    assert clinic.state("TC-1") is State.IN_PROGRESS
    assert render_instant(clinic.clock.now())[:10] in clinic.lines[-1]
