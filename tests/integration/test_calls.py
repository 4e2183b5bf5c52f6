"""What an agent can ask for, through whatever door: every call over real files, and what is refused."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claw_files.cli.root import root
from claw_files.core.errors import ClawError, MoveRefused, NotFound, NothingReady, Refused, UsageError
from claw_files.core.model import AgentId
from claw_files.core.operation_table import OPERATIONS
from claw_files.operations.dispatch import argument_struct, checked, perform
from claw_files.operations.fields import TEXT_BYTES
from claw_files.presentation import views
from claw_files.services.tasks.lifecycle import TaskService
from tests.integration.conftest import typed
from tests.proofs import examples
from tests.support.office import TEAM, Office

Ask = Callable[..., Any]

CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.research]
kind = "worker"
runtime = "command"
command = ["sleep", "60"]
[agents.shield]
compartment = true
[agents.reader]
profile = "readonly"
[profiles.readonly]
commands = ["task list", "subagents list", "inbox"]

[routes]
bug = {{ to = ["peter", "iris", "self"] }}
reviewed = {{ to = ["peter"], review = "coordinator" }}
"""


@pytest.fixture
def office(tmp_path: Path):
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    made.stop()


@pytest.fixture
def ask(office: Office) -> Ask:
    """Makes a call as an agent does, and reads the answer from its JSON."""

    def call(by: str, name: str, **arguments: Any) -> Any:
        answered = json.loads(views.to_json(perform(office.app(by), name, arguments)))
        office.settle()
        return answered

    return call


# --- the table


def test_every_call_is_the_right_of_a_command_that_there_is() -> None:
    import click

    def is_there(words: list[str]) -> bool:
        found: Any = root
        for word in words:
            found = found.get_command(click.Context(found), word) if isinstance(found, click.Group) else None
        return found is not None

    rights = {
        right for row in OPERATIONS.values() for by in row.rights.values() for right in (row.command, *by.values())
    }

    assert {right for right in rights if not is_there(right.split())} == set()


def test_the_right_of_a_call_is_that_of_what_it_is_asked_to_do() -> None:
    def right(name: str, **raw: object) -> str:
        return OPERATIONS[name].right(checked(OPERATIONS[name], raw))

    assert right("subagents") == "subagents list"
    assert right("subagents", action="kill", target="1") == "subagents kill"
    assert right("task_done", task="TC-1") == "done"
    assert right("task_done", task="TC-1", review=True) == "review"
    assert right("inbox", action="done", id="x") == "inbox done"
    assert right("checkpoint", action="save") == "checkpoint save"


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_no_argument_says_who_acts(name: str) -> None:
    from msgspec.structs import fields

    own = {"task_list": {"agent"}, "task_need": {"agent"}}.get(name, set())  # whose tasks, and who is asked

    assert {"actor", "agent", "by", "from", "as"} & {
        field.encode_name for field in fields(argument_struct(OPERATIONS[name]))
    } == own


# --- tasks


def test_a_task_from_its_making_to_its_review(office: Office, ask: Ask) -> None:
    made = ask("sam", "task_new", title="API review", type="reviewed", to="peter", estimate="30m", body="all of it")
    lease = ask("peter", "task_claim", next=True)
    ask("peter", "task_progress", task="TC-1", note="half of it", eta="+10m", generation=lease["generation"])
    ask("peter", "task_beat", task="tc-1")
    done = ask("peter", "task_done", task="TC-1", summary="2 findings", outputs=["PR #142"])
    again = ask("sam", "task_reopen", task="TC-1", why="one more")
    ask("peter", "task_claim", task="TC-1")
    ask("peter", "task_done", task="TC-1", review=True)

    assert (made["id"], made["assignee"], made["estimate"]) == ("TC-1", "peter", "30m")
    assert lease | {"until": ""} == {"task": "TC-1", "agent": "peter", "generation": 1, "until": ""}
    assert (done["status"], done["outputs"], again["status"]) == ("review", ["PR #142"], "backlog")
    assert ask("sam", "task_approve", task="TC-1")["status"] == "done"
    assert "all of it" in ask("iris", "task_show", task="TC-1")["body"]


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_heartbeat_that_delivers_a_new_task_first_fails_nothing(
    office: Office, ask: Ask, monkeypatch: pytest.MonkeyPatch, is_claimed: bool
) -> None:
    make = TaskService.new

    def and_tick(*args: Any, **more: Any) -> Any:
        made = make(*args, **more)
        office.tick()
        if is_claimed:
            office.app("peter").claims.claim(made.id, AgentId("peter"))
        return made

    monkeypatch.setattr(TaskService, "new", and_tick)

    made = ask("sam", "task_new", title="API review", to="peter")

    assert made["id"] == "TC-1"
    assert [key for found in office.boxes("peter").values() for key in found] == ["tc-1.1"]
    assert len(office.lines) == 1


