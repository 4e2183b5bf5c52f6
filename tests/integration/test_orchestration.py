"""Agents that write workflows themselves and run them: what such a run may do, what it counts as, and how it ends.

Who acts in a run is told by the processes, so the agents here are programs that type what the test hands them.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claw_files.cli import run as clawfiles
from claw_files.core.model import State
from claw_files.policy import flow_tree
from tests.support.office import TEAM, Office, python

ROOT = Path(__file__).parents[2]
TYPES = f"""
import json, os, subprocess, sys, time
env = {{key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}}
me = env["task"].lower()
open("at-work-" + me, "w").close()
while not os.path.exists("go-" + me) and not os.path.exists("go"):
    if os.path.exists("do-" + me):
        with open("do-" + me) as file: words = json.load(file)
        os.remove("do-" + me)
        command = [sys.executable, "-m", "claw_files", *words]
        done = subprocess.run(command, env=os.environ | {{"PYTHONPATH": {str(ROOT)!r}}}, capture_output=True, text=True)
        with open("new-" + me, "w") as file: json.dump([done.returncode, done.stdout + done.stderr], file)
        os.rename("new-" + me, "said-" + me)
    time.sleep(0.02)
if "label" in env:
    with open(f"checkpoints/subagent-{{env['label']}}.md", "w") as file:
        file.write(f"---\\nrun: {{env['run']}}\\nstatus: done\\n---\\nwhat {{me}} found\\n")
else:
    with open(f"status/{{me}}.md", "a") as file: file.write("\\nStatus: DONE\\n")
