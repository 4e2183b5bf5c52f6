"""Agents that break: each run ends, with one sentence, and nothing of it is left."""

import sys
from pathlib import Path

import pytest

from claw_files.core.model import Run
from claw_files.testing.patience import until

from .conftest import PROGRAM, RUN, Team


def check(team: Team, run: Run, sentence: str) -> None:
    assert (run.reason, run.exit) == ("exited", 1), team.log("stderr.log")
    assert sentence in team.said[-1]
    assert "Traceback" not in team.log("stderr.log")
    assert team.processes() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("crash", "the agent ended before it did answer `initialize` (exit 1); stderr.log has what it said"),
        ("other-version", "the agent uses ACP 9, but clawfiles uses 1"),
        ("long-id", "the agent's session has an id that cannot be kept"),
    ],
)
def test_an_acp_program_that_cannot_start_fails_the_run(team: Team, words: str, sentence: str) -> None:
    team.script(words)

    check(team, team.work("!say hello"), sentence)


@pytest.mark.parametrize(
    ("acts", "sentence"),
    [
        (["!child", "!crash 7"], "the agent ended before it did end its turn (exit 7)"),
        (["!rubbish_for_ever"], "the agent printed more than 10000 lines that are not messages"),
        (["!huge_line"], "the agent sent a line of more than 64 MiB"),
        (["!other_session"], "the agent spoke for “somebody-elses”, which is not the session of this run"),
        (["!bad_answer"], "the agent did not end its turn: its answer is not ACP"),
        (["!many 1001"], "the agent asked for more than 1000 permissions"),
    ],
)
def test_an_acp_program_that_breaks_in_the_middle_fails_the_run(team: Team, acts: list[str], sentence: str) -> None:
    check(team, team.work("!say hello", *acts), sentence)


def test_one_whose_program_is_not_there(team: Team) -> None:
    file = team.root / "clawfiles.toml"
    file.write_text(file.read_text().replace(repr(sys.executable), "'no-such-agent'"))

    check(team, team.work("x"), "the agent could not be started: there is no program 'no-such-agent' on the PATH")


def test_rubbish_unknown_words_and_much_on_standard_error_are_passed_over(team: Team) -> None:
    team.script("rubbish")
    run = team.work("!rubbish", "!unknown_update", "!stderr 200000", "!say still here")

    assert run.exit == 0
    assert "still here" in team.log()
    assert len(team.log("stderr.log")) > 200_000
    assert len(team.said) <= 6
    assert "Traceback" not in team.log("stderr.log")
    assert team.said[0] == "clawfiles: the agent prints lines that are not messages; they are ignored"


def test_one_that_hangs_at_the_start_ends_with_its_run_and_says_so(team: Team) -> None:
    team.script("hang-at-initialize")
    team.begin("!say hello")
    until(lambda: team.saw("hang"), "the program's start")
    team.app.runtime.stop(RUN)
    run = team.ended()

    assert run.reason == "stopped"
    assert team.said == ["clawfiles: the run was asked to end, and so was the agent"]


def test_an_acp_program_that_ignores_cancel_is_stopped_with_its_run(team: Team) -> None:
    team.begin("!child", "!say deaf", "!block")
    until(lambda: "deaf" in team.log(), "the turn")

    team.app.runtime.stop(RUN)
    run = team.ended()

    assert run.reason == "stopped"
    assert team.processes() == []


# --- what it may

OUTSIDE = ("/etc/hostname", "{root}/../outside", "{desk}/../clawfiles.toml", "{desk}/way-out/secret")


@pytest.mark.parametrize("mode", ["approve-reads", "approve-all", "deny-all"])
def test_each_request_is_answered_by_the_mode_and_journalled(team: Team, mode: str) -> None:
    team.configure(f'permissions = "{mode}"')
    may_read, may_edit = mode != "deny-all", mode == "approve-all"
    team.work(
        f"!ask read {team.desk}/a",
        f"!ask edit {team.desk}/a",
        f"!ask edit {team.desk}/a allow_always",
        f"!shell touch {team.desk}/made",
    )

    answers = [one["chosen"] for one in team.saw("asked")]
    assert answers == [
        f"id-{'allow' if may_read else 'reject'}_once",
        f"id-{'allow' if may_edit else 'reject'}_once",
        "id-allow_always" if may_edit else None,
        f"id-{'allow' if may_edit else 'reject'}_once",
    ]
    assert (team.desk / "made").exists() is may_edit
    lines = team.audit("permission")
    assert [line["why"].split()[0] for line in lines] == [
        "allowed" if may else "refused" for may in (may_read, may_edit, may_edit, may_edit)
    ]
    assert {(line["agent"], line["task"], line["key"]) for line in lines} == {("peter", "TC-1", RUN)}


