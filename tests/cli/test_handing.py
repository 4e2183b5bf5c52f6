"""Handing out work and words: what is accepted, what is refused, and what arrives."""

import json

import pytest

WORKER = """
import os
label, run = os.environ["CLAWFILES_LABEL"], os.environ["CLAWFILES_RUN"]
with open(f"checkpoints/subagent-{label}.md", "w") as file:
    file.write(f"---\\nlabel: {label}\\nrun: {run}\\nstatus: STATUS\\noutputs: []\\n---\\n3 unread mails\\x1b[2J\\n")
"""


def worker(desk, status: str = "done") -> None:
    desk.write("worker.py", WORKER.replace("STATUS", status))


def test_delegate_writes_the_line_and_sends_the_message(desk) -> None:
    task = desk.task("API security review")

    answer = desk.ok("delegate", task, "--to", "iris", "--check", "2030-03-07 10:00", "--json", by="sam")

    assert (answer.json["status"], answer.json["agent"], answer.json["check"]) == (
        "accepted",
        "iris",
        "2030-03-07T09:00:00Z",
    )
    assert "- TC-1 delegated to iris, check at 2030-03-07 10:00\n" in desk.read("HEARTBEAT.md")
    assert "TC-1" in desk.ok("inbox", by="iris").out


def test_the_route_decides_where_nobody_is_named(desk) -> None:
    task = desk.task("x", "--type", "code-review")

    assert desk.ok("delegate", task, "--json", by="sam").json["agent"] == "peter"


def test_an_agent_cannot_delegate_on_what_was_delegated_to_it(desk) -> None:
    desk.ok("task", "new", "one", "--to", "peter", by="sam")
    other = desk.task("two", by="peter")

    answer = desk.inside("peter", "delegate", other, "--to", "iris", "--json", task="TC-1")

    assert (answer.status, answer.error["rule"]) == (5, "one-hop")
    assert "clawfiles need TC-1 --from iris" in answer.error["instead"]


def test_a_message_to_a_worker_is_refused_with_the_spawn_that_is_right(desk) -> None:
    answer = desk("send", "research", "hello", by="sam")

    assert answer.status == 5
    assert "clawfiles spawn" in answer.err


def test_send_is_accepted_read_and_done(desk) -> None:
    sent = desk.ok("send", "peter", "the host is back\x1b[2J", "--json", by="sam").json

    assert sent["status"] == "accepted"
    assert "\x1b" not in desk.ok("inbox", "--peek", by="peter").out
    assert [message["id"] for message in desk.ok("inbox", "--json", by="peter").json] == [sent["id"]]
    assert desk.ok("inbox", by="peter").out == "no new messages\n"
    desk.ok("inbox", "done", sent["id"], by="peter")
    assert (desk.root / f"inbox/peter/done/{sent['id']}.md").exists()
    assert desk("inbox", "done", "nothing", by="peter").status == 3


def test_an_answer_goes_straight_to_who_asked(desk) -> None:
    asked = desk.ok("ask", "iris", "Which region?", "--json", by="peter").json["id"]

    desk.ok("answer", asked, "eu-west-1", by="iris")

    assert "eu-west-1" in desk.ok("inbox", by="peter").out


def test_a_wait_that_ends_unanswered_is_accepted_all_the_same(desk) -> None:
    assert desk.ok("send", "iris", "Which region?", "--wait", "1", by="peter").out.startswith("accepted ")


def test_nobody_waits_for_itself(desk) -> None:
    answer = desk("send", "peter", "hello", "--wait", "30s", "--json", by="peter")

    assert (answer.status, answer.error["rule"]) == (5, "waiting")


@pytest.mark.parametrize("lacking", [["--label", "email"], ["--size", "S"], []])
def test_a_spawn_without_its_contract_names_what_lacks(desk, lacking: list[str]) -> None:
    answer = desk("spawn", "sum up the inbox", *lacking, "--json", by="sam")

    assert (answer.status, answer.error["rule"]) == (5, "spawn-contract")


def test_a_spawn_is_accepted_at_once_and_its_result_moves_its_task(desk) -> None:
    worker(desk)
    accepted = desk.ok("spawn", "sum up the inbox", "--label", "email", "--size", "S", "--json", by="sam").json
    assert accepted["status"] == "accepted"

    waited = desk("spawn", "again", "--label", "email-2", "--size", "S", "--wait", by="sam")

    assert waited.status == 0, waited
    assert "3 unread mails\\x1b[2J" in waited.out
    desk.ok("heartbeat")
    assert desk.show(accepted["task"])["status"] == "done"


