"""Who may give whom work."""

import pytest

from claw_files import config
from claw_files.core.model import AgentId
from claw_files.policy.authority import may_give_work, standing

TEAM = config.parse(b"""
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "dimitrios"
[agents.lead]
[agents.peter]
reports_to = "lead"
[agents.junior]
reports_to = "peter"
[agents.iris]
[agents.research]
kind = "worker"
[agents.dimitrios]
kind = "human"
[agents.anna]
kind = "human"
""")


@pytest.mark.parametrize(
    ("sender", "to", "spawner", "may"),
    [
        ("sam", "peter", None, True),
        ("dimitrios", "peter", None, True),
        ("anna", "iris", None, True),  # any person
        ("lead", "peter", None, True),
        ("lead", "junior", None, True),  # two steps up
        ("peter", "junior", None, True),
        ("iris", "research", "iris", True),
        ("peter", "peter", None, True),
        ("iris", "peter", None, False),
        ("peter", "lead", None, False),  # below, not above
        ("junior", "lead", None, False),
        ("iris", "sam", None, False),
        ("peter", "research", "iris", False),
        ("nobody", "peter", None, False),
        ("iris", "nobody", None, False),
    ],
)
def test_senders_who_may_give_work(sender: str, to: str, spawner: str | None, may: bool) -> None:
    assert may_give_work(TEAM, AgentId(sender), AgentId(to), AgentId(spawner) if spawner else None) is may


def test_the_receiver_is_told_as_what_somebody_may_give_it_work() -> None:
    assert standing(TEAM, AgentId("sam"), AgentId("peter")) == "the coordinator"
    assert standing(TEAM, AgentId("lead"), AgentId("junior")) == "you report to them"
