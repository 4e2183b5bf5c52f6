"""When a post is tried, told of and given up."""

from datetime import timedelta

from claw_files.core.model import AgentId, Box, KeyText, Post
from claw_files.policy import delivery
from claw_files.policy.heartbeat_plan import next_due
from claw_files.policy.snapshot import Act, Snapshot, ToldMark
from tests.support import builders as a
from tests.support.builders import SAM, SENTRY, START

ME = AgentId("me")
SETTINGS = a.settings("""
[agents.me]
kind = "human"
channels = ["json://127.0.0.1:1/", "file:a.md", "json://127.0.0.1:2/"]
[quiet_hours]
windows = ["22:00-07:00"]
""")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NIGHT = START.replace(hour=22)


def post(name: str = "a", channel: str = "json-1", tries: int = 0, **fields: object) -> Post:
    failed = {"tried": START, "reason": "the service answered 500"} if tries else {}
    known = {"id": name, "key": KeyText(name), "to": ME, "channel": channel, "queued": START, "tries": tries} | failed
    return Post(**(known | fields))


def ready(*waiting: Post, after: timedelta = timedelta(0)) -> list[str]:
    return [post.id for post in delivery.ready(SETTINGS, waiting, START + after)]


def plan(*waiting: Post, after: timedelta = timedelta(0)) -> list[tuple[Act, AgentId | None, str]]:
    found = delivery.plan_posts(Snapshot(settings=SETTINGS, outbox=waiting), START + after)
    return [(action.act, action.agent, action.key) for action in found]


def test_the_pause_doubles_up_to_a_quarter_of_an_hour() -> None:
    found = [delivery.pause(SETTINGS, tries).total_seconds() for tries in range(1, 9)]

    assert found == [30, 60, 120, 240, 480, 900, 900, 900]
    assert delivery.pause(SETTINGS, 10**9) == 15 * MINUTE


def test_what_failed_least_goes_first_and_a_channel_that_failed_has_a_pause_of_its_own() -> None:
    poison, fresh, other = post("a", tries=3), post("b", queued=START + SECOND), post("c", channel="json-3")

    assert ready(poison, fresh, other) == ["c"]
    assert ready(poison, fresh, other, after=30 * SECOND) == ["c", "b"]
    assert ready(poison, fresh, other, after=2 * MINUTE) == ["c", "b", "a"]


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    assert ready(post(tries=1), after=-HOUR) == ["a"]


def test_in_quiet_hours_only_what_is_critical_is_tried() -> None:
    waiting = post("a", tries=1), post("b", channel="json-3", critical=True)

    assert [one.id for one in delivery.ready(SETTINGS, waiting, NIGHT)] == ["b"]


def test_what_takes_too_long_is_told_once_then_given_up() -> None:
    failing = post(tries=5), post("b", tries=1, queued=START + SECOND)
    key = f"channel.me.json-1.{START:%Y%m%d}"

    assert plan(*failing, after=10 * MINUTE - SECOND) == []
    assert plan(*failing, after=11 * MINUTE) == [(Act.ESCALATE, SENTRY, key)]
    assert plan(*failing, after=24 * HOUR) == [(Act.ESCALATE, SENTRY, key), (Act.GIVE_UP, ME, "a")]
    assert ready(*failing, after=24 * HOUR) == ["b"]


def test_what_was_told_and_lies_unread_is_due_when_it_goes_further_up() -> None:
    key = f"channel.me.json-1.{START:%Y%m%d}"
    waiting = post(tries=9, queued=START - HOUR, tried=START)
    told = ToldMark(box=Box.NEW, sent=START)
    snap = Snapshot(settings=SETTINGS, outbox=(waiting,), told={f"{SENTRY}/{key}": told})
    now = START + 2 * MINUTE

    assert delivery.plan_posts(snap, now) == []
    assert next_due(snap, now) == START + SETTINGS.heartbeat.ack
    (further,) = delivery.plan_posts(snap, START + SETTINGS.heartbeat.ack)
    assert further.agent == SAM


def test_a_notification_that_never_failed_is_never_late() -> None:
    assert plan(post(), after=48 * HOUR) == []


def test_a_channel_that_is_gone_is_told_and_given_up_at_once() -> None:
    found = plan(post(channel="mailto-1"), post("b", to=AgentId("nobody")))

    assert [act for act, _, _ in found] == [Act.ESCALATE, Act.ESCALATE, Act.GIVE_UP, Act.GIVE_UP]
    assert ready(post(channel="mailto-1")) == []
