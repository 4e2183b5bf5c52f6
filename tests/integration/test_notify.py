"""People who are reached outside of the workspace: real senders, the real apprise, a real server on this machine."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from claw_files.app.sender import Sender
from claw_files.app.wiring import App
from claw_files.core.errors import INSTALL, CannotWrite
from claw_files.core.model import AgentId
from claw_files.testing.patience import until

SECRET = "s3cretword"
WAIT_SECONDS = 30.0
ME, SAM = AgentId("me"), AgentId("sam")


class Server:
    """A service that takes JSON: in its `mode` it takes, refuses or keeps one waiting."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.asked = 0
        self.mode = "takes"
        self.go = threading.Event()
        self.port = 0
        self.start()

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.mode == "hangs":
                    outer.go.wait(WAIT_SECONDS)
                    return
                if outer.mode == "drips":
                    with suppress(OSError):
                        while not outer.go.wait(0.2):
                            self.wfile.write(b"H")
                    return
                if outer.mode == "takes":
                    outer.taken.append(f"{said['title']}\n{said['message']}")
                self.send_response(200 if outer.mode == "takes" else 500)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, text: str) -> int:
        return sum(text in one for one in self.taken)

    @property
    def address(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}"


class Team:
    """A workspace with a person; every tick is a fresh app, and senders are processes of their own."""

    def __init__(self, root: Path, channels: list[str], more: str = "") -> None:
        self.root = root
        root.mkdir()
        text = f"""
[workspace]
coordinator = "sam"
monitor = "sentry"
[agents.sam]
[agents.sentry]
[agents.me]
kind = "human"
channels = {json.dumps(channels)}
[notify]
timeout = "1s"
backoff = "1s"
{more}
"""
        (root / "clawfiles.toml").write_text(text)

    def app(self) -> App:
        return App(str(self.root), dict(os.environ), None)

    def send(self, text: str) -> str:
        id = self.app().messages.send(SAM, ME, text).id
        assert id
        return id

    def tick(self) -> float:
        """A tick; how long it took, in seconds."""
        start = time.monotonic()
        ticked = self.app().heartbeat.tick()
        assert ticked.problems == ()
        return time.monotonic() - start

    def until(self, seen: Callable[[], object], what: str, ticks: bool = True) -> None:
        """Wait, ticking, until it is so."""
        until(seen, what, between=self.tick if ticks else lambda: None)

    def quiet(self) -> None:
        """Wait until no sender is at work."""
        self.until(lambda: not self.senders(), "the sender ends", ticks=False)

    def names(self, folder: str) -> list[str]:
        there = self.root / folder
        return sorted(name for name in os.listdir(there) if name.endswith(".md")) if there.exists() else []

    def posts(self) -> list[str]:
        return [(self.root / "outbox" / name).read_text() for name in self.names("outbox")]

    def senders(self) -> list[int]:
        """The processes that send for this workspace."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.endswith(b"sender.py") for word in words) and str(self.root).encode() in words:
                found.append(int(name))
        return found

    def kill_senders(self) -> None:
        """Kill the senders; one that ends on its own after it was found is no failure."""
        for pid in self.senders():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self.kill_senders()
        self.until(lambda: not self.senders(), "the sender ends", ticks=False)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Team]]:
    """Makes the team of a test."""
    made: list[Team] = []

    def make(channels: list[str], more: str = "") -> Team:
        made.append(Team(tmp_path / "team", channels, more))
        return made[-1]

    yield make
    for team in made:
        team.close()


def test_each_item_reaches_a_person_once_and_says_how_to_answer(server: Server, start) -> None:
    team = start(["file:announcements.md", f"apprise:{server.address}"])
    first = team.send("the build is green\x1b[2J")
    asked = team.app().messages.ask(SAM, ME, "Which region?").id

    team.until(lambda: len(server.taken) == 2 and not team.posts(), "both are delivered")
    team.quiet()
    for _ in range(3):
        team.tick()

    team.quiet()
    assert server.asked == 2
    assert server.count("the build is green") == server.count("Which region?") == 1
    text = next(one for one in server.taken if "region" in one)
    assert f'clawfiles answer {asked} "TEXT" --agent me' in text
    assert f"[{asked}]" in text
    assert "\x1b" not in "".join(server.taken)
    assert team.root.joinpath("announcements.md").read_text().count("the build is green") == 1
    marked = (team.root / f"inbox/me/done/{first}.md").read_text()
    assert "json-2:" in marked


def test_an_address_is_written_nowhere(server: Server, start) -> None:
    team = start([server.address])
    server.mode = "refuses"
    team.send("hello")
    team.until(lambda: any("tries: 1" in post for post in team.posts()), "it fails")
    server.mode = "takes"
    team.until(lambda: server.taken and not team.posts(), "it is delivered")
    team.quiet()

    files = [path for path in team.root.rglob("*") if path.is_file() and path.name not in ("clawfiles.toml", "config")]

    assert len(files) > 5
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("refuses", "the service answered 500"),
        ("is down", "no connection"),
        ("hangs", "no answer within 1 s"),
        ("drips", "no answer within 1 s"),
    ],
)
def test_a_service_that_is_away_keeps_nothing_waiting_and_gets_it_later_once(
    server: Server, start, trouble: str, reason: str
) -> None:
    team = start([server.address, "file:announcements.md"])
    server.mode = trouble
    if trouble == "is down":
        server.stop()
    team.send("hello")

    took = team.tick()

    assert "hello" in team.root.joinpath("announcements.md").read_text()
    assert took < 1.0, "the limit of one delivery: the tick does not wait for it"
    team.until(lambda: any(f"reason: {reason}" in post for post in team.posts()), "the reason stands there")
    if trouble == "is down":
        server.start()
    server.mode = "takes"
    server.go.set()
    team.until(lambda: server.taken and not team.posts(), "it is delivered")
    team.quiet()
    team.tick()
    team.quiet()
    assert server.count("hello") == 1
    audit = "".join(path.read_text() for path in (team.root / "audit").iterdir())
    assert audit.count('"not delivered"') == 1
    assert audit.count('"delivered"') == 1


def test_a_sender_that_is_killed_is_started_again(server: Server, start) -> None:
    team = start([server.address])
    config = team.root / "clawfiles.toml"
    config.write_text(config.read_text().replace('timeout = "1s"', 'timeout = "20s"'))
    server.mode = "hangs"
    for number in range(3):
        team.send(f"item {number}.")
    team.until(lambda: server.asked, "the first one is on its way")
    team.kill_senders()
    server.mode = "takes"
    server.go.set()

    team.until(lambda: len(team.names("outbox/sent")) == 3, "all are delivered")

    team.quiet()
    assert [server.count(f"item {number}.") for number in range(3)] == [1, 1, 1]


def test_an_undelivered_post_is_escalated_once_and_abandoned(server: Server, start) -> None:
    team = start([server.address], 'alert = "2s"\ngive_up = "5s"')
    server.mode = "refuses"
    team.send("hello")

    team.until(lambda: team.names("outbox/failed"), "it is given up")

    team.quiet()
    told = [name for name in team.names("inbox/sentry/new") if name.startswith("channel.me.json-1.")]
    assert len(told) == 1
    assert "accepts no messages: the service answered 500" in (team.root / "inbox/sentry/new" / told[0]).read_text()
    asked = server.asked
    team.tick()
    team.quiet()
    assert server.asked == asked


def test_one_item_that_a_service_refuses_keeps_no_other_away(server: Server, start) -> None:
    team = start([server.address])
    server.mode = "refuses"
    team.send("poison")
    team.until(lambda: any("tries: 1" in post for post in team.posts()), "it fails")
    team.quiet()
    poison = team.names("outbox")
    server.mode = "takes"
    team.send("medicine")

    team.until(lambda: server.count("medicine"), "the other one is delivered")

    assert server.taken[0].count("medicine") == 1, f"what failed least goes first: {poison}"


def test_each_of_several_addresses_gets_a_notification_once(server: Server, start) -> None:
    team = start(["addresses:mine.txt"])
    other = Server()
    try:
        other.mode = "refuses"
        (team.root / "mine.txt").write_text(f"# my phone, my desk\n{server.address}\n{other.address}\n")
        (team.root / "mine.txt").chmod(0o600)
        team.send("hello")
        team.until(lambda: any("500 (address 2 of 2)" in post for post in team.posts()), "the second one fails")
        other.mode = "takes"

        team.until(lambda: other.taken and not team.posts(), "the second one has it")

        team.quiet()
        assert (server.count("hello"), other.count("hello")) == (1, 1)
    finally:
        other.stop()


def test_a_variable_holds_the_address(server: Server, start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONE_OF_ME", server.address)
    team = start(["env:PHONE_OF_ME"])
    team.send("hello")

    team.until(lambda: server.count("hello") == 1 and not team.posts(), "it is delivered")


def test_without_the_library_it_says_what_to_install(start, monkeypatch: pytest.MonkeyPatch) -> None:
    team = start(["json://127.0.0.1:9/"])
    monkeypatch.setattr("claw_files.services.people.notifications.Outbox.start", lambda *_: None)
    monkeypatch.setitem(sys.modules, "apprise", None)
    team.send("hello")
    team.tick()

    Sender(team.app()).run()

    assert INSTALL["notify"] in team.posts()[0]


def test_on_a_disk_that_takes_nothing_nothing_is_sent(server: Server, start, monkeypatch: pytest.MonkeyPatch) -> None:
    team = start([server.address])
    monkeypatch.setattr("claw_files.services.people.notifications.Outbox.start", lambda *_: None)
    team.send("hello")
    team.tick()

    def full(*args: object, **more: object) -> None:
        raise CannotWrite("outbox", "no space left on device")

    monkeypatch.setattr("claw_files.system.disk_files.DiskFiles.commit", full)

    with pytest.raises(CannotWrite):
        Sender(team.app()).run()

    assert server.asked == 0


def test_two_senders_are_one(server: Server, start) -> None:
    team = start([server.address])
    for number in range(5):
        team.send(f"item {number}.")
    app = team.app()
    with app.workspace.locks.hold("outbox", timedelta(), "another sender"):
        team.tick()
        assert team.senders() == []
        Sender(team.app()).run()  # waits for its turn, then leaves it to the other one
        assert server.asked == 0

    team.until(lambda: len(team.names("outbox/sent")) == 5, "all are delivered")

    assert server.asked == 5
