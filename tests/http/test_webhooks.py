"""Webhooks at the real server: what is signed becomes one event, and the door says nothing else to anybody."""

import functools
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claw_files.testing.patience import until
from tests.http.conftest import Answer, Served
from tests.support.webhooks import SECRET, SECRETS, payload, signed

SCHEMES = ("github", "stripe", "slack", "standard", "zendesk", "hmac")
HOOKS = "\n".join(
    f'[webhooks.{scheme}]\nscheme = "{scheme}"\nsecret_env = "HOOK_{scheme.upper()}"'
    + ('\nheader = "X-Signature"' if scheme == "hmac" else "")
    for scheme in SCHEMES
)


@pytest.fixture
def hooks(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> Served:
    for scheme in SCHEMES:
        monkeypatch.setenv(f"HOOK_{scheme.upper()}", SECRETS.get(scheme, SECRET))
    return serve(HOOKS)


def post(served: Served, scheme: str, body: bytes, headers: dict[str, str] | None = None, **more: str) -> Answer:
    headers = signed(scheme, body, int(time.time())) if headers is None else headers
    return served("POST", f"/hooks/{scheme}", body, None, **headers, **more)


def events(served: Served, box: str = "new") -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted((served.root / "events" / box).glob("*.json"))]


def is_bare(answer: Answer) -> bool:
    """Whether it says nothing but its status, and to no page of another origin."""
    told = {"set-cookie", "www-authenticate", "content-type"} | {it for it in answer.headers if it.startswith("access")}
    return answer.body == b"" and not told & answer.headers.keys()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signed_request_is_one_event_however_often_it_comes(hooks: Served, scheme: str) -> None:
    body = payload(id="1", event_id="1", type="thing")
    headers = signed(scheme, body, int(time.time()))
    answers = [post(hooks, scheme, body, headers) for _ in range(3)]

    assert [it.status for it in answers] == [202, 200, 200]
    assert all(map(is_bare, answers))
    [found] = events(hooks)
    assert found["fields"] == json.loads(body)
    assert found["event"]["source"] == f"webhook {scheme}"
    again = post(
        hooks,
        scheme,
        payload(id="2", event_id="2"),
        signed(scheme, payload(id="2", event_id="2"), int(time.time()), id="d-2"),
    )
    assert (again.status, len(events(hooks))) == (202, 2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_wrong_an_old_and_a_missing_signature_are_401_and_no_event(hooks: Served, scheme: str) -> None:
    body, now = payload(id="1"), int(time.time())
    secret = "whsec_b3RoZXI=" if scheme == "standard" else "other"
    found = [post(hooks, scheme, body, headers) for headers in (signed(scheme, body, now, secret), {})]
    found.append(post(hooks, scheme, payload(id="2"), signed(scheme, body, now)))
    if scheme not in ("github", "hmac"):
        found += [post(hooks, scheme, body, signed(scheme, body, now + away)) for away in (-400, 400)]

    assert {(it.status, is_bare(it)) for it in found} == {(401, True)}
    assert events(hooks) == []


def test_who_asks_on_a_hooks_path_needs_no_host_of_ours_and_elsewhere_does(hooks: Served) -> None:
    strange = {"Host": "abc.tunnel.example", "Origin": "https://page.example", "Sec_Fetch_Site": "cross-site"}
    body = payload(id="1")
    assert post(hooks, "github", body, None, **strange).status == 202
    assert hooks("POST", "/hooks/nobody", body, None, **strange).status == 421
    assert hooks("GET", "/hooks/github", None, None, **strange).status == 421
    assert hooks("POST", "/api/tasks", body, "sam", **strange).status == 421
    for path in ("/hooks/github/", "/hooks/github/x", "/hooks/../api/tasks", "/hooks/", "/hooks/nobody"):
        answer = hooks("POST", path, body, None, **signed("github", body, int(time.time())))
        assert answer.status == 404, path
    assert hooks("GET", "/hooks/github", None, None).status == 405
    assert len(events(hooks)) == 1


def test_a_token_opens_no_hook(hooks: Served) -> None:
    assert hooks("POST", "/hooks/github", payload(id="1"), "sam").status == 401


def test_bytes_count_as_they_were_sent(hooks: Served) -> None:
    """Two spellings of one JSON value have two signatures: nothing is parsed before it is known whose it is."""
    body = b'{ "id" : 1.0,\r\n "id":2 }'
    assert post(hooks, "github", body, None, Content_Type="text/weird").status == 202
    assert post(hooks, "hmac", json.dumps(json.loads(body)).encode(), signed("hmac", body, 0)).status == 401


def test_a_body_over_a_mebibyte_is_413_and_one_without_a_length_411(hooks: Served) -> None:
    body = b'"' + b"x" * (1 << 20) + b'"'
    answer = post(hooks, "github", body)
    assert (answer.status, is_bare(answer)) == (413, True)
    just = b'"' + b"x" * ((1 << 20) - 2) + b'"'  # as an event, with what is around it, it is larger
    assert post(hooks, "github", just).status == 413
    claimed = hooks.raw(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 1200000\r\n"
                        b"X-Hub-Signature-256: sha256=00\r\n\r\n")  # fmt: skip
    assert claimed is not None and claimed.status == 413  # at once, without the body
    chunked = hooks.raw(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                        b"X-Hub-Signature-256: sha256=00\r\n\r\n0\r\n\r\n")  # fmt: skip
    assert chunked is not None and chunked.status == 411 and chunked.body == b""
    assert events(hooks) == []


def test_two_of_one_signature_header_are_wrong(hooks: Served) -> None:
    body = payload(id="1")
    right = signed("github", body, 0)["X-Hub-Signature-256"].encode()
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    marks = b"X-Hub-Signature-256: %b\r\nX-Hub-Signature-256: sha256=00\r\n\r\n" % right
    answer = hooks.raw(head + marks + body)
    assert answer is not None and answer.status == 401


def test_slacks_challenge_is_answered_only_when_it_is_signed(hooks: Served) -> None:
    body = payload(type="url_verification", challenge="3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    answer = post(hooks, "slack", body)
    assert (answer.status, answer.body) == (200, b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    assert answer.headers["content-type"].startswith("text/plain")
    assert post(hooks, "slack", body, signed("slack", body, int(time.time()), "other")).body == b""
    assert events(hooks) == []


def test_a_signed_body_that_is_no_text_is_kept_with_its_reason(hooks: Served) -> None:
    body = b"\xff\xfe"
    assert post(hooks, "hmac", body).status == 202
    [kept] = [it for it in (hooks.root / "events" / "failed").iterdir() if it.suffix == ".refused"]
    assert kept.read_bytes() == body
    assert "UTF-8" in kept.with_name(f"{kept.name}.reason").read_text()


def test_without_its_secret_a_hook_takes_nothing(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_STANDARD", "whsec_")
    served = serve(HOOKS)
    body = payload(id="1")
    for scheme, secret in (("github", ""), ("standard", "whsec_")):
        answer = post(served, scheme, body, signed(scheme, body, int(time.time()), secret or SECRET))
        assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "60", b"")
    assert "HOOK_GITHUB" in served.complaints
    assert events(served) == []


def test_two_secrets_count_while_one_is_changed(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD", "old")
    monkeypatch.setenv("NEW", "new")
    served = serve('[webhooks.github]\nscheme = "github"\nsecret_env = ["NEW", "OLD"]\n')
    for number, (secret, status) in enumerate((("old", 202), ("new", 202), ("older", 401))):
        body = payload(id=number)
        assert post(served, "github", body, signed("github", body, 0, secret, f"d-{number}")).status == status


def _is_after(second: int) -> bool:
    return int(time.time()) > second


def test_ten_refusals_are_reported_to_the_monitor_once(hooks: Served) -> None:
    inbox, hour = hooks.root / "inbox" / "sam" / "new", int(time.time()) // 3600
    for _ in range(9):
        post(hooks, "github", b"{}", {})
    assert not inbox.is_dir() or not list(inbox.iterdir())
    for _ in range(2):
        second = int(time.time())
        for _ in range(12):
            post(hooks, "github", b"{}", {})
        until(functools.partial(_is_after, second), "another second has begun")
    told = [it.read_text() for it in inbox.iterdir()]
    assert len(told) == 1 or hour != int(time.time()) // 3600, told
    assert "webhook github" in told[0]


def test_while_too_many_events_wait_the_sender_comes_again(hooks: Served) -> None:
    new = hooks.root / "events" / "new"
    new.mkdir(parents=True, exist_ok=True)
    for number in range(10_000):
        (new / f"{hashlib.sha256(str(number).encode()).hexdigest()[:16]}.x.json").touch()
    answer = post(hooks, "github", payload(id="1"))
    assert (answer.status, answer.headers["retry-after"], is_bare(answer)) == (503, "60", True)


def test_a_broken_configuration_is_503_until_it_is_mended(hooks: Served) -> None:
    file, body = hooks.root / "clawfiles.toml", payload(id="1")
    whole = file.read_text()
    file.write_text(whole + "[broken")
    assert post(hooks, "github", body, None, Host="other.example").status == 503
    file.write_text(whole)
    assert post(hooks, "github", body, None, Host="other.example").status == 202


def test_an_event_is_durable_when_the_sender_hears_of_it(hooks: Served) -> None:
    """Killed at the moment of the answer, the server has what it said it has."""
    body = payload(id="1")
    assert post(hooks, "github", body).status == 202
    hooks.process.kill()
    hooks.process.wait()
    assert len(events(hooks)) == 1


SETTINGS = [
    ('scheme = "github"', "secret_env: must be given"),
    ('secret_env = "A"', "scheme: must be given"),
    ('scheme = "hmac"\nsecret_env = "A"', "header: goes with"),
    ('scheme = "github"\nsecret_env = "A"\nheader = "X"', "header: goes with"),
    ('scheme = "github"\nsecret_env = []', "must be one name"),
    ('scheme = "github"\nsecret_env = ["A", "B", "C"]', "must be one name"),
    ('scheme = "githup"\nsecret_env = "A"', "did you mean `github`?"),
    ('scheme = "github"\nsecret_env = "A"\ntype = "a b"', "type: 'a b' wants letters"),
    ('scheme = "github"\nsecret_env = "A B"', "secret_env"),
]


@pytest.mark.parametrize(("table", "said"), SETTINGS)
def test_a_hook_that_anybody_could_use_is_no_configuration(
    board: Served, tmp_path: Path, table: str, said: str
) -> None:
    config = (board.root / "clawfiles.toml").read_text()
    (tmp_path / "clawfiles.toml").write_text(f"{config}\n[webhooks.x]\n{table}\n")
    found = board.shell("-C", str(tmp_path), "task", "list", ok=False)["error"]
    assert found["code"] == "invalid-config"
    assert said in found["message"], found
