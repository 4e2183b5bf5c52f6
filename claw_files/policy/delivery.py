"""Posts to people outside of the workspace: when each is tried, reported and abandoned.

A channel that has just failed is left alone for the first pause, whatever waits for it; then what was tried least goes
first, so that one item that a service refuses keeps no other away.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from claw_files.config import Settings
from claw_files.config.channels import FILE, named
from claw_files.core.digest import digest
from claw_files.core.model import AgentId, Post
from claw_files.policy import quiet_hours
from claw_files.policy.escalation import tell_up
from claw_files.policy.snapshot import Act, Action, Snapshot

LONGEST = timedelta(minutes=15)


def pause(settings: Settings, tries: int) -> timedelta:
    """The pause of a post after this number of failures."""
    first = settings.notify.backoff
    return min(first * (1 << min(max(tries - 1, 0), 20)), max(LONGEST, first))


def ready(settings: Settings, posts: Sequence[Post], now: datetime) -> list[Post]:
    """The due posts in order: for each channel the least tried first, then the oldest."""
    found = [post for post in posts if not _is_held(settings, post, posts, now)]
    return sorted(found, key=lambda post: (post.tries, post.queued or now, post.id))


def _is_held(settings: Settings, post: Post, posts: Sequence[Post], now: datetime) -> bool:
    if post.channel not in channels_of(settings, post.to) or is_late(post, now, settings.notify.give_up):
        return True  # given up by the tick
    if quiet_hours.held_until(settings, post.to, now, post.critical):
        return True
    own = post.tried is not None and abs(now - post.tried) < pause(settings, post.tries)
    same = (one.tried for one in posts if one.tried and (one.to, one.channel) == (post.to, post.channel))
    return own or any(abs(now - at) < settings.notify.backoff for at in same)


def is_late(post: Post, now: datetime, limit: timedelta) -> bool:
    """Whether a post that has failed waits for longer than the limit."""
    return post.tries > 0 and post.queued is not None and now - post.queued >= limit


def channels_of(settings: Settings, person: AgentId) -> dict[str, str]:
    """The person's channels by name; empty for an unknown name."""
    agent = settings.agents.get(person)
    return named(agent.channels) if agent else {}


def posts_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """The times at which a post is retried, reported or abandoned."""
    settings = snap.settings
    for post in snap.outbox:
        if end := quiet_hours.held_until(settings, post.to, now, post.critical):
            yield end
        if post.queued and post.tries:
            yield post.queued + settings.notify.alert
            yield post.queued + settings.notify.give_up
        if post.tried:
            for length in (pause(settings, post.tries), settings.notify.backoff):
                yield post.tried - length  # tried by a clock ahead, before it was set back
                yield post.tried + length


def plan_posts(snap: Snapshot, now: datetime) -> list[Action]:
    """Reports about failing channels, once a day for each, then abandoned posts."""
    notify = snap.settings.notify
    gone = [post for post in snap.outbox if post.channel not in channels_of(snap.settings, post.to)]
    late = [post for post in snap.outbox if post in gone or is_late(post, now, notify.alert)]
    stuck = {(post.to, post.channel): post for post in sorted(late, key=lambda post: post.queued or now, reverse=True)}
    told = list[Action]()
    for post in stuck.values():
        told += _tell(snap, post.to, post.channel, post.queued or now, _reason(post, post in gone), "outbox", now)
    for person, channel, why in snap.closed:
        since = min((message.sent or now for message in snap.held[person]), default=now)
        told += _tell(snap, person, channel, since, why, f"inbox/{person}/new", now)
    over = [post for post in snap.outbox if post in gone or is_late(post, now, notify.give_up)]
    return [*told, *(_give_up(post, _reason(post, post in gone)) for post in over)]


def _tell(
    snap: Snapshot, person: AgentId, channel: str, since: datetime, why: str, place: str, now: datetime
) -> tuple[Action, ...]:
    """Report a failing channel; its posts are in `place`, the oldest `since`."""
    name = digest(channel.encode()) if channel.startswith(FILE) else channel
    key = f"channel.{person}.{name}.{since.astimezone(snap.settings.workspace.zone):%Y%m%d}"
    why = f"{person}'s channel {channel} accepts no messages: {why}"
    text = f"{why}. `clawfiles doctor` checks the channels; waiting messages are in {place}/."
    return tell_up(snap, snap.settings.monitor, key, why, text, now)


def _give_up(post: Post, why: str) -> Action:
    return Action(act=Act.GIVE_UP, agent=post.to, key=str(post.key), why=why, details={"id": post.id})


def _reason(post: Post, is_gone: bool) -> str:
    return "clawfiles.toml has it no more" if is_gone else f"{post.reason}, {post.tries} times"