def test_a_task_may_be_blocked_given_back_failed_cancelled_delegated(office: Office, ask: Ask) -> None:
    for title in ("one", "two", "three"):
        ask("sam", "task_new", title=title, type="bug")
    for task in ("TC-1", "TC-2"):
        ask("peter", "task_claim", task=task)

    assert ask("peter", "task_need", task="TC-1", agent="iris", question="Which host?")["status"] == "blocked"
    assert ask("peter", "task_release", task="TC-1", why="for iris")["status"] == "backlog"
    assert ask("peter", "task_block", task="TC-2", note="no access")["status"] == "blocked"
    assert ask("peter", "task_progress", task="TC-2")["status"] == "in_progress"
    assert ask("peter", "task_fail", task="TC-2", reason="the host is gone")["status"] == "failed"
    assert ask("sam", "task_cancel", task="TC-2", why="not needed")["status"] == "cancelled"
    assert ask("sam", "task_delegate", task="TC-3", check="+30m")["agent"] == "peter"
    assert office.box("peter") == ["tc-3.1"]
    states = {state: [task["id"] for task in rows] for state, rows in ask("iris", "board")["board"].items()}
    assert states == {"backlog": ["TC-1", "TC-3"], "cancelled": ["TC-2"]}
    assert [task["id"] for task in ask("iris", "task_list", status="backlog", limit=1)["tasks"]] == ["TC-1"]


def test_an_odd_estimate_is_told_beside_the_task(ask: Ask) -> None:
    assert "outside the 5 to 60 minutes" in ask("sam", "task_new", title="all", estimate="3h")["warning"]


def test_unreadable_files_are_named_beside_the_results(office: Office, ask: Ask) -> None:
    ask("sam", "task_new", title="one")
    office.write("status/tc-2.md", b"---\nid: \xff\n---\n")

    found = ask("sam", "task_list")

    assert [task["id"] for task in found["tasks"]] == ["TC-1"]
    assert [row["path"] for row in found["unreadable"]] == ["status/tc-2.md"]


def test_nothing_ready_and_a_task_that_is_held_are_told_as_the_commands_tell_it(ask: Ask) -> None:
    with pytest.raises(NothingReady):
        ask("iris", "task_claim", next=True)
    ask("sam", "task_new", title="one")
    ask("peter", "task_claim", task="TC-1")
    with pytest.raises(ClawError, match=r"TC-1 is held by peter \(generation 1\)"):
        ask("iris", "task_claim", task="TC-1")


def test_in_somebody_elses_compartment_a_task_is_moved_and_not_shown(ask: Ask) -> None:
    ask("sam", "task_new", title="secret", to="shield", body="very")
    ask("shield", "task_claim", task="TC-1")

    assert ask("sam", "task_cancel", task="TC-1") == {"id": "TC-1", "status": "cancelled"}
    with pytest.raises(MoveRefused, match="cannot make this move"):
        ask("sam", "task_approve", task="TC-1")
    with pytest.raises(NotFound):
        ask("peter", "task_show", task="TC-1")


# --- sessions


