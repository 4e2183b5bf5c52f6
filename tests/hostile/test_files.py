"""Each hostile thing in the place of a file of ours: what the commands say of it, and a heartbeat beside it."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.corpus import DROPPINGS, NAMES, NODES, TEXTS, Node, Text, task

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
if os.geteuid() != 0:
    UNPRIVILEGED = []
LOOKS = (["task", "list"], ["board"], ["log"], ["doctor"], ["explain", "TC-9"])
Prints = Callable[..., dict[str, str]]

texts = pytest.mark.parametrize("text", TEXTS, ids=[text.id for text in TEXTS])
nodes = pytest.mark.parametrize("node", NODES, ids=[node.id for node in NODES])


def looked_at(site, problem: str | None) -> None:
    """Every command that looks answers cleanly, and says of the file what is wrong with it."""
    shown = site("task", "show", "TC-9")
    assert shown.status == (6 if problem else 0), shown
    assert not problem or f"[{problem}]" in shown.err
    for line in LOOKS:
        answer = site(*line)
        assert answer.status == {"explain": shown.status}.get(line[0], answer.status)
        assert answer.status in (0, 1, 6), (line, answer)
    assert ("status/tc-9.md" in site("task", "list").err) is bool(problem)
    for line in (["task", "show", "TC-9", "--json"], ["task", "list", "--json"]):
        assert (site(*line).out + site(*line).err).isascii()


def moved(site, problem: str | None) -> None:
    """Nobody claims or finishes what cannot be read."""
    for line in (["claim", "TC-9"], ["done", "TC-9"], ["fail", "TC-9"], ["block", "TC-9", "x"]):
        answer = site(*line, by="iris")
        assert answer.status == 6 if problem else answer.status in (0, 4, 5), (line, answer)


@texts
def test_a_file_with_hostile_content_is_refused_by_name_or_read_as_text(site, prints: Prints, text: Text) -> None:
    site.good(1)
    site.write("status/tc-9.md", text.data)
    before = prints(site.root, "status")

    looked_at(site, text.problem)
    assert prints(site.root, "status") == before  # looking writes nothing
    moved(site, text.problem)
    if text.problem:
        assert prints(site.root, "status") == before
    site.ok("claim", "TC-1", by="peter")
    assert not list(site.root.rglob("PWNED"))


@nodes
def test_a_file_that_is_not_regular_is_refused_by_every_command(site, prints: Prints, node: Node) -> None:
    site.good(1)
    site.put(node, "status/tc-9.md")
    before = prints(site.root, "status")

    looked_at(site, node.problem)
    moved(site, node.problem)

    assert prints(site.root, "status") == before
    site.ok("claim", "TC-1", by="peter")


def tell_tale(site) -> list[str]:
    return [text for text in site.told("sentry") if "its status file cannot be read" in text]


@texts
def test_a_heartbeat_reports_what_it_cannot_read_once_and_serves_the_rest(site, prints: Prints, text: Text) -> None:
    site.good(1)
    site.write("status/tc-9.md", text.data)
    site.delegated(9, 1)
    before = prints(site.root, "status")["status/tc-9.md"]

    for _ in range(2):
        assert site.ok("heartbeat", "--json").json["problems"] == []

    assert site.served(1)
    assert len(tell_tale(site)) == bool(text.problem)
    if text.problem:
        assert not site.served(9)
        assert prints(site.root, "status")["status/tc-9.md"] == before
    for agent in ("peter", "sentry", "sam"):
        site.ok("inbox", by=agent)  # and clean, whatever the file said


@nodes
def test_a_heartbeat_opens_nothing_but_plain_files(site, prints: Prints, node: Node) -> None:
    site.good(1)
    site.put(node, "status/tc-9.md")
    site.delegated(9, 1)
    before = prints(site.root, "status")["status/tc-9.md"]

    for _ in range(2):
        assert site.ok("heartbeat", "--json").json["problems"] == []

    assert site.served(1) and not site.served(9)
    assert len(tell_tale(site)) == 1
    assert prints(site.root, "status")["status/tc-9.md"] == before
    assert "hunter2" not in "".join(site.told("sentry") + site.told("peter")) + site.journal()


# Files that the heartbeat lists or opens beside the tasks' own, and whether what is unreadable there is set aside.
PLACES = {
    "inbox/peter/new/20200101T000000Z-x.md": False,  # an agent that looks for itself: only its own command reads there
    "inbox/dimitrios/new/20200101T000000Z-x.md": True,
    "checkpoints/peter.md": False,
    "checkpoints/subagent-x.md": False,
    "events/new/schedule.x.20200101T000000Z.md": False,
    "runs/tc-1.1-s1/run.md": False,
    "audit/2020-01-01.jsonl": False,
    "conflicts/x.md": False,
    "quarantine/x.md": False,
    "dead-letter/tc-77.md": False,
    "status/archive/2020-01/tc-77.md": False,
    "status/peter.md": False,
    "briefs/2020-01-01.md": False,
}
every_place = pytest.mark.parametrize("place", PLACES)


@every_place
@pytest.mark.parametrize("node", [n for n in NODES if n.number in (2, 7, 8, 9, 10, 11)], ids=lambda node: node.id)
def test_hostile_nodes_in_other_folders_stay_or_are_set_aside_with_a_reason(
    site, prints: Prints, place: str, node: Node
) -> None:
    site.good(1, 2)
    site.delegated(1, 2)
    site.put(node, place)
    before = prints(site.root)[place]

    for _ in range(2):
        assert site.ok("heartbeat", "--json").json["problems"] == []
    for line in (*LOOKS[:4], ["explain", "TC-2"], ["checkpoint", "show"]):
        assert site(*line, by="iris").status in (0, 1, 3)
    site.ok("send", "iris", "hello", by="peter")

    assert site.served(2)
    found = prints(site.root)
    if PLACES[place]:
        (aside,) = [path for path, what in found.items() if what == before and path.startswith("quarantine/")]
        assert f"{aside}.reason" in found and place not in found
    else:
        assert found[place] == before


@pytest.mark.parametrize("text", [t for t in TEXTS if t.problem and t.number != 31], ids=lambda text: text.id)
def test_a_message_that_cannot_be_read_is_set_aside_byte_for_byte(site, text: Text) -> None:
    good = "---\nid: m2\nkey: m2\nkind: announce\nfrom: sam\nto: iris\n---\nhello\n"
    site.write("inbox/iris/new/20200101T000000Z-x.md", text.data)
    site.write("inbox/iris/new/m2.md", good)

    assert "hello" in site.ok("inbox", by="iris").out
    assert site.names("inbox/iris/new") == []
    assert (site.root / "quarantine/inbox-iris-new-20200101T000000Z-x.md").read_bytes() == text.data
    assert "inbox/iris/new" in site.read("quarantine/inbox-iris-new-20200101T000000Z-x.md.reason")
    assert "[" in site.journal()  # which names the problem


def test_a_second_message_of_the_same_name_is_set_aside_beside_the_first(site) -> None:
    for content in ("one", "two", "three"):
        site.write("inbox/iris/new/x.md", content)
        site.ok("inbox", by="iris")

    kept = [name for name in site.names("quarantine") if not name.endswith(".reason")]
    assert [site.read(f"quarantine/{name}") for name in kept] == ["two", "three", "one"]
    assert len(site.names("quarantine")) == 6


@pytest.mark.parametrize("looking", [["inbox", "--peek"], ["explain", "TC-1"], ["heartbeat", "--dry-run"]])
def test_commands_that_only_look_quarantine_nothing(site, prints: Prints, looking: list[str]) -> None:
    site.good(1)
    site.delegated(1)
    for agent in ("iris", "dimitrios"):
        site.write(f"inbox/{agent}/new/x.md", "no front matter")
    before = prints(site.root)

    site.ok(*looking, by="iris")

    assert prints(site.root) == before


def test_a_file_in_a_save_is_waited_for_in_every_folder(site, prints: Prints) -> None:
    site.good(1)
    site.delegated(9, 1)
    site.write("status/tc-9.md", b"---\ntitle: ha", young=True)
    site.write("inbox/dimitrios/new/x.md", b"---\nid: ha", young=True)
    site.write("inbox/iris/new/x.md", b"", young=True)
    before = prints(site.root, "status", "inbox/dimitrios", "inbox/iris")

    site.ok("heartbeat")
    site.ok("inbox", by="iris")

    after = prints(site.root)
    assert [path for path, what in before.items() if path != "status/tc-1.md" and after.get(path) != what] == []
    assert site.served(1) and tell_tale(site) == []
    assert site.names("quarantine") == []


# --- names


NAMED = (
    "status",
    "inbox/dimitrios/new",
    "inbox/iris/new",
    "checkpoints",
    "events/new",
    "runs",
    "audit",
    "conflicts",
    "quarantine",
    "dead-letter",
    "status/archive",
    "inbox",
)


@pytest.mark.parametrize("folder", NAMED)
def test_hostile_names_stop_nothing_and_are_shown_escaped(site, prints: Prints, folder: str) -> None:
    site.good(1, 2)
    site.delegated(1, 2)
    for _, name in NAMES:
        path = site.place(os.fsencode(folder) + b"/" + name)
        path.mkdir() if folder in ("runs", "inbox") else path.write_bytes(b"---\nid: [\n---\n" + name)
    for path in (site.root / folder).iterdir():
        os.utime(path, (time.time() - 3600, time.time() - 3600))  # older than a month, most would move into an archive
    before = prints(site.root, folder)

    assert site.ok("heartbeat", "--json").json["problems"] == []
    for line in (*LOOKS[:4], ["explain", "TC-1"], ["inbox"]):
        assert site(*line, by="iris").status in (0, 1)
    assert site.ok("task", "new", "another", by="sam").out == "TC-3\n"
    site.ok("send", "iris", "hello", by="peter")

    assert site.served(1, 2)
    after = prints(site.root)
    kept = sorted(what for path, what in after.items() if path.startswith("quarantine/"))
    ours = ("status/tc-1.md", "status/tc-2.md")
    assert all(path in ours or after.get(path) == what or what in kept for path, what in before.items())
    assert not list(site.root.rglob("PWNED"))
    assert not any(letter in site.journal() for letter in "\x1b\r\x7f\x9b\u202e\u200b\ufeff")


@pytest.mark.parametrize("name", DROPPINGS)
def test_temporary_files_of_editors_are_ignored(site, prints: Prints, name: str) -> None:
    site.good(1)
    site.delegated(1)
    site.write(f"status/{name}", "# TC-1: other\n\nStatus: DONE\n")
    site.write(f"inbox/iris/new/{name}", "junk")
    before = prints(site.root, "inbox/iris")

    assert [one["id"] for one in site.ok("task", "list", "--json").json] == ["TC-1"]
    assert site("task", "list").err == ""
    site.ok("heartbeat")
    site.ok("inbox", by="iris")
    assert prints(site.root, "inbox/iris").items() >= before.items()


@pytest.mark.parametrize(
    "text",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "CON",
        "a:b",
        "-rf",
        "$(id)",
        "*",
        " x",
        "x.",
        "x.lock",
        "x" * 65,
        "x" * 4096,
        "\x1b[2J",
        "тс-1",
        "tc-1\n",
        "TC-1\u202e",
        "Ⅷ",
    ],
)
def test_an_argument_that_is_no_id_is_wrong_use_and_never_a_path(site, prints: Prints, text: str) -> None:
    site.good(1)
    before = prints(site.root)
    for line in (["task", "show"], ["claim"], ["done"], ["explain"], ["log", "--task"], ["beat"], ["inbox", "done"]):
        end = ["--"] if text.startswith("-") else []
        options = ["--json"]
        answer = site(*line, *options, *end, text, by="peter") if line[0] != "log" else site(*line, text, *options)
        assert answer.status in ((2, 3) if line[0] == "inbox" else (0, 2) if line[0] == "log" else (2,)), (line, answer)
    assert site("send", "--json", "--", text, "hello", by="peter").status in (2, 3)
    assert prints(site.root) == before


def test_a_hostile_folder_on_the_command_line_is_shown_escaped(site, tmp_path: Path) -> None:
    answer = site.program("-C", str(tmp_path / "\x1b[2J\u202e"), "task", "list")
    assert answer.status == 6 and "\\x1b[2J\\u202e" in answer.err


def test_twins_in_another_case_are_one_task_and_homoglyphs_are_none(site) -> None:
    site.write("status/tc-1.md", "# TC-1: the one\n")
    site.write("status/TC-1.md", "# TC-1: the other\n")
    site.write("status/тс-1.md", "# TC-1: looks alike\n")

    assert site.ok("task", "show", "tc-1", "--json").json["title"] == "the one"
    site.ok("claim", "TC-1", by="peter")
    assert site.read("status/TC-1.md") == "# TC-1: the other\n"
    assert site("doctor").status == 1


# --- what stands behind a file


def test_a_growing_file_is_read_up_to_its_cap(site) -> None:
    site.write("status/tc-9.md", task("status: backlog", body="x" * (4 << 20)))
    assert "[too-large]" in site("task", "show", "TC-9").err


def test_folders_five_hundred_deep_and_a_loop_are_not_walked(site) -> None:
    site.good(1)
    site.delegated(1)
    here = os.open(site.place("status/archive/2020-01/x").parent, os.O_RDONLY)
    for _ in range(500):  # more than the cap of any walk, and less than what pytest can tidy up
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (site.root / "status/loop").symlink_to(".")

    site.ok("heartbeat")
    assert site("doctor").status in (0, 1)
    assert [one["id"] for one in site.ok("task", "list", "--json").json] == ["TC-1"]


@pytest.mark.parametrize("kind", ["a link", "a file", "a loop"])
@pytest.mark.parametrize(
    ("folder", "is_served"),
    [
        ("status", False),
        ("inbox", False),
        ("inbox/peter", False),
        ("inbox/iris/new", True),
        ("inbox/dimitrios/new", True),
        ("checkpoints", True),
        ("events", True),
        ("runs", True),
        ("audit", True),
        ("conflicts", True),
        ("quarantine", True),
        ("dead-letter", True),
        ("status/archive", True),
        ("definitions", True),
        ("definitions/archive", True),
        (".clawfiles", False),
    ],
)
def test_a_folder_of_ours_that_was_replaced_stops_only_what_needs_it_and_leads_nowhere(
    site, tmp_path: Path, folder: str, is_served: bool, kind: str
) -> None:
    if folder != "status":
        site.good(1)
    site.delegated(1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs.md").write_text("theirs")
    place = site.place(folder)
    if kind == "a file":
        place.write_text("theirs")
    else:
        place.symlink_to(outside if kind == "a link" else place.name)

    for line in (
        ["heartbeat"],
        ["task", "list"],
        ["inbox"],
        ["claim", "TC-1"],
        ["send", "iris", "x"],
        ["doctor"],
        ["task", "new", "x"],
        ["log"],
        ["checkpoint", "save", "x"],
        ["explain", "TC-1"],
    ):
        answer = site(*line, by="peter")
        assert answer.status in (0, 1, 3, 4, 6), (line, answer)
        if answer.status == 6:
            assert folder.split("/")[0] in answer.err

    assert os.listdir(outside) == ["theirs.md"]
    assert (outside / "theirs.md").read_text() == "theirs"
    assert not is_served or site.served(1)
    kept = [name for name in site.names(".") if name.startswith("audit.") and name.endswith(".kept")]
    assert bool(kept) is (folder == "audit")


@pytest.mark.parametrize("folder", ["events", "runs", "quarantine", "inbox/dimitrios/new"])
def test_an_unneeded_bad_folder_is_reported_once_without_failing_the_heartbeat(site, folder: str) -> None:
    site.good(1)
    site.delegated(1)
    site.place(folder).write_text("theirs")
    assert site("heartbeat", "--check").status == 1

    for _ in range(2):
        beat = site.ok("heartbeat", "--json")
        assert [problem.partition(": ")[0] for problem in beat.json["problems"]] == [folder]
        assert folder in beat.err

    assert site.served(1)
    assert sum(f"{folder}: it cannot be read" in text for text in site.told("sentry")) == 1
    assert site("heartbeat", "--check").status == 1
    (site.root / folder).unlink()
    assert site("heartbeat", "--check").status == 0


@pytest.mark.parametrize("node", [n for n in NODES if n.number != 11], ids=lambda node: node.id)
def test_a_foreign_file_in_the_journals_place_is_moved_aside_and_reported(site, prints: Prints, node: Node) -> None:
    from datetime import UTC, datetime

    site.good(1)
    site.delegated(1)
    today = site.place(f"audit/{datetime.now(UTC):%Y-%m-%d}.jsonl")
    node.put(today)
    before = prints(site.root)[str(today.relative_to(site.root))]

    site.ok("heartbeat")

    assert site.served(1)
    (kept,) = [name for name in site.names("audit") if name.endswith(".kept")]
    assert prints(site.root)[f"audit/{kept}"] == before
    assert "was no plain file" in site.ok("log").out


@pytest.mark.parametrize("how", ["torn", "huge", "binary", "deep"])
def test_a_journal_that_is_broken_is_written_on_and_read_around(site, how: str) -> None:
    from datetime import UTC, datetime

    junk = {
        "torn": b'{"timestamp": "2026-01-01T00:00:0',
        "huge": b'{"action": "' + b"x" * (8 << 20) + b'"}\n',
        "binary": bytes(range(256)) * 4000,
        "deep": b"[" * 100_000 + b"\n",
    }[how]
    site.good(1)
    site.delegated(1)
    path = f"audit/{datetime.now(UTC):%Y-%m-%d}.jsonl"
    site.write(path, junk)

    site.ok("heartbeat")

    assert site.served(1)
    assert (site.root / path).read_bytes().startswith(junk)
    assert [line for line in site.ok("log").out.splitlines() if "deliver" in line]


@pytest.mark.parametrize("path", ["HEARTBEAT.md", "clawfiles.toml"])
@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_a_ledger_or_a_configuration_that_is_no_plain_file_is_one_clear_error(
    site, prints: Prints, path: str, node: Node
) -> None:
    site.good(1)
    (site.root / path).unlink(missing_ok=True)
    site.put(node, path)
    before = prints(site.root)

    beat = site("heartbeat")

    assert beat.status == 6 and path in beat.err and f"[{node.problem}]" in beat.err
    assert site("claim", "TC-1", by="peter").status == 6
    assert prints(site.root) == before


@pytest.mark.parametrize(
    "text",
    [
        b"x = " + b"[" * 100_000,
        b"x = " + b"9" * 5_000,
        b"\xff\xfe",
        b"a\0b",
        b"[a" + b".a" * 20_000 + b"]",
        b'[workspace]\ncoordinator = "\\u001b[2J"',
        b'[heartbeat]\ncheck = "0s"',
        b"[limits]\nruns = -1",
        b'[workspace]\ntimezone = "../etc/passwd"',
        b"x = '" + b"y" * 900_000 + b"'",
    ],
    ids=["deep", "5,000 digits", "not UTF-8", "NUL", "dots", "escape", "0s", "negative", "zone", "900 KB"],
)
def test_a_hostile_configuration_is_reported_without_any_effect(site, prints: Prints, text: bytes) -> None:
    site.good(1)
    site.write("clawfiles.toml", text)
    before = prints(site.root)

    for line in (["heartbeat"], ["task", "list"], ["claim", "TC-1"]):
        assert site(*line, by="peter").status == 6
    assert prints(site.root) == before


@pytest.mark.parametrize("text", [t for t in TEXTS if t.number in (26, 38, 41, 47, 48)], ids=lambda text: text.id)
def test_a_ledger_full_of_junk_still_tells_its_lines(site, text: Text) -> None:
    site.good(1)
    line = b"- TC-1 delegated to peter, check at 2023-11-14 10:00\n"
    site.write("HEARTBEAT.md", b"## Delegations\n\n" + line + b"\n# Notes\n\n" + text.data)

    site.ok("heartbeat")

    assert site.served(1)
    assert (site.root / "HEARTBEAT.md").read_bytes().endswith(text.data)


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may read everything")
def test_a_file_without_permission_is_named_and_the_rest_goes_on(site) -> None:
    site.good(1)
    site.write("status/tc-9.md", "# TC-9: secret\n").chmod(0)

    listed = site.program("task", "list", before=UNPRIVILEGED)

    assert listed.status == 0 and "TC-1" in listed.out and "[permission]" in listed.err
    assert site.program("task", "show", "TC-9", before=UNPRIVILEGED).status == 6


def test_a_number_beyond_every_counter_is_a_task_and_no_counter(site) -> None:
    for number in ("9" * 60, "9" * 19):
        site.write(f"status/tc-{number}.md", f"# TC-{number}: far away\n")

    for _ in range(2):
        assert len(site.ok("task", "list", "--json").json) == 2
    assert site.ok("task", "new", "the first", by="sam").out == "TC-1\n"
