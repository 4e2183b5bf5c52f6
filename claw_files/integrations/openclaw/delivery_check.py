"""Decides whether a message must be sent, by the state that the gateway shows.

Pure. The gateway forgets keys when it restarts, and a key that is sent again then does harm: the turn that is over is
marked as failed, or a model is called twice. So nothing is sent that the gateway shows to have.
"""

from enum import StrEnum
from typing import Any

from claw_files.core.model import Value
from claw_files.integrations.openclaw import protocol
from claw_files.integrations.openclaw.turn_result import segment

INTERRUPTED = frozenset({"interrupted", "cancelled"})
RENEWALS = 9  # of one message; what is refused more often has another reason
# What the gateway says of a turn that it took and never began, because it was restarting.
NEVER_BEGUN = ("SESSION_WORK_START_CHANGED", "Pending input ownership ended")


class DeliveryStep(StrEnum):
    """The next step for one message."""

    SEND = "send"  # under its key; the gateway answers a key that it remembers with what became of it
    RENEW = "renew"  # under a new key: the gateway took it, has not begun, and never will
    WAIT = "wait"
    OVER = "over"
    LEFT = "left"  # begun and not answered, and nothing goes on: over, unless it is taken up again in a moment


class SendRecord(Value, frozen=True):
    """The record in the run's folder, written before the send: `runs/RUN-ID/openclaw.json`."""

    key: str
    session: str
    boot: str  # of the gateway that it is, or was, sent to
    state: str = "sending"  # sending, accepted, done
    renewal: int = 1


class GatewayEvidence(Value, frozen=True):
    """The gateway's state of one key."""

    boot: str
    waited: str = ""  # what `agent.wait` says: ok, error, timeout, pending
    is_begun: bool = False  # the message stands in the session's transcript
    is_answered: bool = False  # and the turn's last answer stands below it
    pending: str = ""  # queued, interrupted, cancelled: taken and not begun
    is_active: bool = False  # something goes on in the session
    is_refused: bool = False  # the gateway said that it never began, and never will


def plan(sent: SendRecord | None, seen: GatewayEvidence) -> DeliveryStep:
    """The next step for the message.

    Args:
        sent: what was written down before it was last sent; None when nothing was.
        seen: what the gateway shows now.
    """
    may_renew = sent is None or sent.renewal < RENEWALS
    if seen.is_refused and not seen.is_begun and may_renew:
        return DeliveryStep.RENEW
    if seen.waited in ("ok", "error"):
        return DeliveryStep.OVER
    if seen.pending in INTERRUPTED:
        return DeliveryStep.RENEW if may_renew else DeliveryStep.OVER
    if seen.pending:
        return DeliveryStep.WAIT
    if seen.is_begun:
        return _begun(seen)
    if sent is not None and sent.state != "sending" and sent.boot == seen.boot:
        return DeliveryStep.WAIT  # it was accepted, and this gateway has not forgotten it
    return DeliveryStep.SEND


def _begun(seen: GatewayEvidence) -> DeliveryStep:
    if seen.is_answered:
        return DeliveryStep.OVER
    return DeliveryStep.WAIT if seen.is_active else DeliveryStep.LEFT


def seen(key: str, boot: str, waited: dict[str, Any], history: dict[str, Any], refusal: str = "") -> GatewayEvidence:
    """The state of `key` in the answers to `agent.wait` and `chat.history`; `refusal` is from its final answer."""
    error = refusal + protocol.text(waited, "error") + protocol.text(protocol.record(waited, "error"), "message")
    found = segment(protocol.records(history, "messages"), key)
    items = protocol.records(protocol.record(history, "pendingInputs"), "items")
    pending = next((protocol.text(item, "state", 40) for item in items if item.get("runId") == key), "")
    return GatewayEvidence(
        boot=boot,
        waited=protocol.text(waited, "status", 40),
        is_begun=found is not None,
        is_answered=bool(found and found.is_complete),
        pending=pending,
        is_active=protocol.record(history, "sessionInfo").get("hasActiveRun") is True,
        is_refused=any(words in error for words in NEVER_BEGUN),
    )


def key_of(run: str, mark: str, renewal: int = 1) -> str:
    """The key of one send, the same for every sender. `mark` identifies the workspace and the text."""
    return f"cf:{run}:{mark}" + (f":{renewal}" if renewal > 1 else "")
