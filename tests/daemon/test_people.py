"""People and the daemon: a box that is ticked is seen at once, and a service that is away is tried again in time."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, State
from tests.daemon.conftest import AT_ONCE_SECONDS, TEAM, Home


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """A service that refuses the first two things it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["message"]
            server.told.append(said)
            self.send_response(200 if len(server.told) > 2 else 503)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.told = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def home_with(tmp_path: Path, channels: list[str]) -> Home:
    """A team whose person has these channels and reviews; the daemon looks around by itself every ten minutes only."""
    team = TEAM.replace('channels = ["file:announcements.md"]', f"channels = {json.dumps(channels)}")
    more = '[routes]\nasked = { to = ["iris"], review = "dimitrios" }\n'
    return Home(tmp_path / "team", f'{team}\n{more}[daemon]\nrescan = "10m"\n[notify]\nbackoff = "1s"\n')


def is_at_rest(home: Home) -> bool:
    """Whether the last tick was a while ago: nothing that was done follows itself."""
    last = home.state.last_tick
    return last is not None and datetime.now(UTC) - last.at > timedelta(seconds=2)


@pytest.mark.parametrize("paper", ["announcements.md", "desk/announcements.md"])
def test_a_ticked_box_is_acted_on_at_once(tmp_path: Path, paper: str) -> None:
    home = home_with(tmp_path, [f"file:{paper}"])
    try:
        (home.root / "desk").mkdir()
        home.start()
        task = home.new("iris")
        status, defined = f"status/{task.lower()}.md", f"definitions/{task.lower()}.md"
        home.write(defined, home.read(defined).replace("title:", "type: asked\ntitle:"))
        home.write(status, home.read(status) + f"\n{task}: DONE\n")
        home.until(lambda: (home.root / paper).exists() and f"approve {task}" in home.read(paper), "the review is told")
        home.until(lambda: is_at_rest(home), "the daemon waits")

        home.write(paper, home.read(paper).replace(f"[ ] approve {task}", f"[x] approve {task}"))

        home.until(lambda: home.task(task) is State.DONE, "it is approved", AT_ONCE_SECONDS)
        home.until(lambda: "(taken " in home.read(paper), "the line says so", AT_ONCE_SECONDS)
        home.until(lambda: home.lines() == 0, "and it is closed", AT_ONCE_SECONDS)
    finally:
        home.close()


def test_a_refused_notification_is_tried_again_when_it_is_due(tmp_path: Path, service: ThreadingHTTPServer) -> None:
    home = home_with(tmp_path, [f"json://127.0.0.1:{service.server_address[1]}/"])
    try:
        home.start()
        home.app().messages.send(AgentId("sam"), AgentId("dimitrios"), "the build is green")

        home.until(lambda: home.names("outbox/sent"), "it is delivered", seconds=60)

        assert len(service.told) == 3
        assert home.log("tick failed") == []
        assert len(home.audit(action="not delivered")) == 1
    finally:
        home.close()
