"""Errors at the door for models speak of tools and arguments."""

import pytest

from claw_files import config
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId
from claw_files.mcp.error_wording import reworded
from claw_files.policy import delegation

SAID = {
    "a spawn needs --label LABEL and --size S|M|L": "a spawn needs `label` LABEL and `size` S|M|L",
    "leave --no-cache out": "leave `noCache` out",
    'run `clawfiles spawn "TASK" --worker helper --label LABEL --size S|M|L`': (
        'run the tool `sessions_spawn` with "TASK" `agentId` helper `label` LABEL `size` S|M|L'
    ),
    "`clawfiles claim TC-1` or `clawfiles task show TC-1`": (
        "the tool `task_claim` with TC-1 or the tool `task_show` with TC-1"
    ),
    "`clawfiles inbox --agent peter` lists them": "the tool `inbox` lists them",
    "`clawfiles inbox done tc-1.1`": "the tool `inbox` with tc-1.1",
    "`clawfiles explain TC-1` says why": "`clawfiles explain TC-1` says why",  # there is no tool for it
    "a task -- and nothing else": "a task -- and nothing else",
}


@pytest.mark.parametrize("sentence", SAID)
def test_commands_become_tools_and_options_arguments(sentence: str) -> None:
    assert reworded(sentence) == SAID[sentence]


def test_no_refusal_of_a_spawn_names_an_option() -> None:
    settings = config.parse(
        b'[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.w]\nkind = "worker"\ncommand = ["w"]\n'
    )
    calls = (
        lambda: delegation.check_contract(None, None),
        lambda: delegation.check_message(settings, AgentId("w")),
        lambda: delegation.check_wait(settings, AgentId("sam"), AgentId("sam")),
    )
    for call in calls:
        with pytest.raises(ClawError) as caught:
            call()
        assert "--" in str(caught.value) and "--" not in reworded(str(caught.value))
