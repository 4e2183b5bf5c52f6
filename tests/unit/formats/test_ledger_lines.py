"""Lines of the ledger as people write them: the cases in ledger.jsonl were written down before the reader was run."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from claw_files.core import text as words
from claw_files.core.model import Entry
from claw_files.formats import ledger
from tests.each import each

BERLIN = ZoneInfo("Europe/Berlin")
SAVED = datetime(2026, 3, 7, 8, 50, tzinfo=BERLIN)  # a Saturday
AGENTS = frozenset({"sam", "peter", "iris", "research"})
CASES = [json.loads(it) for it in (Path(__file__).parents[1] / "cases/ledger.jsonl").read_text("utf-8").splitlines()]


def parse(text: str) -> tuple[Entry, ...]:
    return ledger.entries(text.encode(), SAVED, BERLIN, "TC", lambda task: task == "FIX-LOGIN", agents=AGENTS)


@each("case", CASES)
def test_a_line_means_what_a_reader_says_and_what_is_unclear_is_named(case: dict[str, Any]) -> None:
    found = parse(f"# Mine\n\n{case['line']}\nBuy milk.\n")
    if case["entry"] is None:
        assert found == ()
        return
    wanted = {"task": "TC-1", "spawner": None, "dated": True, "ticked": False, "unread": False} | case["entry"]
    (entry,) = found
    at = words.render_instant(entry.at) if entry.at else None
    assert {name: at if name == "at" else getattr(entry, name) for name in wanted} == wanted
    assert entry.line == case["line"]
    if case["unclear"] is None:
        assert entry.unclear is None
    else:
        unclear = entry.unclear
        assert unclear and (unclear.path, unclear.line) == ("HEARTBEAT.md", 3)
        assert case["unclear"] in unclear.text and unclear.text in case["line"] and unclear.hint
