"""Handing work over: what other coordinators give to two agents, to nobody, to the dead, or to the wrong one."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.config import parse
from claw_files.core.errors import ClawError, InvalidConfig
from claw_files.core.model import AgentId, State, TaskId
from claw_files.system.procfs import supervisor_of
from claw_files.testing.patience import until
from tests.support.office import TEAM, Office, python

Asked = Callable[..., Any]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PETER, IRIS, SAM = AgentId("peter"), AgentId("iris"), AgentId("sam")
AGAIN = ("deliver", "resend", "next-agent", "retry", "fail", "dead-letter")


def held(office: Office, **more: Any) -> str:
    """A task that Peter holds; its id."""
    task = office.delegated("peter", **more)
    office.app("peter").claims.claim(TaskId(task), PETER)
    office.settle()
    return task


def given_again(acts: list[str]) -> list[str]:
    return [act for act in acts if act.split()[0] in AGAIN]


def test_an_agent_that_reads_late_keeps_its_work(office: Office) -> None:
    """greeves89/AI-Employee#695, PersonalJarvis#128, anthropics/claude-code#85963: an agent had the message open
    and was slow to say so; the work was handed to a second one, and both did it.

    Here: a message that was read is never handed on; people are asked instead.
    """
    office.delegated(type="bug")
    (message,) = office.app("peter").messages.inbox(PETER)

    acts = [act for _ in range(12) for act in office.acts(10 * MINUTE)]

    assert message.task == "TC-1"
    assert given_again(acts) == []
    assert "escalate TC-1" in acts
    assert office.box("iris") == []


@pytest.mark.parametrize("left", ["", "---\nid: TC-1\nstat", "\0" * 200])
def test_a_status_file_that_was_cut_keeps_its_claim(office: Office, left: str) -> None:
    """sipyourdrink-ltd/bernstein#850, greeves89/AI-Employee#714, openclaw#61264: a full disk or a half save left a
    state file of 0 bytes; the claim was lost with it and a second worker began.

    Here: the file is unreadable, not new: its claim stands, and nobody else gets the task.
    """
    task = held(office)
    office.write("status/tc-1.md", left)

    acts = [act for _ in range(6) for act in office.acts(10 * MINUTE)]

    assert given_again(acts) == []
    with pytest.raises(ClawError):
        office.app("iris").claims.claim(TaskId(task), IRIS)


def test_a_task_description_survives_the_deletion_of_its_file(office: Office) -> None:
    """anthropics/claude-code#36323, cameronfreer/lean4-skills#66, gsd-build/gsd-2#1438,
    Meisterull/agent-dashboard#15: a branch switch or an editor that deletes before it writes took the only copy of
    a description.

    Here: the definition lies in a file of its own, and comes back with the holder's next words.
    """
    office.new("Keeps the folder from being empty", type=None)
    held(office, title="Checkout charges twice", body="Only with vouchers, since Monday.")
    (office.root / "status/tc-2.md").unlink()
    office.tick(MINUTE)
    office.write("status/tc-2.md", "TC-2: DONE\n")

    office.tick(MINUTE)

    assert office.task("TC-2").title == "Checkout charges twice"
    assert office.task("TC-2").type == "bug"
    assert "Only with vouchers, since Monday." in office.read("definitions/tc-2.md")


def test_a_name_that_is_no_agent_is_found_when_the_configuration_is_read() -> None:
    """openclaw#84811: a name in a list was never compared with the agents there are, and work for it lay still.

    Here: the line is named at load, with what was probably meant.
    """
    with pytest.raises(InvalidConfig, match="petre"):
        parse(TEAM.replace('to = ["peter"], review', 'to = ["petre"], review').encode(), "clawfiles.toml")


def test_an_agent_that_leaves_the_configuration_takes_no_work_with_it(office: Office) -> None:
    """grp06/openclaw-studio#3, openclaw#65524, gastownhall/gastown#1380: an agent was removed while it had work in
    hand; the work could neither be finished nor given to another.

    Here: the coordinator is told, nothing is lost, and the task can be given to another agent.
    """
    task = held(office)
    text = office.read("clawfiles.toml")
    text = (
        text.replace('[agents.peter]\ntakes = ["bug"]\n', "").replace('"peter", ', "").replace('["peter"]', '["iris"]')
    )
    office.write("clawfiles.toml", text)

    acts = [act for _ in range(4) for act in office.acts(20 * MINUTE)]
    assert "escalate TC-1" in acts

    office.app().tasks.release(TaskId(task), SAM, "Peter has left")
    office.delegate(task, "iris")
    assert office.box("iris") == [office.box("iris")[0]]
    assert office.task(task).assignee == "iris"


def test_a_result_reaches_whoever_asked_for_it(office: Office) -> None:
    """openclaw#147690, #27182: the result of a task went to the agent that was active last, not to the one that
    asked.

    Here: the requester stands in the task; the news goes there and to nobody else.
    """
    order = office.app("iris").tasks
    from claw_files.services.tasks.lifecycle import NewTask

    task = order.new(NewTask(title="Which region?", type="bug", to=None), IRIS).id
    office.settle()
    office.app("iris").delegations.delegate(task, IRIS, PETER)
    office.settle()
    office.app("peter").claims.claim(task, PETER)
    office.app("peter").tasks.done(task, PETER, "eu-1")
    office.tick(MINUTE)
    office.tick(MINUTE)

    assert [key for key in office.box("iris") if key.startswith("tc-1")] == ["tc-1.1.done"]
    assert not [key for key in office.box("dimitrios") + office.box("sentry") if key.startswith("tc-1")]


@pytest.mark.parametrize("name", ["paul", "peter2", "../peter", "PETER "])
def test_a_message_to_nobody_is_refused(office: Office, asked: Asked, name: str) -> None:
    """agentwire-dev#694, anthropics/claude-code#86348, #32276: a message to an agent that was gone was accepted,
    and nobody ever read it.

    Here: the name is refused with one sentence, and no folder is made for it.
    """
    answer = asked("send", name, "are you there?")

    assert "error" in answer
    assert not [it for it in office.names("inbox") if it not in office.app().settings.agents]


def test_names_in_another_case_are_one_agent_and_foreign_mail_is_left_alone(office: Office, asked: Asked) -> None:
    """23blocks-OS/ai-maestro#298, Dicklesworthstone/mcp_agent_mail_rust#106: "Peter" and "peter" had two inboxes,
    and mail of another program in an inbox stopped the reading of it.

    Here: one name, one inbox; a file that is no message of ours is named and hides none beside it.
    """
    asked("send", "PETER", "first")
    office.write("inbox/peter/new/1772872000.M1P2.host", "From: x@example.test\n\nhello\n")
    office.write("inbox/peter/new/letter.md", "no front matter at all\n")
    asked("send", "Peter", "second")

    texts = [message["body"] for message in asked("inbox", by="peter")]

    assert [word for word in ("first", "second") if any(word in text for text in texts)] == ["first", "second"]
    assert office.names("inbox") == ["peter"]
    assert (office.root / "inbox/peter/new/1772872000.M1P2.host").exists()


def test_work_that_ended_without_its_promised_output_is_noticed_at_once(office: Office) -> None:
    """multica-ai/multica#6924, #6875: a task said completed, had no output, and nobody noticed for 70 minutes.

    Here: a promised file is looked for; without it the task does not count as done, and its holder is told.
    """
    task = held(office)
    office.app("peter").tasks.done(TaskId(task), PETER, "all done", ("./report.md",))
    office.settle()
    assert not office.task(task).verified

    acts = [*office.acts(MINUTE), *office.acts(MINUTE)]

    assert not [key for key in office.box("sam") if key.endswith(".done")]
    assert [act for act in acts if act.split()[0] in ("reopen", "retry", "fail")]


def test_an_office_with_nothing_new_starts_no_run(tmp_path: Path) -> None:
    """paperclipai/paperclip#4809, #5935, #5462: runs that found nothing to do cost USD 70 an hour, and an agent was
    woken by its own comment.

    Here: a day without news starts no program, and an agent's own words wake it never.
    """
    office = Office(tmp_path / "sam", f"{TEAM}\n[agents.coder]\n{python('import sys; sys.stdin.read()')}\n")
    try:
        task = office.delegated("peter")
        office.app("peter").claims.claim(TaskId(task), PETER)
        office.app("coder").messages.send(AgentId("coder"), AgentId("sam"), "I have looked, nothing to do")
        for _ in range(48):
            office.tick(30 * MINUTE)
            office.clock.advance(timedelta(seconds=1))

        assert office.names("runs") == []
    finally:
        office.stop()


def test_every_silent_agent_is_noticed_whatever_their_number(tmp_path: Path) -> None:
    """Cotal-AI/Cotal#1576: within 22 hours 18 of 30 agents had drifted off, and their work stood without a word.

    Here: each task whose agent is silent is asked after and then escalated, each one.
    """
    agents = "".join(f"[agents.a{number}]\n" for number in range(30))
    office = Office(tmp_path / "sam", TEAM.replace("[routes]", f"{agents}\n[routes]"))
    for number in range(30):
        task = office.new(type=None)
        office.delegate(task, f"a{number}")
        office.app(f"a{number}").claims.claim(TaskId(task), AgentId(f"a{number}"))
    office.settle()

    acts = {act for _ in range(22) for act in office.acts(HOUR)}

    assert {act for act in acts if act.startswith("escalate")} >= {f"escalate TC-{number}" for number in range(1, 31)}
    assert given_again(sorted(acts)) == []


def test_a_run_whose_supervisor_is_dead_is_not_running_for_hours(tmp_path: Path) -> None:
    """stubbi/paperclip-operator#97: a run whose process was long dead stood there as running for seven hours.

    Here: whether it lives is asked of the kernel; the next tick calls the run lost, and the task goes on.
    """
    waits = python("import os, sys, time\nsys.stdin.read()\nwhile not os.path.exists('go'): time.sleep(0.01)")
    office = Office(tmp_path / "sam", f"{TEAM}\n[agents.coder]\n{waits}\n")
    try:
        office.delegated("coder", type=None)
        assert "wake TC-1" in office.acts()
        supervisor = until(lambda: supervisor_of(str(office.root / "runs/tc-1.1-s1")), "its supervisor")
        with suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGKILL)
        until(lambda: not any(run.alive for run in office.app().runtime.live()), "the end of the run")

        acts = office.acts(MINUTE)

        assert acts[0] == "fail TC-1", acts
        assert office.audit(action="run lost", task="TC-1")
    finally:
        office.write("go", "")
        office.stop()


def test_an_agent_that_is_alive_and_reports_nothing_is_asked(office: Office) -> None:
    """vamseeachanta/workspace-hub#2718: an agent was alive and producing nothing for an hour, and looked healthy.

    Here: progress is what counts, not life: at its check time it is asked, and then its coordinator is told.
    """
    held(office)

    acts = [act for _ in range(6) for act in office.acts(20 * MINUTE)]

    assert "nudge TC-1" in acts or "escalate TC-1" in acts
    assert given_again(acts) == []


def test_a_workspace_behind_a_link_is_the_same_workspace(office: Office, tmp_path: Path, asked: Asked) -> None:
    """nimbalyst/nimbalyst#1419: a workspace opened through a symbolic link was taken for another one.

    Here: locks and claims are where the files are: both paths see one task with one holder.
    """
    task = held(office)
    (tmp_path / "link").symlink_to(office.root)
    through = Office(tmp_path / "link")

    assert through.state(task) is State.IN_PROGRESS
    with pytest.raises(ClawError):
        through.app("iris").claims.claim(TaskId(task), IRIS)
    assert asked("task", "show", task)["assignee"] == "peter"
