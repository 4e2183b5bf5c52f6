"""The journal's events are one closed list, which the reference shows as it is."""

import re
from pathlib import Path

from claw_files.core import journal_events
from claw_files.core.journal_events import JournalEvent, Reason
from claw_files.core.model import State

REFERENCE = Path(__file__).parents[3] / "docs/reference/file-format.md"
ROW = re.compile(r"^\| `([^`]+)` \| (yes)? ?\| (.+) \|$", re.MULTILINE)
MEMBER = re.compile(r'^    [A-Z_]+ = "([^"]+)"(?:, "[a-z_]*")?  # ([A-Z`][^\n|]*\.)$', re.MULTILINE)


def test_the_reference_lists_each_event_with_its_sentence() -> None:
    section = REFERENCE.read_text(encoding="utf-8").partition("### Events")[2].partition("\n## ")[0]
    listed = [(found[1], bool(found[2]), found[3]) for found in ROW.finditer(section)]
    said = dict(MEMBER.findall(Path(journal_events.__file__).read_text(encoding="utf-8")))

    assert listed == [(event.value, event.is_move, said[event]) for event in JournalEvent]
    assert len(set(said.values())) == len(said)


def test_the_reference_names_each_reason() -> None:
    section = REFERENCE.read_text(encoding="utf-8").partition("## Journal")[2].partition("\n## ")[0]

    assert all(f"`{reason}`" in section for reason in Reason)


def test_each_move_leads_to_a_state() -> None:
    assert {event.leads_to for event in JournalEvent if event.leads_to} == set(State)


def test_only_what_shows_the_journal_to_people_reads_the_sentence() -> None:
    package = Path(journal_events.__file__).parents[1]
    reads = re.compile(r"""\[["']why["']\]|get\(["']why["']""")
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if reads.search(path.read_text("utf-8"))}

    shows = {"presentation/views.py", "services/tasks/task_history.py", "services/sessions/session_history.py"}
    assert found == {"formats/journal_compat.py", "demo/day.py", *shows}
