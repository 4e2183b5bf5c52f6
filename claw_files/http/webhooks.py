"""The endpoint for webhooks, `POST /hooks/NAME`: signed requests of other programs become events.

It is apart from the API: no token, no cookie, no answer with a body but Slack's challenge, and no guard against pages
of strangers, because a request counts by its signature alone.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from claw_files.app.wiring import App
from claw_files.config import Webhook
from claw_files.core.errors import ClawError, UsageError
from claw_files.core.event import Event
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import topic_key
from claw_files.core.model import Audit, Kind
from claw_files.http.authentication import RequestAuthenticator
from claw_files.http.http_errors import Refusal
from claw_files.http.request_guard import CallerDisconnected
from claw_files.policy import webhook_signatures
from claw_files.services.events.event_store import EventStore

PREFIX = "/hooks/"
RETRY_SECONDS = 60
MOST_REFUSED, WITHIN = 10, timedelta(minutes=10)  # of one webhook: then the monitor is told, once an hour

Taken = tuple[int, str]  # the status, and a body for Slack alone


class WebhookDoor:
    """Answers requests to the paths of the webhooks that are configured."""

    def __init__(self, callers: RequestAuthenticator, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._callers, self._in_thread = callers, in_thread
        self._refused: dict[str, deque[datetime]] = defaultdict(lambda: deque(maxlen=MOST_REFUSED))
        self._counting = threading.Lock()

    def is_open(self, path: str, method: str) -> bool:
        """Whether the path is that of a webhook, so that only its signature counts."""
        if method != "POST" or not path.startswith(PREFIX):
            return False
        try:
            return path.removeprefix(PREFIX) in self._callers.app(None).settings.webhooks
        except ClawError:
            return True  # a configuration that cannot be read now: the sender comes again

    async def answer(self, request: Request) -> Response:
        """202 once the event is durable, 200 for one that is known; 401, 4xx or 503 without a word otherwise."""
        request.state.admitted = False
        try:
            name = request.path_params["name"]
            headers = {key: ", ".join(request.headers.getlist(key)) for key in request.headers}
            # Before the body is read, so that a request without a current signature costs nothing.
            refused = await self._in_thread(self._look, name, headers)
            status, text = refused or await self._in_thread(self._take, name, headers, await request.state.body())
        except (Refusal, CallerDisconnected) as gone:
            status, text = gone.status if isinstance(gone, Refusal) else 400, ""
        except ClawError:  # whatever is wrong here: the sender comes again
            status, text = 503, ""
        request.state.admitted = status in (200, 202)
        retry = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
        return Response(text or None, status, retry, "text/plain" if text else None)

    def _look(self, name: str, headers: Mapping[str, str]) -> Taken | None:
        app = self._callers.app(None)
        hook = app.settings.webhooks.get(name)
        if hook is None:
            return 404, ""
        if webhook_signatures.refusal(hook, headers, app.clock.now()):
            return self._refuse(app, hook)
        return None

    def _take(self, name: str, headers: Mapping[str, str], body: bytes) -> Taken:
        app = self._callers.app(None)
        hook = app.settings.webhooks.get(name)
        if hook is None:
            return 404, ""
        secrets = [secret for it in hook.secret_env if (secret := self._callers.env.get(it))]
        if not secrets:
            return 503, ""
        if not webhook_signatures.is_authentic(hook, secrets, headers, body):
            return self._refuse(app, hook)
        return _keep(EventStore(app.workspace), hook, headers, body)

    def _refuse(self, app: App, hook: Webhook) -> Taken:
        """Count the refusal; many of them are reported to the monitor."""
        now = app.clock.now()
        with self._counting:
            times = self._refused[hook.name]
            times.append(now)
            is_many = len(times) == MOST_REFUSED and now - times[0] <= WITHIN
            if is_many:
                times.clear()
        if is_many:
            key = topic_key("webhook", hook.name, now.replace(minute=0, second=0, microsecond=0))
            told = f"webhook {hook.name}: {MOST_REFUSED} requests within {WITHIN.seconds // 60} minutes had no valid"
            text = f"{told} signature. Either its secret was changed at one end only, or somebody tries the address."
            audit = Audit(JournalEvent.ALERT, agent=app.settings.monitor, key=key, actor=app.settings.coordinator)
            app.messages.tell(key, app.settings.monitor, text, Kind.ANNOUNCE, None, audit)
        return 401, ""


def _keep(store: EventStore, hook: Webhook, headers: Mapping[str, str], body: bytes) -> Taken:
    source = f"webhook {hook.name}"
    try:
        found = webhook_signatures.event(hook, headers, body)
    except (UnicodeDecodeError, ValueError):  # authentic, and kept where people look; sent again it would be the same
        store.refuse(body, "the body is not UTF-8, or has too many fields", source)
        return 202, ""
    if found.challenge is not None:
        return 200, found.challenge
    event = Event(type=found.type, key=found.key, fields=dict(found.fields), text=found.text, source=source)
    try:
        return 200 if store.emit(event).is_known else 202, ""
    except UsageError:  # with what is around it, it is larger than an event may be
        return 413, ""
