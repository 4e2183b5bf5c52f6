"""Sessions and subagents over real runs: who works, what they left, a word to them, their end; and who may."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import NotFound, Refused, UsageError
from claw_files.core.model import AgentId, RunId, State, TaskId
from claw_files.policy.session_view import Session, SessionFilter, Status
from claw_files.services.delegation.delegation import SpawnOrder
from tests.integration.conftest import typed
from tests.support.office import TEAM, Office, python

SAM, PETER, IRIS, BOSS = (AgentId(name) for name in ("sam", "peter", "iris", "dimitrios"))
SECOND = timedelta(seconds=1)

# Says what it was told, waits for its gate, obeys its steer.md, leaves a result unless it is to fail.
WORKS = """
import os, sys, time
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
print("reading", env["label"]); print("\\x1b[31mred\\x1b[0m", file=sys.stderr); sys.stdout.flush()
while not os.path.exists("go-" + env["label"]) and not os.path.exists("go"): time.sleep(0.01)
steer = os.path.join(env["run_dir"], "steer.md")
told = open(steer).read() if os.path.exists(steer) else "nothing"
if "bad" in env["label"]: sys.exit("no such table: mail")
if "mute" in env["label"]: sys.exit(0)
with open(f"checkpoints/subagent-{env['label']}.md", "w") as file:
    file.write(f"---\\nrun: {env['run']}\\nstatus: done\\n"
               f"usage:\\n  input: 1200\\n  output: 80\\n---\\ntold: {told}\\n")
