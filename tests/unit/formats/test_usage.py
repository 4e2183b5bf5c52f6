"""What programs and files report of tokens and money, and what is not believed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.model import Usage
from claw_files.formats import journal, usage

CLAUDE = {
    "type": "result",
    "subtype": "success",
    "result": "done",
    "total_cost_usd": 0.0421,
    "usage": {
        "input_tokens": 4,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 900,
        "output_tokens": 50,
    },
    "modelUsage": {"claude-sonnet-4-6-20260101": {"costUSD": 0.0421}},
}
OF_CLAUDE = Usage(input=1004, output=50, cached=900, cost=0.0421, model="claude-sonnet-4-6-20260101")
GEMINI = {
    "response": "done",
    "stats": {
        "models": {"gemini-2.5-pro": {"tokens": {"prompt": 900, "candidates": 20, "cached": 300, "thoughts": 5}}}
    },
}
LINE = {"timestamp": "2026-03-07T08:45:00Z", "action": "usage", "agent": "peter", "task": "TC-1", "key": "tc-1.1-s1"}


def read(found: Any, before: str = "", after: str = "", **options: Any) -> Usage | None:
    return usage.of_output(f"{before}{json.dumps(found, **options)}{after}".encode())


def test_claude_code_reports_money_and_tokens_with_what_came_from_its_cache() -> None:
    assert read(CLAUDE) == OF_CLAUDE
    assert read(CLAUDE, before='{"type":"system"}\n{"type":"assistant","message":{}}\n', after="\n") == OF_CLAUDE
    assert read([{"type": "system"}, CLAUDE]) == OF_CLAUDE


def test_codex_reports_its_last_turn() -> None:
    turns = [
        {"type": "turn.completed", "usage": {"input_tokens": n, "cached_input_tokens": 10, "output_tokens": 7}}
        for n in (20, 60)
    ]
    text = "Reading additional input from stdin...\n" + "\n".join(map(json.dumps, turns)) + "\nbye\n"

    assert usage.of_output(text.encode()) == Usage(input=60, cached=10, output=7)


def test_gemini_cli_reports_its_models_and_what_it_thought_is_output() -> None:
    found = Usage(input=900, output=25, cached=300, model="gemini-2.5-pro")

    assert read(GEMINI, before="Loaded cached credentials.\n", after="\nbye\n", indent=2) == found
    assert read({"type": "result", "stats": {"input_tokens": 7, "output_tokens": 2}}) == Usage(input=7, output=2)


def test_the_last_of_several_usage_reports_counts() -> None:
    assert read({**CLAUDE, "total_cost_usd": 2.0}, before=json.dumps(CLAUDE) + "\n") == Usage(
        input=1004, output=50, cached=900, cost=2.0, model="claude-sonnet-4-6-20260101"
    )


def test_only_the_end_of_the_output_is_looked_at() -> None:
    text = json.dumps(CLAUDE) + "\n"

    assert usage.of_output((text + "x" * (usage.END_BYTES - len(text))).encode()) == OF_CLAUDE
    assert usage.of_output((text + "x" * usage.END_BYTES).encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It cost about $3.",
        "{" * 70_000,
        "[" * 70_000,
        '{"a":' * 20_000,
        "NaN",
        '{"type":"result","total_cost_usd":NaN,"usage":{"input_tokens":-5}}',
        '{"type":"result","total_cost_usd":Infinity,"usage":[]}',
        '{"type":"result","total_cost_usd":1e300,"usage":null}',
        '{"type":"result","total_cost_usd":true,"usage":{"output_tokens":[1]}}',
        '{"type":"turn.completed","usage":{"input_tokens":' + "9" * 4000 + "}}",
        '{"type":"turn.completed","usage":{"input_tokens":' + "9" * 5000 + "}}",
        '{"type":"turn.completed","usage":"all of it"}',
        '{"stats":{"models":7}}',
        '{"stats":{"models":{"a":[1]}}}',
        '{"stats":[]}',
        '{"type":"result"}',
    ],
)
def test_output_without_a_usage_report_has_none(text: str) -> None:
    assert usage.of_output(text.encode()) is None


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_fail(raw: bytes) -> None:
    usage.of_output(raw)
    usage.of_json(raw)
    usage.of_front_matter(b"---\nusage: " + raw + b"\n---\n", "status/tc-1.md")


KEYS = st.sampled_from(["usage", "type", "stats", "models", "tokens", "input", "cost"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(KEYS, one),
)


@given(ANY_JSON)
def test_whatever_a_program_prints_its_figures_are_finite_and_not_negative(found: Any) -> None:
    for text in (found, {"type": "result", "usage": found, "total_cost_usd": found}, {"stats": found}):
        reported = read(text)
        if reported:
            assert 0 <= reported.cached <= reported.input <= usage.MOST_TOKENS
            assert 0 <= reported.output <= usage.MOST_TOKENS
            assert reported.cost is None or 0 <= reported.cost <= usage.MOST_MONEY


def test_usage_json_is_read_and_money_may_be_left_out() -> None:
    assert usage.of_json(b'{"input": 12, "output": 3, "cost": null, "model": "m"}') == Usage(
        input=12, output=3, model="m"
    )
    assert usage.of_json(b"[1]") is None


def test_front_matter_is_read_as_people_write_numbers() -> None:
    raw = b'---\nid: TC-1\nusage:\n  input: "12,345"\n  output: 2\n  cost: $0.42\n---\nStatus: DONE\n'

    assert usage.of_front_matter(raw, "status/tc-1.md") == Usage(input=12345, output=2, cost=0.42)
    assert usage.of_front_matter(b"---\nusage: a lot\n---\n", "status/tc-1.md") is None
    assert usage.of_front_matter(b"Status: DONE\n", "status/tc-1.md") is None


@pytest.mark.parametrize(
    "found",
    [
        Usage(input=1, output=2, cached=1, cost=0.000001),
        Usage(cost=7.0),
        Usage(input=10**12),
        Usage(output=3, cost=0.0),
    ],
)
@pytest.mark.parametrize("by_price", [True, False])
def test_usage_of_earlier_versions_is_read_out_of_the_sentence(found: Usage, by_price: bool) -> None:
    line = journal.line_of({**LINE, "why": usage.render(found, "runs, cost 9", by_price)})

    assert line is not None
    assert line.usage == found
    assert (line.agent, line.task, line.key) == ("peter", "TC-1", "tc-1.1-s1")


def test_a_line_with_facts_has_the_usage_of_its_facts_whatever_its_sentence_says() -> None:
    facts = {"to": None, "usage": {"input": 7, "cost": 0.5}, "why": "input 9, cost 5, from x"}

    line, bare = journal.line_of({**LINE, **facts}), journal.line_of({**LINE, **facts, "usage": None})

    assert line is not None and line.usage == Usage(input=7, cost=0.5)
    assert bare is not None and bare.usage is None


def test_other_lines_of_the_journal_have_no_usage() -> None:
    why = "cost 5, from x"

    for wrong in ({"action": "wake"}, {"why": "cost -5, from x"}, {"to": None}, {"to": None, "usage": "cost 5"}):
        line = journal.line_of({**LINE, "why": why, **wrong})
        assert line is not None and line.usage is None, wrong
    for wrong in ({"timestamp": "soon"}, {"timestamp": 7}, {"action": None}):
        assert journal.line_of({**LINE, "why": why, **wrong}) is None


def test_a_price_counts_where_no_money_was_reported() -> None:
    used = Usage(input=1_000_000, cached=400_000, output=200_000)

    assert usage.priced(used, 3.0, 15.0, None).cost == 6.0
    assert usage.priced(used, 3.0, 15.0, 0.3).cost == pytest.approx(0.6 * 3 + 0.4 * 0.3 + 3.0)
    assert usage.priced(Usage(input=9, cost=0.5), 3.0, 15.0, None).cost == 0.5
    assert usage.priced(Usage(), 3.0, 15.0, None).cost is None


@pytest.mark.parametrize(
    ("configured", "reported", "name"),
    [
        ("anthropic/claude-sonnet-4-6", "claude-sonnet-4-6-20260101", "anthropic/claude-sonnet-4-6"),
        ("anthropic/claude-sonnet-4-6", "claude-haiku-4", "claude-haiku-4"),
        (None, "claude-haiku-4", "claude-haiku-4"),
        ("claude-haiku-4", None, "claude-haiku-4"),
        (None, None, None),
    ],
)
def test_a_model_bears_one_name(configured: str | None, reported: str | None, name: str | None) -> None:
    assert usage.model_name(configured, reported) == name
