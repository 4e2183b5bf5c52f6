"""Our section in somebody else's file: put in, brought up to date, taken out, and nobody else's byte has changed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claw_files.core.errors import InvalidFile
from claw_files.core.text import FILE_BYTES
from claw_files.formats.own_sections import BEGIN, END, inside, put, take

PATH = "AGENTS.md"
PIECES = ["a", "b c", "\n", "\r\n", "\r", "\n\n", " ", "\t", "é", "\ufeff", "\u2028", "# A\n", "<!-- x -->", "<!--"]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=40))
CONTENTS = st.one_of(st.none(), TEXTS.map(str.encode), st.binary(max_size=30))
INNER = st.lists(st.sampled_from(["- rule", "", "## Head", "é"]), min_size=1, max_size=4).map("\n".join)


def refused(raw: bytes | None) -> bool:
    """Whether the file is one that nothing is put into."""
    try:
        put(raw, "x", PATH)
    except InvalidFile:
        return True
    return False


@given(raw=CONTENTS, first=INNER, second=INNER)
@example(raw=b"", first="x", second="y")
@example(raw=b"no end", first="x", second="y")
@example(raw=b"a\r\nb\r", first="x\ny", second="y")
@example(raw=b"\xef\xbb\xbfmine\r\n", first="x", second="y")
def test_put_in_brought_up_to_date_and_taken_out_are_the_bytes_from_before(
    raw: bytes | None, first: str, second: str
) -> None:
    if refused(raw):
        return
    once = put(raw, first, PATH)
    twice = put(once, second, PATH)

    assert put(once, first, PATH) == once, "the same again changes nothing"
    assert put(twice, first, PATH) == once, "only what stands between the marks changes"
    assert once.startswith(raw or b"")
    assert (inside(twice, PATH) or "").strip() == second.strip()
    assert take(twice, PATH) == raw


@given(before=TEXTS, after=TEXTS, inner=INNER)
def test_text_around_the_section_stays_when_the_section_is_updated(before: str, after: str, inner: str) -> None:
    raw = f"{before}\n{BEGIN}\nold\n{END}\n{after}".encode()
    if refused(raw):
        return
    new = put(raw, inner, PATH).decode()

    assert new.startswith(f"{before}\n{BEGIN}\n")
    assert new.endswith(f"\n{END}\n{after}")


@given(before=TEXTS, after=TEXTS)
def test_text_around_the_section_stays_when_the_section_is_removed(before: str, after: str) -> None:
    raw = f"{before}\n{BEGIN}\nold\n{END}\n{after}".encode()
    if refused(raw):
        return
    left = take(raw, PATH) or b""

    assert left.decode() in (f"{before}{after}", f"{before}\n{after}")
    assert not before or not after or before.endswith("\n") or left.decode() == f"{before}\n{after}"


def lines(*them: str) -> bytes:
    return "\n".join(them).encode()


@pytest.mark.parametrize(
    "raw",
    [
        lines("mine", BEGIN, "old"),
        lines("mine", "old", END),
        lines(END, "old", BEGIN),
        lines(BEGIN, "old", END, BEGIN, "old", END),
        lines(BEGIN, BEGIN, "old", END),
        lines(BEGIN, "old", END, END),
        lines(BEGIN, "old", f"{END} mine"),
        lines(f"mine {BEGIN}", "old", END),
        lines(f"  {BEGIN}", "old", END),
        lines(BEGIN.upper(), "old", END),
        lines("<!-- clawfiles  begin -->", "old", END),
        lines("<!-- clawfiles begin", "old", END),
        lines(f"{BEGIN}{END}"),
        lines(f"Write `{BEGIN}` there."),
        b"\xff\xfem\x00y\x00",
        b"a\0b",
        b"caf\xe9",
    ],
)
def test_damaged_marks_and_what_is_no_text_are_refused_in_one_sentence(raw: bytes) -> None:
    for action in (lambda: put(raw, "x", PATH), lambda: take(raw, PATH), lambda: inside(raw, PATH)):
        with pytest.raises(InvalidFile) as refusal:
            action()
        assert str(refusal.value).startswith(f"{PATH}: ")
        assert "\n" not in str(refusal.value)


def test_without_a_section_there_is_nothing_to_take_out() -> None:
    assert take(b"mine", PATH) == b"mine"
    assert take(None, PATH) is None
    assert inside(b"mine", PATH) is None


def test_the_section_ends_its_lines_as_the_file_does() -> None:
    assert b"\n" not in put(b"mine\r\n", "a\nb", PATH).replace(b"\r\n", b"")
    assert b"\r" not in put(b"mine\n", "a\nb", PATH)
    by_an_editor = put(b"mine\n", "a", PATH).replace(b"\n", b"\r\n")
    assert put(by_an_editor, "a\nb", PATH) == put(b"mine\r\n", "a\nb", PATH)
    assert take(by_an_editor, PATH) == b"mine\r\n"


def test_a_file_that_would_become_too_large_to_be_read_again_is_refused() -> None:
    room = FILE_BYTES - len(put(b"", "x", PATH))

    assert len(put(b"a" * room, "x", PATH)) == FILE_BYTES
    with pytest.raises(InvalidFile, match="too-large"):
        put(b"a" * (room + 1), "x", PATH)