def test_a_message_goes_to_an_agent_and_its_answer_comes_back(ask: Ask) -> None:
    sent = ask("sam", "sessions_send", agentId="peter", message="Which host?")
    question = ask("peter", "inbox")["messages"][0]
    answered = ask("peter", "answer", id=question["id"], text="eu-west-1")

    assert sent["status"] == "accepted"
    assert (sent["sessionKey"], sent["delivery"]) == ("agent:peter:main", {"status": "pending", "mode": "announce"})
    assert question["id"] == sent["id"]
    assert answered["status"] == "accepted"
    assert "eu-west-1" in ask("sam", "inbox", action="peek")["messages"][0]["body"]
    assert ask("sam", "inbox", action="done", id=answered["id"])["done"]["kind"] == "answer"
    assert ask("sam", "inbox") == {"messages": []}


def test_an_agent_is_asked_for_a_turn_and_a_person_is_told(office: Office, ask: Ask) -> None:
    ask("peter", "sessions_send", agentId="iris", message="here?", task="TC-1")
    ask("peter", "sessions_send", agentId="dimitrios", message="all is well", critical=True)

    (to_iris,), (to_person,) = (ask(name, "inbox", action="peek")["messages"] for name in ("iris", "dimitrios"))

    assert (to_iris["kind"], to_iris["task"]) == ("question", "TC-1")
    assert (to_person["kind"], to_person["critical"]) == ("announce", True)


def test_a_wait_ends_with_the_reply_or_with_accepted(office: Office, ask: Ask) -> None:
    def reply() -> None:
        office.clock.on_sleep = None
        question = ask("iris", "inbox")["messages"][0]
        ask("iris", "answer", id=question["id"], text="yes, here")

    alone = ask("sam", "sessions_send", agentId="peter", message="there?", timeoutSeconds=1)
    office.clock.on_sleep = reply
    answered = ask("sam", "sessions_send", agentId="iris", message="there?", timeoutSeconds=30)

    assert (alone["status"], "reply" in alone) == ("accepted", False)
    assert answered["status"] == "ok"
    assert "yes, here" in answered["reply"]


def test_an_inbox_is_waited_for(office: Office, ask: Ask) -> None:
    office.clock.on_sleep = lambda: ask("sam", "sessions_send", agentId="peter", message="now")

    assert [it["from"] for it in ask("peter", "inbox", timeoutSeconds=60)["messages"]] == ["sam"]
    office.clock.on_sleep = None
    assert ask("peter", "inbox", timeoutSeconds=1) == {"messages": []}


def test_a_worker_is_spawned_listed_steered_killed(office: Office, ask: Ask) -> None:
    spawned = ask("sam", "sessions_spawn", task="sum up the inbox", taskName="email", runTimeoutSeconds=400)
    key, task = spawned["childSessionKey"], spawned["task"]

    assert (spawned["status"], spawned["mode"], key) == ("accepted", "run", "agent:research:subagent:email")
    assert (office.task(task).size, office.task(task).timeout) == ("M", timedelta(seconds=400))
    listed = ask("sam", "subagents")
    assert [(it["key"], it["runId"], it["status"]) for it in listed["subagents"]] == [
        (key, spawned["runId"], "running")
    ]
    steered = ask("sam", "subagents", action="steer", target="email", message="only the last week")
    assert (steered["sessionKey"], steered["runId"]) == (key, spawned["runId"])
    assert ask("sam", "sessions_send", sessionKey=key, message="and briefly")["targetDisposition"] == "steered"
    assert key in [it["key"] for it in ask("sam", "sessions_list", kinds=["subagent"])["sessions"]]
    history = ask("sam", "sessions_history", sessionKey=key)
    assert "only the last week" in "".join(it["text"] for it in history["messages"] if it["type"] == "steer")
    assert ask("sam", "subagents", action="kill", target="email")["killed"][0]["run"] == spawned["runId"]
    office.runs_end()


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({}, "needs --label LABEL and --size"),
        ({"label": "x"}, "needs --size"),
        ({"label": "x", "size": "S", "thread": True}, "cannot bind a session to a thread"),
        ({"label": "x", "size": "S", "cleanup": "delete"}, "are always kept"),
        ({"label": "x", "size": "S", "cwd": "/etc"}, "not inside the workspace"),
    ],
)
def test_a_spawn_without_its_contract_is_refused_with_the_rule(ask: Ask, more: dict[str, Any], rule: str) -> None:
    with pytest.raises(Refused, match=rule):
        ask("sam", "sessions_spawn", task="sum up", **more)


