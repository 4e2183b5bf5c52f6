"""Webhook signatures: whether a request is its sender's and of now, its type, and the key that makes it count once.

Each scheme signs some bytes and the raw body with HMAC-SHA256. Sources, read in 2026: GitHub, "Validating webhook
deliveries"; Stripe, "Verify webhook signatures manually"; Slack, "Verifying requests from Slack"; the specification of
Standard Webhooks; Zendesk, "Verifying webhook authenticity".
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from claw_files.config import Webhook
from claw_files.core.errors import BadValue
from claw_files.core.event import KEY_LETTERS, is_type, value_at
from claw_files.core.model import Value
from claw_files.core.text import parse_instant

AGE = timedelta(minutes=5)  # of a request whose time is signed, and how far ahead its sender's clock may be
_FIELDS = 1000  # of a form


class SignatureClaim(NamedTuple):
    """The signatures in the headers: the body is authentic if one of them signs `prefix` and the body."""

    signatures: Sequence[str]
    prefix: str = ""
    at: datetime | None = None  # where the scheme signs a time; None: it signs none, or what stands there is no time


class WebhookEvent(Value, frozen=True):
    """The content of an authentic request."""

    type: str
    key: str
    fields: Mapping[str, Any] = {}
    text: str = ""  # the body, where it is neither a JSON object nor a form
    challenge: str | None = None  # what Slack wants to read before it sends events to an address


def refusal(hook: Webhook, headers: Mapping[str, str], now: datetime) -> str:
    """Why the request is refused whatever its body is: "missing", "old", or "" where the body decides.

    Args:
        headers: names in lower case.
        now: aware, UTC.
    """
    claim = _claim(hook, headers)
    if not any(claim.signatures) or (hook.scheme in _TIMED and claim.at is None):
        return "missing"
    return "old" if claim.at and abs(now - claim.at) > AGE else ""


def is_authentic(hook: Webhook, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures was made with one of the secrets. Raises BadValue for what cannot be a secret."""
    claim, keys = _claim(hook, headers), [_key_of(hook.scheme, secret) for secret in secrets]
    made = [hmac.new(key, claim.prefix.encode("latin-1") + body, hashlib.sha256).digest() for key in keys]
    right = [form for one in made for form in (one.hex().encode(), base64.b64encode(one))]
    sent = [signature.encode("latin-1") for signature in claim.signatures]
    return any(hmac.compare_digest(it, one) for it in right for one in sent)


def event(hook: Webhook, headers: Mapping[str, str], body: bytes) -> WebhookEvent:
    """The event in an authentic request. Raises UnicodeDecodeError for a body that is not text."""
    text = body.decode()
    found = _fields(text, headers.get("content-type", ""))
    fields: dict[str, Any] = {} if found is None else found
    said = fields.get("event") if hook.scheme == "slack" else None
    kind = said.get("type") if isinstance(said, dict) else fields.get("type")
    given = headers.get(_IDS.get(hook.scheme, ""), "") or fields.get("event_id" if hook.scheme == "slack" else "id")
    key = value_at(fields, hook.key) if hook.key else given if hook.scheme != "hmac" else None
    named = f"github.{headers.get('x-github-event')}" if hook.scheme == "github" else f"{hook.name}.{kind}"
    is_challenge = hook.scheme == "slack" and kind == "url_verification" and isinstance(fields.get("challenge"), str)
    return WebhookEvent(
        type=hook.type or (named if (kind or hook.scheme == "github") and is_type(named) else hook.name),
        key=str(key)
        if isinstance(key, str | int) and 0 < len(str(key)) <= KEY_LETTERS
        else hashlib.sha256(body).hexdigest(),
        fields=fields,
        text="" if found is not None else text,
        challenge=fields["challenge"] if is_challenge else None,
    )


def _fields(text: str, kind: str) -> dict[str, Any] | None:
    """The body's fields; of a form, what stands in its only field `payload` (GitHub, Slack). None: it has none."""
    if kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS))
        return (_object(form["payload"]) or form) if list(form) == ["payload"] else form
    return _object(text)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _key_of(scheme: str, secret: str) -> bytes:
    try:
        key = (
            base64.b64decode(secret.removeprefix("whsec_"), validate=True) if scheme == "standard" else secret.encode()
        )
    except ValueError:  # not base64, or not of text
        key = b""
    if not key.strip():  # HMAC would take it, and anybody could sign
        raise BadValue("secret", "...", "a text that is not empty; of scheme standard, base64 behind `whsec_`")
    return key


# --- what each scheme signs


def _claim(hook: Webhook, headers: Mapping[str, str]) -> SignatureClaim:
    return _SCHEMES[hook.scheme](hook, lambda name: headers.get(name, ""))


_Header = Callable[[str], str]


def _github(hook: Webhook, header: _Header) -> SignatureClaim:
    return SignatureClaim([_after(header("x-hub-signature-256"), "sha256=")])


def _stripe(hook: Webhook, header: _Header) -> SignatureClaim:
    parts = [part.strip().partition("=") for part in header("stripe-signature").split(",")]
    at = next((value for name, _, value in parts if name == "t"), "")
    return SignatureClaim([value for name, _, value in parts if name == "v1"], f"{at}.", _unix(at))


def _slack(hook: Webhook, header: _Header) -> SignatureClaim:
    at = header("x-slack-request-timestamp")
    return SignatureClaim([_after(header("x-slack-signature"), "v0=")], f"v0:{at}:", _unix(at))


def _standard(hook: Webhook, header: _Header) -> SignatureClaim:
    id, at = header("webhook-id"), header("webhook-timestamp")
    signatures = [_after(part, "v1,") for part in header("webhook-signature").split(" ")]
    return SignatureClaim(signatures if id else (), f"{id}.{at}.", _unix(at))


def _zendesk(hook: Webhook, header: _Header) -> SignatureClaim:
    at = header("x-zendesk-webhook-signature-timestamp")
    return SignatureClaim([header("x-zendesk-webhook-signature")], at, parse_instant(at))


def _hmac(hook: Webhook, header: _Header) -> SignatureClaim:
    return SignatureClaim([header(hook.header.lower()).removeprefix("sha256=")])


_SCHEMES = {it.__name__[1:]: it for it in (_github, _stripe, _slack, _standard, _zendesk, _hmac)}
_TIMED = ("stripe", "slack", "standard", "zendesk")
# The header that names a delivery.
_IDS = {"github": "x-github-delivery", "standard": "webhook-id", "zendesk": "x-zendesk-webhook-invocation-id"}


def _after(text: str, prefix: str) -> str:
    return text.removeprefix(prefix) if text.startswith(prefix) else ""


def _unix(text: str) -> datetime | None:
    """Seconds since 1970, as senders write them."""
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[0-9]{1,11}", text, re.ASCII) else None
