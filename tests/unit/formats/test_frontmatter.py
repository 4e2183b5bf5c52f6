"""Front matter: what is read, what is refused with which word, and that an edit changes its own lines only."""

import difflib

import pytest

from claw_files.core.errors import InvalidFile
from claw_files.formats import frontmatter, frontmatter_edits

PATH = "status/tc-1.md"


def meta(text: str) -> object:
    return frontmatter.parse(text.encode(), PATH).meta


def problem(raw: bytes) -> tuple[str, int | None]:
    with pytest.raises(InvalidFile) as caught:
        frontmatter.parse(raw, PATH)
    return caught.value.problem, caught.value.line


def test_every_scalar_stays_text() -> None:
    assert meta("---\na: 22:00\nb: 0123\nc: no\nd: 1e3\ne: 2026-02-30\nno: x\nf: ~\ng:\nh: [1, yes]\n---\n") == {
        "a": "22:00",
        "b": "0123",
        "c": "no",
        "d": "1e3",
        "e": "2026-02-30",
        "no": "x",
        "f": "~",
        "g": "",
        "h": ["1", "yes"],
    }


def test_a_number_of_5000_digits_is_only_text() -> None:
    assert meta(f"---\na: {'9' * 5000}\n---\n") == {"a": "9" * 5000}


def test_keys_that_would_break_the_library_are_ordinary_keys() -> None:
    names = ["content", "handler", "self", "metadata", "__class__", "<<"]
    assert meta("---\n" + "".join(f"{name}: x\n" for name in names) + "---\n") == dict.fromkeys(names, "x")


def test_a_file_without_an_opening_fence_on_line_one_is_all_body() -> None:
    for text in ("", "Hello\n\n---\na: 1\n---\n", "{\n", "+++\na = 1\n+++\n", "<!-- c -->\n---\na: 1\n---\n", "----\n"):
        document = frontmatter.parse(text.encode(), PATH)
        assert (document.start, document.meta, document.body) == (None, {}, text)


def test_bom_and_crlf_are_read() -> None:
    document = frontmatter.parse(b"\xef\xbb\xbf---\r\na: 1\r\n---\r\nbody\r\n", PATH)
    assert (document.bom, document.newline, document.meta, document.body) == (True, "\r\n", {"a": "1"}, "body\r\n")


def test_rules_in_the_body_and_in_a_block_scalar_are_no_fences() -> None:
    document = frontmatter.parse(b"---\na: |\n  x\n  ---\n  y\n---\nbody\n\n---\nend", PATH)
    assert document.meta == {"a": "x\n---\ny\n"}
    assert document.body == "body\n\n---\nend"


@pytest.mark.parametrize(
    ("raw", "word", "line"),
    [
        (b"---\na: \xff\n---\n", "encoding", 2),
        (b"a\n\0", "encoding", 2),
        ("---\na: 1\nb: x\u2028y\n---\n".encode(), "encoding", 3),
        ("---\na: x\x85y\n---\n".encode(), "encoding", 2),
        (b"---\ra: 1\r---\rbody\r", "cr-only", 1),
        (b"title\rbody", "cr-only", 1),
        (b"---\na: 1\n", "unclosed", 1),
        (b"---", "unclosed", 1),
        (b"---\n" + b"k: v\n" * 700_000 + b"---\n", "too-large", 1),
        (b"---\na: &x 1\nb: *x\n---\n", "alias-forbidden", 2),
        (b"---\na: &a [*a]\n---\n", "alias-forbidden", 2),
        (b"---\na: &a {x: 1}\nb:\n  <<: [*a, *a]\n---\n", "alias-forbidden", 2),
        (b"---\na: 1\nb: !!python/object/apply:os.system ['id']\n---\n", "tag-forbidden", 3),
        (b"---\na: !!binary aGk=\n---\n", "tag-forbidden", 2),
        (b"---\na: !foo x\n---\n", "tag-forbidden", 2),
        (b"---\na: " + b"[" * 17 + b"]" * 17 + b"\n---\n", "too-deep", 2),
        (b"---\na: " + b"[" * 15_000 + b"\n---\n", "too-deep", 2),
        (b"---\n" + b"- " * 8_000 + b"\n---\n", "too-deep", 2),
        (b"---\na: [" + b"1," * 5_000 + b"]\n---\n", "too-many-nodes", 2),
        (b"---\nstatus: open\nstatus: done\n---\n", "duplicate-key", 3),
        (b"---\na:\n  b: 1\n  b: 2\n---\n", "duplicate-key", 4),
        (b"---\n- a\n---\n", "bad-frontmatter", 2),
        (b"---\njust text\n---\n", "bad-frontmatter", 2),
        (b"---\n---\n", "bad-frontmatter", 2),
        (b"---\n# only a comment\n---\n", "bad-frontmatter", 2),
        (b"---\n? [a]\n: b\n---\n", "bad-frontmatter", 2),
        (b"---\n~: b\n---\n", "bad-frontmatter", 2),
        (b"---\na: 1\nb: [\n---\n", "yaml", 4),
        (b'---\na: "x\x07"\n---\n', "yaml", 1),
        (b"---\na: b: c\n---\n", "yaml", 2),
    ],
)
def test_unsafe_front_matter_is_refused_with_code_and_line(raw: bytes, word: str, line: int) -> None:
    found, where = problem(raw)
    assert found == word
    assert where == line or word in ("yaml", "bad-frontmatter")


