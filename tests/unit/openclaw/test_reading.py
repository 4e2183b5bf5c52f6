"""What OpenClaw's files and answers mean, in the layouts that are in use."""

import pytest

from claw_files.config import parse
from claw_files.core.errors import InvalidConfig
from claw_files.core.model import Usage
from claw_files.integrations.openclaw import installation, json5, turn_result

NEW = "{agents: {defaults: {workspace: '~/ws'}, entries: {Main: {}, peter: {workspace: '~/desk'}}}}"
OLD = '{"agents": {"list": [{"id": "main"}, {"id": "Peter", "workspace": "/desk"}], "defaults": {"workspace": "/ws"}}}'


def test_agents_and_their_workspaces_are_found_in_the_new_layout_and_in_the_old() -> None:
    new = installation.configured(json5.loads(NEW), "/home/me")
    old = installation.configured(json5.loads(OLD), "/home/me")

    assert new == {"main": "/home/me/ws/Main", "peter": "/home/me/desk"}
    assert old == {"main": "/ws/main", "peter": "/desk"}


def test_without_agents_there_is_the_one_called_main() -> None:
    assert installation.configured({}, "/home/me") == {"main": ""}
    shared = installation.configured({"agents": {"defaults": {"workspace": "~/ws"}}}, "/home/me")
    assert shared == {"main": "/home/me/ws"}


def test_rows_that_make_no_sense_are_passed_over() -> None:
    rows = [{"id": 7}, "x", {"id": "peter", "workspace": ["a"]}, {}, None]

    assert installation.listed(rows) == {"peter": ""}
    assert installation.listed({"id": "peter"}) == {}


def test_json_as_people_write_it_is_read() -> None:
    text = """{ // a comment
      name: 'it\\'s "me"', "url": "http://x//y", /* , } */ list: [1, 2,], flag: true, $odd: null,
    }"""

    assert json5.loads(text) == {"name": 'it\'s "me"', "url": "http://x//y", "list": [1, 2], "flag": True, "$odd": None}


@pytest.mark.parametrize("text", ["", "{", "{a: }", "[" * 100_000, "x" * (1 << 21), "{a: 0x10}"])
def test_an_openclaw_file_that_is_no_json_is_an_error_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json5.loads(text)


def test_a_turn_in_the_transcript_ends_where_somebody_else_begins() -> None:
    usage = {"input": 7, "cacheRead": 3, "output": 2, "cost": {"total": 0.5}}
    messages = [
        {"role": "user", "content": "before", "idempotencyKey": "a:user"},
        {"role": "user", "content": "mine", "idempotencyKey": "k:user"},
        {"role": "assistant", "content": [{"type": "toolCall"}], "stopReason": "toolUse", "usage": usage},
        {"role": "user", "content": f"{turn_result.RESUMED} by ...", "idempotencyKey": "r:user"},
        {"role": "assistant", "content": "a correction from outside", "idempotencyKey": "c:user"},
        {"role": "assistant", "content": [{"text": "the end"}], "stopReason": "stop", "usage": usage, "model": "m"},
        {"role": "user", "content": "after", "idempotencyKey": "b:user"},
        {"role": "assistant", "content": [{"text": "not mine"}], "stopReason": "stop"},
    ]

    found = turn_result.segment(messages, "k")

    assert found == turn_result.Segment(
        said="the end", is_complete=True, usage=Usage(input=20, output=4, cached=6, cost=1.0, model="m")
    )
    assert turn_result.segment(messages[:3], "k").is_complete is False
    assert turn_result.segment(messages, "other") is None


@pytest.mark.parametrize("odd", [None, "x", [], {"usage": []}, {"usage": {"input": "many", "output": -1, "cost": 7}}])
def test_usage_that_makes_no_sense_counts_as_nothing(odd: object) -> None:
    outcome = turn_result.final({"status": "ok", "result": {"meta": {"agentMeta": odd}}})

    assert outcome.is_good
    assert outcome.usage in (None, Usage())


def test_a_workspace_that_is_told_differs_only_if_it_is_another_folder() -> None:
    assert not installation.differs("", "../peter", "/team")
    assert not installation.differs("/peter", "../peter", "/team")
    assert installation.differs("/other", "../peter", "/team")


def settings(text: str) -> str:
    return f'[workspace]\ncoordinator = "sam"\n[agents.sam]\n{text}\n'


def test_an_agent_is_found_there_by_its_session_its_id_or_its_name() -> None:
    text = '[agents.peter]\nruntime = "openclaw"\n[agents.iris]\nopenclaw_agent = "Ops"\n'
    text += '[agents.max]\nsession = "agent:x:y"\n'
    agents = parse(settings(text).encode()).agents

    there = {name: (agents[name].there, agents[name].session) for name in ("peter", "iris", "max")}
    assert there == {
        "peter": ("peter", "agent:peter:main"),
        "iris": ("ops", "agent:ops:main"),
        "max": ("x", "agent:x:y"),
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[openclaw]\nurl = "ws://192.168.1.7:18789"', "in the clear"),
        ('[openclaw]\nurl = "ws://127.0.0.1.example.org:1"', "in the clear"),
        ('[openclaw]\nurl = "http://127.0.0.1"', "wants an address"),
        ('[openclaw]\ntoken_env = "A B"', "names of environment variables"),
        ('[openclaw]\ntoken = "secret"', "unknown key"),
        ('[agents.w]\nkind = "worker"\nruntime = "openclaw"', "for named agents"),
        ('[agents.p]\nopenclaw_agent = "a"\nsession = "agent:b:main"', "of another agent"),
    ],
)
def test_settings_that_do_not_fit_are_named(text: str, sentence: str) -> None:
    with pytest.raises(InvalidConfig, match=sentence):
        parse(settings(text).encode())
