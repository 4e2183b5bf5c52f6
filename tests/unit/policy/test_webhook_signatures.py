"""Whose a webhook is: the published examples of each scheme, and what is wrong, old, missing or sent again."""

from datetime import UTC, datetime, timedelta

import pytest

from claw_files.config import Webhook
from claw_files.config.event_settings import WEBHOOK_SCHEMES
from claw_files.core.errors import BadValue
from claw_files.policy import webhook_signatures as rules
from tests.each import each
from tests.support.webhooks import SECRET, SECRETS, payload, signed

AT = 1_764_500_000
NOW = datetime.fromtimestamp(AT, UTC)
TIMED = ("stripe", "slack", "standard", "zendesk")


def hook(scheme: str, **more: str) -> Webhook:
    return Webhook(
        name="desk", scheme=scheme, secret_env=("S",), header="X-Signature" if scheme == "hmac" else "", **more
    )


def low(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def verdict(scheme: str, headers: dict[str, str], body: bytes, *secrets: str, now: datetime = NOW) -> str:
    """What becomes of a request: "", or why it is refused."""
    if why := rules.refusal(hook(scheme), low(headers), now):
        return why
    known = secrets or (SECRETS.get(scheme, SECRET),)
    return "" if rules.is_authentic(hook(scheme), known, low(headers), body) else "wrong"


SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack."
    b"com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc"
    b"887a14d10d2c447fce8b6703c"
)
PUBLISHED = [  # scheme, secret, headers, body, the second at which it was sent
    (  # docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation"
        "github",
        "It's a Secret to Everybody",
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        AT,
    ),
    (  # api.slack.com, "Verifying requests from Slack"
        "slack",
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        SLACK_BODY,
        1_531_420_618,
    ),
    (  # github.com/standard-webhooks/standard-webhooks, the vector of its libraries' tests
        "standard",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1_614_265_330,
    ),
]


@each("scheme, secret, headers, body, at", PUBLISHED)
def test_published_examples_are_authentic(
    scheme: str, secret: str, headers: dict[str, str], body: bytes, at: int
) -> None:
    now = datetime.fromtimestamp(at, UTC)
    assert verdict(scheme, headers, body, secret, now=now) == ""
    assert verdict(scheme, headers, body + b" ", secret, now=now) == "wrong"
    assert verdict(scheme, headers, body, "whsec_AAAA" if scheme == "standard" else "x", now=now) == "wrong"


@each("scheme", WEBHOOK_SCHEMES)
def test_a_request_is_refused_without_its_signature_with_another_or_with_one_of_another_body(scheme: str) -> None:
    body = payload(id="1")
    right = signed(scheme, body, AT)
    assert verdict(scheme, right, body) == ""
    assert verdict(scheme, {}, body) == "missing"
    for name in right:  # without any one of its headers, but for those that name the delivery
        if not name.endswith(("Delivery", "Event", "Invocation-Id")):
            rest = {other: value for other, value in right.items() if other != name}
            assert verdict(scheme, rest, body) == "missing", name
            assert verdict(scheme, {**right, name: ""}, body) == "missing", name
            assert verdict(scheme, {**right, name: f"0{right[name]}"}, body) in ("wrong", "missing"), name
            assert verdict(scheme, {**right, name: "\xe9"}, body) in ("wrong", "missing"), name
    assert (
        verdict(scheme, signed(scheme, body, AT, "whsec_b3RoZXI=" if scheme == "standard" else "other"), body)
        == "wrong"
    )
    assert verdict(scheme, right, payload(id="2")) == "wrong"


@each("scheme", TIMED)
def test_a_request_counts_for_five_minutes_on_either_side(scheme: str) -> None:
    body = payload(id="1")
    headers, edge = signed(scheme, body, AT), timedelta(minutes=5)
    for away, said in (
        (edge, ""),
        (-edge, ""),
        (edge + timedelta(seconds=1), "old"),
        (-edge - timedelta(seconds=1), "old"),
    ):
        assert verdict(scheme, headers, body, now=NOW + away) == said, away


@each("scheme", TIMED)
def test_another_time_than_the_signed_one_makes_the_signature_wrong(scheme: str) -> None:
    body, later = payload(id="1"), NOW + timedelta(hours=1)
    old, new = signed(scheme, body, AT), signed(scheme, b"another", AT + 3600)
    if scheme == "stripe":
        mixed = {"Stripe-Signature": old["Stripe-Signature"].replace(f"t={AT}", f"t={AT + 3600}")}
    else:
        mixed = {**old, **{name: value for name, value in new.items() if "imestamp" in name}}
    assert verdict(scheme, mixed, body, now=later) == "wrong"


