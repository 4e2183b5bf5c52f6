"""The memory limit of a profile: of each process, what it uses, not what it maps."""

import shutil

import pytest

from tests.sandbox.conftest import Yard, agent

GREEDY = """
import sys
held = []
try:
    while True: held.append(bytearray(16 << 20))
except MemoryError:
    held.clear()
    print("at the limit")
"""


def test_a_process_gets_no_more_memory_than_its_profile_lets(yard: Yard) -> None:
    yard.team(agent("peter", GREEDY, 'profile = "small"'), agent("iris", "held = bytearray(128 << 20)"))
    first, second = yard.new("peter"), yard.new("iris")

    assert "at the limit" in yard.run_md(f"{first.lower()}.1-s1")
    assert "exit: 0" in yard.run_md(f"{second.lower()}.1-s1")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_node_starts_within_a_limit_that_its_reserved_addresses_exceed(yard: Yard) -> None:
    script = "console.log('started'); const held = []; for (;;) held.push(Buffer.alloc(16 << 20, 1))"
    yard.team(f'[agents.peter]\ncommand = ["node", "-e", "{script}"]\nprofile = "small"\n')
    task = yard.new("peter")

    said = yard.run_md(f"{task.lower()}.1-s1")

    assert yard.read(f"runs/{task.lower()}.1-s1/stdout.log") == "started\n"
    assert "exit: 0" not in said
    assert "allocation failed" in yard.printed() or "out of memory" in yard.printed()
