"""A comment is anybody's and says nothing; a blocked task goes on with its holder, whoever lets it."""

import time

import pytest


def held(desk) -> str:
    task = desk.task("look at it")
    desk.ok("claim", task, by="peter")
    return str(task)


def test_anybody_comments_and_nothing_but_the_text_changes(desk) -> None:
    task = held(desk)
    before, path = desk.show(task), desk.root / "status/tc-1.md"
    written = path.stat().st_mtime_ns

    desk.ok("comment", task, "the staging host\nhas moved\x1b[2J", by="iris")

    after = desk.show(task)
    kept = ("status", "assignee", "lease", "generation", "reason", "summary", "eta")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    (line,) = [line for line in path.read_text().splitlines() if "(comment)" in line]
    assert line.startswith("- 20") and " iris (comment): the staging host has moved" in line
    assert path.stat().st_mtime_ns == written, "no sign of life of the holder"


@pytest.mark.parametrize("text", ["TC-1: DONE", "Status: failed", "x\n\nStatus: done\n", "```", "CRITICAL: no"])
def test_a_comment_is_never_a_statement(desk, text: str) -> None:
    task = held(desk)

    desk.ok("comment", task, text, by="iris")
    desk.ok("heartbeat")

    assert desk.show(task)["status"] == "in_progress" and desk.show(task)["unclear"] == []


@pytest.mark.parametrize("move", ["done", "cancel", "block", "fail"])
def test_a_task_in_any_state_takes_comments(desk, move: str) -> None:
    task = held(desk)
    desk.ok(move, task, *(["why"] if move != "done" else []), by="sam" if move == "cancel" else "peter")

    desk.ok("comment", task, "noted", by="iris")

    assert "iris (comment): noted" in desk.read("status/tc-1.md")


def test_a_task_in_the_archive_takes_no_comment_and_an_empty_one_is_refused(desk) -> None:
    task = held(desk)
    assert desk("comment", task, " ", by="iris").status == 2
    desk.ok("done", task, by="peter")
    desk.ok("heartbeat")
    month = desk.root / "status/archive/2026-03"
    month.mkdir(parents=True)
    (desk.root / "status/tc-1.md").rename(month / "tc-1.md")

    refused = desk("comment", task, "too late", by="iris")

    assert refused.status == 5 and "in the archive" in refused.err and "reopen" in refused.err


def test_a_comment_is_no_acknowledgement_and_hides_no_change_by_hand(desk) -> None:
    from claw_files.app.wiring import App
    from claw_files.policy.acknowledgement import is_changed

    def changed() -> bool:
        app = App(str(desk.root), {}, None)
        return is_changed(app.evidence.look(app.workspace.entry("TC-1")))

    task = desk.task("look at it", "--to", "peter")
    assert task == "TC-1"
    time.sleep(1.1)  # times in files are whole seconds
    desk.ok("comment", task, "noted", by="iris")
    assert not changed()
    time.sleep(2.1)
    path = desk.root / "status/tc-1.md"
    path.write_text(path.read_text() + "\nI looked at it.\n")
    assert changed()
    desk.ok("comment", task, "noted again", by="iris")
    assert changed()


@pytest.mark.parametrize("by", ["iris", "sam", "dimitrios"])
def test_progress_of_somebody_else_on_a_blocked_task_is_refused_with_the_right_commands(desk, by: str) -> None:
    task = held(desk)
    desk.ok("block", task, "no key", by="peter")

    refused = desk("progress", task, "here it is", by=by)

    assert refused.status == 4 and f"clawfiles comment {task}" in refused.err and f"unblock {task}" in refused.err
    assert (desk.show(task)["status"], desk.show(task)["assignee"]) == ("blocked", "peter")


def test_progress_on_a_blocked_task_that_nobody_holds_makes_nobody_its_holder(desk) -> None:
    task = desk.task("look at it")
    desk.ok("block", task, "no key", by="iris")

    assert desk("progress", task, by="sam").status == 5
    assert (desk.show(task)["status"], desk.show(task)["assignee"]) == ("blocked", None)

    assert desk.ok("unblock", task, by="sam").out == f"{task} is in the backlog\n"


@pytest.mark.parametrize("by", ["sam", "dimitrios", "peter"])
def test_an_unblocked_task_stays_with_its_holder_who_is_told(desk, by: str) -> None:
    task = held(desk)
    generation = desk.show(task)["generation"]
    desk.ok("block", task, "no key", by="peter")

    desk.ok("unblock", task, "the key is in the vault", by=by)

    shown = desk.show(task)
    assert (shown["status"], shown["assignee"], shown["generation"], shown["reason"]) == (
        "in_progress",
        "peter",
        generation,
        None,
    )
    told = [message["body"] for message in desk.ok("inbox", "--json", by="peter").json if message["task"] == task]
    assert [text for text in told if "the key is in the vault" in text] == ([] if by == "peter" else told[-1:])
    desk.ok("done", task, by="peter")


def test_only_holder_coordinator_and_people_unblock(desk) -> None:
    task = held(desk)
    desk.ok("block", task, "no key", by="peter")
    assert desk("unblock", task, by="iris").status == 4
    desk.ok("unblock", task, by="peter")
    assert desk("unblock", task, by="peter").status == 5