"""
TALKS = """
import os, subprocess, sys
with open("talk.txt", "a") as file: file.write(os.environ["CLAWFILES_AGENT"] + "\\n")
other = os.environ["CLAWFILES_FROM"]
said = subprocess.run([sys.executable, "-m", "claw_files", "send", other, "and you?"], capture_output=True, text=True)
open("talk-" + os.environ["CLAWFILES_RUN"] + ".txt", "w").write(said.stdout + said.stderr)
"""


CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.research]
kind = "worker"
model = "small"
{python(WORKS)}
[agents.ping]
{python(TALKS)}
env = ["PYTHONPATH"]
[agents.pong]
{python(TALKS)}
env = ["PYTHONPATH"]
[agents.shield]
compartment = true
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    made.write("go", "")
    made.stop()


def spawn(office: Office, *labels: str, by: AgentId = SAM) -> None:
    for label in labels:
        office.clock.advance(SECOND)
        office.app().delegations.spawn(SpawnOrder(text=f"Look into {label}", label=label, size="S"), by)
    office.tick()
    for label in labels:
        office.until(lambda label=label: any(f"reading {label}" in text for text in outputs(office)), label)


def outputs(office: Office) -> list[str]:
    logs = [f"runs/{name}/stdout.log" for name in office.names("runs")]
    return [office.read(log) for log in logs if office.exists(log)]


def listed(office: Office, viewer: AgentId | None = None, **wanted: Any) -> dict[str, Session]:
    found = office.app().sessions.listing(viewer, SessionFilter(**wanted), 3)
    return {session.key: session for session in found.sessions}


def ends(office: Office, label: str) -> None:
    key = f"agent:research:subagent:{label}"
    office.until(lambda: listed(office)[key].status is not Status.RUNNING, f"{label} ends")


# --- list


def test_a_worker_is_listed_from_its_wait_to_its_end(office: Office) -> None:
    office.app().delegations.spawn(SpawnOrder(text="Look into mail", label="mail", size="S"), SAM)
    key = "agent:research:subagent:mail"
    queued = listed(office)[key]
    office.tick()
    office.until(lambda: "reading" in "".join(outputs(office)), "it reads")
    running = listed(office)[key]
    office.write("go-mail", "")
    office.runs_end()
    office.tick()
    done = listed(office)[key]

    assert (queued.status, queued.run, queued.number, queued.label) == (Status.QUEUED, None, 1, "mail")
    assert queued.wait is not None
    assert queued.wait.held_by is None
    assert (running.status, running.run, running.task) == (Status.RUNNING, "tc-1.1-s1", "TC-1")
    assert (running.model, running.runtime, running.spawner) == ("small", "command", "sam")
    assert [message.kind for message in running.messages] == ["task"]
    assert (done.status, done.said, done.usage) == (Status.DONE, "told: nothing", {"input": "1200", "output": "80"})
    assert (queued.started, running.said) == (None, "reading mail")
    assert running.started == done.started
    assert done.ended is not None


def test_how_a_worker_failed_can_be_read_from_its_status(office: Office) -> None:
    spawn(office, "bad", "slow", "kept")
    office.write("go-bad", "")
    ends(office, "bad")
    office.app().steering.kill(SAM, "kept")
    ends(office, "kept")

    found = {session.label: session.status for session in listed(office).values() if session.label}

    assert found == {"bad": Status.FAILED, "slow": Status.RUNNING, "kept": Status.KILLED}


def test_a_worker_that_a_stopping_daemon_ended_was_killed_and_has_not_failed(office: Office) -> None:
    spawn(office, "mail")

    office.app().runtime.stop(RunId("tc-1.1-s1"), drained=True)
    office.runs_end()

    assert listed(office)["agent:research:subagent:mail"].status is Status.KILLED


def test_a_worker_that_ended_well_without_a_result_has_failed_before_a_tick_says_so(office: Office) -> None:
    spawn(office, "mute", "mail")
    office.write("go", "")
    office.runs_end()

    found = {session.label: session.status for session in listed(office).values() if session.label}

    assert found == {"mute": Status.FAILED, "mail": Status.DONE}


def test_lists_are_filtered_by_kind_agent_time_and_number(office: Office) -> None:
    spawn(office, "mail", "news")

    assert set(listed(office, kinds=("subagent",))) == {
        "agent:research:subagent:mail",
        "agent:research:subagent:news",
    }
    assert set(listed(office, agent=PETER)) == {"agent:peter:main"}
    assert len(listed(office, limit=1)) == 1
    assert office.app().sessions.listing(None, SessionFilter(limit=1)).more > 3
    running = {"agent:research:subagent:mail", "agent:research:subagent:news"}
    assert set(listed(office, active=timedelta(minutes=60))) == running, "the others have never done anything"


def test_an_agent_that_looks_for_itself_runs_while_it_holds_a_task(office: Office) -> None:
    office.delegated("peter")
    office.app().claims.claim(office.app().workspace.entries()[0].task, PETER)

    assert (listed(office)["agent:peter:main"].status, listed(office)["agent:iris:main"].status) == (
        Status.RUNNING,
        None,
    )


# --- history


def test_the_whole_record_of_a_worker_is_read_by_its_spawner_and_by_nobody_else(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    spawn(office, "mail", by=PETER)
    office.write("go-mail", "")
    office.runs_end()
    office.tick()

    history = office.app().records.history(PETER, "agent:research:subagent:mail", 50, 1 << 20)

    by_type = {record.type: record for record in history.records}
    assert "Look into mail" in by_type["message"].text
    assert by_type["stdout"].text == "reading mail\n"
    assert by_type["stderr"].text == "\x1b[31mred\x1b[0m\n", "JSON has it raw"
    assert 'reason: "exited"' in by_type["run"].text
    assert "told: nothing" in by_type["result"].text
    moves = [record.text for record in history.records if record.type == "move"]
    assert any(move.startswith("wake by sam") for move in moves)
    assert any(move.startswith("finish by sam") for move in moves)
    for name in ("tc-1.1-s1", "mail", "1", "TC-1", "MAIL"):
        assert office.app().records.history(SAM, name, 50, 1 << 20).session.run == "tc-1.1-s1", name
    with pytest.raises(Refused, match="iris may not see"):
        office.app().records.history(IRIS, "mail", 50, 1 << 20)
    status, out, _ = typed(office, capsys, "--agent", "dimitrios", "sessions", "history", "mail")
    assert status == 0
    assert "\\x1b[31mred" in out
    assert "\x1b" not in out


def test_a_history_is_bounded_in_number_and_bytes_and_says_what_it_left_out(office: Office) -> None:
    spawn(office, "mail")
    whole = office.app().records.history(SAM, "mail", 50, 1 << 20)

    short = office.app().records.history(SAM, "mail", 3, 1 << 20)
    small = office.app().records.history(SAM, "mail", 50, 40)

    assert short.records == whole.records[-3:]
    assert short.left_out == len(whole.records) - 3
    assert sum(len(record.text.encode()) for record in small.records) <= 40
    assert small.records[0].cut
    assert small.left_out > 0


def test_an_unknown_session_is_not_found(office: Office) -> None:
    for name in ("nobody", "9", "agent:peter:subagent:x", "../../etc/passwd", "\x1b[31m", ""):
        with pytest.raises(NotFound):
            office.app().records.history(SAM, name, 5, 100)


# --- steer


def test_a_correction_reaches_its_run_and_no_other(office: Office) -> None:
    spawn(office, "mail", "news")

    done = office.app().steering.steer(SAM, "1", "only the last week")
    office.tick()
    office.write("go", "")
    office.runs_end()
    office.tick()

    assert done.takes_effect == "at its next look"
    assert "only the last week" in office.read("checkpoints/subagent-mail.md")
    assert "told: nothing" in office.read("checkpoints/subagent-news.md")
    assert office.names("runs") == ["tc-1.1-s1", "tc-2.1-s1"], "it woke nobody"
    assert done.id.partition("Z-")[2] in office.boxes("research")["cur"], "it is its run's"
    spawn(office, "later")
    assert done.id.partition("Z-")[2] in office.boxes("research")["done"], "which is over"
    assert "run: tc-1.1-s1" in office.message("research", done.id)
    assert [line["key"] for line in office.audit(action="steer")] == ["tc-1.1-s1"] * 2


def test_the_prompt_of_a_woken_agent_says_where_a_correction_would_lie(office: Office) -> None:
    spawn(office, "mail")

    assert "`runs/tc-1.1-s1/steer.md`" in office.read("runs/tc-1.1-s1/message.md")


def test_steering_an_idle_session_is_refused_with_the_right_command(office: Office) -> None:
    office.app().delegations.spawn(SpawnOrder(text="x", label="early", size="S"), SAM)
    with pytest.raises(Refused, match=r"has not started yet.*clawfiles cancel TC-1"):
        office.app().steering.steer(SAM, "early", "x")
    spawn(office, "mail")
    office.write("go", "")
    office.runs_end()
    office.tick()

    with pytest.raises(Refused, match=r"not running .status: done.*sessions history.*clawfiles spawn"):
        office.app().steering.steer(SAM, "mail", "x")
    with pytest.raises(Refused, check=lambda error: error.rule == "spawn-only"):
        office.app().steering.receiver(SAM, "mail")
    with pytest.raises(Refused, match="but not messaged"):
        office.app().steering.receiver(SAM, "research")
    assert "steer.md" not in office.names("runs/tc-2.1-s1")


def test_a_runtime_that_can_hands_the_correction_over_at_once(office: Office) -> None:
    from claw_files.core.model import Message, Run
    from claw_files.processes import AgentRuntime, Surroundings
    from claw_files.services.sessions.steering import Steering

    spawn(office, "mail")
    app, taken = office.app(), []

    class Quick(AgentRuntime):
        def steer(self, run: Run, message: Message) -> str | None:
            taken.append((run.id, message.body))
            return "now"

    quick = Quick(Surroundings(settings=app.settings, base=app.base, root=app.root, environ={}))
    steering = Steering(app.workspace, app.runtime, app.sessions, app.messages, lambda agent: quick)

    assert steering.steer(SAM, "mail", "only this week").takes_effect == "now"
    assert taken[0][0] == "tc-1.1-s1"
    assert "only this week" in taken[0][1]


# --- kill


def test_a_killed_run_ends_and_its_task_goes_by_the_ticks_rules(office: Office) -> None:
    spawn(office, "mail", "news")

    (killed,) = office.app().steering.kill(SAM, "1")
    office.until(lambda: not office.app().runtime.look(RunId("tc-1.1-s1")).alive, "it ends")

    assert (killed.run, killed.task, killed.number, killed.label) == ("tc-1.1-s1", "TC-1", 1, "mail")
    assert office.app().runtime.look(RunId("tc-1.1-s1")).reason == "stopped"
    assert office.acts()[:1] == ["fail TC-1"]
    assert office.state("TC-2") is State.IN_PROGRESS
    assert [line["key"] for line in office.audit(action="kill")] == ["tc-1.1-s1"]
    with pytest.raises(Refused, check=lambda error: error.rule == "not at work"):
        office.app().steering.kill(SAM, "tc-1.1-s1")


def test_all_means_all_that_one_may_end(office: Office) -> None:
    spawn(office, "mine", "mine2", by=PETER)
    spawn(office, "other")

    killed = office.app().steering.kill(PETER, "all")

    assert [it.label for it in killed] == ["mine", "mine2"]
    with pytest.raises(Refused, match="peter may not steer or stop"):
        office.app().steering.kill(PETER, "other")
    assert [it.label for it in office.app().steering.kill(BOSS, "all") if it.label == "other"] == ["other"]


def test_a_number_that_two_tasks_bear_is_refused(office: Office) -> None:
    spawn(office, "mail")
    text = office.read("status/tc-1.md").replace("TC-1", "OPS-1").replace("label: mail", "label: ops")
    office.write("status/ops-1.md", text)

    with pytest.raises(UsageError, match="matches several"):
        office.app().steering.kill(SAM, "1")


# --- send


def test_two_agents_that_wake_each_other_stop_after_five_replies(office: Office) -> None:
    office.app().messages.send(AgentId("ping"), AgentId("pong"), "how are you?")

    for _ in range(12):
        office.tick()
        office.runs_end()

    assert office.read("talk.txt").split() == ["pong", "ping", "pong", "ping", "pong", "ping"]
    last = [office.read(name) for name in office.names("") if name.startswith("talk-")]
    assert sum("REPLY_SKIP" in text for text in last) == 1
    assert all("accepted" in text or "REPLY_SKIP" in text for text in last)


def test_a_send_is_accepted_at_once_and_a_silent_word_ends_it(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = typed(
        office, capsys, "--agent", "sam", "sessions", "send", "agent:peter:main", "which host?", "--json"
    )
    sent = json.loads(out)
    assert (status, sent["status"]) == (0, "accepted")
    assert "kind: question" in office.message("peter", sent["id"])

    answered = office.app().messages.answer(PETER, sent["id"], "REPLY_SKIP")

    assert answered.status == "silent"
    assert office.boxes("sam") == {}
    assert len(office.boxes("peter")["done"]) == 1


def test_an_unanswered_wait_has_sent_its_message_and_nobody_waits_for_its_own_lane(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = typed(
        office, capsys, "--agent", "sam", "sessions", "send", "peter", "which host?", "--wait", "1s", "--json"
    )
    assert (status, json.loads(out)["status"]) == (0, "accepted")

    status, _, err = typed(office, capsys, "--agent", "sam", "sessions", "send", "sam", "x", "--wait", "1s")
    assert status == 5
    assert "the wait would never end" in err


def test_a_word_to_a_worker_at_work_is_a_correction(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    spawn(office, "mail")

    status, out, _ = typed(office, capsys, "--agent", "sam", "sessions", "send", "mail", "only unread ones", "--json")

    assert status == 0
    assert {"status": "accepted", "takes_effect": "at its next look", "run": "tc-1.1-s1"}.items() <= json.loads(
        out
    ).items()


# --- who may see what


def test_sessions_of_others_are_in_no_list_of_an_agent(office: Office) -> None:
    spawn(office, "his", by=PETER)

    assert "agent:research:subagent:his" in listed(office, PETER)
    assert set(listed(office, IRIS)) == {"agent:iris:main"}
    assert "agent:research:subagent:his" in listed(office, BOSS)
    assert {"agent:peter:main", "agent:research:subagent:his"} <= set(listed(office, SAM))


def test_a_compartment_is_in_no_list_history_log_or_error_of_others(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = office.delegated("shield", title="The secret audit")
    office.app("shield").claims.claim(TaskId(secret), AgentId("shield"))
    office.tick()

    looks = [
        ("sessions", "list"), ("subagents", "list"), ("sessions", "history", secret), ("task", "list"), ("board",),
        ("task", "show", secret), ("explain", secret), ("log",), ("sessions", "history", "agent:shield:main"),
        ("log", "--task", secret), ("task", "list", "--status", "in_progress"),
    ]  # fmt: skip
    for viewer in (["--agent", "sam"], ["--agent", "dimitrios"], ["--agent", "peter"], []):
        for look in looks:
            for json_too in ([], ["--json"]):
                status, out, err = typed(office, capsys, *viewer, *look, *json_too)
                told = out + err
                assert "shield" not in told.replace("agent:shield:main", ""), (viewer, look, told)
                assert "secret audit" not in told, (viewer, look, told)
                if secret in look and look[0] != "log":
                    assert status == 3, (viewer, look)
    for move in ("claim", "progress", "cancel", "release", "approve", "delegate"):
        status, _, err = typed(office, capsys, "--agent", "peter", move, secret)
        assert (status, "shield" in err) == (3, False), (move, err)
    status, out, _ = typed(office, capsys, "--agent", "shield", "task", "show", secret)
    assert (status, "secret audit" in out) == (0, True)
    status, out, _ = typed(office, capsys, "--agent", "shield", "sessions", "list")
    assert "agent:shield:main" in out


def test_the_requester_of_a_hidden_task_hears_only_that_it_is_done(office: Office) -> None:
    secret = office.delegated("shield", title="The secret audit", type=None)
    office.app("shield").claims.claim(TaskId(secret), AgentId("shield"))
    office.app("shield").tasks.done(TaskId(secret), AgentId("shield"), "found a hole")
    office.tick()

    told = office.message("sam", f"{secret.lower()}.1.done")

    assert told.rstrip().endswith(f"{secret} is done.")
    assert "hole" not in told
    assert "secret" not in told


# --- scale


def test_a_list_reads_the_newest_runs_only_and_an_old_one_is_found_by_its_id(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claw_files.services.sessions import session_list

    spawn(office, "old")
    office.write("go-old", "")
    office.runs_end()
    office.tick()
    os.utime(office.root / "runs/tc-1.1-s1/run.md", (1, 1))
    spawn(office, "new")
    monkeypatch.setattr(session_list, "RUNS", 1)

    assert listed(office)["agent:research:subagent:old"].run is None
    assert office.app().records.history(SAM, "tc-1.1-s1", 50, 1 << 20).session.run == "tc-1.1-s1"
