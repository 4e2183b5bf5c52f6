"""The ready settings of `templates/agents/`, with the real programs; only the model behind them is a script.

What a real model would decide is not tried here. What is: that the message comes in, that the program may do what the
message asks for, that its commands know who and what they are for, and what becomes of a task whose agent may not act.
"""

import pytest

from claw_files.testing.patience import until

from .conftest import Hire
from .fake_model import Shell, Write

pytestmark = pytest.mark.realagents
every_program = pytest.mark.parametrize("name", ["claude", "codex", "gemini"])
CLAIM, DONE = Shell("clawfiles claim {task}"), Shell('clawfiles done {task} "looked at it" --output ./report.md')
NOWHERE = "http://127.0.0.1:1"
LOCK = {  # the setting that lets the program act, and one that does not
    "claude": (', "--permission-mode", "acceptEdits", "--allowedTools", "Bash(clawfiles:*)"', ""),
    "codex": ('"workspace-write"', '"read-only"'),
    "gemini": ('"--allowed-tools", "run_shell_command(clawfiles)", ', ""),
}
RESULT = """---
label: login
run: {run}
task: TC-1
status: done
---
The login is fine.
"""


@every_program
def test_a_delegated_task_is_claimed_worked_on_and_done(hire: Hire, name: str) -> None:
    team, model = hire(name, CLAIM)
    model.steps += [Write(str(team.root / "report.md"), "nothing found\n"), DONE]

    task = team.task()

    assert f"{name} holds TC-1: generation 1" in model.results[0]
    assert (task["status"], task["assignee"], task["outputs"]) == ("done", name, ["./report.md"]), model.results
    assert team.read("report.md") == "nothing found\n"
    assert team.entries() == []


@every_program
def test_the_program_has_its_message_its_key_and_the_instructions_of_the_workspace(hire: Hire, name: str) -> None:
    team, model = hire(name)

    team.task("Look at the login")

    assert model.first.key == "not-a-secret"
    assert r"TC-1: \u201cLook at the login\u201d" in model.first.text  # as JSON spells it
    assert "Work with clawfiles" in model.first.text


@every_program
def test_the_program_tells_its_model_of_our_skill(hire: Hire, name: str) -> None:
    team, model = hire(name)

    team.task("Look at the login")

    assert any("Work with other agents through a shared folder" in seen.text for seen in model.seen)


@every_program
def test_a_run_ends_well_without_a_result_and_the_task_fails(hire: Hire, name: str) -> None:
    team, _ = hire(name)

    task = team.task()

    assert "\nexit: 0\n" in team.run_of("TC-1")
    assert task["status"] == "failed"
    assert "exited (exit 0) without a result" in task["reason"]


@every_program
def test_a_program_that_may_not_act_exits_with_0_and_the_task_fails(hire: Hire, name: str) -> None:
    team, model = hire(name, CLAIM, DONE)
    team.change(*LOCK[name])

    task = team.task()

    assert "is yours" not in model.results[0]
    assert "\nexit: 0\n" in team.run_of("TC-1")
    assert task["status"] == "failed"
    assert "without a result" in task["reason"]


@every_program
def test_an_agent_with_a_folder_of_its_own_works_in_both(hire: Hire, name: str) -> None:
    team, model = hire(name, CLAIM)
    desk = team.root.parent / "desk"
    desk.mkdir()
    team.change('timeout = "30m"', 'timeout = "30m"\nworkspace = "../desk"')
    model.steps += [Write(str(desk / "own.md"), "mine\n"), Write(str(team.root / "report.md"), "ours\n"), DONE]

    task = team.task()

    assert task["status"] == "done", model.results
    assert (desk / "own.md").read_text() == "mine\n"
    assert team.read("report.md") == "ours\n"


@every_program
def test_outside_of_the_workspace_it_may_not_write(hire: Hire, name: str) -> None:
    team, model = hire(name)
    outside = team.root.parent / "outside.md"
    model.steps += [Write(str(outside), "x\n"), CLAIM, Shell("clawfiles done {task} anyway")]

    task = team.task()

    assert not outside.exists()
    assert task["status"] == "done", model.results


@every_program
def test_a_worker_leaves_its_result(hire: Hire, name: str) -> None:
    team, model = hire(name)
    team.change(f'[agents.{name}]\nkind = "named"', f'[agents.{name}]\nkind = "worker"')
    model.steps.append(Write(str(team.root / "checkpoints/subagent-login.md"), RESULT))

    team("spawn", "Look at the login", "--label", "login", "--size", "S", "--worker", name)
    task = team.settled("TC-1")

    assert (task["status"], task["summary"]) == ("done", "The login is fine."), model.results


@every_program
def test_a_question_is_answered(hire: Hire, name: str) -> None:
    team, model = hire(name, Shell('clawfiles answer {question} "on 8080"'))

    team("ask", name, "Which port does the login listen on?")
    team("heartbeat")
    until(lambda: "on 8080" in team("inbox", "--peek"), "an answer")

    assert "Which port does the login listen on?" in model.first.text


@pytest.mark.parametrize("name", ["codex", "gemini"])
def test_the_task_is_in_the_environment_of_its_commands(hire: Hire, name: str) -> None:
    team, model = hire(name, Shell('clawfiles claim "$CLAWFILES_TASK"'), Shell("clawfiles done {task} ok"))

    assert team.task()["status"] == "done", model.results


def test_claude_refuses_commands_with_variables_so_the_message_names_the_task(hire: Hire) -> None:
    team, model = hire("claude", Shell("clawfiles claim $CLAWFILES_TASK"), CLAIM, Shell("clawfiles done {task} ok"))

    task = team.task()

    assert "expansion" in model.results[0]
    assert task["status"] == "done", model.results


@every_program
def test_a_model_that_is_away_ends_with_the_time_limit_and_the_task_fails(hire: Hire, name: str) -> None:
    team, _ = hire(name, address=NOWHERE)
    team.change('timeout = "30m"', 'timeout = "10s"')

    task = team.task()

    assert 'reason: "timed out"' in team.run_of("TC-1") or "\nexit: 1\n" in team.run_of("TC-1")
    assert task["status"] == "failed"
    assert "without a result" in task["reason"]


@every_program
def test_cancelling_the_task_ends_the_program_and_the_command_it_is_waiting_for(hire: Hire, name: str) -> None:
    team, model = hire(name, Shell("clawfiles claim {task} && clawfiles inbox --wait"))
    team("task", "new", "Look at the login")
    team("delegate", "TC-1", "--to", name)
    until(lambda: any("inbox" in line for line in team.processes()), "a waiting command")

    team("cancel", "TC-1")

    assert 'reason: "stopped"' in team.run_of("TC-1"), model.results
    assert team.processes() == []