def test_a_worker_that_stays_has_a_turn_for_each_message(office: Office, ask: Ask) -> None:
    spawned = ask("sam", "sessions_spawn", task="sum up", label="email", size="S", mode="session")
    assert (spawned["mode"], spawned["childSessionKey"]) == ("session", "agent:research:subagent:email")

    sent = ask("sam", "sessions_send", sessionKey=spawned["childSessionKey"], message="and the calendar")

    assert (sent["status"], sent["sessionKey"]) == ("accepted", spawned["childSessionKey"])
    assert sent["id"] == f"{spawned['task'].lower()}.turn.2"


def test_many_items_are_spawned_in_batches_and_reported_together(ask: Ask) -> None:
    items = [f"ticket {number}" for number in range(1, 13)]

    made = ask("sam", "sessions_spawn", task="Say which are spam", label="spam", size="S", items=items)

    assert (made["status"], made["items"], made["batch"], len(made["tasks"])) == ("accepted", 12, 10, 2)
    assert "ticket 12" in ask("sam", "task_show", task=made["tasks"][1]["task"])["body"]


def test_an_urgent_task_goes_to_an_agent_that_clawfiles_can_start(ask: Ask) -> None:
    made = ask("sam", "task_new", title="A bug", type="bug")

    ask("sam", "task_delegate", task=made["id"], urgent=True)

    assert ask("sam", "task_show", task=made["id"])["priority"] == "critical"


def test_a_profile_s_rights_hold_for_calls_by_what_they_are_asked_to_do(ask: Ask) -> None:
    ask("sam", "task_new", title="A bug")

    assert [task["id"] for task in ask("reader", "task_list")["tasks"]] == ["TC-1"]
    assert ask("reader", "subagents")["count"] == 0
    for name, more in (("task_claim", {"task": "TC-1"}), ("subagents", {"action": "kill", "target": "all"})):
        with pytest.raises(Refused, check=lambda error: error.rule == "profiles.readonly"):
            ask("reader", name, **more)


def test_a_worker_moves_no_task_by_a_call(ask: Ask) -> None:
    ask("sam", "task_new", title="A bug")

    with pytest.raises(Refused, check=lambda error: error.rule == "workers report"):
        ask("research", "task_claim", task="TC-1")


def test_a_checkpoint_is_saved_and_says_what_to_resume(ask: Ask) -> None:
    ask("peter", "checkpoint", action="save", completed=["a"], in_progress=["b"], pending=["a", "c"], text="go on")

    found = ask("peter", "checkpoint")

    assert (found["completed"], found["resume"], found["body"]) == (["a"], ["b", "c"], "go on")
    with pytest.raises(NotFound):
        ask("iris", "checkpoint")


