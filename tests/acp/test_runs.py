"""Runs of an ACP agent through the whole product: a task is delegated, a tick wakes its program, which speaks ACP."""

import json
import sys

import pytest

from claw_files.cli import run as run_command
from claw_files.core.errors import Refused
from claw_files.core.model import RunId, State
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.testing.patience import until

from .conftest import PETER, PROGRAM, RUN, SAM, TASK, Team

CLAIM, DONE = "!shell clawfiles claim TC-1", "!shell clawfiles done TC-1 'looked at it'"


def test_a_delegated_task_is_claimed_worked_on_and_done(team: Team) -> None:
    run = team.work("!say I look at it.", CLAIM, DONE)
    team.app.heartbeat.tick()

    assert team.app.workspace.load(TASK).task.state is State.DONE
    assert (run.reason, run.exit) == ("exited", 0)
    assert team.log().splitlines()[0] == "I look at it."
    assert team.said == []
    assert team.saw("initialize") == [{"act": "initialize", "write": True, "read": True, "terminal": False}]
    assert [one["cwd"] for one in team.saw("new")] == [str(team.desk)]


def test_a_turn_without_a_result_is_a_failed_attempt_like_any(team: Team) -> None:
    run = team.work("!say All done, believe me.")
    actions = [str(action.act) for action in team.app.heartbeat.tick().actions]

    assert run.exit == 0
    assert "fail" in actions


def test_the_usage_of_each_turn_is_noted(team: Team) -> None:
    team.work(CLAIM, DONE)

    assert json.loads(team.log("usage.json")) == {"input": 40, "output": 20, "cached": 30, "cost": None, "model": None}


def test_a_turn_that_ends_early_fails_with_the_reason(team: Team) -> None:
    run = team.work("!stop refusal")

    assert run.exit == 1
    assert team.said == ["clawfiles: the agent ended its turn early: it refuses to continue"]


# --- sessions


def test_a_named_agent_goes_on_with_its_session_and_what_is_told_again_is_not_shown_again(team: Team) -> None:
    team.work(CLAIM, DONE)
    team.begin("!say and on")
    second = team.ended(RunId("tc-2.1-s1"))

    (first,) = team.saw("new")
    assert [one["session"] for one in team.saw("load")] == [first["session"]]
    assert [one["session"] for one in team.saw("prompt")] == [first["session"]] * 2
    assert team.log(run=second.id) == "and on\n"
    kept = (team.root / "sessions/peter.md").read_text()
    assert f"session: {first['session']}\n" in kept
    assert f"run: {second.id}\n" in kept


def test_a_session_that_the_program_no_longer_has_is_followed_by_a_new_one(team: Team) -> None:
    team.work(CLAIM, DONE)
    team.script("forgets")
    team.begin("!say and on")
    second = team.ended(RunId("tc-2.1-s1"))

    assert second.exit == 0
    assert len({one["session"] for one in team.saw("new")}) == 2
    assert "the last session no longer exists, so a new one begins" in team.log("stderr.log", second.id)


@pytest.mark.parametrize("why", ["it cannot load", "another folder", "several at once"])
def test_a_new_session_begins_where_the_old_one_cannot_be_meant(team: Team, why: str) -> None:
    team.work(CLAIM, DONE)
    if why == "it cannot load":
        team.script("no-load")
    elif why == "another folder":
        (team.root / "elsewhere").mkdir()
        file = team.root / "clawfiles.toml"
        file.write_text(file.read_text().replace('workspace = "desk"', 'workspace = "elsewhere"'))
    else:
        team.configure("runs = 2")
    team.begin("!say and on")
    team.ended(RunId("tc-2.1-s1"))

    assert team.saw("load") == []
    assert len(team.saw("new")) == 2


def test_a_worker_has_a_session_for_its_run_alone_and_leaves_its_result(team: Team) -> None:
    team.configure('kind = "worker"')
    result = "---\\nlabel: login\\nrun: tc-1.1-s1\\ntask: TC-1\\nstatus: done\\n---\\nThe login is fine."
    path = team.root / "checkpoints/subagent-login.md"
    from claw_files.services.delegation.delegation import SpawnOrder

    text = f"!lines {path} {result}"
    team.app.delegations.spawn(SpawnOrder(text=text, label="login", size="S", worker=PETER), SAM)
    team.app.heartbeat.wake()
    team.ended()
    team.app.heartbeat.tick()

    assert team.app.workspace.load(TASK).task.state is State.DONE
    assert not (team.root / "sessions").exists()
    assert "a report on its own task" in team.audit("permission")[-1]["why"]


