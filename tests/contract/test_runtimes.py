"""What every runtime promises to the heartbeat, the probe, the health check and the doctor: one suite for all four."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claw_files import config
from claw_files.core.errors import GatewayRefused
from claw_files.core.model import AgentId, KeyText, Kind, Message, Run, RunId, TaskId
from claw_files.doctor.codes import CODES
from claw_files.integrations.agent_runtimes import IMPLEMENTATIONS, runtime_of
from claw_files.processes import AgentRuntime, SetupProblem, StartOrder, Surroundings
from claw_files.processes.process_runner import ProcessRunner
from claw_files.system.clock import SystemClock
from claw_files.system.processes import SystemProcesses
from claw_files.testing.patience import until

STARTED = [name for name, traits in config.RUNTIMES.items() if traits.is_woken]
COMMANDS = [name for name, traits in config.RUNTIMES.items() if traits.has_command]
SOON = timedelta(seconds=1)


class Bench:
    """One agent of one runtime, in a folder of its own; its program ends at once, and no gateway answers."""

    def __init__(self, root: Path, name: str, program: str = sys.executable) -> None:
        command = f'command = ["{program}", "-c", "pass"]\n' if config.RUNTIMES[name].has_command else ""
        text = f"""
[workspace]
coordinator = "peter"
[openclaw]
url = "ws://127.0.0.1:9"
[agents.peter]
runtime = "{name}"
{command}"""
        (root / "clawfiles.toml").write_text(text)
        environ = {"PATH": os.defpath, "HOME": str(root), "OPENCLAW_GATEWAY_TOKEN": "t"}
        self.settings = config.parse(text.encode())
        self.agent = self.settings.agent("peter")
        self.around = Surroundings(settings=self.settings, base=str(root), root=str(root), environ=environ)
        self.runtime: AgentRuntime = runtime_of(name, self.around)
        self.runner = ProcessRunner(str(root), SystemProcesses(), SystemClock(), environ)
        self.root = root

    def order(self) -> StartOrder:
        now = datetime.now(UTC)
        run = Run(id=RunId("tc-1.1-s1"), agent=self.agent.name, key=KeyText("tc-1.1"), task=TaskId("TC-1"), started=now)
        run_order = StartOrder(run=run, workspace=str(self.root), command=self.agent.command, message="look at this")
        return self.runtime.prepare(run_order, self.agent, self.message())

    def message(self) -> Message:
        key, task, sam = KeyText("tc-1.1"), TaskId("TC-1"), AgentId("sam")
        return Message(id="m", key=key, to=self.agent.name, sender=sam, kind=Kind.TASK, task=task, body="look at this")

    def problems(self) -> list[SetupProblem]:
        return list(self.runtime.doctor([self.agent]))


@pytest.fixture(params=list(config.RUNTIMES))
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def bench(name: str, tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path, name)
    yield found
    for run in found.runner.live():
        found.runner.stop(run.id)
        until(lambda run=run: (now := found.runner.look(run.id)) is None or not now.alive, f"the end of {run.id}")


def test_each_name_of_the_setting_has_traits_and_an_implementation() -> None:
    assert list(IMPLEMENTATIONS) == list(config.RUNTIMES)


def test_preparing_keeps_who_runs_what_for_which_task(bench: Bench) -> None:
    order = bench.order()

    assert (order.run.id, order.run.agent, order.run.task) == ("tc-1.1-s1", "peter", "TC-1")
    assert order.workspace == str(bench.root)
    assert order.message.startswith("look at this")


def test_a_runtime_that_wakes_has_a_command_to_start_and_the_other_none(bench: Bench, name: str) -> None:
    assert bool(bench.order().command) == config.RUNTIMES[name].is_woken


def test_launching_starts_one_run_for_each_id_where_anything_is_started(bench: Bench, name: str) -> None:
    started = [bench.runtime.launch(bench.order(), bench.runner.start) for _ in range(3)]

    assert started == [name in STARTED, False, False]
    assert (bench.runner.look(RunId("tc-1.1-s1")) is not None) is (name in STARTED)


def test_a_correction_for_a_run_without_a_session_waits_or_is_left_to_the_agent(bench: Bench) -> None:
    run = bench.order().run
    folder = bench.root / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / "steer.md").write_text("stop\n")

    assert bench.runtime.steer(run, bench.message()) in (None, "when its session is ready")


def test_a_ping_of_an_agent_that_can_be_woken_says_nothing(bench: Bench, name: str) -> None:
    answer = bench.runtime.ping(bench.agent, SOON)

    assert (answer is None) is not config.RUNTIMES[name].is_elsewhere, "no gateway answers here"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_program_is_told_by_ping_probe_and_check(name: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, name, "/nowhere/agent")

    assert "/nowhere/agent" in str(bench.runtime.ping(bench.agent, SOON))
    answer = bench.runtime.probe(bench.agent, lambda _: None)
    assert "/nowhere/agent" in answer.problem
    assert answer.advice
    assert [(it.code, it.agent, it.key) for it in bench.problems()] == [("program-missing", "peter", "command")]


def test_a_check_names_codes_that_the_doctor_knows(bench: Bench, name: str) -> None:
    before = sorted(bench.root.rglob("*"))

    codes = [it.code for it in bench.problems()]

    assert sorted(bench.root.rglob("*")) == before, "the doctor writes nothing"
    assert set(codes) <= set(CODES)
    assert bool(codes) == config.RUNTIMES[name].is_elsewhere


def test_a_steer_that_the_gateway_refuses_is_left_to_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise GatewayRefused("OpenClaw's gateway", "no")

    monkeypatch.setattr("claw_files.integrations.openclaw.gateway_access.access", refused)
    bench = Bench(tmp_path, "openclaw")

    assert bench.runtime.steer(bench.order().run, bench.message()) is None
