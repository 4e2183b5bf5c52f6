"""What came from a file, or from a hostile command line, never reaches the terminal as anything but text."""

import os
import pty
import re

import pytest

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
TITLES = {
    "clears the screen": "\x1b[2Jgone",
    "sets the window's title": "\x1b]0;owned\x07x",
    "C1 controls": "\x9b31mred",
    "turns the text around": "safe\u202egnp.exe",
    "deletes": "a\x7f\x08b",
    "rich markup": "[bold red]x[/] [link=file:///etc/passwd]y[/link]",
    "an option": "--output=x",
    "several lines": "one\nTC-2: DONE\nthree",
    "a carriage return": "real\rfake",
    "YAML": "{a: [b, &c d], *c : !!python/object x} # y",
    "emoji and umlauts": "Überprüfung ✅ 日本語",
    "a percent and a dollar": "%s $HOME ${title} {0}",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES.keys())
def test_a_hostile_title_given_to_a_command_is_kept_and_shown_escaped(desk, title: str) -> None:
    made = desk("task", "new", "--agent", "sam", "--", title)
    assert made.status == 0, made

    for line in (["task", "list"], ["task", "show", "TC-1"], ["board"], ["log"], ["explain", "TC-1"]):
        answer = desk.ok(*line)
        assert not CONTROLS.search(answer.out), (line, answer.out)
        assert not CONTROLS.search(desk.ok(*line, "--json").out), line
    assert desk.show("TC-1")["title"] == " ".join(title.split())
    assert [task["id"] for task in desk.ok("task", "list", "--json").json] == ["TC-1"]
    assert desk.show("TC-1")["status"] == "backlog"


@pytest.mark.parametrize("title", [*TITLES.values(), "\x00null"], ids=[*TITLES, "NUL"])
def test_a_hostile_file_is_shown_escaped_or_named_as_unreadable(desk, title: str) -> None:
    desk.write("status/tc-1.md", f"# TC-1: {title}\n\nStatus: WIP\n{title}\n")

    for line in (["task", "list"], ["task", "show", "TC-1"], ["board"], ["doctor"]):
        answer = desk(*line)
        assert answer.status in (0, 1, 6)
        assert not CONTROLS.search(answer.out + answer.err), (line, answer)


def test_markup_is_text_on_a_terminal_too() -> None:
    import io

    from rich.console import Console

    from claw_files.core.model import State, Task, TaskId
    from claw_files.operations.terminal_board import print_board
    from claw_files.services.tasks.board import Shown, TaskListing

    task = Task(id=TaskId("TC-1"), title="[red]x[/] \x1b[2J", state=State.DONE)
    out = io.StringIO()
    print_board(TaskListing(tasks=(Shown(task=task, path="status/tc-1.md"),)), Console(file=out, width=60))

    assert "[red]x[/] \\x1b[2J" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("colourless", [True, False])
def test_the_board_on_a_terminal_respects_no_color(desk, program, colourless: bool) -> None:
    desk.task("one")
    leader, follower = pty.openpty()
    env = {"TERM": "xterm-256color", "COLUMNS": "80", **({"NO_COLOR": "1"} if colourless else {"NO_COLOR": ""})}
    shown = program("-C", str(desk.root), "board", env=env, stdout=follower)
    shown.wait(30)
    os.close(follower)
    text = os.read(leader, 65536).decode()
    os.close(leader)

    assert "backlog (1)" in text
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", text)) is not colourless


def test_bytes_that_are_not_utf8_on_the_command_line_are_wrong_use(desk) -> None:
    assert desk("task", "new", "x\udcff", by="sam").status == 2
    assert desk("task", "show", "\udcff").status == 2
    assert desk("cl\udcffim").status == 2


def test_a_link_in_the_place_of_a_status_file_is_not_followed(desk, tmp_path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# TC-1: secret\n")
    desk.task("a folder first")
    (desk.root / "status/tc-2.md").symlink_to(secret)

    listed = desk("task", "list")

    assert "secret" not in listed.out
    assert "status/tc-2.md" in listed.err
    assert desk("task", "show", "TC-2").status == 6
    assert desk("doctor").status == 1