def test_a_key_in_its_environment_signs_the_program_in(team: Team) -> None:
    team.script("sign-in")
    run = team.work(CLAIM, DONE)

    assert run.exit == 0
    assert [one["way"] for one in team.saw("authenticate")] == ["some-api-key"]


def test_a_program_that_wants_its_user_says_so_and_what_to_type(team: Team) -> None:
    team.script("sign-in-by-hand")
    run = team.work(CLAIM)

    assert run.exit == 1
    assert len(team.said) == 1
    assert "requires its user to sign in" in team.said[0]
    assert "clawfiles agents probe peter" in team.said[0]


@pytest.mark.parametrize(
    ("mode", "modes", "chosen"),
    [
        ("approve-reads", ("read-only", "agent", "full"), ["read-only"]),
        ("approve-all", ("default", "yolo"), []),
    ],
)
def test_the_program_is_put_into_its_mode_that_asks(
    team: Team, mode: str, modes: tuple[str, ...], chosen: list[str]
) -> None:
    team.configure(f'permissions = "{mode}"')
    team.script(*(f"mode:{name}" for name in modes))
    team.work("!say hello")

    assert [one["mode"] for one in team.saw("mode")] == chosen


# --- corrections


def test_a_correction_ends_the_turn_once_and_is_the_next_prompt_of_the_same_session(team: Team) -> None:
    team.begin("!say I wait.", "!hang")
    until(lambda: "I wait." in team.log(), "the first turn")

    told = team.app.steering.steer(SAM, str(RUN), "!shell clawfiles claim TC-1\n!shell clawfiles done TC-1 corrected")
    run = team.ended()

    assert told.takes_effect == "now"
    assert run.exit == 0
    assert [(one["count"], one["session"]) for one in team.saw("cancel")] == [(1, team.saw("new")[0]["session"])]
    first, second = team.saw("prompt")
    assert first["session"] == second["session"]
    assert "clawfiles done TC-1 corrected" in second["text"]
    assert "I wait." not in second["text"]
    team.app.heartbeat.tick()
    assert team.app.workspace.load(TASK).task.state is State.DONE


def test_a_correction_before_the_session_is_ready_waits_and_says_so(team: Team) -> None:
    team.script("wait-for-ready")
    team.begin("!say first")
    until(lambda: team.saw("initialize"), "the program's start")

    told = team.app.steering.steer(SAM, str(RUN), "!say second")
    assert team.saw("prompt") == []
    (team.state / "ready").touch()
    team.ended()

    assert told.takes_effect == "when its session is ready"
    assert team.log() == "first\nsecond\n"
    assert (len(team.saw("prompt")), team.saw("cancel")) == (1, [])


def test_a_correction_reaches_the_session_of_its_run_and_no_other(team: Team) -> None:
    team.configure("runs = 2\n")
    (team.root / "clawfiles.toml").write_text(
        (team.root / "clawfiles.toml").read_text().replace('workspace = "desk"', 'workspace = "desk"\nsession = "many"')
    )
    team.begin("!say one", "!hang")
    team.begin("!say two", "!hang")
    second = RunId("tc-2.1-s1")
    until(lambda: "one" in team.log() and "two" in team.log(run=second), "both turns")

    team.app.steering.steer(SAM, str(second), "!say corrected")
    team.ended(second)

    assert team.log(run=second) == "two\n[corrected] a new turn begins\ncorrected\n"
    assert team.log() == "one\n"
    assert len(team.saw("cancel")) == 1


def test_a_correction_after_the_last_turn_is_refused(team: Team) -> None:
    from claw_files.integrations.acp.run_record import NAME, AcpRecord, Stage, correct
    from claw_files.processes.run_client import write_record

    run = team.work(CLAIM, DONE)
    folder = team.root / "runs" / RUN
    (folder / "steer.md").write_text("too late")
    write_record(str(folder), NAME, AcpRecord(stage=Stage.ENDING))

    with pytest.raises(Refused, match=r"the last turn of tc-1.1-s1 is over.*clawfiles send peter"):
        correct(str(team.root), run, pause=lambda _: None)


