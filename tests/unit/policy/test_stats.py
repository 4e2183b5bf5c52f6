"""How work went, folded from lines of the journal."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.model import AgentId, TaskId
from claw_files.formats import journal
from claw_files.formats.journal import Line
from claw_files.policy import work_statistics
from claw_files.policy.probes import is_probe, probe_id
from claw_files.policy.work_statistics import Stats

START = datetime(2026, 3, 7, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def line(minute: float, action: str, task: str = "TC-1", agent: str = "peter", key: str = "", **more: str) -> Line:
    """A line as earlier versions wrote it: without facts. Office tests have the lines that are written now."""
    found = journal.line_of(
        {"timestamp": (START + minute * MINUTE).isoformat(), "action": action, "task": task, "agent": agent, "key": key}
        | more
    )
    assert found is not None
    return found


def sent(minute: float, task: str = "TC-1", attempt: int = 1, agent: str = "peter") -> Line:
    return line(minute, "send", task, agent, f"{task.lower()}.{attempt}")


def woken(
    minute: float, task: str = "TC-1", attempt: int = 1, send: int = 1, agent: str = "peter", **more: str
) -> Line:
    return line(minute, "wake", task, agent, f"{task.lower()}.{attempt}-s{send}", **more)


def fold(
    *lines: Line, since: datetime = START - DAY, now: datetime = START + DAY, reviewed: Iterable[str] = ()
) -> Stats:
    return work_statistics.fold(lines, since, now, {TaskId("TC-1"): "bug", TaskId("TC-9"): "text"}, set(reviewed))


def one_task(done: float = 30) -> list[Line]:
    return [sent(0), woken(2), line(3, "claim"), line(done, "done")]


def test_a_task_takes_from_its_first_send_to_done() -> None:
    found = fold(*one_task(), sent(0, "TC-9"), line(10, "done", "TC-9"))

    times = {row.name: row for row in found.by_type}
    assert (times["bug"].median, times["text"].median) == (30 * MINUTE, 10 * MINUTE)
    (peter,) = found.by_agent
    assert (peter.count, peter.median, peter.p90) == (2, 20 * MINUTE, 30 * MINUTE)


def test_ten_lengths_have_their_ninth_as_p90() -> None:
    lines = [step for n in range(1, 11) for step in (sent(0, f"TC-{n}"), line(n, "done", f"TC-{n}"))]

    (peter,) = fold(*lines).by_agent

    assert (peter.median, peter.p90, peter.longest) == (5.5 * MINUTE, 9 * MINUTE, 10 * MINUTE)


def test_a_claim_that_nobody_sent_begins_a_task_too() -> None:
    assert fold(line(5, "claim"), line(25, "done")).by_type[0].median == 20 * MINUTE


def test_a_reviewed_task_counts_as_done_at_its_approval() -> None:
    lines = [*one_task(30), line(50, "approve", agent="sam")]

    found = fold(*lines, reviewed=["bug"])

    assert found.by_type[0].median == 50 * MINUTE
    assert {row.name: row.median for row in found.waits}["in review"] == 20 * MINUTE
    assert fold(*one_task(30), reviewed=["bug"]).by_type == ()


def test_moves_by_hand_and_reports_count_as_the_commands_do() -> None:
    by_hand = [
        line(3, "record", why="edited by hand: new -> in_progress"),
        line(4, "record", why="by hand: in_progress -> blocked"),
        line(10, "carry", why="peter reports in_progress in status/peter.md"),
        line(30, "record", why="edited by hand: in_progress -> done"),
    ]

    found = fold(sent(0), woken(2), *by_hand)

    waits = {row.name: row.median for row in found.waits}
    assert waits == {
        "from send to wake": 2 * MINUTE,
        "from wake to acknowledgement": 1 * MINUTE,
        "blocked": 6 * MINUTE,
    }
    assert found.by_type[0].median == 30 * MINUTE
    assert found.first_wakes[0].acted == 1


def test_a_reopened_task_is_not_counted_as_done() -> None:
    assert fold(*one_task(), line(40, "reopen", agent="sam")).by_type == ()
    assert fold(*one_task(), line(40, "close")).by_type[0].median == 30 * MINUTE


def test_success_counts_attempts() -> None:
    lines = [
        *(sent(0), woken(1), line(2, "fail", key="tc-1.1.fail")),
        *(sent(3, attempt=2), woken(4, attempt=2), line(5, "claim"), line(6, "done")),
    ]

    (peter,) = fold(*lines).ends

    assert (peter.done, peter.failed, peter.success, peter.attempts) == (1, 1, 0.5, 2.0)


def test_an_acknowledgement_after_something_was_sent_again_is_none_of_the_first_wake() -> None:
    lines = [
        sent(0),
        woken(1, model="m"),
        line(6, "resend", key="tc-1.1"),
        woken(7, send=2, model="m"),
        line(8, "claim"),
    ]

    (peter,) = fold(*lines).first_wakes

    assert (peter.agent, peter.model, peter.woken, peter.acted) == ("peter", "m", 1, 0)
    (peter,) = fold(sent(0), woken(1, model="m"), line(2, "claim")).first_wakes
    assert (peter.woken, peter.acted) == (1, 1)


def test_a_run_that_ended_without_a_word_acknowledged_nothing() -> None:
    (peter,) = fold(sent(0), woken(1), line(2, "fail", key="tc-1.1.fail")).first_wakes

    assert peter.acted == 0


def test_a_worker_acknowledges_by_its_result_and_not_by_our_claim_in_its_name() -> None:
    started = [sent(0), line(1, "claim", why="its worker starts"), woken(1)]

    assert fold(*started).first_wakes[0].acted == 0
    assert fold(*started, line(9, "finish", key="tc-1.1.result")).first_wakes[0].acted == 1
    assert fold(*started, line(9, "fail", key="tc-1.1.result")).first_wakes[0].acted == 1


def test_a_waiting_task_is_measured_until_now() -> None:
    found = fold(sent(0), woken(1), line(2, "claim"), line(3, "block"), now=START + 63 * MINUTE)

    (blocked,) = [row for row in found.waits if row.name == "blocked"]
    assert (blocked.longest, blocked.open) == (60 * MINUTE, 1)


def test_a_cancelled_task_no_longer_waits() -> None:
    found = fold(sent(0), woken(1), line(2, "cancel"))

    assert {row.name: row.open for row in found.waits} == {"from send to wake": 0}


def test_dead_letters_and_runs_are_those_of_the_time_that_was_asked_for() -> None:
    lines = [sent(-9, "TC-9"), woken(-8, "TC-9"), line(-7, "dead-letter", "TC-9"), *one_task(), line(40, "dead-letter")]

    found = fold(*lines, since=START)

    assert (found.dead_letters, found.runs) == (("TC-1",), ("tc-1.1-s1",))


def test_what_began_before_the_time_asked_for_is_measured_from_its_beginning() -> None:
    assert fold(*one_task(30), since=START + 20 * MINUTE).by_type[0].median == 30 * MINUTE
    assert fold(*one_task(30), since=START + 40 * MINUTE).by_type == ()


def test_a_question_on_a_task_is_no_wake_for_its_work() -> None:
    assert fold(line(1, "wake", key="20260307T090000Z-sam-00ff-s1")).first_wakes == ()


def test_a_probe_counts_as_a_probe_and_as_nothing_else() -> None:
    probe = probe_id(AgentId("peter"), 40931877)
    lines = [sent(0, probe), woken(1, probe), line(2, "claim", probe), line(3, "done", probe)]

    found = fold(*lines, line(4, "probe", probe, model="m", why="acts: peter acts"))

    assert found == Stats(probes=(work_statistics.WakeRate(agent="peter", model="m", woken=1, acted=1),))


def test_only_a_probes_id_is_one() -> None:
    assert is_probe(probe_id(AgentId("a" * 64), 40931877))
    assert len(probe_id(AgentId("a" * 64), 40931877)) <= 64
    assert not any(is_probe(task) for task in ("TC-1", "PROBE-1", "PROBE-12345678", "PROBE.X-1", None))


ACTIONS = ["send", "wake", "claim", "done", "fail", "record", "carry", "block", "approve", "cancel", "reopen", "probe"]


@given(
    st.lists(
        st.builds(
            line,
            st.floats(-1e4, 1e4),
            st.sampled_from(ACTIONS) | st.text(max_size=5),
            st.sampled_from(["TC-1", "TC-2"]),
            st.sampled_from(["peter", "-"]),
            st.sampled_from(["tc-1.1", "tc-1.1-s1", "tc-2.1-s2", "x", ""]),
            why=st.sampled_from(["by hand: x -> done", "-> blocked", "reports review", ""]) | st.text(max_size=9),
        ),
        max_size=40,
    )
)
def test_no_order_of_lines_makes_a_length_negative_or_more_act_than_were_woken(lines: list[Line]) -> None:
    found = fold(*lines)

    assert all(row.median >= timedelta(0) for row in (*found.by_type, *found.by_agent, *found.waits))
    assert all(row.acted <= row.woken for row in (*found.first_wakes, *found.probes))
    assert all(row.open <= row.count for row in found.waits)


def test_an_attempt_that_a_stopping_daemon_ended_is_none_of_the_agents() -> None:
    drained = line(3, "again", key="tc-1.1.drained")
    begun_again = [sent(4, attempt=2), woken(5, attempt=2), line(6, "claim"), line(20, "done")]

    found = fold(sent(0), woken(2, model="m"), drained, *begun_again)

    (peter,) = found.ends
    assert (peter.done, peter.failed, peter.attempts, peter.success) == (1, 0, 1.0, 1.0)
    assert [(row.model, row.woken, row.acted) for row in found.first_wakes] == [("-", 1, 1)]
