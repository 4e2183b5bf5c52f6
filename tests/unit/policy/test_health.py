"""Whom the daemon asks whether it is there, and how."""

from claw_files import config
from claw_files.policy.health_rules import PingMethod, plan_pings

SETTINGS = config.parse(b"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.script]
command = ["script"]
[agents.coder]
runtime = "acp"
command = ["codex-acp"]
[agents.there]
runtime = "openclaw"
[agents.silent]
ping = "off"
command = ["script"]
[agents.ann]
kind = "human"
""")


def test_what_has_a_program_of_its_own_is_asked_for_that_and_not_started() -> None:
    assert {str(ping.agent): ping.how for ping in plan_pings(SETTINGS, [])} == {
        "sam": PingMethod.SIGN,
        "script": PingMethod.PROGRAM,
        "coder": PingMethod.PROGRAM,
        "there": PingMethod.HOOK,
    }