def test_waiting_for_a_worker_that_fails_for_good_exits_8(desk) -> None:
    worker(desk, "failed")
    desk.write("clawfiles.toml", desk.read("clawfiles.toml") + '\n[heartbeat]\nattempts = 1\nbackoff = "1s"\n')

    answer = desk("spawn", "sum up", "--label", "email", "--size", "S", "--wait", "--json", by="sam")

    assert answer.status == 8, answer
    assert answer.error["code"] == "run-failed"


def test_a_heartbeat_with_nothing_to_do_has_no_actions_and_writes_nothing(desk) -> None:
    before = sorted(str(path) for path in desk.root.rglob("*") if ".clawfiles" not in path.parts)

    ticked = desk.ok("heartbeat", "--json").json

    assert {"tick", "actions", "entries", "woken"} <= set(ticked)
    assert set(ticked["tick"]) == {"at", "coordinator", "epoch"}
    assert (ticked["actions"], ticked["entries"], ticked["woken"]) == ([], 0, [])
    assert sorted(str(path) for path in desk.root.rglob("*") if ".clawfiles" not in path.parts) == before


def test_a_check_finds_what_a_heartbeat_would_do_and_does_not_do_it(desk) -> None:
    desk.write("HEARTBEAT.md", "## Delegations\n\n- TC-9 delegated to peter, check at 2030-03-07 10:00\n")

    assert desk("heartbeat", "--check").status == 1
    assert not (desk.root / "inbox").exists()
    actions = desk.ok("heartbeat", "--json").json["actions"]
    assert {"action", "task", "agent", "key", "why"} == set(actions[0])
    assert ("deliver", "TC-9", "peter") in [(a["action"], a["task"], a["agent"]) for a in actions]
    assert desk("heartbeat", "--check").status == 0


def test_explain_is_one_screen(desk) -> None:
    desk.ok("task", "new", "API security review", "--to", "peter", by="sam")

    text = desk.ok("explain", "TC-1").out
    found = desk.ok("explain", "TC-1", "--json").json

    assert len(text.splitlines()) <= 24
    assert "- TC-1 delegated to peter" in text
    assert (found["holder"], found["sent"]["to"], found["sent"]["sends"], found["breaker"]) == (
        "peter",
        "peter",
        1,
        "closed",
    )
    assert found["next"]["at"]
    assert desk("explain", "TC-9").status == 3


def test_a_checkpoint_is_saved_shown_and_resumed(desk) -> None:
    desk.ok(
        "checkpoint", "save", "next: the retry", "--completed", "a", "--in-progress", "b", "--pending", "c", by="peter"
    )  # fmt: skip

    assert desk.ok("checkpoint", "resume", by="peter").out == "b\nc\n"
    assert desk.ok("checkpoint", "show", "--json", by="peter").json["completed"] == ["a"]
    assert desk("checkpoint", "show", by="iris").status == 3


def test_route_explains_a_task_and_a_type(desk) -> None:
    task = desk.task("x", "--type", "code-review")

    assert desk.ok("route", "--explain", task).out == desk.ok("route", "--type", "code-review").out
    assert desk.ok("route", "--explain", task, "--json").json["agent"] == "peter"


def test_log_shows_one_task_and_is_bounded(desk) -> None:
    for title in ("one", "two", "three"):
        desk.task(title)

    assert [json.loads(line)["task"] for line in desk.ok("log", "--limit", "2", "--json").out.splitlines()] == [
        "TC-2",
        "TC-3",
    ]
    assert [json.loads(line)["why"] for line in desk.ok("log", "--task", "tc-2", "--json").out.splitlines()] == ["two"]


def test_a_torn_or_foreign_line_in_the_journal_is_left_out(desk) -> None:
    desk.task("one")
    journal = next((desk.root / "audit").iterdir())
    journal.write_bytes(b'{"task": \n\xff\n[1]\n' + journal.read_bytes() + b'{"timestamp"')

    assert len(desk.ok("log", "--json").out.splitlines()) == 1


@pytest.mark.parametrize(("check", "status"), [("true", 0), ("false", 8)])
def test_wait_includes_the_check_of_the_route(desk, check: str, status: int) -> None:
    worker(desk)
    desk.write(
        "clawfiles.toml", desk.read("clawfiles.toml") + f'checked = {{ to = ["research"], verify = ["{check}"] }}\n'
    )
    order = ("sum up", "--label", "mail", "--size", "S", "--type", "checked", "--attempts", "1", "--wait", "--json")

    answer = desk("spawn", *order, by="sam")

    assert answer.status == status
    if status:
        assert "`false` ended with 1" in answer.error["message"]
    else:
        assert (answer.json["status"], answer.json["verified"]) == ("done", True)
