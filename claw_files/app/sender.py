"""The outbox sender as a process, `python -I sender.py FOLDER`: delivers the due posts, then exits.

A tick starts it when there is something to deliver. One works at a time for a workspace; it holds no other lock.
"""

import os
import sys
from datetime import timedelta

if __name__ == "__main__":  # -I ignores folders in which another package of this name could be planted
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from msgspec.structs import replace

from claw_files.app.wiring import App
from claw_files.core.errors import Busy, ClawError
from claw_files.core.model import Post
from claw_files.integrations.notify.addresses import addresses
from claw_files.integrations.notify.sending import deliver
from claw_files.policy.delivery import channels_of
from claw_files.services.people.notifications import LOCK

PATIENCE = timedelta(seconds=2)


class Sender:
    """One pass after the other over the outbox, until nothing is to be tried now."""

    def __init__(self, app: App) -> None:
        self._app, self._ws, self._outbox = app, app.workspace, app.outbox

    def run(self) -> None:
        """Deliver the due posts. Posts that arrive meanwhile are checked once more at the end."""
        while self._outbox.ready(self._outbox.posts()):
            try:
                with self._ws.locks.hold(LOCK, PATIENCE, "the sender"):
                    self._pass()
            except Busy:
                return

    def _pass(self) -> None:
        waiting = {post.id: post for post in self._outbox.posts()}
        while post := next(iter(self._outbox.ready(list(waiting.values()))), None):
            del waiting[post.id]
            if after := self._try(post):
                waiting[post.id] = after

    def _try(self, post: Post) -> Post | None:
        """Deliver one post to the remaining addresses, and record the result; returns the post if it is kept."""
        post = self._outbox.begun(post)  # on a disk that is full nothing is sent, rather than again and again
        try:
            reason, post = self._deliver(post)
        except ClawError as wrong:
            reason = str(wrong)
        except Exception as wrong:  # noqa: BLE001 - a bug of ours here is told as a failed delivery, and tried again
            reason = f"internal error: {type(wrong).__name__}"
        if reason:
            return self._outbox.failed(post, reason)
        self._outbox.delivered(post)
        return None

    def _deliver(self, post: Post) -> tuple[str, Post]:
        """The reason of the failure, or "", and the post with the addresses that received it."""
        channel = channels_of(self._ws.settings, post.to)[post.channel]
        there, limit, reasons = addresses(channel, self._ws.base, os.environ), self._ws.settings.notify.timeout, []
        for number, address in enumerate(there, 1):
            if str(number) in post.had:
                continue
            reason = deliver(address, post.title, post.body, limit)
            if reason:
                reasons.append(f"{reason} (address {number} of {len(there)})" if len(there) > 1 else reason)
            elif len(there) > 1:
                post = replace(post, had=(*post.had, str(number)))
                self._outbox.save(post)  # at once: killed now, it would reach this address twice
        return "; ".join(reasons), post


def main(folder: str) -> int:
    """Send, then exit; 1 if the workspace cannot be read."""
    try:
        Sender(App(folder, {}, None)).run()
    except (ClawError, OSError):
        return 1  # the tick that started this says it, too
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
