"""Front matter read without YAML is what YAML reads, mark by mark, or it is declined."""

import re
from datetime import UTC
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claw_files.core.errors import InvalidFile
from claw_files.formats import flat_yaml, frontmatter, frontmatter_edits, status
from tests.proofs import examples, often
from tests.support.builders import START

PATH = "status/tc-1.md"
PLAIN_KEYS = ["id", "title", "status", "y", "no", "null", "due date", "x-y_1", "assignee"]
KEY = st.sampled_from([*PLAIN_KEYS, "~", "<<", "?", "- a", "a:b", '"q"', "a ", "1", "é", "a  b", ""])
CHARS = st.text(st.sampled_from(list("ab1 :#-?,[]{}'\"\\&*!|>%@`~=.\t\r\x85\u2028\ufeff\u00a0é→🚧")), max_size=9)
VALUE = st.one_of(
    CHARS,
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            "x",
            "2026-03-07",
            "10:00",
            "a: b",
            "a # c",
            "a#c",
            "'it''s'",
            '"x: y"',
            "'a: b'",
            "[]",
            "[a, b]",
            "[ a ]",
            "[a, 'b']",
            '["a, b", c]',
            "[a: b]",
            "[a,,b]",
            "[a, ]",
            "{a: 1}",
            "| ",
            ">-",
            "- x",
            "-1",
            "...",
            "---",
            "[a:b]",
            "[a #b]",
            "# only",
            '""',
            "''",
            '"a" # c',
            '"a"b',
            "a:",
            ":a",
            "a :b",
            "[a]b",
            "[a?]",
            "/a/b?c=d&e",
            "@peter",
            "(maybe)",
            "50%",
            "a, b",
        ],
    ),
)
COLON = st.sampled_from([": ", ": ", ":", ":  "])
LINE = st.one_of(
    st.tuples(st.sampled_from(["", "", "", "  ", "    ", " "]), KEY, st.sampled_from([": ", ":", ":  "]), VALUE).map(
        "".join
    ),
    st.tuples(st.sampled_from(["", "  ", "    "]), st.sampled_from(["- ", "-", "-  "]), VALUE).map("".join),
    st.sampled_from(["", "  ", "# c", "  # c", "outputs:", "heard:", "after: ", "...", "---", "%YAML 1.2", "\t"]),
    CHARS,
)
BLOCK = st.tuples(st.lists(LINE, max_size=7), st.sampled_from(["\n", "\n", "\r\n"])).map(
    lambda it: "".join(line + it[1] for line in it[0])
)
LIKELY = st.lists(  # each line good, so that whole blocks are taken
    st.tuples(st.sampled_from(["a", "b", "c", "d", "e", "f"]), VALUE.filter(lambda text: len(text) > 1)), max_size=4
).map(lambda items: "".join(f"{key}{number}: {value}\n" for number, (key, value) in enumerate(items)))


def marks(node: Any) -> Any:
    """What an edit looks at in a node: what it is, where it begins and ends, and what is below."""
    here = (node.id, node.start_mark.index, node.start_mark.line)
    if node.id == "scalar":
        quoted = node.style if node.style in ("|", ">") else None
        end = node.end_mark.index - node.start_mark.index
        return (*here, node.start_mark.column, end, quoted, node.value)
    if node.flow_style:
        return (*here, node.end_mark.index, [item.value for item in node.value])
    below = [(marks(key), marks(value)) if node.id == "mapping" else marks(value) for key, value in _pairs(node)]
    return (*here, node.flow_style, below)


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return [item if isinstance(item, tuple) else (None, item) for item in node.value]


def agree(block: str) -> bool:
    """Whether the block was taken; then YAML must have found the same, at the same places."""
    taken, meant = flat_yaml.nodes(block), flat_yaml.read(block)
    assert (taken is None) is (meant is None)
    if taken is None or meant is None:
        return False
    if (other := plain(block)) != block:
        assert ({key: plain_value(value) for key, value in meant[0].items()}, meant[1]) == flat_yaml.read(other)
        return agree(other)
    loaded = frontmatter.load(block, PATH)  # refusing would be a difference
    assert [(marks(key), marks(value)) for key, value in taken] == [(marks(key), marks(value)) for key, value in loaded]
    assert meant == (
        {k.value: frontmatter._data(v) for k, v in loaded},
        {k.value: k.start_mark.line for k, _ in loaded},
    )
    pure = yaml.load(block, Loader=yaml.BaseLoader)
    assert meant[0] == pure
    return True


