"""Ticks beside broken and hostile files, and ticks that must not write at all."""

import hashlib
import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, Box, State
from tests.support.office import TEAM, Office

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def everything(root: Path) -> dict[str, tuple[str, int]]:
    """Every file, folder and link under `root`, .clawfiles without its locks included: content and time."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith(".clawfiles/locks") or path.is_fifo():
            continue
        data = path.read_bytes() if path.is_file() else b""
        is_folder = path.is_dir() and not path.is_symlink()
        found[name] = (hashlib.sha256(data).hexdigest(), 0 if is_folder else path.lstat().st_mtime_ns)
    return found


def prepared(office: Office) -> None:
    """Something of everything to do."""
    office.delegated("peter")
    office.delegated("peter")
    office.new()
    office.add("HEARTBEAT.md", "- TC-3 -> iris (check 10:00)\n- TC-7 delegated to peter, check at 10:00\n")
    office.write("status/tc-1.md", "TC-1: DONE\n")
    office.write("status/peter.md", "TC-2: BLOCKED - no access\n")
    office.write("status/tc-9.md", "TC-9: FAILED\n")
    office.add("HEARTBEAT.md", "- TC-9 delegated to iris, check at 10:00\n")
    office.app().messages.send(AgentId("sam"), AgentId("dimitrios"), "hello")
    office.write("inbox/iris/new/broken.md", "no front matter")
    office.settle()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(office: Office) -> None:
    prepared(office)
    before = everything(office.root)

    planned = office.app().heartbeat.preview()

    assert everything(office.root) == before
    acts = Counter(str(action.act) for action in planned.actions)
    assert {"record", "deliver", "announce"} <= {*acts}


def test_the_tick_begins_with_the_actions_that_a_dry_run_announced(office: Office) -> None:
    prepared(office)
    planned = office.app().heartbeat.preview().actions

    done = office.tick().actions

    assert {(a.act, a.task, a.agent) for a in planned} <= {(a.act, a.task, a.agent) for a in done}


def test_a_tick_with_nothing_to_do_writes_nothing(office: Office) -> None:
    prepared(office)
    for _ in range(3):
        office.tick()
    before = everything(office.root)

    assert office.app().heartbeat.tick().actions == ()

    assert everything(office.root) == before


HOSTILE: dict[str, bytes] = {
    "NUL": b"---\nstatus: done\n---\n\0\n",
    "not UTF-8": b"---\nstatus: done\n---\n\xff\xfe\n",
    "broken YAML": b"---\nstatus: [done\n---\n",
    "a bomb": b"---\na: &a [x]\nb: &b [*a, *a]\nstatus: done\n---\n",
    "a tag": b"---\nstatus: !!python/object/apply:os.system ['touch PWNED']\n---\n",
    "another task's id": b"---\nid: TC-999\nstatus: done\n---\n",
    "twice the same key": b"---\nstatus: done\nStatus: backlog\n---\n",
    "too large": b"---\nstatus: done\n---\n" + b"x" * (5 << 20),
}


@pytest.mark.parametrize("kind", [*HOSTILE, "a link out", "a folder", "a FIFO", "two names"])
def test_a_file_that_cannot_be_read_is_reported_once_and_left_as_it_is_while_the_others_are_served(
    office: Office, kind: str
) -> None:
    good = office.delegated("peter")
    outside = office.root.parent / "outside.md"
    outside.write_text("Status: DONE\n")
    bad = office.root / "status/tc-50.md"
    if kind in HOSTILE:
        office.write("status/tc-50.md", HOSTILE[kind])
    elif kind == "a link out":
        bad.symlink_to(outside)
    elif kind == "a folder":
        bad.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(bad)
    else:
        office.write("notes.md", "Status: DONE\n")
        os.link(office.root / "notes.md", bad)
    office.write("HEARTBEAT.md", f"- TC-50 delegated to peter, check at 09:00\n{office.read('HEARTBEAT.md')}")
    office.write("status/tc-1.md", "TC-1: DONE\n")
    before = everything(office.root / "status")["tc-50.md"] if kind != "a FIFO" else None

    acts = office.acts(MINUTE)

    assert office.state(good) is State.DONE
    assert acts.count("escalate TC-50") == 1
    assert len([name for name in office.box("sentry") if name.startswith("tc-50.1.unreadable")]) == 1
    assert office.acts(MINUTE) == []
    assert outside.read_text() == "Status: DONE\n"
    assert before is None or everything(office.root / "status")["tc-50.md"] == before
    assert not office.exists("PWNED")
    assert [line for line in office.lines if "TC-50" in line]
    said = [act for _ in range(6) for act in office.acts(31 * MINUTE)]
    assert said.count("escalate TC-50") in (1, 2, 3)  # still so at the next check: one step further up, each once
    assert office.acts(HOUR) == []


def test_a_state_that_is_no_known_word_is_asked_about_once_and_no_write_of_ours_replaces_it(office: Office) -> None:
    good = office.delegated("peter")
    office.write("status/tc-50.md", "---\nstatus: gnarf # mine\n---\n")
    office.write("HEARTBEAT.md", f"- TC-50 delegated to peter, check at 09:00\n{office.read('HEARTBEAT.md')}")
    office.write("status/tc-1.md", "TC-1: DONE\n")

    assert office.acts(MINUTE) == ["deliver TC-50", "record TC-1", "inform TC-1", "close TC-1"]
    assert office.state(good) is State.DONE
    said = [act for _ in range(6) for act in office.acts(31 * MINUTE)]

    assert office.box("sentry") == []
    asked = next(key for key in office.boxes("sam")["new"] if "unclear" in key)
    assert "status/tc-50.md, line 2, says “status: gnarf”" in office.message("sam", asked)
    assert "nudge TC-50" in said and not {"resend TC-50", "next-agent TC-50"} & set(said)
    assert "status: gnarf # mine\n" in office.read("status/tc-50.md")


def test_an_unreadable_file_that_is_mended_goes_on_as_if_nothing_had_been(office: Office) -> None:
    office.delegated("peter")
    good = office.read("status/tc-1.md")
    office.write("status/tc-1.md", "---\nstatus: [done\n")
    office.acts(MINUTE)

    office.write("status/tc-1.md", good.replace("# TC-1", "Status: DONE\n\n# TC-1"))

    assert office.acts(MINUTE) == ["record TC-1", "inform TC-1", "close TC-1"]


def test_a_file_that_is_being_written_is_waited_for(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "---\nstatus: do")

    assert office.acts() == []
    assert office.box("sentry") == []


def test_a_message_that_cannot_be_read_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM + '[agents.coder]\ncommand = ["true"]\n')
    office.write("inbox/coder/new/broken.md", "no front matter\x00")
    office.write("inbox/dimitrios/new/other.md", "---\nid: [\n---\n")

    assert office.acts(MINUTE) == ["escalate sentry", "escalate sentry"]
    assert office.acts(MINUTE) == [], "each is told once"

    assert len([key for key in office.box("sentry") if key.startswith("set-aside.")]) == 2
    assert office.read("quarantine/inbox-coder-new-broken.md") == "no front matter\x00"
    assert office.exists("quarantine/inbox-coder-new-broken.md.reason")
    assert office.exists("quarantine/inbox-dimitrios-new-other.md")


ESCAPES = "\x1b]0;owned\x07\x1b[2Jclear\x9b31m\x00 end"


def test_no_control_character_of_one_agent_reaches_another_raw(office: Office) -> None:
    office.delegated("peter")
    office.delegated("peter")
    office.delegated("peter", type="reviewed")
    hostile = ESCAPES.replace("\0", "")
    office.write("status/tc-1.md", f"TC-1: BLOCKED - {hostile}\n")
    office.write("status/tc-2.md", f"TC-2: BLOCKED\nNeeds: iris - {hostile}\n")
    office.write("status/tc-3.md", f"TC-3: DONE - {hostile}\n")
    office.app().messages.send(AgentId("sam"), AgentId("dimitrios"), hostile)
    office.acts(MINUTE)
    (question,) = office.box("iris")
    office.app("iris").messages.answer(AgentId("iris"), question, hostile)
    for _ in range(6):
        office.acts(31 * MINUTE)

    texts = {
        path.relative_to(office.root): path.read_text()
        for agent in office.names("inbox")
        for box in Box
        for path in (office.root / "inbox" / agent / box).glob("*.md")
    }
    texts[Path("announcements.md")] = office.read("announcements.md")

    assert len(texts) > 6
    raw = {name for name, text in texts.items() if any(c in text for c in "\x00\x1b\x07\x9b")}
    assert raw == set()
