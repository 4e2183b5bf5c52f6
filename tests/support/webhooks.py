"""Senders of webhooks, as their documents tell them to sign; nothing of the package is used."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

SECRETS = {"standard": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
SECRET = "a secret of the tests"


def mac(secret: str, data: bytes) -> bytes:
    return hmac.new(secret.encode(), data, hashlib.sha256).digest()


def signed(scheme: str, body: bytes, at: int, secret: str | None = None, id: str = "d-1") -> dict[str, str]:
    """The headers that a sender adds to the body at that second."""
    secret = secret or SECRETS.get(scheme, SECRET)
    if scheme == "github":
        mark = f"sha256={mac(secret, body).hex()}"
        return {"X-Hub-Signature-256": mark, "X-GitHub-Delivery": id, "X-GitHub-Event": "push"}
    if scheme == "stripe":
        return {"Stripe-Signature": f"t={at},v1={mac(secret, f'{at}.'.encode() + body).hex()},v0=6ffbb59b2300aae6"}
    if scheme == "slack":
        mark = mac(secret, f"v0:{at}:".encode() + body).hex()
        return {"X-Slack-Signature": f"v0={mark}", "X-Slack-Request-Timestamp": str(at)}
    if scheme == "standard":
        key = base64.b64decode(secret.removeprefix("whsec_"))
        made = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
        mark = f"v1,{base64.b64encode(made).decode()}"
        return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": mark}
    if scheme == "zendesk":
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mark = base64.b64encode(mac(secret, when.encode() + body)).decode()
        head = "X-Zendesk-Webhook"
        return {f"{head}-Signature": mark, f"{head}-Signature-Timestamp": when, f"{head}-Invocation-Id": id}
    return {"X-Signature": mac(secret, body).hex()}


def payload(**fields: object) -> bytes:
    return json.dumps(fields).encode()
