"""Beside the tick: the doctor's visit, health pings, metrics, words to the service manager."""

import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, KeyText, Run, RunId
from claw_files.daemon.doctor_sync import sync
from claw_files.daemon.health_checks import HealthChecks
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.rounds import go_round
from claw_files.policy.health_rules import PingMethod, plan_pings
from claw_files.services.admin import cron_rounds, daemon_state
from claw_files.services.admin.cron_rounds import Rounds
from claw_files.testing.patience import until
from tests.daemon.conftest import Home
from tests.support.office import TEAM, Office


@pytest.fixture
def log(office: Office) -> DaemonLog:
    return DaemonLog(office.clock, lambda line: None)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    more = '\n[agents.coder]\ncommand = ["a-program-that-is-not-there"]\n[heartbeat]\nack = "5m"\n'
    return Office(tmp_path / "sam", TEAM + more)


def test_the_doctors_visit_mends_and_tells_the_rest_once_for_each_content(office: Office, log: DaemonLog) -> None:
    office.new()
    office.write("dead-letter/tc-9.md", "---\nid: TC-9\ntitle: X\nstatus: backlog\nrecorded: backlog\n---\n")
    office.write("status/no-task.txt", "what is this?")

    sync(office.app(), log)
    office.settle()
    assert office.exists("status/tc-9.md")

    sync(office.app(), log)
    office.settle()
    told = office.box("sentry")
    sync(office.app(), log)

    assert office.box("sentry") == told
    assert "status/no-task.txt" in office.message("sentry", told[-1])


def test_a_command_that_is_not_there_is_told_once_for_each_silence(office: Office, log: DaemonLog) -> None:
    office.tick()
    health = HealthChecks(office.app(), log)
    health.ask()
    health.ask()
    first = office.box("sentry")
    assert [name.rpartition(".")[0] for name in first] == ["health.coder"]

    config = office.read("clawfiles.toml")
    office.write("clawfiles.toml", config.replace("a-program-that-is-not-there", "sh"))
    health.take_over(office.app())
    health.ask()
    assert office.boxes("sentry") == {"done": first}
    office.write("clawfiles.toml", config)
    office.clock.sleep(60)
    health.take_over(office.app())
    health.ask()

    assert len(office.box("sentry")) == 1


def test_a_daemon_that_starts_anew_does_not_tell_of_the_same_silence_again(office: Office, log: DaemonLog) -> None:
    HealthChecks(office.app(), log).ask()
    office.clock.sleep(60)

    HealthChecks(office.app(), log).ask()

    assert len(office.box("sentry")) == 1


def test_an_alert_that_lies_unread_climbs(office: Office, log: DaemonLog) -> None:
    health = HealthChecks(office.app(), log)
    health.ask()
    office.settle()
    assert office.box("sam") == []

    office.clock.sleep(301)
    health.turn()
    office.settle()

    assert office.box("sam") == office.box("sentry")


def test_an_agent_that_looks_for_itself_is_judged_only_while_it_has_something_to_do(
    office: Office, log: DaemonLog
) -> None:
    office.clock.sleep(86_400)
    HealthChecks(office.app(), log).ask()
    assert not any("iris" in name for name in office.box("sentry"))
    office.delegated("iris")
    office.clock.sleep(46 * 60)

    HealthChecks(office.app(), log).ask()

    assert any(name.startswith("health.iris.") for name in office.box("sentry"))


def test_a_ping_that_wants_a_turn_waits_for_its_answer(office: Office, log: DaemonLog) -> None:
    office.write(
        "clawfiles.toml", office.read("clawfiles.toml").replace("[agents.iris]", '[agents.iris]\nping = "turn"')
    )
    health = HealthChecks(office.app(), log)
    health.ask()
    assert [name.rpartition(".")[0] for name in office.box("iris")] == ["ping.iris"]
    office.clock.sleep(11)
    health.turn()
    assert any(name.startswith("health.iris.") for name in office.box("sentry"))
    office.app("iris").messages.inbox("iris")

    health.ask()
    office.app("iris").messages.inbox("iris")
    health.turn()

    assert not any(name.startswith("health.iris.") for name in office.box("sentry"))


def woken_by_turns(office: Office, command: str) -> None:
    config = office.read("clawfiles.toml").replace(
        'command = ["a-program-that-is-not-there"]', 'ping = "turn"\n' + command
    )
    office.write("clawfiles.toml", config)


def alerts(office: Office) -> list[str]:
    return [name for name in office.boxes("sentry").get("new", []) if name.startswith("health.coder.")]


def test_a_turn_whose_program_hangs_stays_alarmed_until_an_answer_comes(office: Office, log: DaemonLog) -> None:
    """Its run starts, is at work at the next ping, and ends: none of that is an answer."""
    woken_by_turns(office, 'command = ["sleep", "600"]')
    health = HealthChecks(office.app(), log)
    health.ask()
    office.app().heartbeat.wake()
    assert [run.key.rpartition(".")[0] for run in office.app().runtime.live()] == ["ping.coder"]

    office.clock.sleep(11)
    health.turn()
    raised = alerts(office)
    assert len(raised) == 1
    office.clock.sleep(300)
    health.ask()
    health.turn()
    assert alerts(office) == raised

    (run,) = office.app().runtime.live()
    office.app().runtime.stop(run.id)
    office.runs_end()
    health.turn()
    assert alerts(office) == raised
    office.app("coder").messages.answer("coder", run.key, "pong")
    health.turn()
    assert alerts(office) == []