def test_nested_brackets_that_kill_the_c_loader_are_refused() -> None:
    assert problem(b"---\n" + b"[" * 25_200 + b"\n---\n")[0] == "too-large"
    assert problem(b"---\n" + b"[" * 16_000 + b"\n---\n")[0] == "too-deep"


EVERYTHING = b"""---
# head
id: TC-1   # the id
empty:
empty2:   # c
quoted: "x: #y"  # t
'single': 'it''s'
block: |  # hdr
  a
  # content

  b

# after block
list:  # lc
  # inner
  - a
  - b # bb

# after list
zero:
- x
- y
map:
  a: |
    x
  # tail
flow: [a,
  b]  # f
next:
  line  # nl
last: 1
---
body  \t
---
end"""


def changed_lines(before: bytes, after: bytes) -> list[str]:
    diff = difflib.ndiff(before.decode().split("\n"), after.decode().split("\n"))
    return sorted((line[0] + line[2:] for line in diff if line[0] in "+-"), reverse=True)  # what went, what came


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("id", "TC-2", ["-id: TC-1   # the id", "+id: TC-2   # the id"]),
        ("empty", "x", ["-empty:", "+empty: x"]),
        ("empty2", "x", ["-empty2:   # c", "+empty2: x   # c"]),
        ("quoted", "a b", ['-quoted: "x: #y"  # t', "+quoted: a b  # t"]),
        ("single", "fix #47", ["-'single': 'it''s'", "+'single': \"fix #47\""]),
        ("block", "x", ["-block: |  # hdr", "-  a", "-  # content", "-", "-  b", "+block: x  # hdr"]),
        ("list", ["a", "c, d"], ["-list:  # lc", '+list: [a, "c, d"]  # lc', "-  - a", "-  - b # bb"]),
        ("zero", None, ["-zero:", "-- x", "-- y"]),
        ("map", "x", ["-map:", "-  a: |", "-    x", "+map: x"]),
        ("flow", "x", ["-flow: [a,", "-  b]  # f", "+flow: x  # f"]),
        ("next", "x", ["-  line  # nl", "+  x  # nl"]),
        ("last", {"a": "1", "b": ""}, ["-last: 1", "+last:", "+  a: 1", '+  b: ""']),
        ("block", None, ["-block: |  # hdr", "-  a", "-  # content", "-", "-  b"]),
        ("id", None, ["-id: TC-1   # the id"]),
        ("new", "22:00", ['+new: "22:00"']),
        ("absent", None, []),
        ("last", "1", []),
    ],
)
def test_an_edit_changes_the_lines_of_its_key_and_no_other(key: str, value: object, lines: list[str]) -> None:
    after = frontmatter_edits.edit(EVERYTHING, {key: value}, PATH)
    assert changed_lines(EVERYTHING, after) == sorted(lines, reverse=True)
    windows = b"\xef\xbb\xbf" + EVERYTHING.replace(b"\n", b"\r\n")
    assert frontmatter_edits.edit(windows, {key: value}, PATH) == b"\xef\xbb\xbf" + after.replace(b"\n", b"\r\n")


def test_several_keys_are_edited_at_once() -> None:
    after = frontmatter_edits.edit(EVERYTHING, {"last": None, "id": "x", "new": "1", "list": "l"}, PATH)
    found = frontmatter.parse(after, PATH).meta
    assert (found["id"], found["new"], found["list"], "last" in found) == ("x", "1", "l", False)


def test_a_file_without_front_matter_gets_one_put_in_front() -> None:
    assert (
        frontmatter_edits.edit(b"\xef\xbb\xbf# T\r\nx", {"a": "1"}, PATH)
        == b"\xef\xbb\xbf---\r\na: 1\r\n---\r\n# T\r\nx"
    )
    assert frontmatter_edits.edit(b"x", {"a": None}, PATH) == b"x"


@pytest.mark.parametrize(
    ("raw", "changes"),
    [
        (b"---\n{a: 1}\n---\n", {"a": "2"}),
        (b"---\na: 1\n---\n", {"a": None}),
        (b"---\na: 1\n...\n---\n", {"b": "2"}),
        (b"---\na: 1\n---\n", {"a": "x" * 20000}),
        (b"---\na: 1\n---\n", {"a": chr(0xD800)}),
    ],
)
def test_an_edit_that_cannot_be_proven_is_refused(raw: bytes, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidFile) as caught:
        frontmatter_edits.edit(raw, changes, PATH)
    assert caught.value.problem == "cannot-edit"


def test_values_are_spelled_so_that_other_yaml_readers_see_the_same_text() -> None:
    import yaml

    for text in (
        "no",
        "22:30",
        "fix #47",
        "a: b",
        "[x]",
        "- x",
        "null",
        "",
        " x ",
        "é ü",
        "x\ny",
        "\x07",
        "*a",
        "&a",
        "@x",
        "%",
        "which?",
        "0:?",
        "x: ?",
    ):
        raw = frontmatter_edits.edit(b"---\na: 1\n---\n", {"a": text, "b": [text]}, PATH)
        assert frontmatter.parse(raw, PATH).meta == {"a": text, "b": [text]}
        assert yaml.safe_load(raw.decode().split("---")[1]) == {"a": text, "b": [text]}
