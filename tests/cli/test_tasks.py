"""Making and showing tasks."""

KEYS = {
    "id", "title", "status", "assignee", "requested_by", "type", "attempt", "generation", "lease", "eta", "updated",
    "priority", "estimate", "after", "parent", "outputs", "summary", "reason", "path", "liveness", "conflicts",
}  # fmt: skip


def test_a_new_task_prints_its_id_and_lies_in_status(desk) -> None:
    answer = desk("task", "new", "API security review", "--type", "code-review", by="sam")

    assert answer == (0, "TC-1\n", "")
    assert "title: API security review\n" in desk.read("status/tc-1.md")


def test_numbers_go_on_after_the_highest_in_status_archive_dead_letter_and_ledger(desk) -> None:
    assert desk.task() == "TC-1"
    desk.write("status/archive/2026-01/tc-7.md", "TC-7: DONE\n")
    assert desk.task() == "TC-8"
    desk.write("dead-letter/TC-12.md", "TC-12: DEAD\n")
    assert desk.task() == "TC-13"
    desk.write("HEARTBEAT.md", "## Delegations\n\n- TC-40 delegated to peter, check at 2026-03-07 10:00\n")
    assert desk.task() == "TC-41"


def test_an_estimate_outside_five_to_sixty_minutes_is_warned_about_and_made_anyway(desk) -> None:
    answer = desk("task", "new", "rewrite everything", "--estimate", "3h", by="sam")

    assert answer.status == 0
    assert answer.out == "TC-1\n"
    assert "an estimate of 3h is outside the 5 to 60 minutes" in answer.err
    assert "split it" in answer.err


def test_a_task_for_an_agent_is_delegated_at_once(desk) -> None:
    answer = desk("task", "new", "API security review", "--to", "peter", by="sam")

    assert answer.out == "TC-1 delegated to peter\n"
    assert "- TC-1 delegated to peter, check at " in desk.read("HEARTBEAT.md")
    assert desk.show("TC-1")["assignee"] == "peter"
    assert [message["key"] for message in desk.ok("inbox", "--json", by="peter").json] == ["tc-1.1"]


def test_a_task_made_inside_a_run_names_its_parent(desk) -> None:
    desk.task()

    assert desk.inside("peter", "task", "new", "x", "--json", task="TC-1").json["parent"] == "TC-1"


def test_a_description_comes_from_a_file(desk) -> None:
    body = desk.write("body.md", "Look at the retry.\n\nStatus: DONE\n")

    task = desk.task("with a body", "--body", str(body))

    assert "Look at the retry." in desk.show(task)["body"]
    assert desk.show(task)["status"] == "backlog", "a description never counts as the task's word"


def test_show_json_has_the_front_matter_and_what_is_known_beside(desk) -> None:
    task = desk.task("API security review", "--type", "code-review", "--priority", "high", "--estimate", "30m")

    shown = desk.show(task.lower())

    assert KEYS | {"body"} <= set(shown)
    assert (shown["id"], shown["status"], shown["estimate"], shown["path"]) == (
        "TC-1",
        "backlog",
        "30m",
        "status/tc-1.md",
    )
    assert shown["updated"].endswith("Z")
    assert shown["liveness"] is None
    assert shown["conflicts"] == []


def test_list_json_is_a_list_of_such_without_bodies(desk) -> None:
    for title in ("one", "two", "three"):
        desk.task(title)

    listed = desk.ok("task", "list", "--json").json

    assert [task["id"] for task in listed] == ["TC-1", "TC-2", "TC-3"]
    assert set(listed[0]) >= KEYS
    assert "body" not in listed[0]


def test_list_filters_by_state_agent_and_number(desk) -> None:
    for title in ("one", "two", "three"):
        desk.task(title)
    desk.ok("claim", "TC-2", by="peter")

    assert (
        desk.ok("task", "list", "--status", "WIP", "--agent", "Peter").out == "TC-2  in_progress  peter  working  two\n"
    )
    assert desk.ok("task", "list", "--status", "done").out == "no tasks\n"
    assert [task["id"] for task in desk.ok("task", "list", "--limit", "2", "--json").json] == ["TC-1", "TC-2"]


def test_a_file_that_names_nobody_is_listed_with_the_agent_of_its_ledger_line(desk) -> None:
    desk.task("one", "--to", "peter")
    desk.write("status/tc-1.md", "TC-1: IN PROGRESS\n")

    assert "  TC-1  peter  one" in desk.ok("board").out
    assert [task["id"] for task in desk.ok("task", "list", "--agent", "peter", "--json").json] == ["TC-1"]
    assert desk.ok("task", "list", "--agent", "sam", "--json").json == []


def test_one_unreadable_file_is_named_and_the_rest_is_listed(desk) -> None:
    desk.task()
    desk.write("status/tc-2.md", "---\nstatus: [\n---\n")
    desk.write("status/tc-3.md", b"\xff\xfe\x00")

    answer = desk("task", "list")

    assert answer.status == 0
    assert answer.out == "TC-1  backlog  -    API security review\n"
    assert "status/tc-2.md" in answer.err
    assert "status/tc-3.md" in answer.err


def test_an_archived_task_is_still_found(desk) -> None:
    desk.write("status/archive/2026-01/tc-7.md", "TC-7: DONE\n")

    assert desk.show("TC-7")["status"] == "done"


def test_a_move_by_hand_that_nobody_may_make_shows_as_a_conflict(desk) -> None:
    task = desk.task()
    desk.write("status/tc-1.md", desk.read("status/tc-1.md").replace("status: backlog", "status: dead"))

    shown = desk.show(task)

    assert shown["status"] == "backlog"
    assert "it cannot change by hand" in shown["conflicts"][0]
    assert "(conflict)" in desk.ok("task", "list").out


def test_the_board_has_a_section_for_each_state_where_there_is_no_terminal(desk) -> None:
    desk.task("one")
    desk.task("two")
    desk.ok("claim", "TC-2", by="peter")

    assert desk.ok("board").out == "backlog (1)\n  TC-1  -  one\n\nin_progress (1)\n  TC-2  peter  two\n"
    assert [task["status"] for task in desk.ok("board", "--json").json] == ["backlog", "in_progress"]
