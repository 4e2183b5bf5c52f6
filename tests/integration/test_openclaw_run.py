"""A run of an OpenClaw agent, from the tick to the bridge's process, against a counterpart that speaks the protocol."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import INSTALL
from claw_files.core.model import AgentId, RunId, State, TaskId
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.testing.patience import until

from .gateway import TOKEN, Counterpart

PETER, TASK, RUN = AgentId("peter"), TaskId("TC-1"), RunId("tc-1.1-s1")
CONFIG = """
[workspace]
coordinator = "sam"
[openclaw]
url = "{url}"
[agents.sam]
session = "agent:main:main"
[agents.peter]
runtime = "openclaw"
workspace = "../peter"
"""


class Team:
    def __init__(self, root: Path, counterpart: Counterpart) -> None:
        self.root, self.counterpart = root / "team", counterpart
        self.root.mkdir()
        (root / "peter/status").mkdir(parents=True)
        (self.root / "clawfiles.toml").write_text(CONFIG.format(url=counterpart.url))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root), "OPENCLAW_GATEWAY_TOKEN": TOKEN}

    @property
    def app(self) -> App:
        return App(str(self.root), self.env, "sam")

    def delegate(self) -> None:
        app = self.app
        made = app.tasks.new(NewTask(title="Look"), AgentId("sam"))
        self.app.delegations.delegate(made.id, AgentId("sam"), PETER)
        self.app.heartbeat.wake()

    def end(self) -> None:
        until(lambda: (run := self.app.runtime.look(RUN)) is not None and not run.alive, "the end of the run")

    def log(self, name: str) -> str:
        return (self.root / "runs" / RUN / name).read_text()


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    counterpart = Counterpart()
    made = Team(tmp_path, counterpart)
    yield made
    for run in made.app.runtime.live():
        made.app.runtime.stop(run.id)
        made.end()
    counterpart.close()


def test_a_delegated_task_is_done_by_an_agent_behind_a_gateway(team: Team) -> None:
    report = team.root.parent / "peter/status/tc-1.md"
    team.counterpart.on_turn = lambda: report.write_text("TC-1: DONE (looked at it)\n")

    team.delegate()
    team.end()
    team.app.heartbeat.tick()

    assert team.app.workspace.load(TASK).task.state is State.DONE
    assert team.log("stdout.log") == "TC-1 is done.\n"
    run = team.app.runtime.look(RUN)
    assert run is not None
    assert run.exit == 0


def test_the_message_says_who_the_agent_is_and_what_its_commands_are_to_be_given(team: Team) -> None:
    team.delegate()
    team.end()

    message = team.counterpart.params[0]["message"]
    assert "You are peter." in message
    for given in (f"CLAWFILES_WORKSPACE={team.root}", "CLAWFILES_AGENT=peter", "CLAWFILES_TASK=TC-1",
                  "CLAWFILES_GENERATION=1", f"CLAWFILES_RUN={RUN}", "CLAWFILES_KIND=task"):  # fmt: skip
        assert given in message


def test_the_token_is_in_no_file_of_the_workspace_and_on_no_command_line(team: Team) -> None:
    team.counterpart.is_instant = False
    team.delegate()
    until(lambda: team.counterpart.sent, "it is sent")

    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(TOKEN.encode() + b"\0" in line for line in lines)
    team.counterpart.end(team.counterpart.sent[0])
    team.end()
    files = [path for path in team.root.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_stopping_the_run_ends_the_turn_over_there(team: Team) -> None:
    team.counterpart.is_instant = False
    team.delegate()
    until(lambda: team.counterpart.sent and "accepted" in team.log("openclaw.json"), "it is accepted")

    team.app.runtime.stop(RUN)
    team.end()

    assert team.counterpart.aborted == team.counterpart.sent
    run = team.app.runtime.look(RUN)
    assert run is not None
    assert run.reason == "stopped"


def test_a_message_that_only_arrives_is_a_failed_attempt_like_any(team: Team) -> None:
    team.delegate()
    team.end()
    actions = [str(action.act) for action in team.app.heartbeat.tick().actions]

    assert "fail" in actions


def test_a_refusal_is_one_line_in_the_runs_log(team: Team) -> None:
    team.env["OPENCLAW_GATEWAY_TOKEN"] = "another"
    team.delegate()
    team.end()

    assert len(team.log("stderr.log").splitlines()) == 1
    assert "the token is not the gateway's" in team.log("stderr.log")


def test_ping_says_nothing_of_a_healthy_agent_and_one_sentence_of_another(team: Team) -> None:
    soon = timedelta(seconds=5)
    assert team.app.ping(PETER, soon) is None
    assert team.app.ping(AgentId("sam"), soon) is None

    team.counterpart.agents.remove("peter")
    assert "knows no agent 'peter'" in str(team.app.ping(PETER, soon))
    team.counterpart.close()
    assert "does not answer" in str(team.app.ping(PETER, soon))


def test_without_the_library_the_sentence_says_what_to_install(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "websockets", None)

    assert INSTALL["openclaw"] in str(team.app.ping(PETER, timedelta(seconds=1)))


@pytest.mark.parametrize(("is_steerable", "when"), [(True, "now"), (None, "at its next look")])
def test_a_correction_takes_effect_now_where_the_gateway_lets_it(
    team: Team, is_steerable: bool | None, when: str
) -> None:
    team.counterpart.is_instant, team.counterpart.is_steerable = False, is_steerable
    team.delegate()
    until(lambda: team.counterpart.sent and "accepted" in team.log("openclaw.json"), "it is accepted")

    told = team.app.steering.steer(AgentId("sam"), "peter", "not the login: the logout")

    assert told.takes_effect == when
    assert "not the login: the logout" in team.counterpart.steered[0]["args"]["message"]
    assert "not the login: the logout" in team.log("steer.md")
