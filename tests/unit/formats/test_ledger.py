"""The ledger as people write it, and edits that touch one line."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from claw_files.core.errors import Changed
from claw_files.core.model import AgentId, Entry, TaskId, Verb
from claw_files.formats import ledger

BERLIN = ZoneInfo("Europe/Berlin")
SAVED = datetime(2026, 3, 7, 8, 50, tzinfo=BERLIN)
TEN = datetime(2026, 3, 7, 9, 0, tzinfo=UTC)
ELEVEN = datetime(2026, 3, 7, 10, 0, tzinfo=UTC)
PETER = AgentId("peter")


def entries(text: str | bytes) -> tuple[Entry, ...]:
    raw = text if isinstance(text, bytes) else text.encode()
    return ledger.entries(raw, SAVED, BERLIN, "TC", lambda task: task == "FIX-LOGIN")


def entry(text: str) -> Entry:
    (found,) = entries(text)
    return found


@pytest.mark.parametrize(
    ("line", "agent", "verb", "at", "dated"),
    [
        ("- TC-89 delegated to peter, check at 2026-03-07 10:00", "peter", "check", TEN, True),
        ("- TC-89 delegated to peter, wait until 2026-03-07 11:00", "peter", "wait", ELEVEN, True),
        ("TC-89 delegated to Peter, check at 10:00", "peter", "check", TEN, False),
        ('"TC-89 delegated to Peter, check at 10:00"', "peter", "check", TEN, False),
        ("- [ ] **TC-89** → Peter (check 10:00)", "peter", "check", TEN, False),
        ("* tc-89 -> @Peter, check 10:00:00", "peter", "check", TEN, False),
        ("1. TC-89: Delegated To **Peter**, CHECK AT 10:00", "peter", "check", TEN, False),
        ("  - `TC-89` assigned to peter; check at 2026-03-07T09:00:00Z", "peter", "check", TEN, True),
        ("TC-89 wait until 11:00", None, "wait", ELEVEN, False),
        ("TC-89 check at 9:00 UTC", None, "check", TEN, False),
        ("TC-89 delegated to peter, check in 70m", "peter", "check", TEN, False),
        ("TC-89 -> peter", "peter", "check", None, True),
        ("TC-89 delegated to peter, check at 25:99", "peter", "check", None, True),
        ("TC-89 delegated to peter, check at 2026-02-30 10:00", "peter", "check", None, True),
        ("- TC-89 check", None, "check", None, True),
        ("fix-login → peter, check 10:00", "peter", "check", TEN, False),
    ],
)
def test_an_entry_written_by_hand_is_read(
    line: str, agent: str | None, verb: str, at: datetime | None, dated: bool
) -> None:
    found = entry(f"# Mine\n\n{line}\n- buy milk\n")
    assert found.task in ("TC-89", "FIX-LOGIN")
    assert (found.agent, found.verb, found.at, found.dated, found.line) == (agent, verb, at, dated, line)


def test_the_recipient_of_the_result_is_read() -> None:
    found = entry("- TC-90 delegated to research for peter, check at 2026-03-07 10:00")
    assert (found.agent, found.spawner) == ("research", "peter")


def test_a_ticked_box_is_read() -> None:
    assert entry("- [x] TC-89 -> peter").ticked
    assert entry("- [X] TC-89 -> peter").ticked
    assert not entry("- [ ] TC-89 -> peter").ticked


@pytest.mark.parametrize(
    "text",
    [
        "TC-89 fixed, PR ready for review.",
        "TC-89 is a nasty bug",
        "TC-89 -> done",
        "TC-89 → see notes",
        "TC-89",
        "ACME-1 delegated to peter, check at 10:00",
        "check TC-89 at 10:00",
        "TC-89 check the logs again",
        "## Delegations",
        "```\nTC-89 -> peter\n```",
        "<!-- TC-89 -> peter -->",
        "<!--\nTC-89 -> peter\n-->",
        "~~~\nTC-89 -> peter",
        "../TC-89 -> peter",
        "TC-89/x -> peter",
        "TC-89 -> ../peter",
        "> TC-89 -> peter",
        "",
        "\x00ÿ",
    ],
)
def test_lines_that_are_no_entries_are_left_alone(text: str) -> None:
    assert entries(text) == ()


def test_a_bare_time_is_due_now_if_it_is_less_than_an_hour_past() -> None:
    assert entry("TC-1 -> peter, check 08:00").at == datetime(2026, 3, 7, 7, 0, tzinfo=UTC)
    assert entry("TC-1 -> peter, check 07:30").at == datetime(2026, 3, 8, 6, 30, tzinfo=UTC)


NEW = Entry(task=TaskId("TC-1"), agent=PETER, at=TEN)
LINE = "- TC-1 delegated to peter, check at 2026-03-07 10:00"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"## Delegations\n{LINE}\n"),
        ("# H\n", f"# H\n\n## Delegations\n{LINE}\n"),
        ("# H\nx", f"# H\nx\n\n## Delegations\n{LINE}"),
        ("## Delegations\n", f"## Delegations\n\n{LINE}\n"),
        ("## Delegations", f"## Delegations\n\n{LINE}"),
        ("## Delegations\n\n", f"## Delegations\n\n{LINE}\n\n"),
        ("## Delegations\n\n## More\n", f"## Delegations\n\n{LINE}\n\n## More\n"),
        ("# D\n## Delegations\r\n- a\r\n# M\n", f"# D\n## Delegations\r\n- a\r\n{LINE}\r\n# M\n"),
        ("# D\r\nlast\r", f"# D\r\nlast\r\r\n\r\n## Delegations\r\n{LINE}"),
        ("## Delegations\n- a\n- b", f"## Delegations\n- a\n- b\n{LINE}"),
        (
            "# D\r\n\r\n## delegations\r\n\r\n- a\r\n\r\n# M\r\n",
            f"# D\r\n\r\n## delegations\r\n\r\n- a\r\n{LINE}\r\n\r\n# M\r\n",
        ),
        ("\ufeff# H\n", f"\ufeff# H\n\n## Delegations\n{LINE}\n"),
        ("```\nnever closed\n", f"## Delegations\n{LINE}\n\n```\nnever closed\n"),
        ("## Delegations\n\n```\nnever closed\n", f"## Delegations\n\n{LINE}\n\n```\nnever closed\n"),
    ],
)
def test_a_new_line_goes_under_the_heading_and_every_other_byte_stays(before: str, after: str) -> None:
    raw = ledger.add(before.encode(), NEW, BERLIN)
    assert raw.decode() == after
    assert entry(after) == replace(NEW, line=LINE)
    if before:  # an empty file would look as if it were being written
        assert ledger.replace(raw, entry(after), None, BERLIN).decode() == before


def test_bytes_that_are_no_text_are_carried_through() -> None:
    assert ledger.add(b"\xff\x00\n", NEW, BERLIN).startswith(b"\xff\x00\n\n## Delegations")


def test_an_empty_ledger_keeps_the_heading_that_was_made() -> None:
    raw = ledger.add(b"", NEW, BERLIN)
    left = ledger.replace(raw, entry(raw.decode()), None, BERLIN)
    again = ledger.replace(ledger.add(left, NEW, BERLIN), entry(raw.decode()), None, BERLIN)
    assert left == again == b"## Delegations\n"


def test_a_heading_that_people_made_stays_when_the_last_line_goes() -> None:
    for text in (
        f"## Delegations\n\n{LINE}\n\n## Notes\n",
        f"# H\n## Delegations\n\n{LINE}\n",
        f"## delegations\n\n{LINE}\n",
    ):
        assert "elegations" in ledger.replace(text.encode(), entry(text), None, BERLIN).decode()


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (
            "- TC-1 delegated to peter, check at 2026-03-07 10:00",
            "- TC-1 delegated to peter, wait until 2026-03-07 11:00",
        ),
        ("  * [ ] **TC-1** → Peter (check 10:00)", "  * [ ] **TC-1** → Peter (wait until 2026-03-07 11:00)"),
        ("TC-1 wait until 10:00", "TC-1 delegated to peter, wait until 2026-03-07 11:00"),
        ("TC-1: wait until 10:00", "TC-1: delegated to peter, wait until 2026-03-07 11:00"),
        ("- TC-1 -> peter, check 10:00 (he is slow)", "- TC-1 -> peter, wait until 2026-03-07 11:00 (he is slow)"),
        ("- TC-1 -> peter <!-- k -->", "- TC-1 -> peter, wait until 2026-03-07 11:00 <!-- k -->"),
        ("- TC-1 -> **peter** (he is slow)", "- TC-1 -> **peter**, wait until 2026-03-07 11:00 (he is slow)"),
        (
            "- TC-1 delegated to iris for sam and bob, check at 3pm ",
            "- TC-1 delegated to peter for sam and bob, wait until 2026-03-07 11:00 ",
        ),
        (
            "- TC-1 delegated to peter, check the logs",
            "- TC-1 delegated to peter, wait until 2026-03-07 11:00, check the logs",
        ),
        ("- TC-1 delegated to peter, check at noonish", "- TC-1 delegated to peter, check at noonish"),
        ("- TC-1 delegated to iris, check at 25:00", "- TC-1 delegated to peter, check at 25:00"),
        (
            "- [[tc-1|Checkout]] → [iris](a.md), check Monday!",
            "- [[tc-1|Checkout]] → [peter](a.md), wait until 2026-03-07 11:00!",
        ),
    ],
)
def test_a_line_is_edited_in_what_changes_and_every_other_byte_stays(line: str, after: str) -> None:
    later = Entry(task=TaskId("TC-1"), agent=PETER, at=ELEVEN, verb=Verb.WAIT)
    text = f"\ufeffx\r\n```\r\n{line}\r\n```\r\n{line}\r\ny  \r\n{line}"
    first = entries(text)[0]
    assert ledger.replace(text.encode(), first, later, BERLIN).decode() == (
        f"\ufeffx\r\n```\r\n{line}\r\n```\r\n{after}\r\ny  \r\n{line}"
    )


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("- TC-1 delegated to workflow, check at 2026-03-07 10:00", "- TC-1 delegated to workflow"),
        ("- [x] TC-1 -> peter (see below), wait until 10:00.", "- [x] TC-1 -> peter (see below)."),
        ("- TC-1 delegated to peter, due 2026-03-07 10:00, see TC-2", "- TC-1 delegated to peter, see TC-2"),
        ("- TC-1 delegated to peter", "- TC-1 delegated to peter"),
    ],
)
def test_a_time_that_is_no_more_is_taken_out_with_its_words(line: str, after: str) -> None:
    text = f"x\n{line}\ny\n"
    first = entries(text)[0]
    changed = ledger.replace(text.encode(), first, replace(first, at=None), BERLIN).decode()
    assert changed == f"x\n{after}\ny\n"
    assert entries(changed)[0].at is None


def test_removing_an_entry_removes_its_line_and_nothing_else() -> None:
    for newline in ("\n", "\r\n"):
        text = newline.join(["- a", "- TC-1 -> peter", "- b", ""])
        left = ledger.replace(text.encode(), entry(text), None, BERLIN)
        assert left.decode() == newline.join(["- a", "- b", ""])


def test_a_line_that_somebody_changed_is_theirs() -> None:
    found = entry("- TC-1 -> peter, check 10:00")
    for text in (
        "- TC-1 -> peter, check 10:30",
        "",
        "```\n- TC-1 -> peter, check 10:00\n```",
        "x- TC-1 -> peter, check 10:00",
    ):
        with pytest.raises(Changed):
            ledger.replace(text.encode(), found, None, BERLIN)


def test_the_hour_that_exists_twice_is_written_so_that_it_reads_back() -> None:
    at = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert entry(ledger.render(replace(NEW, at=at), BERLIN)).at == at


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * 1000000,
        b"- x\n" * 250000,
        b"<!-- -->" * 125000,
        b"TC-1" + b" delegated to" * 80000,
        b"- " * 500000,
        b"TC-1 <!-- a --> " * 60000,
        b"TC-1 a\n" * 140000,
        b"[" * 1000000,
        b"TC-1 " + b"->" * 500000,
    ],
)
def test_a_ledger_made_to_be_slow_is_read_like_any_other(raw: bytes) -> None:
    assert entries(raw) == ()


def test_an_entry_on_the_first_line_of_a_file_with_a_byte_order_mark_is_an_entry() -> None:
    raw = b"\xef\xbb\xbf- TC-1 delegated to peter, check at 2026-03-07 10:00\r\n"
    (entry,) = ledger.entries(raw, SAVED, BERLIN, "TC", lambda _: False)

    assert (entry.task, entry.agent) == ("TC-1", "peter")
    assert ledger.replace(raw, entry, None, BERLIN) == b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("- TC-1 -> peter", "- [x] TC-1 -> peter"),
        ("- [ ] TC-1 -> peter", "- [x] TC-1 -> peter"),
        ("- [/] **TC-1** -> peter ", "- [x] **TC-1** -> peter "),
        (
            "- TC-1 delegated to peter, check at 2026-03-07 10:00",
            "- [x] TC-1 delegated to peter, check at 2026-03-07 10:00",
        ),
        ("TC-1 → peter, check 10:00", "[x] TC-1 → peter, check 10:00"),
    ],
)
def test_a_box_is_ticked_and_nothing_else_changes(line: str, after: str) -> None:
    found = entry(line)
    assert ledger.replace(line.encode(), found, replace(found, ticked=True), BERLIN).decode() == after


def test_a_bare_time_gets_its_date_in_place() -> None:
    for line, after in (
        ("- TC-3: Peter is on it, check 10:00 <!-- x -->", "- TC-3: Peter is on it, check 2026-03-07 10:00 <!-- x -->"),
        (
            "- TC-9 delegated to peter and bob, check at tomorrow 9am",
            "- TC-9 delegated to peter and bob, check at 2026-03-08 09:00",
        ),
    ):
        found = entry(line)
        assert ledger.replace(line.encode(), found, replace(found, dated=True), BERLIN).decode() == after
