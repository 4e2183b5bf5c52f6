"""Times as people write them: the cases in times.jsonl were written down before the reader was run."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from claw_files import instants, words
from claw_files.errors import BadValue

BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 3, 7, 8, 45, tzinfo=BERLIN)  # a Saturday
CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "times.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:30])
def test_a_time_means_what_a_reader_says_or_is_refused(case: dict[str, Any]) -> None:
    if case["utc"] is None:
        with pytest.raises(BadValue, match="eta"):
            instants.read(case["text"], MORNING, BERLIN, "eta")
    else:
        at, is_dated = instants.read(case["text"], MORNING, BERLIN)
        assert (words.render_instant(at), is_dated) == (case["utc"], case["dated"])
