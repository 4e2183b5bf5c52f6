"""The door of a run: its commands are carried out in its own name, and nothing said there stops the daemon."""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from claw_files.cli import sandbox_client
from claw_files.core.errors import Refused
from claw_files.daemon.run_sockets import RunSocket
from tests.sandbox.conftest import TEAM, Yard, agent

WORKS = """
import json, os, subprocess
W = os.environ["CLAWFILES_WORKSPACE"]
def call(*words, text=None):
    done = subprocess.run(["clawfiles", *words], input=text, capture_output=True, text=True)
    return [done.returncode, done.stdout, done.stderr]
open("body.txt", "w").write("the body's text")
found = {name: call(*words) for name, words in {
    "claims": ["claim", os.environ["CLAWFILES_TASK"]],
    "lists": ["task", "list", "--json"],
    "saves": ["checkpoint", "save", "on it", "--pending", "the rest"],
    "shows": ["checkpoint", "show"],
    "writes": ["task", "new", "A part of it", "--body", "body.txt"],
    "as another": ["--agent", "sam", "task", "new", "forged"],
    "after the command": ["claim", "TC-2", "--agent", "iris"],
    "elsewhere": ["-C", W + "/../other", "task", "list"],
    "the machine": ["heartbeat"],
    "reads a file": ["task", "new", "x", "--body=/etc/hostname-that-is-not-there"],
    "wrong use": ["clam"],
    "help": ["claim", "--help"],
    "is done": ["done", os.environ["CLAWFILES_TASK"], "all is well"],
}.items()}
open("part", "w").write(json.dumps(found))
os.rename("part", "found.json")
"""
STAYS = """
import os, time
while not os.path.exists(os.environ["CLAWFILES_WORKSPACE"] + "/go"): time.sleep(0.02)
"""


def test_commands_in_a_sandbox_are_carried_out_in_the_runs_own_name(yard: Yard) -> None:
    other = yard.root.parent / "other"
    other.mkdir()
    (other / "clawfiles.toml").write_text(yard.read("clawfiles.toml"))
    yard.team(agent("peter", WORKS), "[agents.iris]\n")
    yard.start()
    assert yard.ok("task", "new", "A bug", "--to", "peter").startswith("TC-1")

    found = yard.found()

    assert found["claims"][0] == 0
    assert found["claims"][1].startswith("peter holds TC-1: generation 1, until ")
    assert [task["id"] for task in json.loads(found["lists"][1])] == ["TC-1"]
    assert found["saves"][0] == 0
    assert "the rest" in found["shows"][1]
    assert "the rest" in yard.read("checkpoints/peter.md")
    assert "the body's text" in yard.ok("task", "show", "TC-2")
    assert "requested_by: peter" in yard.read("status/tc-2.md")
    for name, said in (
        ("as another", "this is run tc-1.1-s1 of peter, so sam cannot act in it"),
        ("after the command", "so iris cannot act in it"),
        ("elsewhere", "a run in a sandbox can act only in its own workspace"),
        ("the machine", "`heartbeat` changes this machine"),
    ):
        assert found[name][0] in (5, 6), name  # 6: the other workspace cannot even be seen
        assert said in found[name][2], found[name]
    assert found["reads a file"][0] == 6
    assert (found["wrong use"][0], "did you mean" in found["wrong use"][2]) == (2, True)
    assert "Claim a task" in found["help"][1]
    assert found["is done"][0] == 0
    assert yard.task("TC-1") == "done"
    assert {line["actor"] for line in yard.audit(action="claim")} == {"peter"}
    assert yard.audit(action="create", actor="sam") == [
        line for line in yard.audit(action="create") if line["task"] == "TC-1"
    ]


def test_a_profile_holds_at_the_door(yard: Yard) -> None:
    yard.team(agent("peter", STAYS, 'profile = "readonly"'))
    yard.start()
    yard.new("peter")

    listed = yard.call("tc-1.1-s1", {"argv": ["task", "list"]})
    claimed = yard.call("tc-1.1-s1", {"argv": ["claim", "TC-1"]})

    assert (listed["status"], "TC-1" in listed["out"]) == (0, True)
    assert claimed["status"] == 5
    assert "peter may not use `claim`; " in claimed["err"]
    assert yard.task("TC-1") == "backlog"