"""
CONFIG = f"""{TEAM.replace("[agents.peter]", f"[agents.peter]{chr(10)}{python(TYPES)}")}
[agents.research]
kind = "worker"
{python(TYPES)}
[agents.narrow]
profile = "narrow"
{python(TYPES)}
[profiles.narrow]
commands = ["workflow"]
[limits]
runs = 10
children = 2
depth = 2
spawns_per_minute = 100
"""
WORK = "---\nat once: 9\n---\n## read\n- to: research; for each: a, b, c; enough: 1\n\nRead {item}\n"


class Team(Office):
    """The office by the real clock: whatever happens is typed."""

    def type(self, agent: str, *words: str, code: int = 0) -> None:
        assert clawfiles(["-C", str(self.root), "--agent", agent, *words]) == code

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.type("sam", "heartbeat")
            time.sleep(0.05)

    def in_run_of(self, task: str, *words: str) -> tuple[int, str]:
        """What the agent at work on the task is told when it types this."""
        name = task.lower()
        self.until(lambda: self.exists(f"at-work-{name}"), f"{task} is at work")
        self.write("new-do", json.dumps(words))
        os.rename(self.root / "new-do", self.root / f"do-{name}")
        self.until(lambda: self.exists(f"said-{name}"), f"{task} has typed {words}")
        code, said = json.loads(self.read(f"said-{name}"))
        os.remove(self.root / f"said-{name}")
        return code, said.strip()

    def runs(self, task: str, text: str = WORK) -> tuple[int, str]:
        self.write(f"{task}.txt", text)
        return self.in_run_of(task, "workflow", "run", "plan", "--file", f"{task}.txt")

    def given(self, agent: str, title: str = "Orchestrate it") -> str:
        """A task that the agent, or worker, is at work on."""
        before = {*self.names("status")}
        label = ["--label", f"l{len(before)}", "--size", "L"]
        if agent == "research":
            self.type("sam", "spawn", title, "--worker", agent, *label)
        else:
            self.type("sam", "task", "new", title, "--to", agent)
        (made,) = {name for name in self.names("status") if name.startswith("tc-")} - before
        self.beat()
        return made.removesuffix(".md").upper()

    def depth(self, task: str) -> int:
        return flow_tree.depth(self.task(task), self.app().workspace.known)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path / "sam", CONFIG)
    made.clock.on_sleep = lambda: time.sleep(0.02)
    yield made
    made.write("go", "")
    made.stop()


def test_a_run_hangs_below_the_task_counts_as_one_child_and_has_no_more_open_at_once_than_an_agent(team: Team) -> None:
    task = team.given("peter")
    code, first = team.runs(task)
    keyed = ("workflow", "run", "plan", "--file", f"{task}.txt", "--key", "order-7")
    _, second = team.in_run_of(task, *keyed)
    assert (code, team.task(first).parent, team.task(first).requested_by) == (0, task, "peter")
    code, said = team.runs(task)
    assert (code, f"{task} has 2 open spawns, and limits.children is 2" in said) == (5, True)
    code, said = team.in_run_of(task, "spawn", "look", "--label", "x", "--size", "S")
    assert (code, "limits.children is 2" in said) == (5, True)
    assert team.in_run_of(task, *keyed) == (0, second), "what has begun already is told, whatever else is full"
    team.beat(3)
    assert {name for name in team.names("status") if first.lower() in name} == {
        f"{first.lower()}{end}.md" for end in ("", "-read-1", "-read-2")
    }, "of nine at once, two"
    team.type("sam", "cancel", second)
    assert team.runs(task)[0] == 0


def test_the_steps_of_a_run_are_one_deeper_than_the_task_in_which_it_began(team: Team) -> None:
    worker = team.given("research")
    _, mine = team.runs(worker)
    team.beat(3)
    step = f"{mine}-READ-1"
    assert (team.depth(worker), team.depth(step)) == (1, 2)
    code, said = team.runs(step)
    assert (code, "would be 3 levels deep, and limits.depth is 2" in said) == (5, True)
    task = team.given("peter")
    _, named = team.runs(task, "## look\n- to: peter\n\nLook.\n")
    team.type("sam", "workflow", "new", "first")
    team.beat(2)
    assert (team.depth(task), team.depth(f"{named}-LOOK")) == (0, 1)
    team.type("sam", "workflow", "run", "first", "-w", "topic=x")
    team.beat(2)
    (of_sam,) = (name for name in team.names("status") if name.endswith("-prepare.md"))
    assert team.depth(of_sam.removesuffix(".md").upper()) == 0


@pytest.mark.parametrize(
    ("agent", "text", "words"),
    [
        ("peter", "## a\n- to: iris\n\nx\n", "was delegated to peter and cannot be passed on to iris"),
        ("peter", "## a\n- type: bug\n\nx\n", "was delegated to peter and cannot be passed on to iris"),
        ("peter", "## a\n- to: dimitrios; choices: a, b\n\nx\n", "cannot be passed on to dimitrios"),
        ("narrow", WORK, "narrow may not use `spawn`"),
        ("narrow", "## a\n- to: narrow\n\nx\n", "narrow may not use `delegate`"),
        ("research", "## a\n- to: iris\n\nx\n", "research is a worker and may not use `delegate`"),
    ],
)
def test_a_run_hands_nothing_to_whom_the_agent_may_not(team: Team, agent: str, text: str, words: str) -> None:
    code, said = team.runs(team.given(agent), text)
    assert (code, words in said) == (5, True), said
    assert not team.exists("flows")


def test_a_run_that_is_resumed_with_another_text_gains_no_rights_either(team: Team) -> None:
    task = team.given("peter")
    team.write("workflows/mine.md", "## look\n- to: research; tries: 1\n\nLook.\n")
    _, mine = team.in_run_of(task, "workflow", "run", "mine")
    team.type("sam", "cancel", mine)
    team.write("workflows/mine.md", "## look\n- to: iris\n\nLook.\n")
    code, said = team.in_run_of(task, "workflow", "resume", mine, "--current")
    assert (code, "cannot be passed on to iris" in said) == (5, True), said
    team.type("sam", "workflow", "resume", mine, "--current")


def test_a_flow_shows_its_runs_and_is_cancelled_whole_without_a_dead_letter(team: Team, capsys: Any) -> None:
    task = team.given("peter")
    _, mine = team.runs(task, WORK + "\n## then\n- to: peter; after: read\n\nTell.\n")
    team.beat(3)
    capsys.readouterr()
    team.type("sam", "flow", "list", "--json")
    (flow,) = json.loads(capsys.readouterr().out)["flows"]
    assert [(node["task"], node["depth"]) for node in flow["tasks"]] == [
        (task, 0), (mine, 1), (f"{mine}-READ-1", 2), (f"{mine}-READ-2", 2),
    ]  # fmt: skip
    team.type("sam", "flow", "cancel", mine, "--json")
    done = json.loads(capsys.readouterr().out)
    assert done["cancelled"] == [mine, f"{mine}-READ-2", f"{mine}-READ-1"], "the run first, or it would begin something"
    team.beat(4)
    assert (team.state(mine), team.names("dead-letter")) == (State.CANCELLED, [])
    assert not team.state(task).is_closed
    assert [line for line in team.lines if mine in line] == []
    assert not team.exists(f"status/{mine.lower()}-read-3.md")


@pytest.mark.parametrize("agent", ["peter", "research"])
def test_the_end_of_a_run_is_told_to_whoever_began_it(team: Team, agent: str) -> None:
    task = team.given(agent)
    _, mine = team.runs(task, "## look\n- to: research; makes: a.md\n\nLook.\n")
    team.beat(2)
    team.write(f"flows/{mine.lower()}/a.md", "a")
    team.write(f"go-{mine.lower()}-look", "")
    team.until(lambda: sum(it.alive for it in team.app().runtime.live()) == 1, "the step ends")
    team.beat(6)
    assert team.state(mine) is State.DONE
    said = "".join(path.read_text() for path in team.root.glob(f"inbox/{agent}/*/*{mine.lower()}.1.done*"))
    told = "".join(path.read_text() for path in team.root.glob(f"runs/{task.lower()}.1-s1/steer.md"))
    assert f"results in flows/{mine.lower()}/" in said
    assert (mine in told) == (agent == "research"), "a worker at work hears in its run"
    assert not [*team.root.glob(f"inbox/sam/*/*{mine.lower()}.1.done*")]


def test_a_workflow_hands_on_no_token_no_message_and_no_setting(team: Team) -> None:
    team.write(".clawfiles/tokens/iris", "secret\n")
    team.write("inbox/iris/new/x.md", "secret\n")
    team.write("work.txt", "one\ntwo\n")
    secret = ("lines of .clawfiles/tokens/iris", "lines of inbox/iris/new/x.md", "lines of ./clawfiles.toml")
    for items in (*secret, "inbox/iris/new/*", ".clawfiles/tokens/*"):
        team.write("x.txt", f"## a\n- to: iris; for each: {items}\n\nx {{item}}\n")
        team.type("peter", "workflow", "check", "x", "--file", str(team.root / "x.txt"), code=6)
    wanted = {"lines of {path}": "", "claw*": "", "wor*": "work.txt\n", "lines of work.txt": "one\ntwo\n"}
    for items, found in wanted.items():
        head = "---\ninputs: [path = .clawfiles/tokens/iris]\n---\n"
        team.write("x.txt", f"{head}## a\n- to: iris; for each: {items}\n\nx {{item}}\n")
        team.type("peter", "workflow", "run", "x", "--file", str(team.root / "x.txt"))
        team.beat(2)
        path = sorted(team.root.glob("flows/*/a.items"), key=lambda path: path.stat().st_mtime)[-1]
        assert path.read_text() == found, items
        path.unlink()
        for number in range(1, 9):
            if team.exists(f"status/tc-{number}.md") and not team.state(f"TC-{number}").is_closed:
                team.type("sam", "cancel", f"TC-{number}")
    for name in ("inbox/iris/new/x.md", ".clawfiles/x.md", "../x.md", "clawfiles.toml"):
        team.type("peter", "workflow", "check", name, code=3)
