"""The conformance cases, run against clawfiles itself and against a client that was written from the page alone."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, Box, TaskId
from claw_files.core.text import render_instant
from claw_files.presentation.views import message_json, task_json

HERE = Path(__file__).parent
CLIENT = HERE / "client.mjs"
SETTINGS = (HERE / "clawfiles.toml").read_text()
Facts = dict[str, Any]


def load() -> Iterator[Any]:
    for path in sorted(HERE.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            yield pytest.param(case, id=f"{path.stem}:{case['name']}")


CASES = list(load())


class Program(Protocol):
    """What is tested: each answer is JSON; one that was refused has the key `error`."""

    is_ours: bool

    def task(self, task: str) -> Facts: ...
    def ledger(self) -> list[Facts]: ...
    def inbox(self, agent: str) -> list[Facts]: ...
    def do(self, step: Facts) -> Facts: ...


class Ours:
    """clawfiles, in this process."""

    is_ours = True

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def app(self) -> App:
        return App(str(self.root), {}, None)

    def task(self, task: str) -> Facts:
        try:
            shown = self.app.board.show(TaskId(task))
        except ClawError as error:
            return {"error": error.code}
        facts = json.loads(json.dumps(task_json(shown, body=True), default=str))
        eta = shown.task.eta
        return facts | {"eta": render_instant(eta) if eta else None, "unclear": bool(shown.task.unclear)}

    def ledger(self) -> list[Facts]:
        rows = self.app.workspace.entries()
        return [
            {
                "task": entry.task,
                "agent": entry.agent,
                "spawner": entry.spawner,
                "at": render_instant(entry.at) if entry.at else None,
                "ticked": entry.ticked,
            }
            for entry in rows
        ]

    def inbox(self, agent: str) -> list[Facts]:
        ws, found = self.app.workspace, []
        for box in Box:
            for message in ws.messages_in(AgentId(agent), box):
                facts = {key: value for key, value in message_json(message).items() if key not in ("sent", "ack_by")}
                ack_by = render_instant(message.ack_by) if message.ack_by else None
                found.append(facts | {"box": box.value, "ack_by": ack_by})
        return found

    def do(self, step: Facts) -> Facts:
        app, agent = self.app, AgentId(step["agent"])
        try:
            if "claim" in step:
                lease = app.claims.claim(TaskId(step["claim"]), agent, step.get("generation"))
                return {"task": lease.task, "agent": lease.holder, "generation": lease.generation}
            task = app.tasks.done(
                TaskId(step["done"]), agent, step.get("summary", ""), generation=step.get("generation")
            )
            return {"task": task.id, "state": task.state}
        except ClawError as error:
            return {"error": error.code}


class Theirs:
    """The client in another language, asked over the pipes of one process: starting Node is what takes time."""

    is_ours = False

    def __init__(self, root: Path, process: subprocess.Popen[str]) -> None:
        self.root, self.process = root, process

    def _ask(self, *words: str) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([str(self.root), *words]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the client ended at {words}"
        return json.loads(answer)

    def task(self, task: str) -> Facts:
        return self._ask("task", task)

    def ledger(self) -> list[Facts]:
        return self._ask("ledger")

    def inbox(self, agent: str) -> list[Facts]:
        return self._ask("inbox", agent)

    def do(self, step: Facts) -> Facts:
        return self._ask("do", json.dumps(step))


@pytest.fixture(scope="module")
def node() -> Iterator[subprocess.Popen[str]]:
    if shutil.which("node") is None:
        pytest.skip("the client in another language needs Node 20: install `node`")
    with subprocess.Popen(
        ["node", str(CLIENT), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def lay(root: Path, files: dict[str, str]) -> None:
    """The case's files, a minute old: nothing in them is being written."""
    minute_ago = time.time() - 60
    for path, text in ({"clawfiles.toml": SETTINGS} | files).items():
        there = root / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(text.encode())
        if "/claims/" not in path:  # what was taken a minute ago is free again
            os.utime(there, (minute_ago, minute_ago))
    (root / "status").mkdir(exist_ok=True)


def check(program: Program, root: Path, case: Facts) -> None:
    expect, files = case["expect"], case["files"]
    answer: Facts = {}
    for step in expect.get("do", ()):
        answer = program.do(step)
    refused = expect.get("refused_any") or [expect["refused"]] if "refused" in expect or "refused_any" in expect else []
    assert answer.get("error") in refused if refused else "error" not in answer, answer
    assert answer | expect.get("answer", {}) == answer
    if wanted := expect.get("task"):
        found = program.task(wanted["id"])
        assert "error" not in found, found
        found = found | {"state": found.get("state", found.get("status"))}
        assert {key: found.get(key) for key in wanted} == wanted
    for task in expect.get("unreadable", ()):
        assert "error" in program.task(task), task
    if "ledger" in expect:
        rows = program.ledger()
        kept = [{key: row.get(key) for key in want} for row, want in zip(rows, expect["ledger"], strict=False)]
        assert kept == expect["ledger"] and len(rows) == len(expect["ledger"]), rows
    if "inbox" in expect:
        messages, wanted = program.inbox(expect["inbox"]["agent"]), expect["inbox"]["messages"]
        kept = [{key: row.get(key) for key in want} for row, want in zip(messages, wanted, strict=False)]
        assert kept == wanted and len(messages) == len(wanted), messages
    for path in expect.get("same", ()):
        there = root / path
        assert there.read_bytes().decode() == files[path] if path in files else not there.exists() or path not in files
    kept_texts = dict(expect.get("keep", {})) | ({} if program.is_ours else expect.get("outsider_keep", {}))
    for path, texts in kept_texts.items():
        now = (root / path).read_bytes().decode()
        assert all(text in now for text in texts), now


@pytest.mark.parametrize("case", CASES)
def test_clawfiles_conforms(case: Facts, tmp_path: Path) -> None:
    lay(tmp_path, case["files"])

    check(Ours(tmp_path), tmp_path, case)


@pytest.mark.parametrize("case", CASES)
def test_a_client_in_another_language_conforms(case: Facts, tmp_path: Path, node: subprocess.Popen[str]) -> None:
    lay(tmp_path, case["files"])

    check(Theirs(tmp_path, node), tmp_path, case)


def test_there_are_as_many_cases_as_a_standard_needs() -> None:
    names = [case.values[0]["name"] for case in CASES]

    assert len(names) >= 60
    assert len(set(names)) == len(names)