def test_requests_after_a_cancel_are_refused(team: Team) -> None:
    team.configure('permissions = "approve-all"')
    team.begin("!say I wait.", "!late_ask")
    until(lambda: "I wait." in team.log(), "the first turn")

    team.app.steering.steer(SAM, str(RUN), "!say corrected")
    team.ended()

    assert [one["outcome"] for one in team.saw("asked")] == ["cancelled"]
    assert "its turn was cancelled" in team.audit("permission")[0]["why"]


# --- the end


def test_stopping_the_run_cancels_the_turn_once_and_leaves_nothing(team: Team) -> None:
    team.begin("!child", "!say I wait.", "!hang")
    until(lambda: "I wait." in team.log(), "the turn")

    team.app.runtime.stop(RUN)
    run = team.ended()

    assert run.reason == "stopped"
    assert [one["count"] for one in team.saw("cancel")] == [1]
    assert team.said == ["clawfiles: the run was asked to end, and so was the agent"]
    assert team.processes() == []


def test_the_runs_time_limit_ends_a_turn_that_goes_on_for_ever(team: Team) -> None:
    team.configure(timeout="3s")
    run = team.work("!child", "!block")

    assert run.reason == "timed out"
    assert team.processes() == []


def test_the_last_words_of_an_agent_are_shown_while_it_works(team: Team) -> None:
    team.begin("!say Reading the log.", "!hang")
    until(lambda: "Reading" in team.log(), "the turn")

    assert team.app.sessions.told(team.app.sessions.one(SAM, str(RUN)), 0).said == "Reading the log."


def test_words_cannot_command_a_terminal(team: Team) -> None:
    team.work("!say \\x1b[2J", "!escape")

    assert "\x1b" not in team.log()
    assert "\\x1b[2J" in team.log()


def test_the_journal_of_a_task_names_what_was_asked(team: Team) -> None:
    team.work("!ask edit ./a.py")

    found = [one["why"] for one in team.app.journal.last(100, str(TASK)) if one["action"] == "permission"]
    assert found == ["refused edit “edit ./a.py” at ./a.py: approve-reads does not allow edit"]


WRITES = (
    '!shell printf -- "---\\nrun: $CLAWFILES_RUN\\nstatus: done\\n---\\nok\\n" > '
    "$CLAWFILES_WORKSPACE/checkpoints/subagent-mail.md"
)
WORKER = """
[agents.mail]
kind = "worker"
runtime = "acp"
command = [{python!r}, {program!r}, {state!r}]
permissions = "approve-all"
"""


def test_a_worker_that_stays_goes_on_with_its_session_in_each_turn_until_it_is_closed(team: Team) -> None:
    team.configure(WORKER.format(python=sys.executable, program=str(PROGRAM), state=str(team.state)))
    (team.root / "checkpoints").mkdir()
    order = SpawnOrder(text=WRITES, label="mail", size="S", mode="session", runtime="subagent")
    team.app.delegations.spawn(order, SAM)
    team.app.heartbeat.tick()
    team.ended()
    team.app.heartbeat.tick()

    team.app.staying.send(SAM, TASK, WRITES)
    team.app.heartbeat.tick()
    team.ended(RunId("tc-1.2-s1"))

    (first,) = team.saw("new")
    assert [one["session"] for one in team.saw("load")] == [first["session"]]
    team.app.staying.close(SAM, TASK)
    assert not (team.root / "sessions/subagent-mail.md").exists()


def test_a_worker_for_one_run_keeps_no_session(team: Team) -> None:
    team.configure(WORKER.format(python=sys.executable, program=str(PROGRAM), state=str(team.state)))
    (team.root / "checkpoints").mkdir()
    team.app.delegations.spawn(SpawnOrder(text=WRITES, label="mail", size="S"), SAM)
    team.app.heartbeat.tick()
    team.ended()

    assert not (team.root / "sessions").exists()


def test_the_session_of_a_named_agent_is_closed_by_command(team: Team) -> None:
    team.work(CLAIM, DONE)

    assert run_command(["-C", str(team.root), "--agent", "sam", "sessions", "close", "peter"]) == 0
    assert run_command(["-C", str(team.root), "--agent", "sam", "sessions", "close", "peter"]) == 5
    team.begin("!say and on")
    team.ended(RunId("tc-2.1-s1"))

    assert team.saw("load") == [] and len(team.saw("new")) == 2