RUBBISH = [
    (b"\n", "no JSON"),
    (b"GET / HTTP/1.1\r\n\r\n", "no JSON"),
    (b"[" * 100_000 + b"\n", "no JSON"),
    (b"\xff\xfe\0\n", "no JSON"),
    (b"[]\n", "argv"),
    (b'{"argv": "task list"}\n', "argv"),
    (b'{"argv": []}\n', "argv"),
    (b'{"argv": [1]}\n', "argv"),
    (b'{"argv": ["board"], "input": {}}\n', "input"),
    (b'{"argv": ["task\\u0000list"]}\n', "NUL"),
    (json.dumps({"argv": ["a"] * 1000}).encode() + b"\n", "too many words"),
    (json.dumps({"argv": ["x" * 200_000]}).encode() + b"\n", "too many words"),
    (b"x" * (10 << 20), "longer than 4 MiB"),
    (b'{"argv": ["\\ud800"]}\n', "could not start"),
]


def test_rubbish_forgery_and_clients_that_vanish_do_not_stop_it(yard: Yard) -> None:
    yard.team(agent("peter", STAYS))
    yard.start()
    yard.new("peter")
    run = "tc-1.1-s1"

    for raw, said in RUBBISH:
        answer = yard.call(run, raw)
        assert (answer["status"] in (2, 70), said in answer["err"]) == (True, True), (raw[:40], answer)
    forged = {"argv": ["claim", "TC-1"], "agent": "sam", "env": {"CLAWFILES_AGENT": "sam"}, "run": "x"}
    claimed = yard.call(run, forged)
    assert (claimed["status"], "peter holds TC-1" in claimed["out"]) == (0, True), claimed
    for words in (["--agent", "sam"], ["--agent=sam"], ["--agent", "SAM"]):
        assert yard.call(run, {"argv": [*words, "task", "new", "x"]})["status"] == 5
    assert yard.call(run, {"argv": ["task", "new", "x", "--body", "/etc/passwd"]})["status"] == 5
    assert yard.call(run, {"argv": ["daemon", "stop"]})["status"] == 5
    assert yard.call(run, {"argv": ["init", "/tmp/x"]})["status"] == 5
    for _ in range(8):  # twice what is served at once
        connection = yard.connected(run)
        connection.sendall(b'{"argv": ["inbox", "--wait"]}\n')
        connection.close()
    with yard.connected(run) as silent:
        silent.sendall(b'{"argv": ')
        assert yard.call(run, {"argv": ["task", "list"]})["status"] == 0  # while another one says nothing

    assert yard.state.pid == yard.daemon.pid
    assert yard.call(run, {"argv": ["inbox", "--peek"]})["status"] == 0
    yard.until(lambda: not children(yard.daemon.pid), "nothing is left of those who vanished")


def children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def test_a_thousand_calls_are_answered_and_the_daemon_goes_on(yard: Yard) -> None:
    yard.team(agent("peter", STAYS), agent("iris", "open('found.json', 'w').write('1')"))
    yard.start()
    yard.new("peter")
    run, answers = "tc-1.1-s1", list[int]()
    yard.door(run)

    def many() -> None:
        for _ in range(125):
            answers.append(yard.call(run, b"{}\n")["status"])

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    yard.new("iris")
    yard.found("iris")
    woken_after = time.monotonic() - start
    for thread in threads:
        thread.join()

    assert answers == [2] * 1000
    assert woken_after < 20  # the heartbeat did not wait for them
    assert yard.call(run, {"argv": ["board"]})["status"] == 0


def test_only_its_own_user_gets_in_and_the_socket_goes_with_the_run(yard: Yard) -> None:
    yard.team(agent("peter", STAYS))
    yard.start()
    yard.new("peter")
    path = yard.door("tc-1.1-s1")

    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    os.unlink(path)
    yard.until(lambda: os.path.exists(path), "a deleted file is there again")
    yard.write("go", "")
    yard.until(lambda: os.listdir(yard.root / ".clawfiles/doors") == [], "the door goes with the run")