def test_a_call_and_its_command_refuse_alike(office: Office, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask("sam", "task_new", title="one")

    _, _, said = typed(office, capsys, "done", "TC-1", "--agent", "iris")

    with pytest.raises(ClawError) as refused:
        ask("iris", "task_done", task="TC-1")
    assert said.strip() == f"clawfiles: {refused.value}"


# --- bad input


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("task_clam", {}, "no call 'task_clam'; did you mean `task_claim`?"),
        ("\x1b[2J" * 50, {}, "no call"),
        ("task_claim", {"task": 5}, "task_claim: `task`: expected"),
        ("task_claim", {"task": ["TC-1"]}, "task_claim: `task`: expected"),
        ("task_claim", {"task": {"id": "TC-1"}}, "task_claim: `task`: expected"),
        ("task_claim", {"tsk": "TC-1"}, "task_claim has no argument `tsk`; did you mean `task`?"),
        ("task_claim", {}, "pass either `task` or `next`"),
        ("task_claim", {"task": "TC-1", "next": True}, "pass either `task` or `next`"),
        ("task_done", {}, "task_done needs `task`"),
        ("task_done", {"task": "TC-1", "agent": "sam"}, "task_done has no argument `agent`"),
        ("task_done", {"task": "TC-1", "outputs": ["a", 5]}, r"`outputs\[1\]`: expected `str`, got `int`"),
        ("task_done", {"task": "TC-1", "outputs": ["a"] * 1001}, "`outputs`: expected `array` of length"),
        ("task_done", {"task": "TC-1", "summary": "a\0b"}, "`summary` contains a NUL character"),
        ("task_done", {"task": "TC-1", "outputs": ["\ud800"]}, "`outputs` is not UTF-8"),
        ("task_list", {"limit": 10**30}, "`limit`"),
        ("task_list", {"limit": 0}, "`limit`: expected `int` >= 1"),
        ("task_list", {"limit": "all"}, "`limit`: expected `int`"),
        ("task_list", {"status": "asleep"}, "status: 'asleep' is not a state"),
        ("task_show", {"task": "../../etc/passwd"}, "is not a valid task id"),
        ("sessions_send", {"message": "hi"}, "needs one of `sessionKey`, `label`, `agentId`"),
        ("sessions_send", {"message": "hi", "agentId": "peter", "timeoutSeconds": 601}, "`timeoutSeconds`: expected"),
        ("sessions_spawn", {"task": "x", "size": "XXL"}, "`size`: invalid enum value 'XXL'; one of S, M, L"),
        ("sessions_list", {"kinds": ["cron"]}, "kinds: 'cron' is not one of main, subagent, other"),
        ("subagents", {"action": "kill"}, "`kill` needs `target`"),
        ("subagents", {"action": "steer", "target": "1"}, "`steer` needs `message`"),
        ("subagents", {"action": "rm"}, "`action`: invalid enum value 'rm'; one of list, steer, kill"),
        ("inbox", {"action": "done"}, "`done` needs `id`"),
    ],
)
def test_an_invalid_argument_is_refused_in_one_sentence_that_names_it(
    ask: Ask, name: str, arguments: Any, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        ask("sam", name, **arguments)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("text", ["x" * (TEXT_BYTES + 1), "ä" * (TEXT_BYTES // 2 + 1)])
def test_a_text_over_1_mb_is_refused_with_what_to_do(ask: Ask, text: str) -> None:
    with pytest.raises(Refused, match=r"`summary` is over 1 MB.*write it to a file and send its path"):
        ask("sam", "task_done", task="TC-1", summary=text)


def test_a_null_counts_as_not_given(ask: Ask) -> None:
    assert ask("sam", "task_new", title="one", type=None, after=None, body=None)["id"] == "TC-1"


def test_nobody_asks_without_a_name_or_as_nobody(office: Office) -> None:
    with pytest.raises(UsageError, match="Which agent are you"):
        perform(office.app(), "task_list", {})
    with pytest.raises(NotFound, match="no agent 'mallory'"):
        perform(office.app("mallory"), "task_list", {})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["TC-1", "peter"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.proof
@settings(max_examples=examples(600), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_call_ends_in_an_answer_or_a_clawfiles_error(office: Office, data: st.DataObject) -> None:
    from msgspec.structs import fields

    name = data.draw(st.sampled_from(sorted(OPERATIONS)))
    names = [
        field.encode_name
        for field in fields(argument_struct(OPERATIONS[name]))
        if field.encode_name != "timeoutSeconds"
    ]
    raw = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=5), ANYTHING, max_size=4))

    try:
        json.loads(views.to_json(perform(office.app("sam"), name, raw)))
    except ClawError as error:
        assert error.code != "bug"
        assert str(error)
