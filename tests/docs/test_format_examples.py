"""The examples of docs/reference/file-format.md are read by the code that reads the files.

A comment above each says what it is: `<!-- example: status status/tc-47.md state=in_progress -->`. What follows there
is what must come out of reading it.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import asdict

from claw_files.core import text as words
from claw_files.core.model import AgentId, State
from claw_files.formats import (
    briefs,
    checkpoints,
    choices,
    definitions,
    event_file,
    journal,
    ledger,
    messages,
    posts,
    reports,
    runs,
    status,
    vocabulary,
)
from claw_files.formats.frontmatter import BLOCK_BYTES
from claw_files.policy.payload_sizes import ACCEPTED_BYTES

PAGE = Path(__file__).parents[2] / "docs/reference/file-format.md"
WRITTEN = datetime(2026, 3, 7, 8, 45, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
EXAMPLE = re.compile(
    r"^<!-- example: (?P<kind>\w+) (?P<path>\S+)(?P<facts>.*?) -->\n```[a-z]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
Facts = Mapping[str, Any]


def read_status(raw: bytes, path: str) -> Facts:
    read = status.parse(raw, path, WRITTEN, ZONE)
    return asdict(read) | {"unclear_lines": "+".join(str(it.line) for it in read.unclear)}


def read_definition(raw: bytes, path: str) -> Facts:
    found = definitions.parse(raw, path)
    assert definitions.render(found) == raw, "that is how it is written"
    return asdict(found.task)


def read_ledger(raw: bytes, path: str) -> Facts:
    found = ledger.entries(raw, WRITTEN, ZONE, "TC", lambda _: False, agents={"peter", "iris", "research"})
    tasks, unclear = "+".join(entry.task for entry in found), sum(entry.unclear is not None for entry in found)
    return {"entries": len(found), "tasks": tasks, "agent": found[0].agent, "unclear": unclear}


def read_report(raw: bytes, path: str) -> Facts:
    found = reports.parse(raw, path, AgentId("peter"), WRITTEN, ZONE)
    return {"reports": len(found), "states": "+".join(report.state for report in found)}


def read_brief(raw: bytes, path: str) -> Facts:
    return {"undelivered": len(briefs.undelivered(raw, "file:announcements.md"))}


def read_audit(raw: bytes, path: str) -> Facts:
    lines = [json.loads(line) for line in raw.splitlines()]
    assert all(set(journal.KEYS) <= set(line) <= {*journal.KEYS, "from", "usage", "reason"} for line in lines)
    assert all(map(journal.parse, raw.splitlines()))
    return {"lines": len(lines)}


def read_choices(raw: bytes, path: str) -> Facts:
    found = choices.ticked(raw)
    return {"ticked": len(found)} | asdict(found[0])


READERS: Mapping[str, Callable[[bytes, str], Facts]] = {
    "status": read_status,
    "definition": read_definition,
    "ledger": read_ledger,
    "report": read_report,
    "message": lambda raw, path: asdict(messages.parse(raw, path)),
    "checkpoint": lambda raw, path: asdict(checkpoints.parse(raw, path, AgentId("peter"))),
    "result": lambda raw, path: asdict(checkpoints.parse_result(raw, path)),
    "run": lambda raw, path: asdict(runs.parse(raw, path)),
    "brief": read_brief,
    "choices": read_choices,
    "post": lambda raw, path: asdict(posts.parse(raw, path)),
    "audit": read_audit,
    "event": lambda raw, path: asdict(event_file.parse(raw, path)),
}
FOUND = list(EXAMPLE.finditer(PAGE.read_text()))


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found['kind']}-{found['path']}-{found.start()}")
def test_an_example_means_what_the_page_says(found: re.Match[str]) -> None:
    facts = READERS[found["kind"]](found["text"].encode(), found["path"])
    for wanted in found["facts"].split():
        key, _, value = wanted.partition("=")
        shown = words.render_instant(facts[key]) if isinstance(facts[key], datetime) else str(facts[key])
        assert shown.replace(" ", "") == value, key


def test_there_is_an_example_of_every_kind_and_each_says_what_comes_out() -> None:
    assert {found["kind"] for found in FOUND} == set(READERS)
    assert all(found["facts"].strip() for found in FOUND)


def test_every_example_of_our_own_files_is_checked() -> None:
    plain = EXAMPLE.sub("", PAGE.read_text())
    assert "```markdown" not in plain
    assert "```json" not in plain


def test_the_page_lists_every_state_with_words_that_mean_it() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE))
    assert set(State) <= set(listed)
    for state in State:
        for word in re.findall(r"`([^`]+)`", listed[state]):
            assert vocabulary.state(word) is state, word


def test_the_page_names_every_key_of_a_status_file() -> None:
    from claw_files.formats.task_fields import BY_KEY

    text = PAGE.read_text()
    assert [key for key in (*BY_KEY, "recorded", "said", "heard") if f"`{key}`" not in text] == []


def test_the_limits_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert f"{BLOCK_BYTES // 1024} KiB" in text
    assert f"{ACCEPTED_BYTES // 1024 // 1024} MiB" in text


def test_the_page_names_the_keys_that_define_a_task() -> None:
    section = PAGE.read_text().partition("\n## Definitions\n")[2].partition("\n## ")[0]
    listed = section.partition("that define a task:")[2].partition("Other keys")[0]

    assert set(re.findall(r"`(\w+)`", listed)) == set(definitions.KEYS)
