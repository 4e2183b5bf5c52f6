"""Every way to write a state that is noted in `tests/forms`, through the real parser: read as a reader would read it.

Each line there was written down, with what a reader would say, before the program read it. `accept` has
states, "none" (nothing is said of the state), "unclear" (named, not read) and "unreadable" (the file is refused).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from claw_files.documents import status
from claw_files.documents.vocabulary import Vocabulary, vocabulary
from claw_files.errors import InvalidFile
from claw_files.model import AgentId

FORMS = Path(__file__).parents[2] / "forms"
ROWS = [json.loads(line) for path in sorted(FORMS.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
WORDS = vocabulary((), frozenset({AgentId("peter"), AgentId("iris")}))


def said(text: str, words: Vocabulary = WORDS) -> str:
    raw = text.replace("{i}", "TC-7").encode()
    try:
        task = status.parse(raw, "status/tc-7.md", datetime(2026, 3, 7, 12, tzinfo=UTC), ZoneInfo("UTC"), words)
    except InvalidFile:
        return "unreadable"
    return "unclear" if task.unclear else task.state.value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"][:60])
def test_a_form_is_read_as_a_reader_would(row: dict[str, list[str]]) -> None:
    found = said(str(row["text"]))
    accepted = [*row["accept"], *(["backlog"] if "none" in row["accept"] else [])]
    assert found in accepted


def test_there_are_many_forms_and_most_have_one_reading() -> None:
    assert len({row["text"] for row in ROWS}) >= 379
    assert sum(len(row["accept"]) == 1 for row in ROWS) > len(ROWS) * 0.7


def test_words_of_the_configuration_are_read_beside_those_built_in() -> None:
    more = vocabulary((("done", ("terminé",)), ("in_progress", ("en cours",))), None)
    assert said("Status: terminé") == "unclear"
    assert said("Status: Terminé", more) == "done"
    assert said("Status: termine\u0301", more) == "done"
    assert said("Status: en cours", more) == "in_progress"
    assert said("Status: done", more) == "done"


def test_an_unclear_statement_names_line_words_and_what_to_write() -> None:
    at = datetime(2026, 3, 7, 12, tzinfo=UTC)
    raw = b"---\ntitle: x\n---\n# TC-7\n\nStatus: In Progess\n"
    (unclear,) = status.parse(raw, "status/tc-7.md", at, ZoneInfo("UTC")).unclear
    assert (unclear.path, unclear.line, unclear.text) == ("status/tc-7.md", 6, "Status: In Progess")
    assert unclear.hint == 'did you mean "in progress"? write "Status: in_progress"'
