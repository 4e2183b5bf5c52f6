"""Corrections of a running turn.

`sessions_send` with `mode: "steer"` is what takes effect at the turn's next step: tool calls that have not begun are
skipped, and the model sees the text. `chat.send` with `queueMode: "steer"` becomes a turn of its own after the running
one, when that was begun by `agent` as ours are; `queueMode: "interrupt"` ends the running turn like a restart.
"""

import os
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

from claw_files.core import text as words
from claw_files.core.errors import GatewayRefused
from claw_files.core.model import RunId
from claw_files.integrations.openclaw.delivery_check import SendRecord
from claw_files.integrations.openclaw.gateway_access import GatewayAccess
from claw_files.integrations.openclaw.gateway_client import Gateway
from claw_files.integrations.openclaw.protocol import record, text
from claw_files.integrations.openclaw.run_records import read

LETTERS = 8_000
BETWEEN_SECONDS = 0.5
_NOT_YET = "no active run"
_ALLOW = 'add "sessions_send" to gateway.tools.allow in OpenClaw\'s configuration'


def steer(way: GatewayAccess, root: str, run: RunId, text: str, patience: timedelta = timedelta(seconds=20)) -> bool:
    """Insert `text` into the turn of the run; True if the turn accepted it and sees it before its next step.

    It is not sent where the turn is over, or has not begun.

    Args:
        way: of `access.access(settings.openclaw, root, environ)`.
        root: the workspace, absolute.
        run: of an OpenClaw agent.
        text: at most 8,000 letters of it are sent.
        patience: how long to try while the turn is only just beginning.

    Raises GatewayAway, and GatewayRefused, also where the gateway lets nobody use `sessions_send`.
    """
    sent = read(os.path.join(root, "runs", run))
    if sent is None or sent.state == "done":
        return False
    until = monotonic() + patience.total_seconds()
    with Gateway(way.url, way.token) as gateway:
        while True:
            if _is_over(gateway, sent):
                return False
            if (is_taken := _try(gateway, sent, text[:LETTERS])) or monotonic() > until:
                return is_taken
            sleep(BETWEEN_SECONDS)  # a turn accepts corrections only once its model has been asked


def _is_over(gateway: Gateway, sent: SendRecord) -> bool:
    answer = gateway.call("agent.wait", {"runId": sent.key, "timeoutMs": 0})
    return answer.get("status") in ("ok", "error")


def _try(gateway: Gateway, sent: SendRecord, said: str) -> bool:
    arguments = {"sessionKey": sent.session, "message": said, "mode": "steer", "timeoutSeconds": 0}
    # A session of the same agent that is not the target: only then nothing else has to be allowed.
    caller = ":".join([*sent.session.split(":")[:2], "clawfiles"])
    answer = gateway.call("tools.invoke", {"name": "sessions_send", "args": arguments, "sessionKey": caller})
    return _read(answer)


def _read(answer: dict[str, Any]) -> bool:
    details = record(record(answer, "output"), "details")
    error = text(details, "error") or text(record(answer, "error"), "message")
    if details.get("status") == "accepted" and details.get("targetDisposition") == "steered":
        return True
    if _NOT_YET in error:
        return False
    raise GatewayRefused("OpenClaw's gateway refused a correction", words.said(error or str(answer), 200), _ALLOW)