def plain(block: str) -> str:
    """The block without the two things that we read and YAML refuses: a value "@peter", and a lone dash."""
    return re.sub(r"(?m)(: +)-(?=[ \r]*$)", r"\1x", block.replace("@", "a"))


def plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    return "x" if value == "-" else value.replace("@", "a")


@pytest.mark.proof
@given(block=st.one_of(BLOCK, LIKELY))
@settings(max_examples=examples(1_000), deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_yaml_reads_the_same_or_the_block_is_declined(block: str) -> None:
    agree(block)


@pytest.mark.slow
@given(block=st.one_of(BLOCK, LIKELY))
@settings(max_examples=often(50_000), deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_yaml_reads_the_same_fifty_thousand_times(block: str) -> None:
    agree(block)


@pytest.mark.parametrize(
    "block",
    [
        "id: TC-1\ntitle: Fix the login\nstatus: in_progress\neta: 2026-03-07T11:00:00Z\n",
        "title: \"Fix: the login\"\nowner: 'peter'\n# mine\n\nafter: [TC-1, TC-2]\nempty:\nlast: x  # note\n",
        'outputs: ["PR #142", notes.md]\nfollowers: []\r\nx: a#b\r\n',
        'heard:\n  eta: "11:00"\n  need: iris - which region?\nafter:\n- TC-1\n- TC-2\nz: ok\n',
        "k:   # only a comment\na:\n  -\n  - x\nb:\n  c:   # d\nz:   \n",
        "assignee: @peter\nfollowers: [@sam, iris]\nlease: -\n",
        "tags:\n  # which\n  - a\n\n  - b c  # d\nurl: http://example.org/x?y=1#z\n",
    ],
)
def test_common_front_matter_is_read_without_yaml(block: str) -> None:
    assert agree(block)


@pytest.mark.parametrize(
    "block",
    [
        *(
            "a: |\n  x\n",
            "a: >-\n  x\n",
            "a: b\n  c\n",
            "a: &x 1\n",
            "a: *x\n",
            "a: !t x\n",
            "a: {b: 1}\n",
            "a: b: c\n",
        ),
        *(
            "a: 1\na: 2\n",
            "a:\n  b: 1\n  b: 2\n",
            "a:\n  b:\n    c: 1\n",
            "a:\n  - b: 1\n",
            "- a\n",
            "a\n",
            "",
            "# c\n",
        ),
        *('a: "x\\n"\n', "a: 'it''s'\n", "a:\tb\n", "a: x\x85\n", "  a: 1\n", "a: 1\n b: 2\n", "a:\n  - x\n  b: 1\n"),
        *(
            "<<: x\n",
            "~: x\n",
            "? a\n: b\n",
            "a: @ x\n",
            "a: `x`\n",
            "a: %x\n",
            "a: - x\n",
            "a: [b: c]\n",
            "a: [[b]]\n",
        ),
        "".join(f"k{number}: x\n" for number in range(flat_yaml.LINES + 1)),
        f"a: [{'x, ' * (flat_yaml.LINES + 1)}x]\n",
    ],
)
def test_ambiguous_blocks_are_left_to_yaml(block: str) -> None:
    assert not agree(block)


def test_a_file_that_we_wrote_is_read_and_edited_without_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"---\nid: TC-1\ntitle: x\nstatus: backlog\nafter: [TC-2]\nheard:\n  eta: 10:00\n---\nETA: 10:00\n"
    monkeypatch.setattr(frontmatter, "load", lambda *_: pytest.fail("YAML was asked"))
    assert frontmatter_edits.edit(
        raw, {"status": "done", "after": None, "heard": {"eta": "11:00"}, "size": "M"}, PATH
    ) == (b'---\nid: TC-1\ntitle: x\nstatus: done\nheard:\n  eta: "11:00"\nsize: M\n---\nETA: 10:00\n')
    assert status.parse(raw, PATH, START, UTC).state_line == 4


def test_hostile_blocks_are_declined_in_linear_time() -> None:
    for block in (
        "a: [" + "a" * 16_000,
        "a: [" + "a " * 8_000,
        "a b" * 5_000,
        "a: " + " " * 16_000 + "x\n",
        '["' * 8_000,
    ):
        try:
            frontmatter.parse(f"---\n{block}\n---\n".encode(), PATH)
        except InvalidFile as error:
            assert error.problem
