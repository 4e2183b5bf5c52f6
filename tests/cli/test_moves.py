"""Claiming, working, finishing: who may, who may not, and what each refusal says."""

import pytest


def claimed(desk, *options: str, by: str = "peter") -> str:
    task = desk.task("API security review", *options)
    desk.ok("claim", task, by=by)
    return task


def lines(desk) -> list[str]:
    return [line for line in desk.read("HEARTBEAT.md").splitlines() if line.startswith("- ")]


def test_a_claim_prints_the_lease_and_writes_the_ledger_line(desk) -> None:
    task = desk.task()

    lease = desk.ok("claim", task, "--json", by="peter").json

    assert set(lease) == {"task", "agent", "generation", "until"}
    assert (lease["task"], lease["agent"], lease["generation"]) == ("TC-1", "peter", 1)
    assert lines(desk)[0].startswith("- TC-1 delegated to peter, check at ")
    assert (desk.show(task)["status"], desk.show(task)["liveness"]) == ("in_progress", "working")


def test_a_task_that_is_held_is_refused_with_its_holder(desk) -> None:
    task = claimed(desk)

    answer = desk("claim", task, "--json", by="iris")

    assert answer.status == 4
    assert answer.out == ""
    assert answer.error["code"] == "already-claimed"
    assert answer.error["holder"] == "peter"
    assert len(lines(desk)) == 1


def test_a_second_process_of_one_agent_is_refused_unless_it_names_its_generation(desk) -> None:
    task = claimed(desk)

    assert desk("claim", task, by="peter").status == 4
    assert desk.ok("claim", task, "--generation", "1", "--json", by="peter").json["generation"] == 1
    assert desk("claim", task, "--generation", "2", by="peter").status == 4


def test_another_agent_cannot_claim_a_delegated_task(desk) -> None:
    desk.ok("task", "new", "API security review", "--to", "peter", by="sam")

    answer = desk("claim", "TC-1", "--json", by="iris")

    assert (answer.status, answer.error["code"], answer.error["owner"]) == (4, "not-yours", "peter")


def test_the_claim_of_a_delegated_task_has_the_generation_that_was_reserved(desk) -> None:
    desk.ok("task", "new", "API security review", "--to", "peter", by="sam")
    reserved = desk.ok("inbox", "--peek", "--json", by="peter").json[0]["generation"]

    assert desk.ok("claim", "TC-1", "--json", by="peter").json["generation"] == reserved
    assert len(lines(desk)) == 1


def test_a_reserved_generation_survives_an_agent_that_overwrites_its_file(desk) -> None:
    desk.ok("task", "new", "API security review", "--to", "peter", by="sam")
    desk.write("status/tc-1.md", "TC-1: TODO\n")

    assert desk.ok("claim", "TC-1", "--json", by="peter").json["generation"] == 1


def test_a_successor_of_an_unfinished_task_cannot_be_claimed(desk) -> None:
    desk.task("first")
    desk.task("second", "--after", "TC-1")

    answer = desk("claim", "TC-2", "--json", by="peter")

    assert (answer.status, answer.error["rule"]) == (5, "after")
    assert "TC-1" in answer.error["message"]
    desk.ok("claim", "TC-1", by="peter")
    desk.ok("done", "TC-1", by="peter")
    assert desk("claim", "TC-2", by="peter").status == 0


def test_the_next_task_is_the_oldest_of_the_highest_priority_that_one_may_take(desk) -> None:
    desk.task("old and normal")
    desk.task("old and high", "--priority", "high")
    desk.task("new and high", "--priority", "p1")
    desk.task("critical, but after another", "--priority", "critical", "--after", "TC-1")
    desk.task("critical, but a review", "--priority", "critical", "--type", "code-review")

    taken = [desk.ok("claim", "--next", "--json", by="iris").json["task"] for _ in range(3)]

    assert taken == ["TC-2", "TC-3", "TC-1"]


def test_nothing_ready_is_a_sentence_and_status_three(desk) -> None:
    assert desk("claim", "--next", by="peter") == (3, "", "clawfiles: no task is ready for peter\n")
    assert desk("claim", "--next", "--type", "bug", "--json", by="peter").error["code"] == "nothing-ready"


def test_progress_adds_the_note_renews_the_lease_and_takes_an_eta(desk) -> None:
    task = claimed(desk)
    before = desk.show(task)["lease"]

    desk.ok("progress", task, "half of the\nendpoints", "--eta", "2030-03-07T11:00:00Z", by="peter")

    shown = desk.show(task)
    assert shown["eta"] == "2030-03-07T11:00:00Z"
    assert shown["lease"] >= before
    assert "peter: half of the endpoints" in shown["body"]