def test_a_daemon_that_was_killed_is_followed_by_one_that_listens(yard: Yard) -> None:
    yard.team(agent("peter", STAYS))
    yard.start()
    yard.new("peter")
    assert yard.call("tc-1.1-s1", {"argv": ["board"]})["status"] == 0

    yard.kill()
    yard.start()

    def answers() -> bool:
        try:
            return bool(yard.call("tc-1.1-s1", {"argv": ["board"]})["status"] == 0)
        except OSError:
            return False

    yard.until(answers, "it listens")


def test_without_a_daemon_own_files_are_written_and_one_sentence_says_what_is_needed(yard: Yard) -> None:
    script = """
import json, os, subprocess
def call(*words):
    done = subprocess.run(["clawfiles", *words], capture_output=True, text=True)
    return [done.returncode, done.stdout, done.stderr]
found = [call("claim", "TC-1"), call("checkpoint", "save", "--pending", "all")]
open("part", "w").write(json.dumps(found))
os.rename("part", "found.json")
"""
    yard.team(agent("peter", script))
    yard.new("peter")

    claimed, saved = yard.found()

    assert claimed[0] == 7
    waits, told = claimed[2].splitlines()
    assert waits == "waiting for the daemon, which carries the command out"
    assert told.startswith("clawfiles: in this sandbox the command needs the daemon, and none answers")
    assert saved[0] == 0
    assert "pending: [all]" in yard.read("checkpoints/peter.md")


def opened(root: Path, run: str, places: threading.BoundedSemaphore) -> RunSocket:
    """The door of a run of sam's, without a daemon."""
    folder = root / ".clawfiles/doors" / run
    folder.mkdir(parents=True)
    (root / "clawfiles.toml").write_text(TEAM)
    Path(f"{folder}.json").write_text(json.dumps({"CLAWFILES_WORKSPACE": str(root), "CLAWFILES_AGENT": "sam"}))
    return RunSocket(str(folder), str(root), places)


def answer_at(root: Path, run: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        fd = os.open(root / ".clawfiles/doors" / run, os.O_RDONLY)
        connection.connect(f"/proc/self/fd/{fd}/socket")
        os.close(fd)
        with suppress(ConnectionError):
            connection.sendall(b'{"argv": ["board"]}\n')
            return connection.recv(65536)
        return b""


def test_another_user_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door = opened(tmp_path, "tc-1.1-s1", threading.BoundedSemaphore(1))

    try:
        assert b'"status": 0' in answer_at(tmp_path, "tc-1.1-s1")
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # whoever calls is then another one than we are
        assert answer_at(tmp_path, "tc-1.1-s1") == b""
    finally:
        door.close()
        door.join()


def test_doors_at_which_nobody_knocks_take_no_place(tmp_path: Path) -> None:
    places = threading.BoundedSemaphore(2)
    doors = [opened(tmp_path, f"tc-{number}.1-s1", places) for number in range(1, 5)]

    try:
        assert all(b'"status": 0' in answer_at(tmp_path, f"tc-{number}.1-s1") for number in range(1, 5))
    finally:
        for door in doors:
            door.close()
        for door in doors:
            door.join()


@pytest.mark.parametrize("words", [["--items", "{file}"], ["--items={file}"], ["--body", "{file}"]])
def test_the_file_that_an_option_names_is_read_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    file, asked = tmp_path / "list.md", list[dict[str, object]]()
    file.write_text("one\ntwo\n")

    def ask(_path: str, request: bytes) -> dict[str, object]:
        asked.append(json.loads(request))
        return {"out": "", "err": "", "status": 0}

    monkeypatch.setattr(sandbox_client, "ask", ask)
    sandbox_client.call("socket", ["spawn", "x", *(word.format(file=file) for word in words)])

    assert [one["input"] for one in asked] == ["one\ntwo\n"]
    assert str(file) not in json.dumps(asked)


def test_a_text_that_is_too_large_is_refused_inside_and_not_cut(tmp_path: Path) -> None:
    file = tmp_path / "long.md"
    file.write_text("x" * ((1 << 20) + 1))

    with pytest.raises(Refused, match="over 1 MB"):
        sandbox_client.call("no socket", ["spawn", "x", "--body", str(file)])
