"""What a spawn may ask for, and what it is refused."""

import pytest

from claw_files.core.errors import Refused
from claw_files.policy import delegation


@pytest.mark.parametrize("folder", ["/tmp", "../peter", "a/../../b", "", "a\\b", "a\0b"])
def test_a_working_folder_outside_the_workspace_is_refused(folder: str) -> None:
    assert not delegation.is_inside(folder)


@pytest.mark.parametrize("folder", [".", "repos/api", "a..b", "..a"])
def test_a_working_folder_inside_the_workspace_is_taken(folder: str) -> None:
    assert delegation.is_inside(folder)


SPAWN = ("spawn", "read it", "--label", "email", "--size", "S", "--worker", "research", "--agent", "sam")


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        (("--mode", "session", "--worker", "peter"), "spawn-contract"),
        (("--mode", "session", "--group", "week"), "groups"),
        (("--runtime", "acp"), "spawn-contract"),
        (("--cwd", "/etc"), "working folder"),
    ],
)
def test_a_spawn_is_refused_what_its_worker_does_not_give(desk, option: tuple[str, str], rule: str) -> None:
    ended = desk(*SPAWN, *option, "--json")

    assert (ended.status, ended.error["rule"]) == (Refused.exit_status, rule)
    assert not (desk.root / "HEARTBEAT.md").exists() or "TC-" not in (desk.root / "HEARTBEAT.md").read_text()


def test_a_spawn_that_wants_a_sandbox_is_refused_where_none_can_be_built(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(desk.root))

    ended = desk(*SPAWN, "--sandbox", "require", "--json")

    assert (ended.status, ended.error["code"], ended.error["rule"]) == (5, "no-sandbox", "sandbox")
    assert "apt-get install bubblewrap" in ended.error["instead"]
    assert desk.ok("task", "list", "--json").json == []


def test_workers_spawned_one_by_one_as_a_group_carry_its_name_and_size(desk) -> None:
    desk.ok(*SPAWN, "--group", "morning", "--of", "3")

    task = desk.ok("task", "show", "TC-1", "--json").json
    assert (task["group"], task["group_size"], task["label"]) == ("morning", 3, "email")


def test_a_report_file_is_no_task(desk) -> None:
    (desk.root / "status").mkdir(exist_ok=True)
    (desk.root / "status/peter.md").write_text("TC-5: BLOCKED\n")

    assert desk.ok("task", "list", "--json").json == []
    assert desk("claim", "PETER", by="peter").status == 3
    assert (desk.root / "status/peter.md").read_text() == "TC-5: BLOCKED\n"


def test_a_refused_delegation_makes_no_task(desk) -> None:
    desk.ok("task", "new", "the outer one", "--type", "bug", "--to", "peter", by="sam")
    desk.ok("claim", "TC-1", by="peter")

    refused = desk.inside("peter", "task", "new", "the inner one", "--to", "iris", task="TC-1")

    assert (refused.status, "only sam delegates" in refused.err) == (5, True)
    assert [task["id"] for task in desk.ok("task", "list", "--json").json] == ["TC-1"]


def test_a_released_task_leaves_no_message_behind(desk) -> None:
    desk.ok("task", "new", "look at it", "--type", "bug", "--to", "peter", by="sam")
    desk.ok("claim", "TC-1", by="peter")

    desk.ok("release", "TC-1", by="peter")

    assert not list((desk.root / "inbox/peter/new").iterdir())
    assert len(list((desk.root / "inbox/peter/done").iterdir())) == 1


def test_a_task_in_progress_with_nobody_can_be_freed_by_the_coordinator(desk) -> None:
    (desk.root / "status").mkdir(exist_ok=True)
    (desk.root / "status/tc-7.md").write_text("# TC-7: look at it\nStatus: IN PROGRESS\n")

    refused = desk("claim", "TC-7", by="peter")
    assert (refused.status, "clawfiles release" in refused.err) == (4, True)
    desk.ok("release", "TC-7", by="sam")

    desk.ok("claim", "TC-7", by="peter")
