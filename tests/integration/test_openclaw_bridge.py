"""The bridge to OpenClaw against a counterpart that speaks its protocol: doubts, crashes, refusals."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.config import OpenClaw
from claw_files.core.errors import GatewayAway, GatewayRefused
from claw_files.integrations.openclaw import bridge, delivery_check, turn_result
from claw_files.integrations.openclaw.bridge import Bridge, BridgeJob
from claw_files.integrations.openclaw.gateway_access import GatewayAccess, access
from claw_files.integrations.openclaw.gateway_client import Gateway
from claw_files.integrations.openclaw.turn_result import TurnOutcome
from claw_files.integrations.openclaw.turn_steering import steer

from .gateway import FINAL, TOKEN, Counterpart


@pytest.fixture
def counterpart() -> Iterator[Counterpart]:
    made = Counterpart()
    yield made
    made.close()


class Desk:
    """Runs of one agent in a folder, each with a bridge that can be ended before a step."""

    def __init__(self, root: Path, counterpart: Counterpart) -> None:
        self.root, self.counterpart = root, counterpart
        self.said: list[str] = []
        self.pauses = 0

    def bridge(self, run: str = "tc-1.1-s1", message: str = "TC-1: look", agent: str = "peter") -> Bridge:
        folder = self.root / "runs" / run
        folder.mkdir(parents=True, exist_ok=True)
        job = BridgeJob(
            folder=str(folder),
            workspace=str(self.root),
            run=run,
            task="TC-1",
            agent=agent,
            session="agent:peter:main",
            message_id="20260307T084500Z-tc-1.1",
            message=message,
        )
        return Bridge(job, lambda: Gateway(self.counterpart.url, TOKEN), self.said.append, self._pause)

    def run(self, run: str = "tc-1.1-s1", **more: str) -> TurnOutcome:
        return self.bridge(run, **more).run()

    def file(self, name: str, run: str = "tc-1.1-s1") -> dict[str, object]:
        return dict(json.loads((self.root / "runs" / run / name).read_text()))

    def _pause(self, _seconds: float) -> None:
        self.pauses += 1
        assert self.pauses < 100, "it never ends"


@pytest.fixture
def desk(tmp_path: Path, counterpart: Counterpart) -> Desk:
    return Desk(tmp_path, counterpart)


class Dead(BaseException):
    """The bridge was killed."""


def killed(desk: Desk, monkeypatch: pytest.MonkeyPatch, method: str, run: str = "tc-1.1-s1") -> None:
    """A bridge that is killed right after it has sent `method` the first time."""
    real = Gateway.ask

    def ask(gateway: Gateway, name: str, params: dict[str, object]) -> str:
        number = real(gateway, name, params)
        if name == method:
            if name == "agent":
                gateway.answer(number, "agent")  # it has arrived
            raise Dead
        return number

    with monkeypatch.context() as patched, pytest.raises(Dead):
        patched.setattr(Gateway, "ask", ask)
        desk.run(run)


def at_each_wait(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """In place of waiting for a turn at the gateway, `act`; the bridge looks again at once."""
    real = Gateway.call

    def call(gateway: Gateway, method: str, params: dict[str, object], *more: timedelta) -> dict[str, object]:
        if method != "agent.wait" or not params["timeoutMs"]:
            return real(gateway, method, params, *more)
        act()
        return {}

    monkeypatch.setattr(Gateway, "call", call)


# --- the plain way


def test_a_message_is_sent_once_and_its_answer_comes_back(desk: Desk, counterpart: Counterpart) -> None:
    outcome = desk.run()

    assert (outcome.is_good, outcome.said) == (True, "TC-1 is done.")
    assert counterpart.sent == [desk.file("openclaw.json")["key"]]
    assert counterpart.params[0] | {"idempotencyKey": ""} == {
        "message": "TC-1: look",
        "idempotencyKey": "",
        "agentId": "peter",
        "sessionKey": "agent:peter:main",
        "deliver": False,
    }


def test_the_usage_of_a_turn_is_written_down(desk: Desk) -> None:
    desk.run()

    assert desk.file("usage.json") == {
        "input": 123,
        "output": 16,
        "cached": 20,
        "cost": 0.25,
        "model": "loopback/scripted",
    }


def test_a_turn_that_went_wrong_is_told_with_what_the_gateway_said(desk: Desk, counterpart: Counterpart) -> None:
    counterpart.is_instant = False
    counterpart.drops.add("agent.wait")
    failing = desk.bridge()
    counterpart.is_instant = True
    real = counterpart.end
    counterpart.end = lambda key, final=FINAL: real(key, {"status": "error", "summary": "provider down"})

    outcome = failing.run()

    assert (outcome.is_good, outcome.said) == (False, "provider down")


def test_an_end_that_only_a_newer_gateway_knows_is_one_and_is_told(desk: Desk, counterpart: Counterpart) -> None:
    real, turn = counterpart.end, desk.bridge()
    counterpart.end = lambda key, final=FINAL: real(key, final | {"status": "settled"})

    outcome = turn.run()

    assert (outcome.is_good, outcome.said) == (True, "TC-1 is done.")
    assert "the gateway ended the turn with 'settled', which we do not know" in desk.said
    assert len(counterpart.sent) == 1


@pytest.mark.parametrize("final", [{"status": "lost"}, {"status": "lost", "error": "no", "result": FINAL["result"]}])
def test_an_end_of_an_unknown_kind_without_an_answer_is_none(final: dict[str, object]) -> None:
    assert not turn_result.final(final).is_good


def test_the_record_is_on_the_disk_before_the_message_goes_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, counterpart: Counterpart
) -> None:
    real, seen = Gateway.ask, []

    def ask(gateway: Gateway, name: str, params: dict[str, object]) -> str:
        if name == "agent":
            seen.append((desk.file("openclaw.json")["key"], params["idempotencyKey"]))
        return real(gateway, name, params)

    monkeypatch.setattr(Gateway, "ask", ask)
    desk.run()

    assert seen == [(counterpart.sent[0], counterpart.sent[0])]


# --- doubt


def test_a_gateway_that_is_starting_is_asked_again(desk: Desk, counterpart: Counterpart) -> None:
    counterpart.starting = 3

    assert desk.run().is_good
    assert (desk.pauses, len(counterpart.sent)) == (3, 1)
    assert desk.said[0].endswith("trying again")


@pytest.mark.parametrize("method", ["agent", "agent.wait", "chat.history"])
def test_a_connection_that_is_cut_anywhere_gives_one_turn(desk: Desk, counterpart: Counterpart, method: str) -> None:
    counterpart.drops.add(method)

    outcome = desk.run()

    assert (outcome.is_good, outcome.said, len(counterpart.sent)) == (True, "TC-1 is done.", 1)
    assert desk.pauses == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_bridge_that_was_killed_after_sending_is_followed_by_one_that_sends_nothing(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch, is_restarted: bool
) -> None:
    killed(desk, monkeypatch, "agent")
    if is_restarted:
        counterpart.restart()

    outcome = desk.run()

    assert (outcome.is_good, outcome.said, len(counterpart.sent)) == (True, "TC-1 is done.", 1)
    assert desk.file("usage.json")["output"] == 16


def test_a_turn_that_goes_on_after_a_restart_is_waited_for(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    counterpart.is_instant = False
    killed(desk, monkeypatch, "agent")
    counterpart.restart()
    looks = []

    def wait() -> None:
        looks.append(1)
        if len(looks) == 3:
            counterpart.end(counterpart.sent[0])

    at_each_wait(monkeypatch, wait)

    assert desk.run().said == "TC-1 is done."
    assert (len(looks), len(counterpart.sent)) == (3, 1)


def test_a_turn_that_is_not_resumed_ends_without_a_second_send(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    counterpart.is_instant = False
    killed(desk, monkeypatch, "agent")
    counterpart.restart()
    counterpart.is_active = False

    outcome = desk.run()

    assert (outcome.is_good, len(counterpart.sent)) == (False, 1)
    assert "interrupted" in outcome.said
    assert desk.pauses == bridge.FORGIVEN


@pytest.mark.parametrize("state", ["interrupted", "cancelled"])
def test_an_input_that_never_began_is_sent_under_another_key(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    killed(desk, monkeypatch, "agent")
    first = counterpart.sent[0]
    counterpart.restart()
    counterpart.messages.clear()
    counterpart.pending[first] = state

    outcome = desk.run()

    assert outcome.is_good
    assert counterpart.sent == [first, f"{first}:2"]
    assert desk.file("openclaw.json")["renewal"] == 2


@pytest.mark.parametrize("words", ["SESSION_WORK_START_CHANGED", "Pending input ownership ended; submit a new turn"])
def test_a_turn_that_was_taken_and_refused_by_a_gateway_that_restarts_is_sent_under_another_key(
    desk: Desk, counterpart: Counterpart, words: str
) -> None:
    counterpart.refusals = [words]

    outcome = desk.run()

    assert outcome.is_good
    assert counterpart.sent == [desk.bridge().sent.key.removesuffix(":2"), desk.bridge().sent.key]


def test_a_turn_that_fails_for_another_reason_is_not_sent_again(desk: Desk, counterpart: Counterpart) -> None:
    counterpart.refusals = ["the provider is down"]

    outcome = desk.run()

    assert (outcome.is_good, len(counterpart.sent)) == (False, 1)
    assert "the provider is down" in outcome.said


def test_a_turn_that_is_refused_again_and_again_is_given_up(desk: Desk, counterpart: Counterpart) -> None:
    counterpart.refusals = [delivery_check.NEVER_BEGUN[0]] * 50

    assert not desk.run().is_good
    assert len(counterpart.sent) == delivery_check.RENEWALS


def test_an_input_that_is_queued_is_waited_for(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch, "agent")
    counterpart.restart()
    message = counterpart.messages[:]
    counterpart.messages.clear()
    counterpart.pending[counterpart.sent[0]] = "queued"

    def begins() -> None:
        counterpart.pending.clear()
        counterpart.messages += message

    at_each_wait(monkeypatch, begins)

    assert desk.run().is_good
    assert len(counterpart.sent) == 1


def test_a_record_without_a_trace_in_the_gateway_is_sent_under_the_same_key(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch, "agent")
    counterpart.restart()
    counterpart.messages.clear()  # it never reached the disk over there

    assert desk.run().is_good
    assert counterpart.sent[0] == counterpart.sent[1]


def test_a_second_send_of_a_message_looks_for_the_first(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch, "agent")
    counterpart.restart()
    for name in os.listdir(desk.root / "runs/tc-1.1-s1"):
        (desk.root / "runs/tc-1.1-s1" / name).unlink()  # even if runs/ was lost

    outcome = desk.run("tc-1.1-s2")

    assert (outcome.is_good, len(counterpart.sent)) == (True, 1)
    assert desk.file("openclaw.json", "tc-1.1-s2")["key"] == counterpart.sent[0]


def test_another_attempt_takes_over_a_turn_that_still_goes_on(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    counterpart.is_instant = False
    killed(desk, monkeypatch, "agent")
    at_each_wait(monkeypatch, lambda: counterpart.end(counterpart.sent[0]))

    assert desk.run("tc-1.2-s1", message="TC-1: look, attempt 2").said == "TC-1 is done."
    assert len(counterpart.sent) == 1


def test_another_attempt_is_sent_when_the_turn_of_the_first_is_over(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch, "agent")

    assert desk.run("tc-1.2-s1", message="TC-1: look, attempt 2").is_good
    assert len(counterpart.sent) == 2


def test_another_workspace_or_another_text_has_another_key(desk: Desk, tmp_path: Path) -> None:
    elsewhere = Desk(tmp_path / "other", desk.counterpart)

    keys = {desk.bridge().key, desk.bridge(message="TC-1: other").key, elsewhere.bridge().key}

    assert len(keys) == 3
    assert desk.bridge().key == desk.bridge().key


# --- refusals, and what is hostile


def test_an_unknown_agent_and_a_wrong_token_are_refused_at_once(desk: Desk, counterpart: Counterpart) -> None:
    with pytest.raises(GatewayRefused, match="unknown agent id"):
        desk.run(agent="nobody")
    with pytest.raises(GatewayRefused, match="the token is not the gateway's"):
        Gateway(counterpart.url, "wrong")
    assert counterpart.sent == []


def test_a_gateway_that_is_not_there_is_away(counterpart: Counterpart) -> None:
    url = counterpart.url
    counterpart.close()

    with pytest.raises(GatewayAway, match="refused"):
        Gateway(url, TOKEN)


@pytest.mark.parametrize(
    "garbage", [b"no json", b"[1, 2]", b'{"type": "res", "id": 7}', b"[" * 100_000, b'{"type": "event", "id": "2"}']
)
def test_frames_that_make_no_sense_are_passed_over(desk: Desk, counterpart: Counterpart, garbage: bytes) -> None:
    counterpart.garbage = garbage

    assert desk.run().is_good


def test_text_from_the_gateway_cannot_command_a_terminal(counterpart: Counterpart) -> None:
    counterpart.agents.clear()

    with Gateway(counterpart.url, TOKEN) as gateway, pytest.raises(GatewayRefused) as refused:
        gateway.call("\x1b[2Jmethod", {})

    assert "\x1b" not in refused.value.reason


def test_giving_up_ends_the_turn_over_there(desk: Desk, counterpart: Counterpart) -> None:
    done = desk.bridge()
    done.run()

    with Gateway(counterpart.url, TOKEN) as gateway:
        done.give_up(gateway)

    assert counterpart.aborted == counterpart.sent


# --- corrections


def test_a_correction_reaches_the_turn_that_the_run_waits_for(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    counterpart.is_instant = False
    killed(desk, monkeypatch, "agent")
    way = GatewayAccess(url=counterpart.url, token=TOKEN)

    is_taken = steer(way, str(desk.root), "tc-1.1-s1", "not the login: the logout")

    assert is_taken
    assert counterpart.steered[0]["args"]["message"] == "not the login: the logout"
    assert counterpart.steered[0]["sessionKey"] == "agent:peter:clawfiles"


def test_a_correction_for_a_turn_that_is_over_or_was_never_begun_is_not_sent(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = GatewayAccess(url=counterpart.url, token=TOKEN)
    killed(desk, monkeypatch, "agent")

    assert not steer(way, str(desk.root), "tc-1.1-s1", "x")
    assert not steer(way, str(desk.root), "tc-9.1-s1", "x")
    assert counterpart.steered == []


def test_a_turn_that_takes_no_correction_and_a_gateway_that_allows_none_are_told_apart(
    desk: Desk, counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    counterpart.is_instant = False
    killed(desk, monkeypatch, "agent")
    way, at_once = GatewayAccess(url=counterpart.url, token=TOKEN), timedelta(0)

    counterpart.is_steerable = False
    assert not steer(way, str(desk.root), "tc-1.1-s1", "x", at_once)
    counterpart.is_steerable = None
    with pytest.raises(GatewayRefused, match=r"gateway\.tools\.allow"):
        steer(way, str(desk.root), "tc-1.1-s1", "x", at_once)


# --- the token


def test_the_token_comes_from_the_variable_or_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    file.chmod(0o600)
    settings = OpenClaw(token_file="token")
    nowhere = {"HOME": str(tmp_path)}

    assert (
        access(settings, str(tmp_path), nowhere | {"OPENCLAW_GATEWAY_TOKEN": "from-variable"}).token == "from-variable"
    )
    assert access(settings, str(tmp_path), nowhere).token == "from-file"
    assert "from-file" not in repr(access(settings, str(tmp_path), nowhere))


def test_a_token_file_that_others_may_read_and_no_token_at_all_are_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    (tmp_path / "token").chmod(0o644)
    nowhere = {"HOME": str(tmp_path)}

    with pytest.raises(GatewayRefused, match="readable by others"):
        access(OpenClaw(token_file="token"), str(tmp_path), nowhere)
    with pytest.raises(GatewayRefused, match="its token is not configured"):
        access(OpenClaw(), str(tmp_path), nowhere)


def test_the_token_of_openclaws_own_configuration_is_used_when_nobody_else_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "openclaw.json"
    file.write_text("{ // JSON5\n gateway: { auth: { mode: 'token', token: 'theirs', }, },\n}\n")
    environ = {"HOME": str(tmp_path), "OPENCLAW_CONFIG_PATH": str(file)}

    file.chmod(0o600)
    assert access(OpenClaw(), str(tmp_path), environ).token == "theirs"
    file.chmod(0o644)
    with pytest.raises(GatewayRefused):
        access(OpenClaw(), str(tmp_path), environ)


def test_usage_has_every_key_also_where_the_gateway_knows_no_price(desk: Desk, counterpart: Counterpart) -> None:
    real = counterpart.end
    bare = {"status": "ok", "result": {"payloads": [], "meta": {"agentMeta": {"usage": {"output": 3}}}}}
    counterpart.end = lambda key, final=FINAL: real(key, bare)

    desk.run()

    assert desk.file("usage.json") == {"input": 0, "output": 3, "cached": 0, "cost": None, "model": None}