def test_a_note_that_reads_like_a_state_moves_nothing(desk) -> None:
    task = claimed(desk)

    desk.ok("progress", task, "x\nStatus: DONE", by="peter")
    desk.ok("beat", task, by="peter")

    assert desk.show(task)["status"] == "in_progress"


def test_done_keeps_summary_and_outputs(desk) -> None:
    task = claimed(desk)

    answer = desk.ok("done", task, "two findings", "--output", "PR #142", "--output", "report.md", by="peter")

    shown = desk.show(task)
    assert answer.out == "TC-1 is done\n"
    assert (shown["status"], shown["summary"], shown["outputs"]) == ("done", "two findings", ["PR #142", "report.md"])
    assert shown["lease"] is None


def test_done_becomes_review_where_the_route_wants_one_and_only_its_reviewer_approves(desk) -> None:
    task = claimed(desk, "--type", "code-review")

    assert desk.ok("done", task, by="peter").out == "TC-1 is in review\n"
    assert desk("approve", task, by="peter").status == 5
    assert desk("approve", task, by="iris").status == 5
    assert desk.ok("approve", task, by="sam").out == "TC-1 is done\n"


def test_a_holder_cannot_approve_itself_around_the_review(desk) -> None:
    task = claimed(desk, "--type", "code-review")

    assert desk("approve", task, by="peter").status == 5
    assert desk.show(task)["status"] == "in_progress"


def test_review_asks_for_one_where_the_route_does_not(desk) -> None:
    task = claimed(desk)

    desk.ok("review", task, by="peter")

    assert desk.show(task)["status"] == "review"
    assert desk("approve", task, by="dimitrios").status == 0


@pytest.mark.parametrize("command", ["progress", "beat", "done", "review", "fail", "release"])
def test_another_agents_task_is_not_yours(desk, command: str) -> None:
    task = claimed(desk)

    answer = desk(command, task, "--json", by="iris")

    assert (answer.status, answer.error["code"], answer.error["owner"]) == (4, "not-yours", "peter")
    assert desk.show(task)["status"] == "in_progress"


@pytest.mark.parametrize("command", ["progress", "beat", "done", "review", "fail", "release"])
def test_a_task_in_backlog_must_be_claimed_first(desk, command: str) -> None:
    task = desk.task()
    before = desk.read("status/tc-1.md")

    answer = desk(command, task, "--json", by="peter")

    assert (answer.status, answer.error["code"]) == (5, "move-refused")
    assert "clawfiles claim TC-1" in answer.error["instead"]
    assert desk.read("status/tc-1.md") == before


@pytest.mark.parametrize("command", ["progress", "beat", "done", "review", "fail", "block", "release"])
def test_an_older_generation_is_refused(desk, command: str) -> None:
    task = claimed(desk)
    desk.ok("release", task, by="peter")
    again = desk.ok("claim", task, "--json", by="peter").json["generation"]
    note = ["x"] if command == "block" else []

    answer = desk(command, task, *note, "--generation", "1", "--json", by="peter")

    assert again > 1
    assert (answer.status, answer.error["code"], answer.error["current"]) == (4, "stale-generation", again)


def test_a_run_s_generation_counts_for_its_own_task_only(desk) -> None:
    task, other = claimed(desk), claimed(desk)

    assert desk.inside("peter", "beat", task, task=task, generation="7").status == 4
    assert desk.inside("peter", "beat", other, task=task, generation="7").status == 0


def test_a_released_task_is_free_and_its_ledger_line_gone(desk) -> None:
    task = claimed(desk)

    desk.ok("release", task, "for iris", by="peter")

    shown = desk.show(task)
    assert (shown["status"], shown["assignee"], shown["reason"]) == ("backlog", None, "for iris")
    assert lines(desk) == []
    assert desk("claim", task, by="iris").status == 0


def test_any_agent_blocks_with_a_note_and_progress_takes_it_up_again(desk) -> None:
    task = claimed(desk)

    desk.ok("block", task, "no access", by="iris")

    assert (desk.show(task)["status"], desk.show(task)["reason"]) == ("blocked", "no access")
    assert desk("progress", task, by="iris").status == 4
    assert desk.ok("progress", task, by="peter").out == "TC-1 is in progress with peter\n"


def test_what_is_blocked_in_the_backlog_gets_a_ledger_line_or_nobody_would_see_it(desk) -> None:
    desk.ok("block", desk.task(), "no access", by="iris")

    assert lines(desk)[0].startswith("- TC-1 delegated to sam, check at ")


