"""One limit for one file, as a person meets it: the command that would pass it changes nothing, all others go on."""

import os

import pytest

MIB = 1 << 20


def fill(desk, size: int) -> None:
    """A ledger of `size` bytes by hand: prose, which no heartbeat takes for lines of tasks."""
    line = b"- " + b"milk" * 100 + b"\n"
    (desk.root / "HEARTBEAT.md").write_bytes((line * (size // len(line) + 1))[: size - 1] + b"\n")


def everything(desk) -> dict[str, bytes]:
    found = (path for path in desk.root.rglob("*") if path.is_file() and ".clawfiles" not in path.parts)
    return {str(path.relative_to(desk.root)): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    "words",
    [
        ("delegate", "TC-1", "--to", "peter"),
        ("delegate", "TC-1", "--to", "peter", "--urgent"),
        ("task", "new", "One more", "--to", "peter"),
        ("spawn", "look", "--label", "look", "--size", "S"),
        ("claim", "TC-1"),
    ],
)
def test_the_command_whose_line_would_pass_the_limit_is_refused_before_anything_is_changed(desk, words) -> None:
    desk.ok("task", "new", "A bug", by="sam")
    fill(desk, 4 * MIB)
    before = everything(desk)

    answer = desk(*words, by="sam")

    assert answer.status == 5 and "HEARTBEAT.md would be larger than 4 MiB" in answer.err
    assert "clawfiles heartbeat" in answer.err and len(answer.err.splitlines()) == 1
    assert everything(desk) == before


def test_beside_a_ledger_between_the_old_and_the_new_limit_every_command_works(desk) -> None:
    fill(desk, 3 * MIB)

    desk.ok("task", "new", "A bug", "--to", "peter", by="sam")
    desk.ok("heartbeat")
    desk.ok("claim", "TC-1", by="peter")
    desk.ok("done", "TC-1", "mended", by="peter")
    desk.ok("heartbeat")

    assert "TC-1" not in desk.read("HEARTBEAT.md")
    findings = desk("doctor", "--json").json["findings"]
    assert [one["code"] for one in findings if one["file"] == "HEARTBEAT.md"] == []


def test_beside_a_ledger_that_a_hand_made_too_large_work_goes_on_and_lines_can_go(desk) -> None:
    desk.ok("task", "new", "A bug", "--to", "peter", by="sam")
    desk.ok("claim", "TC-1", by="peter")
    line = desk.read("HEARTBEAT.md")
    fill(desk, 5 * MIB)
    desk.write("HEARTBEAT.md", line + desk.read("HEARTBEAT.md"))

    for words in (
        ("task", "list"),
        ("task", "show", "TC-1"),
        ("inbox",),
        ("log",),
        ("sessions", "list"),
        ("heartbeat",),
    ):
        desk.ok(*words, by="peter")
    desk.ok("done", "TC-1", "mended", by="peter")
    desk.ok("heartbeat")

    assert "TC-1" not in desk.read("HEARTBEAT.md")
    codes = {one["code"] for one in desk("doctor", "--json").json["findings"] if one["file"] == "HEARTBEAT.md"}
    assert codes == {"too-large"}


def test_over_twenty_thousand_files_no_open_task_is_taken_for_an_archived_one(desk) -> None:
    desk.ok("task", "new", "A bug", "--to", "peter", by="sam")
    for number in range(20_001):
        os.close(os.open(desk.root / f"status/aa-{number}.md", os.O_CREAT | os.O_WRONLY))

    found = desk("doctor", "--json").json["findings"]

    assert [one for one in found if one["code"] == "line-closed"] == []
    (cut,) = [one for one in found if one["code"] == "too-many-files"]
    assert "none after aa-" in cut["meaning"]
