"""Models, pools, caches and batches with real runs, and why a task goes where it goes."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import BadValue, Refused
from claw_files.core.model import AgentId, Size, State, TaskId
from claw_files.services.delegation.batches import BatchSpawner
from claw_files.services.delegation.delegation import DelegationResult, SpawnOrder
from claw_files.services.delegation.spawn_contract import check_label
from tests.support.office import TEAM, Office, python

from .conftest import typed

SAM = AgentId("sam")
MINUTE = timedelta(minutes=1)

WORKS = """
import os, sys, time
while os.path.exists("wait"): time.sleep(0.01)
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
label, asked = env["label"], sys.stdin.read()
numbered = [line[2:] for line in asked.splitlines() if line[2:3].isdigit()]
with open(f"checkpoints/subagent-{label}.md", "w") as file:
    file.write(f"---\\nlabel: {label}\\nrun: {env['run']}\\ntask: {env['task']}\\nagent: {env['agent']}\\n"
               f"status: done\\noutputs: []\\nusage: {{input: 7, output: 3, cost: 0.5}}\\n---\\n"
               f"found by {env['run']} with {env.get('model')} {sys.argv[1:]}\\n"
               + "".join(f"{line}: yes\\n" for line in numbered))
"""
CHECKS = "while test -e checking; do sleep 0.01; done; test -e all-is-well"  # the tick that starts it sees it at work
IDLES = "import sys; sys.stdin.read()"

CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.ada]
{python(IDLES)}
[agents.bob]
{python(IDLES)}
[agents.research]
kind = "worker"
{python(WORKS)[:-1]}, '{{model}}']
model = "usual"
[agents.other]
kind = "worker"
{python(WORKS)}
[agents.shield]
compartment = true
{python(IDLES)}

[routes]
pooled = {{ to = ["ada", "bob", "self"], pool = true }}
digging = {{ to = ["research", "self"], cache = "1h", model = "small" }}
checked = {{ to = ["research"], cache = "1h", verify = ["sh", "-c", "{CHECKS}"] }}
triage = {{ to = ["research"], batch = 4 }}
quick = {{ to = ["ada", "research", "self"] }}

[limits]
runs = 2
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    (made.root / "wait").unlink(missing_ok=True)
    made.stop()


def spawn(office: Office, label: str, by: str = "sam", **more: Any) -> DelegationResult:
    given = {"text": "Dig here\n\nDeep.", "label": label, "size": "S", "type": "digging"}
    place = office.app(by)
    done = place.delegations.spawn(SpawnOrder(**{**given, **more}), AgentId(by))
    office.settle()
    return done


def ended(office: Office) -> list[str]:
    """Ticks until nothing more happens; the names of what was done."""
    said: list[str] = []
    while acts := office.acts():
        said += acts
        office.runs_end()
    return said


# --- models


@pytest.mark.parametrize(
    ("more", "model"),
    [
        ({"type": "digging"}, "small"),
        ({"type": "digging", "model": "large"}, "large"),
        ({"type": "triage"}, "usual"),
        ({"type": None, "worker": "research"}, "usual"),
    ],
)
def test_the_model_of_the_spawn_counts_before_the_routes_and_that_before_the_agents(
    office: Office, more: dict[str, Any], model: str
) -> None:
    spawn(office, "dig", **more)
    ended(office)

    assert f"with {model} ['{model}']" in office.read("checkpoints/subagent-dig.md")
    for action in ("spawn", "deliver", "wake"):
        assert {line["model"] for line in office.audit(action=action)} == {model}, action


def test_a_task_keeps_its_own_model_when_it_is_spawned(office: Office) -> None:
    office.write("status/tc-7.md", "---\nid: TC-7\ntitle: Dig\nstatus: backlog\ntype: digging\nmodel: mine\n---\n")

    spawn(office, "dig", task=TaskId("TC-7"))
    ended(office)

    assert "with mine" in office.read("checkpoints/subagent-dig.md")


def test_the_rate_of_a_model_counts_what_a_route_names(office: Office) -> None:
    office.add("clawfiles.toml", 'per_model = { "small" = "1/min" }\n')
    spawn(office, "one")
    office.clock.advance(timedelta(seconds=1))
    spawn(office, "two", text="Dig there")

    assert office.acts() == ["wake TC-1"]
    office.runs_end()
    assert "wake TC-2" not in office.acts()
    assert "wake TC-2" in office.acts(MINUTE + timedelta(seconds=1))


# --- pools


def test_tasks_for_a_pool_go_to_who_has_least_to_do(office: Office) -> None:
    assert [office.task(office.delegated(type="pooled")).assignee for _ in range(5)] == ["ada", "bob"] * 2 + ["ada"]
    office.write("status/tc-1.md", "Status: BLOCKED - no key\n")  # ada waits for somebody with it

    assert office.task(office.delegated(type="pooled")).assignee == "ada"
    assert office.task(office.delegated(type="pooled")).assignee == "bob"


def test_the_backlog_is_handed_out_evenly_too(office: Office) -> None:
    office.add("clawfiles.toml", "[heartbeat]\nauto = true\n[limits]\nruns = 9\n")
    office.write("clawfiles.toml", office.read("clawfiles.toml").replace("[limits]\nruns = 2\n", ""))
    office.delegated(type="pooled")
    for _ in range(3):
        office.new(type="pooled")

    assert [act for act in office.acts() if "delegate" in act] == ["delegate TC-2", "delegate TC-3", "delegate TC-4"]

    assert [office.task(f"TC-{number}").assignee for number in range(1, 5)] == ["ada", "bob", "ada", "bob"]


def test_messages_that_wait_make_somebody_busy(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.app().messages.send(SAM, AgentId("ada"), "read this")
    task = office.new(type="pooled", estimate=timedelta(hours=3))

    status, out, _ = typed(office, capsys, "route", "--explain", task)

    assert status == 0
    assert "pool, least busy first: bob has nothing; ada has 1 other message\nnext: bob, by send" in out
    assert "split it into smaller tasks" in out
    shown = json.loads(typed(office, capsys, "route", "--explain", task, "--json")[1])
    assert set(shown) == {
        *("task", "type", "urgent", "agent", "how", "size", "model", "model_from"),
        *("pool", "cache", "batch", "budget", "review", "why"),
    }
    assert (shown["task"], shown["agent"], shown["pool"]) == (task, "bob", {"ada": 1, "bob": 0})
    office.delegate(task)
    assert office.task(task).assignee == "bob"


# --- needed now


def test_an_urgent_task_is_spawned_for_and_another_one_messaged(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    can_wait, urgent, becomes = (office.new(type="quick", priority=it) for it in (None, "critical", None))
    assert "urgent: spawned workers come first: research" in typed(office, capsys, "route", "--explain", urgent)[1]

    office.delegate(can_wait)
    office.delegate(urgent)
    assert typed(office, capsys, "delegate", becomes, "--urgent", "--agent", "sam")[0] == 0

    assert [office.task(task).assignee for task in (can_wait, urgent, becomes)] == ["ada", "research", "research"]
    assert office.task(becomes).priority == "critical"
    assert len(office.audit(action="urgent", task=becomes)) == 1
    assert json.loads(typed(office, capsys, "route", "--type", "quick", "--urgent", "--json")[1])["agent"] == "research"


def test_a_new_task_is_made_urgent_by_its_priority(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(office, capsys, "task", "new", "now", "--type", "quick", "--urgent", "--agent", "sam")[0] == 0
    assert office.task("TC-1").priority == "critical"
    assert typed(office, capsys, "task", "new", "now", "--urgent", "--priority", "low", "--agent", "sam")[0] == 2


# --- caches


def test_the_same_spawn_within_the_time_is_answered_at_once_and_nothing_runs(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    spawn(office, "first")
    ended(office)
    office.clock.advance(30 * MINUTE)

    done = spawn(office, "second")

    assert (done.cached, done.run, done.message) == ("TC-1", None, None)
    assert office.state("TC-2") is State.DONE
    result = office.read("checkpoints/subagent-second.md")
    assert "found by tc-1.1-s1" in result
    assert "cached_from: TC-1" in result
    assert "cost" not in result
    assert office.task("TC-2").cached_from == "TC-1"
    (line,) = office.audit(action="from cache")
    assert (line["task"], line["key"], line["agent"], line["model"]) == ("TC-2", "TC-1", "research", None)
    assert ended(office) == ["inform TC-2", "close TC-2"]
    told = office.message("sam", "tc-2.1.done")
    assert "from cache: it is the result of TC-1" in told
    assert "found by tc-1.1-s1" in told
    assert office.names("runs") == ["tc-1.1-s1"]
    assert office.lines == []
    assert [line["task"] for line in office.audit(action="usage")] == ["TC-1"]  # paid for once
    findings = json.loads(typed(office, capsys, "doctor", "--json")[1])
    assert "tc-2" not in json.dumps([it for it in findings["findings"] if it["code"] != "no-heartbeat"])


def test_the_cli_says_that_it_is_from_cache_and_with_wait_shows_it(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ("spawn", "Dig here\n\nDeep.", "--label", "first", "--size", "S", "--type", "digging", "--agent", "sam")

    assert typed(office, capsys, *same, "--wait")[0] == 0
    typed(office, capsys, "heartbeat")

    status, out, _ = typed(office, capsys, *same)
    assert (status, "from cache: TC-2 has the result of TC-1" in out) == (0, True)
    assert typed(office, capsys, *same)[0] == 5  # the label is in use until a tick has told of TC-2
    typed(office, capsys, "heartbeat")
    status, out, _ = typed(office, capsys, *same, "--wait", "--json")
    assert (status, "found by tc-1.1-s1" in json.loads(out)["result"]) == (0, True)
    assert json.loads(out)["cached_from"] == "TC-1"  # not TC-2: only who had a run answers
    typed(office, capsys, "heartbeat")

    assert (
        "found by tc-4.1-s1" in json.loads(typed(office, capsys, *same, "--no-cache", "--wait", "--json")[1])["result"]
    )


@pytest.mark.parametrize(
    "more",
    [
        {"text": "Dig there"},
        {"model": "large"},
        {"cwd": "status"},
        {"type": "checked"},
        {"worker": AgentId("other")},
        {"cache": False},
    ],
)
def test_another_question_has_a_run_of_its_own(office: Office, more: dict[str, Any]) -> None:
    spawn(office, "first")
    ended(office)

    assert spawn(office, "second", **more).cached is None


def test_a_session_is_neither_answered_from_a_cache_nor_answers_others(office: Office) -> None:
    spawn(office, "first", mode="session")
    ended(office)

    assert spawn(office, "second").cached is None
    ended(office)
    assert spawn(office, "third").cached == "TC-2"
    assert spawn(office, "stays", mode="session").cached is None


def test_a_task_reopened_after_a_cached_answer_gets_its_own_result(office: Office) -> None:
    spawn(office, "first")
    ended(office)
    spawn(office, "second")
    ended(office)

    office.app().tasks.reopen(TaskId("TC-2"), AgentId("dimitrios"), "look again")
    office.settle()
    ended(office)

    assert office.task("TC-2").cached_from is None
    assert "from cache" not in office.message("sam", "tc-2.2.done")
    assert "found by tc-2.2-s1" in office.message("sam", "tc-2.2.done")


def test_old_failed_unverified_or_missing_results_are_not_reused(office: Office) -> None:
    spawn(office, "first")
    ended(office)
    office.clock.advance(61 * MINUTE)
    assert spawn(office, "late").cached is None
    office.app().tasks.cancel(TaskId("TC-2"), SAM)
    ended(office)

    spawn(office, "unchecked", type="checked")
    office.acts()
    office.runs_end()
    office.write("checking", "")
    assert office.acts() == ["finish TC-3", "verify TC-3"]
    office.settle()
    assert office.state("TC-3") is State.DONE
    assert spawn(office, "meanwhile", type="checked").cached is None
    (office.root / "checking").unlink()
    office.runs_end()
    ended(office)
    assert spawn(office, "afterwards", type="checked").cached is None  # its check has failed
    office.write("all-is-well", "")
    office.app().tasks.cancel(TaskId("TC-5"), SAM)
    spawn(office, "good", type="checked", text="All is well")
    ended(office)
    assert spawn(office, "again", type="checked", text="All is well").cached == "TC-6"
    assert "verify TC-7" not in ended(office)
    (office.root / "checkpoints/subagent-good.md").unlink()
    assert spawn(office, "gone", type="checked", text="All is well").cached is None


def test_a_tick_that_comes_between_line_and_answer_gives_one_run_and_no_answer(office: Office) -> None:
    """The line alone suffices to redo the rest: a crash before the answer costs a run and loses nothing."""
    spawn(office, "first")
    ended(office)
    app = office.app()
    caching, delegations = app.choosing.caching, app.delegations
    real = caching.answer

    def interrupted(*given: Any) -> bool:
        office.settle()
        office.tick()
        return real(*given)

    caching.answer = interrupted
    done = delegations.spawn(SpawnOrder(text="Dig here\n\nDeep.", label="second", size="S", type="digging"), SAM)

    assert (done.cached, done.run) == (None, "tc-2.1-s1")
    office.runs_end()
    ended(office)
    assert "found by tc-2.1-s1" in office.read("checkpoints/subagent-second.md")


def test_a_group_is_reported_with_what_came_from_a_cache(office: Office) -> None:
    spawn(office, "first")
    ended(office)
    spawn(office, "old", group="both", group_size=2)
    spawn(office, "new", text="Dig there", group="both", group_size=2)
    ended(office)

    report = office.message("sam", "group.both.report")

    assert "worker old, from cache: the result of TC-1" in report
    assert "found by tc-3.1-s1" in report


def test_no_cached_answer_crosses_a_compartment(office: Office) -> None:
    spawn(office, "inside", by="shield")
    inside = TaskId("TC-1")

    def is_done() -> bool:
        office.tick()
        return office.app("shield").board.show(inside).task.state is State.DONE

    office.until(is_done, "it is done")

    assert spawn(office, "outside").cached is None

    assert spawn(office, "again", by="shield").cached == "TC-1"


def test_a_label_is_free_again_when_its_task_has_been_told_of(office: Office) -> None:
    spawn(office, "first")
    ended(office)
    assert spawn(office, "same").cached == "TC-1"

    with pytest.raises(Refused, match="the label 'same' is in use by TC-2"):
        spawn(office, "same", text="Dig there")

    ended(office)
    assert spawn(office, "same", text="Dig there").task == "TC-3"


def test_a_label_of_a_group_is_free_again_after_the_report(office: Office) -> None:
    spawn(office, "one", group="both", group_size=2)
    ended(office)
    assert office.state("TC-1") is State.DONE
    with pytest.raises(Refused, match="the label 'one' is in use by TC-1"):
        spawn(office, "one", text="Dig there")
    spawn(office, "two", text="Dig there", group="both", group_size=2)
    ended(office)

    assert spawn(office, "one", text="Dig elsewhere").task == "TC-3"


def test_a_group_is_not_told_what_a_run_of_another_task_found(office: Office) -> None:
    spawn(office, "one", group="both", group_size=2)
    ended(office)
    path = "checkpoints/subagent-one.md"
    office.write(path, office.read(path).replace("TC-1", "TC-77").replace("tc-1.1", "tc-77.1"))
    spawn(office, "two", text="Dig there", group="both", group_size=2)
    ended(office)

    report = office.message("sam", "group.both.report")

    assert "found by tc-2.1-s1" in report
    assert "found by tc-77.1-s1" not in report


# --- the terms of what others hand to a worker


def test_a_worker_that_comes_next_on_a_route_has_a_contract_and_does_the_task(office: Office) -> None:
    office.add("clawfiles.toml", '[routes.falls]\nto = ["peter", "research", "self"]\nsize = "L"\n')
    task = office.delegated(type="falls")
    assert office.task(task).assignee == "peter"
    assert office.acts(5 * MINUTE) == ["resend TC-1"]

    assert office.acts(5 * MINUTE)[0] == "next-agent TC-1"

    found = office.task(task)
    assert (found.assignee, found.label, found.size, found.timeout, found.spawner) == (
        *("research", "tc-1", Size.L, 20 * MINUTE),
        "sam",
    )
    assert office.lines == ["- TC-1 delegated to research, check at 2026-03-07 09:17"]
    ended(office)
    office.runs_end()
    ended(office)
    assert office.state(task) is State.DONE
    assert "found by tc-1.2-s1" in office.message("sam", "tc-1.2.done")


def test_a_spawn_by_type_takes_a_worker_that_has_money(office: Office) -> None:
    office.add("clawfiles.toml", '[routes.paid]\nto = ["research", "other"]\n[budgets.agents]\nresearch = 0\n')

    assert spawn(office, "dig", type="paid").agent == "other"
    assert spawn(office, "deep", type="digging").agent == "research"  # nobody else: it waits for money


# --- batches


def batch(office: Office, items: str, **more: Any) -> Any:
    order = SpawnOrder(**{"text": "Is it a bug?", "label": "tickets", "size": "S", "type": "triage", **more})
    app = office.app()
    made = BatchSpawner(app.workspace, app.delegations).spawn(order, items, SAM)
    office.settle()
    return made


def test_ten_items_are_three_messages_at_most_two_runs_at_once_and_one_report(office: Office) -> None:
    office.write("wait", "")

    made = batch(office, "# Tickets\n" + "".join(f"- ticket {number}\n" for number in range(1, 11)))

    assert (made.group, made.items, made.batch, len(made.tasks)) == ("tickets", 10, 4, 3)
    assert office.acts() == ["wake TC-1", "wake TC-2"]  # limits.runs
    (office.root / "wait").unlink()
    office.runs_end()
    ended(office)
    assert office.names("runs") == ["tc-1.1-s1", "tc-2.1-s1", "tc-3.1-s1"]
    assert "Items 5 to 8 of 10" in office.message("research", "tc-2.1")
    report = office.message("sam", "group.tickets.report")
    assert [report.count(f"{number}. ticket {number}: yes") for number in range(1, 11)] == [1] * 10
    assert office.box("sam") == ["group.tickets.report"]
    assert office.lines == []


def test_batches_come_from_the_command_line_too(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "items.txt").write_text("one\ntwo\nthree\n")
    what = ("spawn", "Is it a bug?", "--label", "t", "--size", "S", "--agent", "sam", "--type", "triage")

    status, out, _ = typed(office, capsys, *what, "--items", str(tmp_path / "items.txt"), "--batch", "2", "--json")

    made = json.loads(out)
    assert (status, made["items"], made["batch"], made["group"]) == (0, 3, 2, "t")
    assert [task["label"] for task in made["tasks"]] == ["t-1", "t-2"]
    assert typed(office, capsys, *what, "--batch", "2")[0] == 2
    assert typed(office, capsys, *what, "--items", "nowhere")[0] == 6
    assert typed(office, capsys, *what, "--items", str(tmp_path / "items.txt"), "--wait")[0] == 2


def test_a_batch_that_is_refused_makes_no_task_at_all(office: Office) -> None:
    with pytest.raises(BadValue):
        batch(office, "\n\n")
    with pytest.raises(Refused):
        batch(office, "one", label=None)
    with pytest.raises(Refused):
        batch(office, "\n".join(map(str, range(4_001))))
    with pytest.raises(Refused):
        batch(office, "x" * ((1 << 20) + 1))
    with pytest.raises(Refused):
        batch(office, "one", task=TaskId("TC-1"))
    spawn(office, "tickets-2")
    with pytest.raises(Refused):
        batch(office, "1\n2\n3\n4\n5\n6")  # one label of them is in use

    assert office.names("status") == ["tc-1.md"]


def test_whether_a_label_is_free_is_asked_of_no_other_task(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a spawn does not grow with the tasks that lie in status/."""
    spawn(office, "first")
    for number in range(20, 40):
        office.write(f"status/tc-{number}.md", f"# TC-{number}: a task\n\nStatus: backlog\n")
    app, read = office.app(), list[str]()
    files = type(app.workspace.files)
    original = files.read

    def reading(self: object, path: str, *args: object) -> object:
        read.append(path)
        return original(self, path, *args)

    monkeypatch.setattr(files, "read", reading)
    check_label(app.workspace, "second", None)

    assert not [path for path in read if path.startswith("status/tc-") and path != "status/tc-1.md"]
    with pytest.raises(Refused, match="the label 'first' is in use by TC-1"):
        check_label(app.workspace, "first", None)


def test_a_label_of_an_open_session_is_in_use_also_when_its_result_does_not_name_the_task(office: Office) -> None:
    office.write("status/tc-7.md", "---\nid: TC-7\nstatus: done\nlabel: mail\nsession: open\n---\n# TC-7: Mail\n")
    office.write("checkpoints/subagent-mail.md", "---\nlabel: mail\nstatus: done\n---\nRead.\n")

    with pytest.raises(Refused, match="the label 'mail' is in use by TC-7"):
        check_label(office.app().workspace, "mail", None)
