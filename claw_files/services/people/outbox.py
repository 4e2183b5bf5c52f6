"""The outbox: what is to reach people outside of the workspace, a file each, until a sender has delivered it.

A tick only writes posts and starts the sender, a process of its own (`claw_files.app.sender`), so a slow service
keeps no tick waiting. A post that was delivered lies in `outbox/sent/`: its name is why it is queued once.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

import claw_files
from claw_files.config.channels import are_local
from claw_files.core.digest import digest
from claw_files.core.errors import ClawError, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Post
from claw_files.formats import posts as forms
from claw_files.policy import delivery as posts
from claw_files.services.people import channels
from claw_files.services.people.channels import ChannelItem
from claw_files.storage.workspace import Workspace
from claw_files.system.processes import SystemProcesses

FOLDER, SENT, FAILED = "outbox", "outbox/sent", "outbox/failed"
LOCK = "outbox"
MOST = 1_000  # posts that are looked at in one pass


class Outbox:
    """Queues posts, says what is to be tried, and writes down how it went."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    @property
    def is_used(self) -> bool:
        """Whether anybody has a channel outside of the workspace."""
        return not all(are_local(agent.channels) for agent in self._ws.settings.agents.values())

    def queue(self, person: AgentId, channel: str, item: ChannelItem) -> None:
        """Write the item's post for the channel, unless it was written before."""
        name = digest(f"{person} {channel} {item.key}".encode())
        id = f"{person}.{channel}.{name}"
        if any(self._ws.files.stamp(f"{folder}/{id}.md") for folder in (FOLDER, SENT, FAILED)):
            return
        raw = forms.render(replace(channels.post_of(item, person, id, channel), queued=self._now()))
        self._ws.files.commit(f"{FOLDER}/{id}.md", lambda there: raw if there is None else there, None)

    def posts(self) -> list[Post]:
        """What is still to be delivered; a file that cannot be read is left out."""
        found = []
        for name in self._ws.files.names(FOLDER)[:MOST]:
            if not name.endswith(".md"):
                continue
            try:
                found.append(forms.parse(self._ws.files.read(f"{FOLDER}/{name}").data, f"{FOLDER}/{name}"))
            except ClawError:
                continue  # gone meanwhile, or somebody's
        return found

    def ready(self, all_posts: Sequence[Post]) -> list[Post]:
        """Those to be tried now, in their order."""
        return posts.ready(self._ws.settings, all_posts, self._ws.clock.now())

    def start(self, processes: SystemProcesses, env: Mapping[str, str]) -> str | None:
        """Start a sender if there is something to send and none is at it; what went wrong, in one sentence."""
        try:
            if self.is_used and self.ready(self.posts()) and not self._ws.locks.is_held(LOCK):
                program = os.path.join(os.path.dirname(os.path.abspath(claw_files.__file__)), "app", "sender.py")
                # Not as a part of the run in which somebody may have typed `heartbeat`: that would end it.
                mine = {name: value for name, value in env.items() if not name.startswith("CLAWFILES_")}
                processes.detach([sys.executable, "-I", "-X", "utf8", program, self._ws.base], mine, ())
        except (ClawError, OSError) as wrong:
            return f"the sender was not started: {wrong}"
        return None

    # --- how it went

    def begun(self, post: Post) -> Post:
        """Write down that it is tried now: a sender that is killed is not begun anew at once."""
        after = replace(post, tried=self._now())
        self.save(after)
        return after

    def delivered(self, post: Post) -> None:
        """Every address of the channel has it."""
        self._shift(post, SENT, self._audit(JournalEvent.DELIVERED, post, post.channel))

    def failed(self, post: Post, reason: str) -> Post:
        """Count the failure; the post as it is now."""
        after = replace(post, tries=post.tries + 1, tried=self._now(), reason=reason)
        # The first of them is news; the others stand in the post, and are told when it takes too long.
        news = self._audit(JournalEvent.NOT_DELIVERED, post, f"{post.channel}: {reason}")
        self.save(after, None if post.tries else news)
        return after

    def save(self, post: Post, audit: Audit | None = None) -> None:
        """Write a post that changed; one that is gone stays gone."""

        def change(raw: bytes | None) -> bytes:
            if raw is None:
                raise NotFound("post", post.id)
            return forms.render(post)

        self._ws.files.commit(f"{FOLDER}/{post.id}.md", change, self._ws.line(audit) if audit else None)

    def give_up(self, id: str, why: str) -> None:
        """Set a post aside that its channel has not taken for too long."""
        post = forms.parse(self._ws.files.read(f"{FOLDER}/{id}.md").data, f"{FOLDER}/{id}.md")
        self._shift(post, FAILED, self._audit(JournalEvent.GAVE_UP, post, f"{post.channel}: {why}"))

    def _now(self) -> datetime:
        return self._ws.clock.now().replace(microsecond=0)

    def _shift(self, post: Post, folder: str, audit: Audit) -> None:
        self._ws.files.move(f"{FOLDER}/{post.id}.md", f"{folder}/{post.id}.md", self._ws.line(audit))

    def _audit(self, action: JournalEvent, post: Post, why: str) -> Audit:
        return Audit(action, agent=post.to, key=post.key, why=why)
