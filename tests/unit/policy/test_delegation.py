"""One hop, no circles, a spawn's contract, and what counts as an acknowledgement."""

from datetime import UTC, datetime

import pytest

from claw_files import config
from claw_files.core.errors import NotFound, Refused
from claw_files.core.model import AgentId, KeyText, Kind, Message, Report, State, Task, TaskId
from claw_files.policy import delegation

SETTINGS = config.parse(b"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.iris]
[agents.research]
kind = "worker"
[agents.ann]
kind = "human"
""")
SAM, PETER, IRIS, ANN = AgentId("sam"), AgentId("peter"), AgentId("iris"), AgentId("ann")
TASK = Task(id=TaskId("TC-47"), assignee=PETER, state=State.IN_PROGRESS)
NOW = datetime(2026, 3, 7, 12, 0, 0, 500_000, tzinfo=UTC)


def message(status_hash: str | None = None) -> Message:
    return Message(
        id="m",
        key=KeyText("tc-47.1"),
        kind=Kind.TASK,
        sender=SAM,
        to=PETER,
        task=TASK.id,
        sent=NOW,
        status_hash=status_hash,
    )


def report(state: State, author: AgentId = PETER, at: datetime = NOW, task: str = "TC-47") -> Report:
    return Report(task=TaskId(task), author=author, state=state, at=at, path="status/peter.md")


def in_state(state: State) -> Task:
    return Task(id=TaskId("TC-47"), assignee=PETER, state=state)


def test_the_coordinator_delegates_and_the_chain_travels() -> None:
    assert delegation.check_hop(SETTINGS, SAM, PETER) == ("sam",)
    assert delegation.check_hop(SETTINGS, SAM, PETER, (ANN,)) == ("ann", "sam")
    assert delegation.check_hop(SETTINGS, PETER, IRIS) == ("peter",)  # not inside delegated work


def test_delegated_work_is_not_delegated_on_and_the_error_names_the_direct_route() -> None:
    with pytest.raises(Refused) as caught:
        delegation.check_hop(SETTINGS, PETER, IRIS, (SAM,), TASK)

    assert caught.value.rule == "one-hop"
    assert "clawfiles need TC-47 --from iris" in str(caught.value)
    assert "clawfiles release TC-47" in str(caught.value)


def test_a_chain_alone_or_a_task_alone_shows_the_second_hop() -> None:
    for chain, task in (((SAM,), None), ((), TASK)):
        with pytest.raises(Refused, check=lambda error: error.rule == "one-hop"):
            delegation.check_hop(SETTINGS, PETER, IRIS, chain, task)


def test_coordinator_and_people_make_no_second_hop() -> None:
    assert delegation.check_hop(SETTINGS, SAM, IRIS, (PETER,), TASK) == ("peter", "sam")
    assert delegation.check_hop(SETTINGS, ANN, IRIS, (SAM,)) == ("sam", "ann")


@pytest.mark.parametrize(
    ("sender", "to", "chain"), [(SAM, PETER, (PETER,)), (PETER, SAM, (SAM,)), (SAM, ANN, (ANN, IRIS))]
)
def test_a_circle_is_refused_whoever_closes_it(sender: AgentId, to: AgentId, chain: tuple[AgentId, ...]) -> None:
    with pytest.raises(Refused, check=lambda error: error.rule == "no-circles") as caught:
        delegation.check_hop(SETTINGS, sender, to, chain)

    assert " -> ".join((*chain, sender, to)) in str(caught.value)


def test_taking_over_oneself_is_no_hop() -> None:
    assert delegation.check_hop(SETTINGS, SAM, SAM) == ("sam",)


def test_a_message_to_a_worker_is_refused_with_the_right_command() -> None:
    with pytest.raises(Refused, match=r"clawfiles spawn .* --worker research --label LABEL --size") as caught:
        delegation.check_hop(SETTINGS, SAM, AgentId("research"))
    assert caught.value.exit_status == 5
    with pytest.raises(NotFound):
        delegation.check_message(SETTINGS, AgentId("nobody"))


@pytest.mark.parametrize(
    ("label", "size", "lacks"),
    [
        (None, "S", ["--label"]),
        ("x", None, ["--size"]),
        ("", "", ["--label", "--size"]),
        (None, None, ["--label", "--size"]),
    ],
)
def test_a_spawn_without_its_contract_is_refused_naming_what_is_missing(
    label: str | None, size: str | None, lacks: list[str]
) -> None:
    with pytest.raises(Refused, check=lambda error: error.rule == "spawn-contract") as caught:
        delegation.check_contract(label, size)

    assert all(part in caught.value.message for part in lacks)
    assert ("--label" in caught.value.message) == ("--label" in lacks)
    assert ("--size" in caught.value.message) == ("--size" in lacks)


def test_a_spawn_with_label_and_size_keeps_its_contract() -> None:
    delegation.check_contract("email-check", "S")


def test_waiting_for_a_lane_that_the_caller_holds_is_refused() -> None:
    delegation.check_wait(SETTINGS, PETER, IRIS, {"agent:peter:main"})
    with pytest.raises(Refused, match="agent:iris:main"):
        delegation.check_wait(SETTINGS, PETER, IRIS, {"agent:iris:main"})
    with pytest.raises(Refused, match="without --wait"):
        delegation.check_wait(SETTINGS, PETER, PETER)