def test_outside_of_its_folder_nothing_is_allowed_even_where_everything_is(team: Team, tmp_path: Path) -> None:
    team.configure('permissions = "approve-all"')
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("hush")
    (team.desk / "way-out").symlink_to(tmp_path / "outside")
    paths = [path.format(root=team.root, desk=team.desk) for path in OUTSIDE]
    before = (team.root / "clawfiles.toml").read_text()

    run = team.work(
        *(f"!ask edit {path}" for path in paths),
        *(f"!write {path} hacked" for path in paths),
        *(f"!read {path}" for path in paths),
        f"!write {team.desk}/fine yes",
    )

    assert run.exit == 0
    assert [one["chosen"] for one in team.saw("asked")] == ["id-reject_once"] * 4
    assert all(one["error"] for one in team.saw("write")[:4] + team.saw("read"))
    assert (team.root / "clawfiles.toml").read_text() == before
    assert (tmp_path / "outside/secret").read_text() == "hush"
    assert "hush" not in team.log()
    assert (team.desk / "fine").read_text() == "yes\n"
    assert sum("outside of its working folder" in line["why"] for line in team.audit("permission")) == 12


def test_files_are_given_and_taken_by_the_mode(team: Team) -> None:
    (team.desk / "a").write_text("what stands here\n")
    run = team.work(f"!read {team.desk}/a", f"!write {team.desk}/a changed", f"!write {team.desk}/b new", "!terminal")

    assert run.exit == 0
    assert "what stands here" in team.log()
    assert [bool(one["error"]) for one in team.saw("write")] == [True, True]
    assert (team.desk / "a").read_text() == "what stands here\n"
    assert not (team.desk / "b").exists()
    assert [one["error"] for one in team.saw("terminal")] == ["Method not found"]


def test_its_own_reports_are_written_in_every_mode_but_one_and_by_no_link(team: Team) -> None:
    (team.root / "checkpoints").mkdir()
    (team.root / "checkpoints/peter.md").symlink_to(team.root / "clawfiles.toml")
    team.work(
        f"!write {team.root}/status/tc-1.md TC-1: DONE (looked)",
        f"!write {team.root}/status/tc-2.md TC-2: DONE",
        f"!write {team.root}/checkpoints/peter.md hacked",
        f"!write {team.root}/HEARTBEAT.md nothing",
    )

    assert [bool(one["error"]) for one in team.saw("write")] == [False, True, True, True]
    assert (team.root / "status/tc-1.md").read_text() == "TC-1: DONE (looked)\n"
    assert "hacked" not in (team.root / "clawfiles.toml").read_text()


def test_a_permission_that_cannot_be_journalled_is_refused(tmp_path: Path) -> None:
    import asyncio
    import io

    from acp.schema import PermissionOption, ToolCallUpdate

    from claw_files.core.errors import CannotWrite
    from claw_files.integrations.acp.agent_requests import AgentRequests
    from claw_files.integrations.acp.transcript import Transcript
    from claw_files.system.confined_files import ConfinedFiles

    def full(action: str, why: str) -> None:
        raise CannotWrite("audit", "No space left on device")

    broken = list[str]()
    within = ConfinedFiles(str(tmp_path))
    client = AgentRequests(
        "approve-all", within, within, frozenset(), None, full, Transcript(io.StringIO()), broken.append
    )
    client.begin("s")
    call, options = ToolCallUpdate(tool_call_id="1", kind="edit"), [("yes", "allow_once"), ("no", "reject_once")]
    offered = [PermissionOption(option_id=id, name=id, kind=kind) for id, kind in options]
    answer = asyncio.run(client.request_permission("s", call, offered))

    assert answer.outcome.outcome == "cancelled"
    assert "cannot be written down" in broken[0]


def test_one_that_does_not_end_a_cancelled_turn_for_its_correction_fails(team: Team) -> None:
    import asyncio
    from datetime import timedelta

    from claw_files.integrations.acp.conversation import AnswerLimits, Conversation, ConversationFailed
    from claw_files.integrations.acp.handshake import _Deaf

    async def corrected() -> str:
        while "ignoring" not in team_saw():
            await asyncio.sleep(0.05)
        return "correction"

    def team_saw() -> str:
        return str(team.saw("ignoring"))

    async def talked() -> None:
        talk = Conversation(_Deaf(), lambda _: None, AnswerLimits(cancel=timedelta(seconds=1)))
        try:
            await talk.start([sys.executable, str(PROGRAM), str(team.state)], team.env, str(team.desk))
            await talk.greet()
            await talk.open(str(team.desk), None, "approve-reads")
            await talk.turn("!ignore_cancel", corrected)
        finally:
            await talk.leave()

    with pytest.raises(ConversationFailed, match="the agent did not end the turn that was cancelled within 1s"):
        asyncio.run(talked())
    assert len(team.saw("cancel")) == 1
