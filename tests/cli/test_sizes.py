"""Data by size on every door: in the message, in a file that it names, or not at all."""

from pathlib import Path

import pytest

LONG = "line of a long text\n" * 15_000  # 300 KB
SIZE = len(LONG)
TOO_MUCH = "x" * ((1 << 20) + 1)


@pytest.fixture
def held(desk) -> str:
    """A task that peter holds."""
    task = desk.task("look at it")
    desk.ok("claim", task, by="peter")
    return str(task)


def bodies(desk, agent: str) -> list[Path]:
    return sorted((desk.root / f"inbox/{agent}/bodies").iterdir())


def test_a_long_text_between_agents_is_stored_in_a_file_named_by_the_message(desk) -> None:
    app = _app(desk)

    app.messages.send("sam", "peter", LONG)

    (message,) = desk.ok("inbox", "--json", by="peter").json
    (body,) = bodies(desk, "peter")
    assert f"inbox/peter/bodies/{body.name}" in message["body"]
    assert len(message["body"]) < 300
    assert body.read_text().count("line of a long text\n") == 15_000


def test_a_long_answer_and_a_long_correction_arrive_whole_too(desk) -> None:
    app = _app(desk)
    asked = app.messages.ask("peter", "iris", "What do you know?").id

    app.messages.answer("iris", asked, LONG)
    app.messages.correct("sam", "peter", LONG, None, None)

    assert [body.read_text().count("line of a long text\n") for body in bodies(desk, "peter")] == [15_000, 15_000]


@pytest.mark.parametrize("door", ["send", "ask", "answer", "correct", "new", "spawn", "checkpoint", "done", "progress"])
def test_over_1_mb_every_door_refuses_and_says_what_to_do(desk, held: str, door: str) -> None:
    from claw_files.core.errors import Refused
    from claw_files.services.delegation.delegation import SpawnOrder
    from claw_files.services.tasks.lifecycle import NewTask

    app = _app(desk)
    asked = app.messages.ask("peter", "iris", "What do you know?").id
    doors = {
        "send": lambda: app.messages.send("sam", "peter", TOO_MUCH),
        "ask": lambda: app.messages.ask("sam", "peter", TOO_MUCH),
        "answer": lambda: app.messages.answer("iris", asked, TOO_MUCH),
        "correct": lambda: app.messages.correct("sam", "peter", TOO_MUCH, None, None),
        "new": lambda: app.tasks.new(NewTask(title="x", body=TOO_MUCH), "sam"),
        "spawn": lambda: app.delegations.spawn(SpawnOrder(text=TOO_MUCH, label="l", size="S"), "sam"),
        "checkpoint": lambda: app.checkpoints.save("peter", (), (), (), TOO_MUCH),
        "done": lambda: app.tasks.done(held, "peter", TOO_MUCH),
        "progress": lambda: app.tasks.progress(held, "peter", TOO_MUCH),
    }
    before = {path: path.read_bytes() for path in desk.root.rglob("*.md")}

    with pytest.raises(Refused) as caught:
        doors[door]()

    assert caught.value.exit_status == 5
    assert "write it to a file and send its path" in str(caught.value)
    assert {path: path.read_bytes() for path in desk.root.rglob("*.md")} == before


@pytest.mark.parametrize("command", [("task", "new", "x", "--body"), ("checkpoint", "save", "--body")])
def test_a_file_over_1_mb_is_refused_and_none_of_it_taken(desk, command: tuple[str, ...]) -> None:
    path = desk.write("large.txt", TOO_MUCH)

    answer = desk(*command, str(path), by="peter")

    assert (answer.status, "write it to a file and send its path" in answer.err) == (5, True)
    assert desk.ok("task", "list", "--json").json == []


def test_a_long_description_is_named_by_its_file_and_how_to_work_stays_in_the_message(desk) -> None:
    path = desk.write("large.txt", LONG)
    desk.ok("task", "new", "read it", "--body", str(path), "--to", "peter", by="sam")

    (message,) = desk.ok("inbox", "--json", by="peter").json

    assert len(message["body"]) < 10_240
    assert f"all {SIZE // 1024} KB of it are in `definitions/tc-1.md`" in message["body"]
    assert "clawfiles claim TC-1" in message["body"]
    assert desk.show("TC-1")["body"].count("line of a long text") == 15_000


@pytest.mark.parametrize(
    ("command", "key"),
    [("done", "summary"), ("fail", "reason"), ("block", "reason"), ("release", "reason"), ("cancel", "reason")],
)
def test_a_long_word_on_a_task_stands_in_its_text_and_the_beginning_in_its_front_matter(
    desk, held: str, command: str, key: str
) -> None:
    text = "It took long. Status: FAILED\n" * 2_000  # 58 KB
    by = "sam" if command == "cancel" else "peter"

    desk.ok(command, held, text, by=by)

    task = desk.show(held)
    assert task[key].endswith(f"(all {len(text) // 1024} KB of it are in status/tc-1.md)")
    assert len(task[key]) < 500
    assert task["body"].count("It took long.") == 2_000
    assert task["status"] == {"done": "done", "fail": "failed", "block": "blocked"}.get(command, task["status"])
    assert desk.ok("task", "list", "--json").json[0]["status"] == task["status"]


def test_a_note_that_would_make_a_task_unreadable_is_refused(desk, held: str) -> None:
    app, longer = _app(desk), LONG * 3
    for _ in range((4 << 20) // len(longer)):
        app.tasks.progress(held, "peter", longer)

    answer = _refused(lambda: app.tasks.progress(held, "peter", longer))

    assert "larger than 4 MiB" in answer and "into a file and send its path" in answer
    desk.ok("done", held, "it is in notes.md", by="peter")


def test_outputs_are_names_of_what_was_made(desk, held: str) -> None:
    answer = desk("done", held, "--output", "x" * 5_000, by="peter")

    assert (answer.status, desk.show(held)["status"]) == (5, "in_progress")


def _app(desk):
    import os

    from claw_files.app.wiring import App

    return App(str(desk.root), dict(os.environ), "sam")


def _refused(step) -> str:
    from claw_files.core.errors import Refused

    with pytest.raises(Refused) as caught:
        step()
    return str(caught.value)