def test_a_ping_whose_run_ends_well_without_an_answer_is_not_answered(office: Office, log: DaemonLog) -> None:
    woken_by_turns(office, 'command = ["true"]')
    health = HealthChecks(office.app(), log)
    health.ask()
    office.app().heartbeat.wake()
    office.runs_end()
    office.app().heartbeat.wake()

    office.clock.sleep(11)
    health.turn()

    assert len(alerts(office)) == 1
    office.clock.sleep(300)
    health.ask()
    assert len([name for name in office.boxes("coder").get("new", []) if name.startswith("ping.")]) == 1


def test_other_work_of_an_agent_does_not_answer_what_it_was_asked(office: Office, log: DaemonLog) -> None:
    woken_by_turns(office, 'command = ["sleep", "600"]\nruns = 2')
    health = HealthChecks(office.app(), log)
    health.ask()
    office.clock.sleep(11)
    health.turn()
    raised = alerts(office)
    office.delegated("coder")
    office.app().heartbeat.wake()
    assert any(run.task for run in office.app().runtime.live())

    office.clock.sleep(300)
    health.ask()

    assert len(raised) == 1
    assert alerts(office) == raised
    for run in office.app().runtime.live():
        office.app().runtime.stop(run.id)


def test_a_run_that_a_ping_started_is_not_taken_for_work(office: Office) -> None:
    woken_by_turns(office, 'command = ["true"]')
    run = Run(id=RunId("r"), agent=AgentId("coder"), key=KeyText("ping.coder.20260307T084500Z"))

    asked = {ping.agent: ping.how for ping in plan_pings(office.app().settings, [run])}

    assert asked["coder"] is PingMethod.TURN


def rounds_of(office: Office) -> Rounds | None:
    return cron_rounds.load(str(office.root))


def test_without_a_daemon_the_heartbeat_starts_pings_and_the_doctor(office: Office) -> None:
    """Not at its first tick, from which it counts; then at each interval, in a process that it does not wait for."""
    office.write("status/no-task.txt", "what is this?")
    root, settings = str(office.root), office.app().settings
    now = datetime.now(UTC)
    cron_rounds.begin(root, settings, now)
    kept = rounds_of(office)
    assert kept is not None
    assert {name: round(at - now.timestamp()) for name, at in kept.at.items()} == {"health": 300, "sync": 1800}
    cron_rounds.save(root, Rounds(at=dict.fromkeys(kept.at, now.timestamp() - 1)))

    command = [sys.executable, "-m", "claw_files", "-C", root, "heartbeat"]
    done = subprocess.run(command, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    until(lambda: any(name.startswith("health.coder.") for name in office.box("sentry")), "the alert is there")
    until(lambda: any(name.startswith("sync.") for name in office.box("sentry")), "the doctor has looked")
    later = rounds_of(office)
    assert later is not None
    assert min(later.at.values()) > now.timestamp() + 200


def test_a_round_remembers_a_silence_also_when_the_monitor_has_finished_the_alert(
    office: Office, log: DaemonLog
) -> None:
    go_round(office.app(), log)
    (told,) = [name for name in office.box("sentry") if name.startswith("health.coder.")]
    office.app("sentry").messages.finish("sentry", told)
    office.clock.sleep(301)

    go_round(office.app(), log)

    assert alerts(office) == []
    kept = rounds_of(office)
    assert kept is not None
    assert list(kept.silent) == ["coder"]


def test_where_a_daemon_runs_the_heartbeat_leaves_pings_to_it(office: Office) -> None:
    root, now = str(office.root), datetime.now(UTC)
    cron_rounds.save(root, Rounds(at={"health": now.timestamp() - 1, "sync": now.timestamp() - 1}))
    with office.app().workspace.locks.hold(daemon_state.LOCK, timedelta(0), "a daemon"):
        cron_rounds.begin(root, office.app().settings, now)

    kept = rounds_of(office)
    assert kept is not None
    assert kept.at["health"] == now.timestamp() + 300


def test_the_metrics_tell_what_was_done(home: Home) -> None:
    home.write("clawfiles.toml", home.read("clawfiles.toml") + '\n[daemon]\nmetrics = "../metrics.prom"\n')
    home.start()
    path = home.root.parent / "metrics.prom"

    home.until(path.exists, "they are written", 5.0)

    text = path.read_text()
    assert "# TYPE clawfiles_ticks_total counter" in text
    assert "clawfiles_rescans_total 1" in text


def test_the_service_manager_is_told(home: Home) -> None:
    address = str(home.root.parent / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(10)
        home.start(NOTIFY_SOCKET=address, WATCHDOG_USEC="2000000")
        told = {manager.recv(100) for _ in range(2)}
        home.ok("daemon", "stop")
        while b"STOPPING=1" not in told:
            told.add(manager.recv(100))

    assert {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"} <= told
