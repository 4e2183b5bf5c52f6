"""What somebody puts into our folders is named, and takes nothing away that lies beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

FOLDERS = (
    *("runs", "inbox", "inbox/peter", "inbox/peter/new", "inbox/peter/cur", "inbox/peter/done", "inbox/peter/bodies"),
    *("outbox", "outbox/sent", "events", "events/new", "events/done", "status", "status/archive", "dead-letter"),
    *("definitions", "definitions/archive", "checkpoints", "checkpoints/old", "sessions", "audit", "briefs"),
    *("conflicts", "quarantine", "flows", "groups", ".clawfiles/claims", ".clawfiles/locks", ".clawfiles/runs"),
    *(".clawfiles/kept", ".clawfiles/uncounted", ".clawfiles/tidied"),
)
KINDS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a folder named as a file": lambda path: path.with_suffix(".md").mkdir(),
    "a folder named as an archive": lambda path: (path.parent / "2025-10.zip").mkdir(),
    "a link": lambda path: path.symlink_to("/etc"),
}
LISTS = (
    ("task", "list"),
    ("board",),
    ("sessions", "list"),
    ("subagents", "list"),
    ("flow", "list"),
    ("inbox", "--peek"),
    ("log",),
    ("stats",),
    ("cost",),
    ("explain", "TC-1"),
    ("heartbeat", "--dry-run"),
    ("heartbeat",),
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_foreign_file_in_a_workspace_folder_hides_no_other_file(desk, folder: str) -> None:
    desk.ok("task", "new", "A bug", "--to", "peter", by="sam")
    desk.ok("claim", "TC-1", by="peter")
    desk.ok("heartbeat")
    (desk.root / folder).mkdir(parents=True, exist_ok=True)
    for make in KINDS.values():
        make(desk.root / folder / "zz")
        if make is KINDS["a link"]:
            break
        found = [path for path in (desk.root / folder).iterdir() if path.name == "zz" and path.is_dir()]
        for path in found:
            path.rename(path.with_name("zz-folder"))

    for words in LISTS:
        answer = desk(*words, by=None if words[0] == "sessions" else "peter")
        assert answer.status == 0, (words, answer)
    assert "A bug" in desk.ok("task", "list").out and "TC-1" in desk.ok("log").out
    shown = desk("doctor", "--json").json["findings"]
    if not folder.startswith((".clawfiles", "flows", "groups", "conflicts", "quarantine")):
        assert any("zz-folder" in one["file"] for one in shown) or folder == "inbox", shown