def test_a_need_names_agent_and_question(desk) -> None:
    task = claimed(desk)

    desk.ok("need", task, "--from", "iris", "Which region?", by="peter")

    assert desk.show(task)["need"] == {"agent": "iris", "question": "Which region?"}
    assert desk("need", task, "--from", "peter", "me?", by="peter").status == 5


def test_reopen_brings_the_task_back_to_the_same_agent_with_a_ledger_line(desk) -> None:
    task = claimed(desk)
    desk.ok("done", task, by="peter")
    desk.write("HEARTBEAT.md", "")

    desk.ok("reopen", task, "the test is missing", by="dimitrios")

    shown = desk.show(task)
    assert (shown["status"], shown["assignee"], shown["attempt"]) == ("backlog", "peter", 2)
    assert shown["reason"] == "the test is missing"
    assert lines(desk)[0].startswith("- TC-1 delegated to peter")


@pytest.mark.parametrize("by", ["peter", "iris"])
def test_only_a_reviewer_reopens(desk, by: str) -> None:
    task = claimed(desk)
    desk.ok("done", task, by="peter")

    assert desk("reopen", task, "x", by=by).status == 5


def test_requester_coordinator_and_people_cancel_and_nobody_else(desk) -> None:
    first, second = desk.task(by="iris"), desk.task(by="sam")

    assert desk("cancel", second, by="peter").status == 5
    desk.ok("cancel", first, "not needed", by="iris")
    desk.ok("cancel", second, by="dimitrios")
    assert [task["status"] for task in desk.ok("task", "list", "--json").json] == ["cancelled", "cancelled"]
    assert desk("claim", first, by="peter").status == 5


def test_a_dead_task_comes_back_by_requeue_alone(desk) -> None:
    desk.write("dead-letter/tc-9.md", "---\nid: TC-9\nstatus: dead\nrecorded: dead\nfailures: 3\n---\n# TC-9: it\n")

    assert desk("claim", "TC-9", by="peter").status == 5
    assert desk("requeue", "TC-9", by="peter").status == 5
    desk.ok("requeue", "TC-9", by="dimitrios")

    shown = desk.show("TC-9")
    assert (shown["path"], shown["status"], shown["failures"]) == ("status/tc-9.md", "backlog", 0)
    assert not (desk.root / "dead-letter/tc-9.md").exists()


def test_a_worker_moves_no_task(desk) -> None:
    task = desk.task()

    answer = desk("claim", task, "--json", by="research")

    assert (answer.status, answer.error["rule"]) == (5, "workers report")
    assert "checkpoints/subagent-LABEL.md" in answer.error["instead"]
    assert desk("block", task, "x", by="research").status == 5


def test_archive_moves_what_is_long_closed_and_has_no_ledger_line(desk) -> None:
    for number, line in ((1, ""), (2, "- TC-2 delegated to peter, check at 2026-03-07 10:00\n")):
        desk.write(
            f"status/tc-{number}.md",
            f"---\nstatus: done\nrecorded: done\ncompleted: 2026-01-02T03:04:05Z\n---\n{number}\n",
        )
        desk.write("HEARTBEAT.md", line)
    desk.task("still open")

    assert desk.ok("archive", "--json").json == {"archived": ["TC-1"], "watched": ["TC-2"]}
    assert (desk.root / "status/archive/2026-01/tc-1.md").exists()
    assert desk.show("TC-1")["path"] == "status/archive/2026-01/tc-1.md"
    assert desk.show("TC-3")["status"] == "backlog"


def test_every_move_is_in_the_journal_with_who_and_why(desk) -> None:
    task = claimed(desk)
    desk.ok("done", task, "two findings", by="peter")

    told = [
        (line["action"], line["actor"], line["why"])
        for line in map(__import__("json").loads, desk.ok("log", "--json").out.splitlines())
    ]

    assert ("task new", "sam", "API security review") in told
    assert ("done", "peter", "two findings") in told


def test_a_time_is_read_at_the_command_line_as_in_files_and_one_with_two_readings_is_refused(desk) -> None:
    task = claimed(desk)
    desk.ok("progress", task, "on it", "--eta", "31.12.2031 23:00 CET", by="peter")
    assert desk.show(task)["eta"] == "2031-12-31T22:00:00Z"
    for text in ("07/12/2031 23:00", "25:00", "noonish", "10:00 or 11:00"):
        for order, option, by in (("progress", "--eta", "peter"), ("delegate", "--check", "sam")):
            refused = desk(order, task, option, text, by=by)
            assert refused.status == 2 and f"{option}: {text!r}" in refused.err
