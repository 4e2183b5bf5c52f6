"""What a spawn may ask for, and what it is refused."""

import pytest

from claw_files.errors import Refused
from claw_files.rules import delegation


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
        (("--mode", "session"), "spawn-contract"),
        (("--runtime", "acp"), "spawn-contract"),
        (("--sandbox", "require"), "sandbox"),
        (("--cwd", "/etc"), "working folder"),
    ],
)
def test_a_spawn_is_refused_what_its_worker_does_not_give(desk, option: tuple[str, str], rule: str) -> None:
    ended = desk(*SPAWN, *option)

    assert ended.status == Refused.exit_status
    assert f"(rule: {rule})" in ended.err
    assert not (desk.root / "HEARTBEAT.md").exists() or "TC-" not in (desk.root / "HEARTBEAT.md").read_text()


def test_workers_spawned_one_by_one_as_a_group_carry_its_name_and_size(desk) -> None:
    desk.ok(*SPAWN, "--group", "morning", "--of", "3")

    task = desk.ok("task", "show", "TC-1", "--json").json
    assert (task["group"], task["group_size"], task["label"]) == ("morning", 3, "email")
