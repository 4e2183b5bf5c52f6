"""Times as people write them: the cases in times.jsonl were written down before the reader was run."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core import instants
from claw_files.core import text as words
from claw_files.core.errors import BadValue
from tests.each import each

BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 3, 7, 8, 45, tzinfo=BERLIN)  # a Saturday
CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "times.jsonl").read_text("utf-8").splitlines()]


@each("case", CASES)
def test_a_time_means_what_a_reader_says_or_is_refused(case: dict[str, Any]) -> None:
    if case["utc"] is None:
        with pytest.raises(BadValue, match="eta"):
            instants.read(case["text"], MORNING, BERLIN, "eta")
    else:
        at, is_dated = instants.read(case["text"], MORNING, BERLIN)
        assert (words.render_instant(at), is_dated) == (case["utc"], case["dated"])


@each("case", [case for case in CASES if case["utc"]])
def test_no_part_of_an_expression_is_left_out(case: dict[str, Any]) -> None:
    for text in (f"{case['text']} xyz", f"xyz {case['text']}", f"{case['text']} {case['text']}", f"{case['text']}x"):
        with pytest.raises(BadValue, match="is not"):
            instants.read(text, MORNING, BERLIN)


@each("case", CASES)
def test_a_time_is_found_whole_within_other_words(case: dict[str, Any]) -> None:
    if not case["utc"] or case["text"] == "now":
        return
    before, after = "Peter thinks ", "; he is slow"
    text = f"{before}{case['text']}{after}"
    (found,) = instants.find(text)
    words_of_time = text[found.start : found.end]
    assert case["text"].endswith(words_of_time)
    assert instants.read(words_of_time, MORNING, BERLIN)[0] == instants.read(case["text"], MORNING, BERLIN)[0]


SCRAPS = [
    "10:00",
    "3pm",
    "17h30",
    "Monday",
    "tomorrow",
    "7",
    "March",
    "2026",
    "7.12.",
    "/",
    "-",
    ",",
    "in",
    "2",
    "h",
    "CET",
    "at",
    "on",
    "next",
    "the",
    "3rd",
    "noon",
    "+",
    "Uhr",
    "heute",
    "or",
    "31.12.2031",
]


@given(st.lists(st.sampled_from(SCRAPS), max_size=8), st.sampled_from([" ", "", ", "]))
def test_any_words_of_time_are_read_or_refused(scraps: list[str], gap: str) -> None:
    text = gap.join(scraps)
    try:
        at, _ = instants.read(text, MORNING, BERLIN)
    except BadValue as error:
        assert str(error)
    else:
        assert at.utcoffset() == timedelta(0)
    assert all(0 <= found.start < found.end <= len(text) for found in instants.find(text))
