"""What was done: steps that are said to be done and are not, done twice, or undone by the next one."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, State, TaskId
from tests.support.office import TEAM, Office, python

Asked = Callable[..., Any]
PETER, IRIS, SAM, TASK = AgentId("peter"), AgentId("iris"), AgentId("sam"), TaskId("TC-1")
MINUTE = timedelta(minutes=1)


def held(office: Office, **more: Any) -> None:
    """TC-1, which Peter holds."""
    office.delegated("peter", **more)
    office.app("peter").claims.claim(TASK, PETER)
    office.settle()


def test_a_disk_that_takes_no_byte_more_leaves_the_file_as_it_was(office: Office) -> None:
    """anthropics/claude-code#32282: the disk was full, the file of the session was emptied before it was written
    anew, and all that it held was gone.

    Here: a write that the kernel refuses leaves every byte, exits 6 and says so; later it is made.
    """
    held(office)
    before = office.read("status/tc-1.md")

    def refused() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    line = [sys.executable, "-m", "claw_files", "-C", str(office.root), "done", "TC-1", "paid", "--agent", "peter"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("CLAWFILES_")}
    full = subprocess.run(line, env=env, capture_output=True, text=True, check=False, preexec_fn=refused)

    assert (full.returncode, office.read("status/tc-1.md")) == (6, before)
    assert "nothing was changed" in full.stderr
    assert subprocess.run(line, env=env, capture_output=True, check=False).returncode == 0
    assert office.state("TC-1") is State.DONE


def test_a_second_end_is_refused_and_the_first_words_stand(office: Office, asked: Asked) -> None:
    """gastownhall/beads#5593, #4816: an issue that was closed already was closed again; it said yes, and the
    second reason was dropped without a word.

    Here: the second `done` is refused with how the task stands, and the summary of the first stands.
    """
    held(office)
    asked("done", "TC-1", "paid by card", by="peter")

    again = asked("done", "TC-1", "paid by cheque", by="peter")

    assert again["error"]["code"] == "move-refused"
    assert "TC-1 is done" in again["error"]["message"]
    assert asked("task", "show", "TC-1")["summary"] == "paid by card"


def test_the_reason_of_a_reopening_reaches_who_has_to_do_it_again(office: Office, asked: Asked) -> None:
    """gastownhall/beads#5148: why something was reopened was taken as an argument and kept nowhere.

    Here: it stands in the status file, in the journal, and in the message of the next attempt.
    """
    held(office, type="reviewed")
    asked("done", "TC-1", "paid", by="peter")
    office.tick()

    asked("reopen", "TC-1", "there is no receipt")
    office.settle()
    office.tick()

    assert office.task("TC-1").reason == "there is no receipt"
    assert [line["why"] for line in office.audit(action="reopen")] == ["there is no receipt"]
    assert "there is no receipt" in office.message("peter", "tc-1.2")


def test_no_word_about_a_task_replaces_what_was_asked(office: Office, asked: Asked) -> None:
    """gastownhall/beads#4541, gascity#6523: an update of the progress was written over the description, and nobody
    knew any more what was wanted.

    Here: notes, comments and blocks come below it, and the definition stays byte for byte.
    """
    held(office, body="Pay the invoice of March, and only that.")
    defined = office.read("definitions/tc-1.md")

    for words in (("progress", "TC-1", "half of it"), ("block", "TC-1", "no card"), ("unblock", "TC-1", "it is here")):
        asked(*words, by="peter")
    asked("comment", "TC-1", "the card is blue", by="iris")

    text = office.read("status/tc-1.md")
    assert text.count("Pay the invoice of March, and only that.") == 1
    assert all(it in text for it in ("half of it", "it is here", "the card is blue"))
    assert [line["why"] for line in office.audit(action="block")] == ["no card"]
    assert office.read("definitions/tc-1.md") == defined


def test_nobody_writes_over_the_notes_of_another(office: Office, asked: Asked) -> None:
    """gastownhall/beads#5787: whoever set the notes of an issue replaced those of everybody else.

    Here: what is not one's own cannot be moved, and a comment is added with its author's name.
    """
    held(office)
    asked("progress", "TC-1", "I have the card", by="peter")

    refused = asked("progress", "TC-1", "nothing yet", by="iris")
    asked("comment", "TC-1", "nothing yet", by="iris")

    assert refused["error"]["code"] in ("not-yours", "move-refused")
    text = office.read("status/tc-1.md")
    assert re.search(r"peter: I have the card", text)
    assert re.search(r"iris \(comment\): nothing yet", text)


def test_work_whose_process_died_is_begun_again(tmp_path: Path) -> None:
    """procrastinate-org/procrastinate#1518, #740, janbjorge/pgqueuer#475: the worker was killed, and its jobs stood in
    "doing" for ever, as nobody looked whether anybody did them.

    Here: a task in progress has a ledger line and a run; when that is gone, the attempt has failed and another begins.
    """
    script = (
        'import os, signal; open("status/tc-1.md", "a").write("\\nStatus: IN PROGRESS\\n"); os.kill(os.getpid(), 9)'
    )
    office = Office(tmp_path / "sam", f"{TEAM}\n[agents.runner]\n{python(script)}")
    office.delegated("runner", type=None)
    office.tick()
    office.runs_end()

    office.tick()

    assert (office.state("TC-1"), office.task("TC-1").failures) == (State.FAILED, 1)
    office.tick(MINUTE)
    assert office.task("TC-1").attempt == 2
    office.stop()


def test_work_that_ended_before_its_time_limit_is_done(tmp_path: Path) -> None:
    """openclaw/openclaw#126323: the work was finished and said so, its process ran into the time limit, and it was
    reported as failed.

    Here: the file says how the task stands; a run that is ended afterwards takes nothing of it back.
    """
    script = 'import time; open("status/tc-1.md", "a").write("\\nStatus: DONE - all paid\\n"); time.sleep(60)'
    office = Office(tmp_path / "sam", f'{TEAM}\n[agents.runner]\ntimeout = "1s"\n{python(script)}')
    office.delegated("runner", type=None)
    office.tick()
    office.runs_end()

    told = office.acts(MINUTE)

    assert office.state("TC-1") is State.DONE
    assert not any(act.startswith(("fail", "retry", "escalate")) for act in told)
    assert office.lines == []


def test_finished_work_is_not_done_again(office: Office) -> None:
    """gastownhall/gastown#4698: work that was finished stood in the list again, after a restart, and was given to the
    next worker, who did it once more.

    Here: a line that comes back for a task that is done is taken out; nothing is sent for it, and nobody can claim it.
    """
    held(office)
    office.app("peter").tasks.done(TASK, PETER, "paid")
    office.settle()
    office.tick()
    before = office.boxes("peter")
    office.write("HEARTBEAT.md", "- TC-1 delegated to peter\n")

    acts = [*office.acts(MINUTE), *office.acts(MINUTE)]

    assert not any(act.startswith(("deliver", "resend", "wake")) for act in acts)
    assert (office.lines, office.boxes("peter")) == ([], before)
    with pytest.raises(ClawError):
        office.app("iris").claims.claim(TASK, IRIS)
