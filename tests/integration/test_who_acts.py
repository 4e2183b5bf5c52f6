"""Which run a command comes from, whatever its program does with variables, sessions and parents: real runs."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, TaskId
from tests.support.office import TEAM, Office, python

ROOT = Path(__file__).parents[2]
SAM, IRIS = AgentId("sam"), AgentId("iris")
CLEAN = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
COMMAND = [sys.executable, "-m", "claw_files", "-C", "."]

# Types what attempts.json says in the way it says, and writes down how each ended.
TRIES = """
import json, os, subprocess, sys, time
plan = json.load(open("attempts.json"))
def typed(words):
    words = plan["command"] + words
    done = subprocess.run(words, env=plan["env"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return [done.returncode, done.stdout + done.stderr]
def apart(words):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            os.open("/dev/null", os.O_RDWR), os.open("/dev/null", os.O_RDWR), os.open("/dev/null", os.O_RDWR)
            time.sleep(0.2)  # until its parent is gone
            said = typed(words)
            open("part", "w").write(json.dumps(said))
            os.rename("part", "apart.json")
        os._exit(0)
    os.wait()
    while not os.path.exists("apart.json"): time.sleep(0.01)
    said = json.load(open("apart.json"))
    os.unlink("apart.json")
    return said
found = [(apart if plan["apart"] else typed)(words) for words in plan["words"]]
open("part", "w").write(json.dumps(found))
os.rename("part", "found.json")
while not os.path.exists("go"): time.sleep(0.01)
"""
# The SDK's own client, which hands no variable of ours on to the server that it starts.
CLIENT = """
import json, os, sys
import anyio
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
async def main():
    plan, found = json.load(open("attempts.json")), []
    for words, tool, arguments in plan["calls"]:
        server = StdioServerParameters(command=plan["command"][0], args=plan["command"][1:] + words)
        try:
            async with Client(stdio_client(server)) as client:
                answer = await client.call_tool(tool, arguments)
                found.append([answer.is_error, answer.content[0].text])
        except Exception as wrong:
            found.append([True, "no server: " + repr(wrong)])
    open("part", "w").write(json.dumps(found))
    os.rename("part", "found.json")
anyio.run(main)
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", TEAM.replace("[agents.peter]", f"[agents.peter]\n{python(TRIES)}"))
    made.clock.on_sleep = lambda: time.sleep(0.02)
    yield made
    made.write("go", "")
    made.stop()


def tried(office: Office, **plan: object) -> list[tuple[int, str]]:
    """How the attempts ended that peter makes in a run of his."""
    office.write("attempts.json", json.dumps({"command": COMMAND, "env": CLEAN, "apart": False} | plan))
    office.app().messages.send(SAM, AgentId("peter"), "go")
    office.tick()
    office.until(lambda: office.exists("found.json"), "peter tried it all")
    return [(status, said) for status, said in json.loads(office.read("found.json"))]


@pytest.mark.parametrize("apart", [False, True], ids=["without variables", "in a session of its own, its parents gone"])
def test_a_run_acts_in_no_other_agents_name(office: Office, apart: bool) -> None:
    reviewed, claimed, free = office.new(type="reviewed"), office.new(), office.new()
    for task in (reviewed, claimed):
        office.app().claims.claim(TaskId(task), IRIS if task == claimed else SAM)
    office.app().tasks.done(TaskId(reviewed), SAM)
    others = [
        ["approve", reviewed, "--agent", "dimitrios"],
        ["done", claimed, "--agent", "iris"],
        ["fail", claimed, "it failed", "--agent", "iris"],
        ["claim", free, "--agent", "sam"],
        ["send", "iris", "hello", "--agent", "sam"],
        ["cancel", free, "--agent", "dimitrios"],
        ["token", "dimitrios", "--show"],
        ["mcp", "--agent", "dimitrios"],
        ["serve", "--agent", "sam"],
    ]

    found = tried(office, words=[*others, ["task", "new", "mine"]], apart=apart)

    for words, (status, said) in zip(others, found, strict=False):
        assert status == 5, (words, said)
        assert "cannot act in it" in said
    assert found[-1][0] == 0, "without a name it is the run's agent"
    assert office.task("TC-4").requested_by == "peter"
    assert [office.state(task).value for task in (reviewed, claimed, free)] == ["review", "in_progress", "backlog"]


def test_variables_that_a_run_sets_make_it_no_other_run(office: Office) -> None:
    claimed = office.new()
    office.app().claims.claim(TaskId(claimed), IRIS)
    folder = str(office.root / "runs/tc-1.1-s1")
    made_up = {"AGENT": "iris", "RUN": "tc-1.1-s1", "RUN_DIR": folder, "SUPERVISES": folder, "TASK": claimed}
    made_up |= {"GENERATION": "1", "WORKSPACE": str(office.root), "FORWARDED": "1", "SANDBOX": "1"}
    env = CLEAN | {f"CLAWFILES_{name}": value for name, value in made_up.items()}

    found = tried(office, words=[["done", claimed], ["done", claimed, "--agent", "iris"]], env=env)

    assert [status for status, _ in found] == [5, 5]
    assert all("of peter, so" in said for _, said in found)


def test_an_mcp_server_in_a_run_serves_its_agent_though_the_client_dropped_all_variables(office: Office) -> None:
    reviewed = office.new(type="reviewed")
    office.app().claims.claim(TaskId(reviewed), SAM)
    office.app().tasks.done(TaskId(reviewed), SAM)
    office.write("client.py", CLIENT)
    office.write(
        "clawfiles.toml", TEAM.replace("[agents.peter]", f"[agents.peter]\ncommand = ['{sys.executable}', 'client.py']")
    )
    calls = [
        (["mcp", "--agent", "dimitrios"], "task_approve", {"task": reviewed}),
        (["mcp"], "task_approve", {"task": reviewed}),
        (["mcp"], "task_new", {"title": "mine"}),
    ]

    found = tried(office, command=[sys.executable, "-m", "claw_files"], calls=calls)

    assert [is_error for is_error, _ in found] == [True, True, False]
    assert "no server" in found[0][1]
    assert "peter may not move TC-1" in found[1][1]
    assert office.task("TC-2").requested_by == "peter"
    assert office.state(reviewed).value == "review"