@each("scheme", WEBHOOK_SCHEMES)
def test_two_secrets_count_while_one_is_changed(scheme: str) -> None:
    body = payload(id="1")
    old, new = ("whsec_b2xk", "whsec_bmV3") if scheme == "standard" else ("old", "new")
    for secret in (old, new):
        assert verdict(scheme, signed(scheme, body, AT, secret), body, new, old) == ""
    assert verdict(scheme, signed(scheme, body, AT, old), body, new) == "wrong"


def test_any_of_several_signatures_is_enough() -> None:
    body = payload(id="1")
    made = signed("stripe", body, AT)["Stripe-Signature"]
    assert verdict("stripe", {"Stripe-Signature": made.replace(",v1=", f",v1={'0' * 64},v1=")}, body) == ""
    assert verdict("stripe", {"Stripe-Signature": made.replace("v1=", "v0=")}, body) == "missing"
    several = signed("standard", body, AT)
    several["webhook-signature"] = f"v1a,AAAA v1,AAAA {several['webhook-signature']}"
    assert verdict("standard", several, body) == ""


@each("scheme", WEBHOOK_SCHEMES)
def test_nothing_is_authentic_under_an_empty_secret(scheme: str) -> None:
    body = payload(id="1")
    for empty in ("", " ", "whsec_" if scheme == "standard" else "\n"):
        with pytest.raises(BadValue):
            rules.is_authentic(hook(scheme), [empty], low(signed(scheme, body, AT)), body)
    assert not rules.is_authentic(hook(scheme), [], low(signed(scheme, body, AT)), body)


KEYS = [  # scheme, body, type, key
    ("github", payload(id=9), "github.push", "d-1"),
    ("stripe", payload(id="evt_1", type="invoice.paid"), "desk.invoice.paid", "evt_1"),
    ("slack", payload(event_id="Ev1", type="event_callback", event={"type": "app_mention"}), "desk.app_mention", "Ev1"),
    ("standard", payload(type="user.created", id="no"), "desk.user.created", "d-1"),
    ("zendesk", payload(type="zen:event-type:ticket.created"), "desk", "d-1"),
]


@each("scheme, body, type, key", KEYS)
def test_type_and_key_are_those_of_the_scheme(scheme: str, body: bytes, type: str, key: str) -> None:
    found = rules.event(hook(scheme), low(signed(scheme, body, AT)), body)
    assert (found.type, found.key) == (type, key)


def test_without_an_id_the_body_is_the_key() -> None:
    one, again, two = (rules.event(hook("hmac"), {}, body).key for body in (b"a", b"a", b"b"))
    assert one == again != two
    long = payload(event_id="x" * 501)
    assert len(rules.event(hook("slack"), {}, long).key) == 64


def test_a_field_that_the_configuration_names_is_the_key_and_its_type_the_type() -> None:
    found = rules.event(hook("hmac", key="data.id", type="order"), {}, payload(data={"id": 7}, type="x"))
    assert (found.type, found.key) == ("order", "7")


def test_forms_are_read_and_other_text_is_text() -> None:
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert rules.event(hook("slack"), form, SLACK_BODY).fields["command"] == "/webhook-collect"
    assert rules.event(hook("github"), form, b"payload=%7B%22id%22%3A1%7D").fields == {"id": 1}
    found = rules.event(hook("hmac"), {}, b"[1]")
    assert (found.fields, found.text) == ({}, "[1]")
    deep = b"[" * 100_000
    assert rules.event(hook("hmac"), {}, deep).text == deep.decode()


def test_slack_gets_its_challenge_and_nobody_else() -> None:
    body = payload(type="url_verification", challenge="3eZbrw1a")
    assert rules.event(hook("slack"), {}, body).challenge == "3eZbrw1a"
    assert rules.event(hook("hmac"), {}, body).challenge is None


def test_an_event_name_of_a_header_that_nobody_signed_is_no_path() -> None:
    for name in ("../../x", "a b", "", "x" * 80):
        assert rules.event(hook("github"), {"x-github-event": name}, b"{}").type == "desk"


@pytest.mark.parametrize("scheme", WEBHOOK_SCHEMES)
def test_a_secret_that_is_no_text_is_refused_in_words(scheme: str) -> None:
    with pytest.raises(BadValue):
        rules.is_authentic(hook(scheme), ["\udcff"], {}, b"{}")
