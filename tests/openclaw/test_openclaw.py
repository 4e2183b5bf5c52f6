"""OpenClaw agents, woken through a real gateway; only the model behind them is a script."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.app.wiring import App, set_up
from claw_files.core.model import AgentId, RunId
from claw_files.demo import stage
from claw_files.integrations.openclaw import installation
from claw_files.integrations.openclaw.gateway_access import GatewayAccess
from claw_files.integrations.openclaw.gateway_client import Gateway as Client
from claw_files.integrations.openclaw.protocol import ADMIN, READ
from claw_files.integrations.openclaw.turn_steering import steer
from claw_files.testing.patience import until

from .model import Model
from .stage import TOKEN, Gateway, Team

pytestmark = pytest.mark.openclaw


def ask(gateway: Gateway, method: str, scopes: tuple[str, ...] = READ, **params: Any) -> dict[str, Any]:
    with Client(gateway.url, TOKEN, scopes) as client:
        return client.call(method, params)


def transcript(gateway: Gateway) -> list[dict[str, Any]]:
    return list(ask(gateway, "chat.history", sessionKey="agent:peter:main", limit=200)["messages"])


# --- from delegation to done


def test_a_delegated_task_is_done_by_an_agent_of_the_gateway(team: Team, model: Model) -> None:
    task = team.task()

    done = team.settled(task, "tc-1.1-s1")

    assert (done["status"], done["assignee"]) == ("done", "peter")
    assert model.turns("Look at the login") == 1
    assert "\nexit: 0\n" in team.text("tc-1.1-s1", "run.md")
    assert "TC-1 is done." in team.text("tc-1.1-s1", "stdout.log")
    assert "TC-1" not in (team.root / "clawfiles/LEDGER.md").read_text()


def test_its_commands_act_in_its_name_and_in_its_generation(team: Team, model: Model) -> None:
    task = team.task("COMMAND the login")

    done = team.settled(task, "tc-1.1-s1")

    assert (done["status"], done["summary"]) == ("done", "by command"), [one.results for one in model.requests]
    assert "peter holds TC-1: generation 1" in model.requests[1].results[0]


def test_the_usage_of_a_gateway_turn_is_written_down(team: Team) -> None:
    team.task()
    team.ended("tc-1.1-s1")

    used = json.loads(team.text("tc-1.1-s1", "usage.json"))

    assert used["input"] > 1000
    assert used["output"] == 16
    assert used["cost"] == pytest.approx((used["input"] + 2 * used["output"]) / 1e6)
    assert used["model"] == "loopback/scripted"


def test_a_turn_that_ends_without_a_word_in_the_file_has_failed(team: Team) -> None:
    task = team.task("TALK about the login")

    done = team.settled(task, "tc-1.1-s1")

    assert done["status"] == "failed"
    assert "without a result" in done["reason"]


def test_cancelling_the_task_ends_the_turn_in_the_gateway(team: Team, model: Model, gateway: Gateway) -> None:
    team.task("SLOWLY look")
    until(lambda: model.turns("SLOWLY look"), "the turn to begin")

    team("cancel", "TC-1")
    team.ended("tc-1.1-s1")

    key = team.record("tc-1.1-s1")["key"]
    told = until(lambda: _ended(gateway, key), "its end")
    assert told["status"] != "ok"
    assert "the turn was ended in the gateway, too" in team.text("tc-1.1-s1", "stderr.log")
    assert not (gateway.workspace("peter") / "status/TC-1.md").exists()


def _ended(gateway: Gateway, key: str) -> dict[str, Any] | None:
    told = ask(gateway, "agent.wait", runId=key, timeoutMs=500)
    history = ask(gateway, "chat.history", sessionKey="agent:peter:main", limit=5)
    return None if history["sessionInfo"]["hasActiveRun"] else told


# --- crashes, row by row


def test_a_bridge_that_was_killed_after_the_gateway_took_its_message_sends_nothing_again(
    team: Team, model: Model, gateway: Gateway
) -> None:
    team.change('backoff = "1h"', 'backoff = "0s"')
    task = team.task("SLOWLY look")
    until(lambda: team.record("tc-1.1-s1").get("state") == "accepted" and model.turns("SLOWLY look"), "custody")

    team.lose("tc-1.1-s1")
    team("heartbeat")  # the run is lost: the next attempt takes the turn over that still goes on
    first = team.record("tc-1.1-s1")["key"]
    done = team.settled(task, "tc-1.2-s1")

    assert done["status"] == "done"
    assert team.record("tc-1.2-s1") | {"state": "done"} == team.record("tc-1.1-s1") | {"state": "done"}
    assert f"the gateway has {first} already" in team.text("tc-1.2-s1", "stderr.log")
    assert model.turns("SLOWLY look") == 1
    assert json.loads(team.text("tc-1.2-s1", "usage.json"))["output"] > 0


def test_a_bridge_that_was_killed_before_its_message_was_sent_is_followed_by_one_that_sends(
    team: Team, model: Model, gateway: Gateway
) -> None:
    team.change('backoff = "1h"', 'backoff = "0s"')
    gateway.stop()
    try:
        team.task()
        until(lambda: "trying again" in team.text("tc-1.1-s1", "stderr.log"), "a bridge that looks for the gateway")
        team.lose("tc-1.1-s1")
    finally:
        gateway.start()

    team("heartbeat")
    team.settled("TC-1", "tc-1.2-s1")

    assert model.turns("Look at the login") == 1
    assert team.record("tc-1.1-s1") == {}


def test_a_gateway_that_is_down_and_comes_up_gets_the_message_once(team: Team, model: Model, gateway: Gateway) -> None:
    gateway.stop()
    try:
        task = team.task()
        until(lambda: "trying again" in team.text("tc-1.1-s1", "stderr.log"), "a bridge that looks for it")
    finally:
        gateway.start()

    done = team.settled(task, "tc-1.1-s1")

    assert done["status"] == "done"
    assert model.turns("Look at the login") == 1


def test_a_turn_that_was_over_when_the_gateway_restarted_is_not_begun_again(
    team: Team, model: Model, gateway: Gateway
) -> None:
    team.task()
    team.ended("tc-1.1-s1")
    gateway.restart()
    before = len(transcript(gateway))

    # As if runs/ had been lost: the same run of the same message, once more.
    sent = team.record("tc-1.1-s1")
    (team.folder("tc-1.1-s1") / "openclaw.json").unlink()
    code, said = _bridge(team, "tc-1.1-s1")

    assert (code, said) == (0, "TC-1 is done.")
    assert team.record("tc-1.1-s1").get("key", sent["key"]) == sent["key"]
    assert model.turns("Look at the login") == 1
    assert len(transcript(gateway)) == before


def _bridge(team: Team, run: str) -> tuple[int, str]:
    """The bridge of a run, once more, outside of a supervisor."""
    import subprocess
    import sys

    from claw_files.integrations.openclaw import PROGRAM

    head = team.text(run, "run.md")
    folder = team.folder(run)
    task = team.shown("TC-1")
    letter = next((team.root / "inbox/peter").rglob("*tc-1.1.md"))
    env = team.env | {"CLAWFILES_WORKSPACE": str(team.root), "CLAWFILES_AGENT": "peter", "CLAWFILES_RUN": run}
    env |= {"CLAWFILES_RUN_DIR": str(folder), "CLAWFILES_TASK": task["id"], "CLAWFILES_MESSAGE_ID": letter.stem}
    assert "agent: peter" in head
    done = subprocess.run(
        [sys.executable, "-I", PROGRAM], env=env, input=(folder / "message.md").read_bytes(), capture_output=True
    )
    return done.returncode, done.stdout.decode().strip()


def test_a_turn_that_the_gateway_was_killed_in_is_waited_for_when_openclaw_takes_it_up_again(
    team: Team, model: Model, gateway: Gateway
) -> None:
    task = team.task("SLOWLY look")
    until(lambda: model.turns("SLOWLY look"), "the turn to begin")

    gateway.restart(signal.SIGKILL)

    done = team.settled(task, "tc-1.1-s1")
    mine = [one for one in transcript(gateway) if str(one.get("idempotencyKey", "")).startswith("cf:tc-1.1-s1")]
    assert len([one for one in mine if one["idempotencyKey"] == f"{team.record('tc-1.1-s1')['key']}:user"]) == 1
    assert team.record("tc-1.1-s1").get("renewal", 1) == 1
    assert done["status"] in ("done", "failed")


def test_a_message_that_was_queued_when_the_gateway_was_killed_is_sent_once_more_under_another_key(
    team: Team, model: Model, gateway: Gateway
) -> None:
    play = 'PLAY: [{"tool": "exec", "args": {"command": "sleep 20"}}, {"say": "at last"}] :YALP'
    with Client(gateway.url, TOKEN) as client:
        client.call("agent", {"message": f"Something else. {play}", "idempotencyKey": f"other:{team.root}",
                              "agentId": "peter", "sessionKey": "agent:peter:main", "deliver": False})  # fmt: skip
    until(lambda: model.turns("Something else"), "the other turn")
    task = team.task()
    until(lambda: team.record("tc-1.1-s1").get("state") == "accepted", "custody")

    gateway.restart(signal.SIGKILL)

    done = team.settled(task, "tc-1.1-s1")
    assert done["status"] == "done", team.text("tc-1.1-s1", "stderr.log")
    assert team.record("tc-1.1-s1")["renewal"] >= 2
    assert model.turns("Look at the login") == 1


def test_one_key_that_is_sent_twice_is_one_turn(gateway: Gateway, model: Model, team: Team) -> None:
    params = {"message": "Do TC-77: twice", "idempotencyKey": f"twice:{team.root}", "agentId": "peter",
              "sessionKey": "agent:peter:main", "deliver": False}  # fmt: skip
    with Client(gateway.url, TOKEN) as one, Client(gateway.url, TOKEN) as other:
        first, second = one.call("agent", params), other.call("agent", params)
        one.call("agent.wait", {"runId": f"twice:{team.root}", "timeoutMs": 20000})
        third = until(lambda: (told := other.call("agent", params))["status"] != "in_flight" and told, "its end")

    assert (first["status"], second["status"]) == ("accepted", "in_flight")
    assert third["status"] == "ok"
    assert model.turns("TC-77: twice") == 1


# --- what is refused


def test_an_agent_that_the_gateway_does_not_know_fails_the_run_with_a_sentence(team: Team) -> None:
    team.change('runtime = "openclaw"', 'runtime = "openclaw"\nopenclaw_agent = "nobody"')
    task = team.task()

    done = team.settled(task, "tc-1.1-s1")

    assert done["status"] == "failed"
    assert "unknown agent id" in team.text("tc-1.1-s1", "stderr.log")
    assert "Traceback" not in team.text("tc-1.1-s1", "stderr.log")


def test_a_wrong_token_fails_the_run_with_what_to_do(team: Team) -> None:
    team.env["OPENCLAW_GATEWAY_TOKEN"] = "wrong"
    task = team.task()

    done = team.settled(task, "tc-1.1-s1")

    assert done["status"] == "failed"
    assert "the token is not the gateway's" in team.text("tc-1.1-s1", "stderr.log")
    assert "wrong" not in team.text("tc-1.1-s1", "run.md").replace("token mismatch", "")


# --- corrections, the ledger, health


def test_a_correction_takes_effect_in_the_turn_that_is_going_on(team: Team, model: Model) -> None:
    team.task("SLOWLY look")
    until(lambda: model.turns("SLOWLY look"), "the turn to begin")
    way = GatewayAccess(url=team.gateway.url, token=TOKEN)

    told = json.loads(team("subagents", "steer", "peter", "CORRECTION: write nothing", "--json"))

    assert told["takes_effect"] == "now"
    team.ended("tc-1.1-s1")
    assert "corrected." in team.text("tc-1.1-s1", "stdout.log")
    assert not (team.gateway.workspace("peter") / "status/tc-1.md").exists()
    assert not steer(way, str(team.root), RunId("tc-1.1-s1"), "CORRECTION: again")


def test_the_doctor_and_ping_say_what_is_missing(team: Team, gateway: Gateway) -> None:
    def app() -> App:
        return App(str(team.root), team.env, None)

    assert team("doctor") == "nothing found\n"
    assert app().ping(AgentId("peter"), timedelta(seconds=5)) is None

    team.change(f'workspace = "{gateway.workspace("peter")}"', 'openclaw_agent = "nobody"')
    assert "openclaw-agent: clawfiles.toml" in team("doctor", status=1)
    assert "knows no agent 'nobody'" in str(app().ping(AgentId("peter"), timedelta(seconds=5)))

    team.change('openclaw_agent = "nobody"', 'workspace = "../elsewhere"')
    assert f"are read: {gateway.workspace('peter')}" in team("doctor", status=1)

    team.env["OPENCLAW_GATEWAY_TOKEN"] = "wrong"
    assert "openclaw-gateway" in team("doctor", status=1)
    assert "the token is not the gateway's" in str(app().ping(AgentId("peter"), timedelta(seconds=5)))


def test_agents_are_found_by_the_command_and_by_the_file_alike(gateway: Gateway) -> None:
    wanted = {name: str(gateway.workspace(name)) for name in ("main", "peter")}

    by_command = installation.agents(gateway.env)
    by_file = installation.agents(gateway.env | {"PATH": "/nowhere"})

    assert {one.id: one.workspace for one in by_command or ()} == wanted
    assert {one.id: one.workspace for one in by_file or ()} == wanted


def test_openclaw_finds_the_skill_where_init_puts_it_and_takes_our_mcp_server(gateway: Gateway, tmp_path: Path) -> None:
    config, server = tmp_path / "openclaw.json", {"command": "clawfiles", "args": ["mcp", "--agent", "peter"]}
    config.write_text(json.dumps({"agents": {"defaults": {"workspace": str(tmp_path / "team")}}}))
    set_up(str(tmp_path / "team"), "default", "openclaw")
    with stage.commands() as path:
        env = gateway.env | {"OPENCLAW_STATE_DIR": str(tmp_path / "state"), "OPENCLAW_CONFIG_PATH": str(config)}
        env["PATH"] = f"{path}:{env['PATH']}"

        found = json.loads(_openclaw(env, "skills", "list", "--json"))
        _openclaw(env, "mcp", "set", "clawfiles", json.dumps(server))

    (skill,) = (one for one in found["skills"] if one["name"] == "clawfiles")
    assert skill["source"] == "agents-skills-project"
    assert skill["eligible"], skill["missing"]
    assert skill["modelVisible"]
    assert json.loads(config.read_text())["mcp"]["servers"]["clawfiles"] == server


def _openclaw(env: dict[str, str], *arguments: str) -> str:
    return subprocess.run(["openclaw", *arguments], env=env, capture_output=True, text=True, check=True).stdout


# --- what looking costs


@contextmanager
def _beating(gateway: Gateway, every: str) -> Iterator[None]:
    entry = gateway.config["agents"]["entries"]["main"]["heartbeat"]
    try:
        entry["every"] = every
        gateway.write_config()
        until(lambda: _has_monitor(gateway), "the heartbeat's job")
        yield
    finally:
        entry["every"] = "0m"
        gateway.write_config()


def _has_monitor(gateway: Gateway) -> bool:
    with Client(gateway.url, TOKEN, ADMIN) as client:
        jobs = client.call("cron.list", {"includeDisabled": True})["jobs"]
    return any(job.get("declarationKey") == "heartbeat:main" and job.get("enabled") for job in jobs)


def test_three_beats_with_nothing_to_do_cost_openclaw_three_model_calls_and_us_none(
    team: Team, gateway: Gateway, model: Model
) -> None:
    with _beating(gateway, "20s"):
        until(lambda: model.turns("Follow the heartbeat monitor") >= 3, "three beats of OpenClaw's own")
    theirs = model.tokens

    model.requests.clear()
    for _ in range(3):
        team("heartbeat")

    assert theirs > 3 * 1000
    assert model.turns("") == 0
