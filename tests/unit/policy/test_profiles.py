"""What an agent may use, who may act in a run, and where it works."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from claw_files.config import Settings, parse
from claw_files.core import operation_table
from claw_files.core.errors import Refused
from claw_files.core.model import AgentId, RunId, Task, TaskId
from claw_files.core.operation_table import RIGHTS
from claw_files.policy import delegation, profiles
from claw_files.services.delegation.spawn_contract import SpawnOrder

COMMANDS = list(RIGHTS)
BOARD, OFFICE, MACHINE = (
    [name for name, right in RIGHTS.items() if right == kind]
    for kind in (operation_table.BOARD, operation_table.OFFICE, operation_table.MACHINE)
)
SAM, PETER, IRIS, RESEARCH = (AgentId(name) for name in ("sam", "peter", "iris", "research"))
RUN = RunId("tc-1.1-s1")


def settings(profile: str = "", more: str = "") -> Settings:
    return parse(
        f"""[workspace]
coordinator = "sam"
[profiles.readonly]
{profile}
[agents.sam]
[agents.peter]
command = ["true"]
profile = "readonly"
[agents.iris]
command = ["true"]
[agents.research]
kind = "worker"
command = ["true"]
{more}
""".encode()
    )


def may(found: Settings, agent: AgentId, command: str) -> bool:
    try:
        profiles.check_command(found, agent, command)
    except Refused:
        return False
    return True


def test_a_profile_permits_what_it_names_and_all_that_begins_so() -> None:
    found = settings('commands = ["task", "inbox", "progress"]')

    allowed = {command for command in COMMANDS if may(found, PETER, command)}

    assert allowed == {"task", "task new", "task list", "task show", "inbox", "inbox done", "progress"}
    assert {command for command in COMMANDS if may(found, IRIS, command)} == set(COMMANDS)


def test_the_refusal_names_the_profile_and_what_it_permits() -> None:
    with pytest.raises(Refused) as refused:
        profiles.check_command(settings('commands = ["inbox"]'), PETER, "done")

    assert refused.value.exit_status == 5
    assert str(refused.value) == (
        "peter may not use `done`; it permits inbox; `commands` under [profiles.readonly] says so"
    )


def test_an_empty_list_permits_nothing_and_no_list_everything() -> None:
    assert not any(may(settings("commands = []"), PETER, command) for command in COMMANDS)
    assert all(may(settings(), PETER, command) for command in COMMANDS)


@given(st.sampled_from(COMMANDS), st.lists(st.sampled_from(COMMANDS), max_size=4))
def test_no_profile_lets_a_worker_touch_the_board(command: str, commands: list[str]) -> None:
    found = settings(f"commands = {commands!r}", "").agents["research"]
    whole = settings(f"commands = {commands!r}", 'profile = "readonly"')

    assert found.profile is None
    assert not (may(whole, RESEARCH, command) and command in BOARD)


def test_a_worker_may_do_what_is_not_the_boards() -> None:
    assert {command for command in COMMANDS if may(settings(), RESEARCH, command)} == {*OFFICE, *MACHINE}


def test_in_a_run_only_its_agent_acts() -> None:
    found = settings()

    profiles.check_run(found, RUN, PETER, PETER)
    for of in (RESEARCH, AgentId("verify-bug")):  # a route's check is of nobody, and nobody acts in it
        with pytest.raises(Refused, match=rf"this is run tc-1.1-s1 of {of}, so sam cannot act in it"):
            profiles.check_run(found, RUN, of, SAM)


@pytest.mark.parametrize("command", MACHINE)
def test_what_is_about_the_machine_is_not_for_a_sandbox(command: str) -> None:
    with pytest.raises(Refused):
        profiles.check_forwarded(command)


def test_no_spawn_lasts_longer_than_its_profile_lets() -> None:
    found = settings('timeout = "5m"')

    assert profiles.timeout_of(found, PETER, timedelta(minutes=20)) == timedelta(minutes=5)
    assert profiles.timeout_of(found, PETER, timedelta(minutes=2)) == timedelta(minutes=2)
    assert profiles.timeout_of(found, PETER, None) == timedelta(minutes=5)
    assert profiles.timeout_of(found, IRIS, None) == timedelta(minutes=30)


def task(**more: str) -> Task:
    return Task(id=TaskId("TC-1"), **more)


@pytest.mark.parametrize(
    ("profile", "more", "confined"),
    [
        ("off", {}, None),
        ("prefer", {}, "prefer"),
        ("require", {}, "require"),
        ("off", {"label": "mail", "sandbox": "require"}, "require"),
        ("prefer", {"label": "mail", "sandbox": "require"}, "require"),
        ("off", {"sandbox": "require"}, None),  # no contract: somebody wrote it into the file
    ],
)
def test_of_profile_and_contract_the_stricter_one_counts(
    profile: str, more: dict[str, str], confined: str | None
) -> None:
    found = profiles.confined(settings(f'sandbox = "{profile}"'), PETER, task(**more))

    assert (found and found.sandbox) == confined


@pytest.mark.parametrize(
    ("profile", "label", "folder"),
    [
        ("", None, None),
        ('cwd = "work/{agent}"', None, "work/peter"),
        ('cwd = "work/{agent}/{label}"', "mail", "work/peter/mail"),
        ('cwd = "/srv/repo"', "mail", "/srv/repo"),
        ('sandbox = "require"', None, "work/peter"),
        ('sandbox = "require"', "mail", "work/mail"),
    ],
)
def test_in_a_sandbox_each_agent_and_each_worker_has_a_folder_of_its_own(
    profile: str, label: str | None, folder: str | None
) -> None:
    given_task = task(label=label) if label else None

    assert profiles.folder_of(settings(profile), PETER, given_task) == folder


def test_a_spawns_folder_lies_in_the_one_of_the_profile() -> None:
    found = settings('cwd = "work/all"', 'profile = "readonly"')

    order = SpawnOrder(text="Sum up", label="mail", size="S", cwd="work/all/mail")
    delegation.check_spawn(found, RESEARCH, order, SAM)
    with pytest.raises(Refused, match="is not inside work/all"):
        delegation.check_spawn(found, RESEARCH, replace(order, cwd="work/allmost"), SAM)


def test_who_works_in_a_sandbox_names_no_working_folder_for_others() -> None:
    found = settings('sandbox = "require"')
    order = SpawnOrder(text="Sum up", label="mail", size="S")

    delegation.check_spawn(found, RESEARCH, order, PETER)
    with pytest.raises(Refused, match="may not choose the working folder"):
        delegation.check_spawn(found, RESEARCH, replace(order, cwd="workers"), PETER)


def test_what_must_be_in_a_sandbox_is_refused_where_none_can_be_built() -> None:
    found = settings('sandbox = "require"')

    delegation.check_sandbox(found, IRIS, False, lambda: "it is not installed")
    delegation.check_sandbox(found, PETER, False, lambda: None)
    for agent, asked in ((PETER, False), (IRIS, True)):
        with pytest.raises(Refused, match=r"may only run in a sandbox.*it is not installed") as refused:
            delegation.check_sandbox(found, agent, asked, lambda: "it is not installed")
        assert (refused.value.code, refused.value.exit_status) == ("no-sandbox", 5)
    with pytest.raises(Refused, match="cannot run in a sandbox"):
        delegation.check_sandbox(found, SAM, True, lambda: None)
