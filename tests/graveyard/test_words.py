"""Words in status files that other tools misread: states, code, boxes, marks of their own, languages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from claw_files.core.model import AgentId, State, TaskId
from tests.support.office import Office

Asked = Callable[..., Any]
MINUTE = timedelta(minutes=1)
PETER = AgentId("peter")


def held(office: Office) -> str:
    """A task that Peter holds; its id."""
    task = office.delegated("peter")
    office.app("peter").claims.claim(TaskId(task), PETER)
    office.settle()
    return task


def written(office: Office, text: str) -> State:
    """The state in force after Peter has written this into his status file and the heartbeat has looked twice."""
    held(office)
    office.write("status/tc-1.md", text)
    office.tick(MINUTE)
    office.tick(MINUTE)
    return office.state("TC-1")


@pytest.mark.parametrize("words", ["COMPLETED SUCCESSFULLY ✅", "finished", "Done.", "shipped", "erledigt"])
def test_a_word_for_done_that_is_not_the_formal_one_ends_the_task(office: Office, words: str) -> None:
    """gabrielkoerich/orch #3030, #3210, #2915, #3399: the status word that an agent chose was not in a list, so
    finished work was run again.

    Here: ordinary words for a state are read, in two languages, and the task is done and not sent again.
    """
    assert written(office, f"# TC-1\n\nStatus: {words}\n") is State.DONE
    assert office.box("peter") == []


def test_a_word_that_nobody_knows_is_asked_about_and_not_run_again(office: Office) -> None:
    """deer-flow #3118: a word for the state that no part knew counted as none; the work was done again.

    Here: the writer is asked once what the word means, and nothing is sent to anybody else.
    """
    held(office)
    office.write("status/tc-1.md", "TC-1: floobed\n")

    acts = [act for _ in range(6) for act in office.acts(6 * MINUTE)]

    assert not [act for act in acts if act.split()[0] in ("deliver", "resend", "next-agent", "fail")]
    assert office.box("iris") == []


@pytest.mark.parametrize("word", ["complete", "completed", "done", "DONE"])
def test_complete_and_done_are_one_state_to_every_part(office: Office, word: str) -> None:
    """compozy #565: one part wrote "complete", another looked for "done", and the board never agreed.

    Here: one vocabulary is read at every door; the task, the ledger, the journal and the board say done.
    """
    assert written(office, f"TC-1: {word}\n") is State.DONE
    assert office.lines == []
    assert [line["why"] for line in office.audit(action="close")] == ["done; everyone who follows it was informed"]


def test_the_first_word_of_a_title_is_no_state(office: Office) -> None:
    """jceb/vim-orgmode #28, durableOne/orgmunge #12: a heading "Done deals" lost its first word, which was taken
    for a state.

    Here: a title is text: the task stays open and the heading keeps its bytes.
    """
    text = "# Done deals: list them\n\nFailed payments belong here, too.\n"

    assert written(office, text) is State.IN_PROGRESS
    assert "# Done deals: list them\n" in office.read("status/tc-1.md")


def test_a_state_inside_code_is_no_state(office: Office) -> None:
    """ralphex #328, ultimate-todoist-sync #23, obsidian-reminder #338, #339, OpenSpec #1774: boxes and states
    inside code blocks were counted.

    Here: fenced, indented and inline code says nothing.
    """
    text = "Working on it.\n\n```\nTC-1: DONE\n- [x] TC-1\n```\n\n    Status: done\n\nPrint `TC-1: DONE` at the end.\n"

    assert written(office, text) is State.IN_PROGRESS


@pytest.mark.parametrize("box", ["~", "-", "/", ">"])
def test_a_box_that_is_neither_open_nor_ticked_is_not_lost(office: Office, box: str) -> None:
    """OpenSpec #1761, #1773, Backlog.md #1033, imdone #131, basic-memory #1241: lines with other boxes silently
    dropped out.

    Here: the ledger's line stands, byte for byte, and its task does not vanish from the board.
    """
    task = office.delegated("peter")
    line = office.read("HEARTBEAT.md").splitlines()[-1]
    office.write("HEARTBEAT.md", office.read("HEARTBEAT.md").replace(line, line.replace("- ", f"- [{box}] ", 1)))

    office.tick(MINUTE)

    assert f"- [{box}] TC-1" in office.read("HEARTBEAT.md") or office.state(task) is State.CANCELLED
    assert office.app().workspace.load(TaskId(task)).task.id == task


def test_text_that_carries_our_own_marks_swallows_nothing(office: Office) -> None:
    """Backlog.md #990, #932: a description that held the tool's own section marks swallowed the sections behind it.

    Here: marks inside of what somebody wrote are text; every byte is there after the next write.
    """
    body = "<!-- clawfiles begin notes -->\n\n## Status\n\n<!-- clawfiles end notes -->\nlast line\n"
    task = office.new(body=body)
    office.delegate(task, "peter")
    office.app("peter").claims.claim(TaskId(task), PETER)
    office.app("peter").tasks.done(TaskId(task), PETER, "ready")
    office.tick(MINUTE)

    text = office.read("status/tc-1.md")
    assert all(line in text for line in body.splitlines())
    assert office.state(task) is State.DONE


def test_an_odd_name_in_front_matter_hides_no_other_task(office: Office, asked: Asked) -> None:
    """Backlog.md #445: one task with an assignee of "[@name]" made the whole list come up empty.

    Here: the odd value is named, and every other task is listed.
    """
    office.new("First")
    office.new("Second")
    text = office.read("status/tc-1.md")
    office.write("status/tc-1.md", text.replace("title: First", "title: First\nassignee: [@name]"))

    listed = asked("task", "list")

    assert "TC-2" in [task["id"] for task in listed]


def test_an_unclosed_comment_or_fence_eats_no_definition(office: Office) -> None:
    """kicad-tools #4062: an opening mark without its end swallowed all that followed.

    Here: the state before the mark counts, what was asked is kept elsewhere, and the bytes stay.
    """
    task = held(office)
    text = "TC-1: DONE (PR #142)\n\n<!-- a note that never ends\n\n```\nand a fence\n"
    office.write("status/tc-1.md", text)

    office.tick(MINUTE)

    assert office.state(task) is State.DONE
    assert office.task(task).title == "A bug"
    assert "<!-- a note that never ends" in office.read("status/tc-1.md")


@pytest.mark.parametrize("rule", ["---\n\nNotes\n\n---\n", "---\nNotes\n---\n", "***\n"])
def test_text_behind_a_horizontal_rule_at_the_top_is_not_lost(office: Office, asked: Asked, rule: str) -> None:
    """front-matter #21, goldmark-meta #5, markleaf #228: a rule at the top was taken for front matter, and text
    disappeared.

    Here: a rule is text; where two rules look like front matter and are none, the line is named. No byte goes
    either way.
    """
    held(office)
    office.write("status/tc-1.md", f"{rule}\nTC-1: DONE\n\nafter the rule\n")
    office.tick(MINUTE)
    named = asked("doctor")["findings"]

    text = office.read("status/tc-1.md")
    assert "after the rule" in text and "TC-1: DONE" in text
    if rule.startswith("-"):
        assert [it for it in named if it["file"].startswith("status/tc-1.md")]
    else:
        assert office.state("TC-1") is State.DONE


def test_titles_in_other_scripts_do_not_collide(office: Office) -> None:
    """kanbn #6, knowledge-base-mcp #890, tolaria #292: titles without Latin letters got one and the same file name.

    Here: a file is named by its number, so every title has a file of its own and keeps its letters.
    """
    titles = ["修复登录", "修复支付", "Ремонт", "إصلاح", "🔥"]
    ids = [office.new(title) for title in titles]

    assert len(set(ids)) == len(titles)
    assert [office.task(task).title for task in ids] == titles


@pytest.mark.parametrize(
    "name",
    [
        "tc-1 2.md",
        "tc-1 (conflicted copy 2026-03-07).md",
        "tc-1.sync-conflict-20260307-091500-ABCDEFG.md",
        "tc-1_LOCAL_812.md",
    ],
)
def test_a_conflict_copy_is_no_second_task(office: Office, asked: Asked, name: str) -> None:
    """gursimar/obsidian-icloud-windows-sync#5, obsidian-to-ical #41, dreamcontext #204, driscollis #22: copies that
    a sync service left became tasks of their own.

    Here: only tc-1.md is TC-1; the copy is named by the doctor and nothing is sent for it.
    """
    task = held(office)
    office.write(f"status/{name}", "TC-1: DONE\n")

    office.tick(MINUTE)

    assert office.state(task) is State.IN_PROGRESS
    assert [it["id"] for it in asked("task", "list")] == ["TC-1"]
    assert f"status/{name}" in [it["file"] for it in asked("doctor")["findings"]]


def test_merge_markers_are_never_read_as_text(office: Office) -> None:
    """maidr #917, ai-native-toolkit #217, perl-lsp #7162, gastownhall/beads#158, #95,
    Dicklesworthstone/beads_rust#328: an unresolved merge was read as content, and one side won by chance.

    Here: neither side counts, the file is named with the line of the marks, and nothing is sent again.
    """
    held(office)
    text = "<<<<<<< HEAD\nTC-1: DONE\n=======\nTC-1: FAILED\n>>>>>>> other\n"
    office.write("status/tc-1.md", text)

    acts = [act for _ in range(3) for act in office.acts(MINUTE)]

    assert acts == ["escalate TC-1"]
    assert office.read("status/tc-1.md") == text
    (told,) = [key for key in office.box("sentry") if key.startswith("tc-1")]
    assert "unresolved merge" in office.message("sentry", told)


def test_a_line_struck_through_is_no_longer_wanted(office: Office) -> None:
    """Zest #103, plane #5394: a struck line went on being treated as open work.

    Here: the line keeps its bytes and its task is not delivered to anybody.
    """
    office.write("HEARTBEAT.md", "# HEARTBEAT\n\n- ~~TC-7 delegated to peter, check at 10:00~~\n")

    acts = office.acts(MINUTE)

    assert not [act for act in acts if act.startswith(("deliver", "resend"))]
    assert "~~TC-7 delegated to peter, check at 10:00~~" in office.read("HEARTBEAT.md")


def test_text_behind_a_ticked_line_stays(office: Office) -> None:
    """obsidian-tasks #2178, #3136: what stood behind or below a ticked line was lost or moved.

    Here: ticking a line in the ledger changes that line alone.
    """
    task = office.delegated("peter")
    before = office.read("HEARTBEAT.md")
    line = before.splitlines()[-1]
    ticked = f"- [x] {line[2:]} (thanks!)\n  and a note below\n\nlast words\n"
    office.write("HEARTBEAT.md", before.replace(f"{line}\n", ticked))

    office.tick(MINUTE)
    office.tick(MINUTE)

    text = office.read("HEARTBEAT.md")
    assert "  and a note below\n" in text and text.endswith("last words\n")
    assert task == "TC-1"


def test_an_edit_of_a_file_with_windows_line_ends_keeps_them(office: Office) -> None:
    """github/copilot-cli#694: one edit turned every line end of a CRLF file.

    Here: the state is read, and the lines that nobody changed keep their CRLF.
    """
    task = held(office)
    office.write("status/tc-1.md", b"TC-1: DONE\r\n\r\nfirst\r\nsecond\r\n")

    office.tick(MINUTE)

    assert office.state(task) is State.DONE
    assert b"first\r\nsecond\r\n" in (office.root / "status/tc-1.md").read_bytes()


def test_running_the_set_up_twice_writes_no_section_twice(office: Office) -> None:
    """oh-my-claudecode #1467, #3442, process-docs #435: each run of the set-up added its section to CLAUDE.md once
    more.

    Here: the section is found and left alone, and what a person wrote around it stays.
    """
    from claw_files.app.workspace_finder import set_up

    office.write("CLAUDE.md", "# Mine\n\nKeep this.\n")
    set_up(str(office.root), "default", "claude")
    first = office.read("CLAUDE.md")
    set_up(str(office.root), "default", "claude")

    assert office.read("CLAUDE.md") == first
    assert first.startswith("# Mine\n\nKeep this.\n")
    assert first.count("clawfiles begin") == 1
