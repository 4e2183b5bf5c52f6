"""An agent that knows more words than we do; and requests whose places hide under any key."""

import json

import pytest

from tests.acp.conftest import Team


def ask(call: dict[str, object], **more: object) -> str:
    return f"!raw_ask {json.dumps({'call': call, **more})}"


def test_a_turn_that_ends_with_an_unknown_word_was_answered(team: Team) -> None:
    run = team.work("!say the answer is 42", "!new_ending ran_out_of_moon")

    assert (run.reason, run.exit) == ("exited", 0)
    assert "the answer is 42" in team.log()
    assert "ran_out_of_moon" in "".join(team.said)
    assert [one["why"] for one in team.audit("acp")] == [
        "unknown message of a newer agent: its turn ended with “ran_out_of_moon”, which counts as its end"
    ]


def test_an_answer_of_an_unknown_kind_is_never_given_and_takes_no_other_away(team: Team) -> None:
    kinds = ["allow_for_the_session", "allow_once", "reject_politely", "reject_once"]
    run = team.work(
        ask({"kind": "read", "title": "look"}, options=kinds),
        ask({"kind": "edit", "title": "write"}, options=kinds),
        ask({"kind": "read", "title": "look"}, options=["allow_for_the_session"]),
    )

    assert run.exit == 0, team.log("stderr.log")
    outcomes = [one["outcome"] for one in team.saw("raw")]
    assert [one.get("optionId") for one in outcomes] == ["id-allow_once", "id-reject_once", None]
    assert outcomes[2] == {"outcome": "cancelled"}
    named = " ".join(one["why"] for one in team.audit("acp"))
    assert "allow_for_the_session" in named
    assert "reject_politely" in named
    assert named.count("allow_for_the_session") == 1


def test_unknown_kinds_of_tools_updates_and_contents_fail_nothing(team: Team) -> None:
    update = {"sessionUpdate": "tool_call", "toolCallId": "raw", "title": "jump", "kind": "teleport", "status": "lost"}
    plan = {"sessionUpdate": "plan", "entries": [{"content": "a", "priority": "urgent", "status": "stuck"}]}
    chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "hologram", "x": 1}}
    run = team.work(
        *(f"!raw_update {json.dumps(one)}" for one in (update, plan, chunk, {"sessionUpdate": "telepathy"})),
        ask({"kind": "teleport"}),
        ask({"kind": "read", "content": [{"type": "chart", "of": "x"}]}),
        "!say still here",
    )

    assert run.exit == 0
    assert "still here" in team.log()
    first, second = (one["why"] for one in team.audit("permission"))
    assert first.startswith("refused teleport “jump”")
    assert first.endswith("approve-reads does not allow teleport")
    assert second.startswith("refused read")


CALLS: list[dict[str, object]] = [
    {"kind": "fetch", "rawInput": {"url": "https://example.org"}},
    {"kind": "fetch", "rawInput": {"url": "http://169.254.169.254/latest/meta-data/"}},
    {"kind": "fetch", "rawInput": {"url": "http://127.0.0.1:8080"}},
    {"kind": "fetch", "title": "no word of where"},
    {"kind": "read", "rawInput": {"url": "http://[::1]/"}},
    {"kind": "search", "rawInput": {"what": {"sources": ["http://localhost"]}}},
    {"kind": "read", "rawInput": {"paths": ["a.txt", "/etc/passwd"]}},
    {"kind": "read", "rawInput": {"glob": "../../**"}},
    {"kind": "read", "rawInput": {"input": {"deep": [{"target": "~/.ssh/id_rsa"}]}}},
    {"kind": "read", "rawInput": ["/etc/passwd"]},
    {"kind": "read", "rawInput": "/etc/passwd"},
    {"kind": "read", "rawInput": {"text": "/etc/passwd"}},
    {"kind": "read", "rawInput": {"u": "file:///etc/passwd"}},
    {"kind": "read", "rawInput": {"u": "FILE:/etc/pass%77d"}},
    {"kind": "read", "rawInput": {"/etc/passwd": 1}},
    {"kind": "read", "rawInput": {"path": "out/passwd"}},
    {"kind": "read", "locations": [{"path": "a.txt"}, {"uri": "file:///etc/passwd"}]},
    {"kind": "read", "locations": [{"path": "a.txt", "line": 1}, {"path": "../x"}]},
    {"kind": "read", "content": [{"type": "chart", "source": "/etc/passwd"}]},
    {"kind": "read", "content": [{"type": "content", "content": {"type": "resource_link", "uri": "file:///etc/x"}}]},
    {"kind": "read", "rawInput": {"input": {"command": "cat a.txt"}}},
    {"kind": "read", "rawInput": {"cmd": ["cat", "a.txt"]}},
    {"kind": "search", "rawInput": {"q": "a.txt ~/.aws/credentials"}},
]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_only_reads_of_the_own_folder_are_allowed_in_read_mode(team: Team, call: dict[str, object]) -> None:
    (team.desk / "a.txt").write_text("a")
    (team.desk / "out").symlink_to("/etc")

    team.work(ask(call))

    assert [one["outcome"].get("optionId") for one in team.saw("raw")] == ["id-reject_once"], team.log("stderr.log")
    [line] = team.audit("permission")
    assert line["why"].startswith("refused ")


GOOD: list[dict[str, object]] = [
    {"kind": "read", "rawInput": {"file_path": "a.txt"}, "locations": [{"path": "a.txt"}]},
    {"kind": "search", "rawInput": {"pattern": "def .*(a|b)/c", "glob": "src/{a,b}/**/*.py", "limit": 3}},
    {"kind": "search", "rawInput": {"query": "how to read a file"}},
    {"kind": "think", "rawInput": {"text": "it may be in /etc"}},
    {"kind": "read", "rawInput": {"uri": "file://DESK/a.txt", "paths": ["DESK/a.txt", "sub/b c.txt"]}},
]


@pytest.mark.parametrize("call", GOOD, ids=str)
def test_a_read_of_its_folder_is_allowed(team: Team, call: dict[str, object]) -> None:
    team.work(ask(call).replace("DESK", str(team.desk)))

    assert [one["outcome"].get("optionId") for one in team.saw("raw")] == ["id-allow_once"], team.audit("permission")


def test_the_facts_of_a_request_are_those_that_it_names_and_no_others(team: Team) -> None:
    call: dict[str, object] = {"kind": "read", "locations": [{"path": "/etc/passwd"}]}
    team.work(
        ask(call, more={"_meta": {"told": {"toolCallId": "x"}, "session_id": "s", "tool_call": None, "options": []}})
    )

    assert [one["outcome"].get("optionId") for one in team.saw("raw")] == ["id-reject_once"]
