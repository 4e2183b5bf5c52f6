"""A real OpenClaw gateway on loopback, and a workspace of ours whose agents live in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from claw_files.testing.patience import until

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "token-of-this-test"
READY_SECONDS, LIMIT_SECONDS = 180, 120
NO_BEAT = "0m"


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Gateway:
    """The program `openclaw gateway run` with a state of its own below `folder`, and agents with a workspace each."""

    def __init__(self, folder: Path, model_port: int, agents: Mapping[str, str] | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.agents = dict(agents or {"main": NO_BEAT, "peter": NO_BEAT})  # name and the interval of its heartbeat
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("home", "tmp", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name in self.agents:
            self.workspace(name).mkdir(parents=True, exist_ok=True)
        self.config = self._config(model_port)
        self.write_config()
        path = os.pathsep.join([os.environ.get("OC_PATH", ""), os.environ["PATH"]])
        self.env = {
            "PATH": path,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "OPENCLAW_STATE_DIR": str(folder / "state"),
            "OPENCLAW_CONFIG_PATH": str(folder / "openclaw.json"),
            "OPENCLAW_OFFLINE": "1",
            "OPENCLAW_NO_AUTO_UPDATE": "1",
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "OPENCLAW_NO_RESPAWN": "1",
            "DO_NOT_TRACK": "1",
            "NO_COLOR": "1",
        }

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def workspace(self, agent: str) -> Path:
        return self.folder / "ws" / agent

    def write_config(self) -> None:
        path = self.folder / "openclaw.json"
        path.write_text(json.dumps(self.config, indent=1))
        path.chmod(0o600)

    def start(self, is_awaited: bool = True) -> "Gateway":
        """Start it; returns when it can run agents."""
        with open(self.folder / "gateway.log", "ab") as log:
            self._process = subprocess.Popen(
                ["openclaw", "gateway", "run"], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        if is_awaited:
            until(self._is_ready, "a gateway that is ready", seconds=READY_SECONDS)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it is gone. KILL takes all that it started, as a power cut would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            if how is signal.SIGKILL:
                os.killpg(self._process.pid, how)
            else:
                self._process.send_signal(how)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.stop(how)
        self.start()

    def cli(self, *arguments: str, is_checked: bool = True) -> str:
        """What `openclaw ...` prints."""
        done = subprocess.run(["openclaw", *arguments], env=self.env, capture_output=True, text=True, timeout=120)
        assert not is_checked or done.returncode == 0, f"openclaw {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def monitor(self, agent: str) -> str:
        """The id of the job that is the agent's heartbeat."""
        jobs = json.loads(self.cli("cron", "list", "--all", "--json"))["jobs"]
        return next(str(job["id"]) for job in jobs if job.get("declarationKey") == f"heartbeat:{agent}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            tail = (self.folder / "gateway.log").read_text(errors="replace")[-3000:]
            raise AssertionError(f"the gateway ended: {tail}")
        address = f"http://127.0.0.1:{self.port}/readyz"
        with suppress(OSError, ValueError), urllib.request.urlopen(address, timeout=5) as answer:
            return bool(json.load(answer).get("ready"))
        return False

    def _config(self, model_port: int) -> dict[str, Any]:
        model = {"id": "scripted", "name": "Scripted", "reasoning": False, "input": ["text"]}
        model |= {"cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0}}
        model |= {"contextWindow": 200000, "maxTokens": 8192}
        provider = {"baseUrl": f"http://127.0.0.1:{model_port}/v1", "apiKey": "none", "api": "openai-completions"}
        return {
            "gateway": {
                "mode": "local", "port": self.port, "bind": "loopback", "auth": {"mode": "token", "token": TOKEN},
                "controlUi": {"enabled": False}, "terminal": {"enabled": False},
                "tools": {"allow": ["sessions_send"]},
            },
            "models": {"mode": "replace", "catalogRefresh": {"enabled": False},
                       "providers": {"loopback": {**provider, "models": [model]}}},
            "agents": {
                "ownership": "explicit",
                "defaults": {"model": "loopback/scripted", "utilityModel": "", "skipBootstrap": True, "skills": [],
                             "heartbeat": {"every": "0m", "target": "none"}, "systemAgent": {"agentId": "main"}},
                "entries": {
                    name: {"workspace": str(self.workspace(name)), "heartbeat": {"every": every, "target": "none"}}
                    for name, every in self.agents.items()
                },
            },
            "tools": {"profile": "coding", "toolSearch": False},
            "plugins": {"slots": {"memory": "none"}},
            "logging": {"file": str(self.folder / "openclaw.log")},
            "update": {"checkOnStart": False}, "telemetry": {"enabled": False},
            "discovery": {"mdns": {"mode": "off"}},
        }  # fmt: skip


SETTINGS = """
[workspace]
coordinator = "sam"
ledger = "clawfiles/LEDGER.md"

[openclaw]
url = "{url}"

[agents.sam]
kind = "named"
runtime = "inbox"
session = "agent:main:main"

[agents.peter]
kind = "named"
reports_to = "sam"
takes = ["bug"]
runtime = "openclaw"
workspace = "{workspace}"

[heartbeat]
backoff = "1h"
"""


class Team:
    """A workspace of ours beside a gateway."""

    def __init__(self, folder: Path, gateway: Gateway, settings: str = SETTINGS) -> None:
        self.root, self.gateway = folder / "team", gateway
        self.root.mkdir(parents=True)
        text = settings.format(url=gateway.url, workspace=gateway.workspace("peter"))
        (self.root / "clawfiles.toml").write_text(text)
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        program = programs / "clawfiles"
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m claw_files "$@"\n')
        program.chmod(0o755)
        path = os.pathsep.join([str(programs), gateway.env["PATH"]])
        self.env = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "OPENCLAW_GATEWAY_TOKEN": TOKEN}
        self("init", str(self.root))

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What the command prints."""
        where = [] if arguments[0] == "init" else ["-C", str(self.root), "--agent", "sam"]
        command = ["clawfiles", *where, *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        assert done.returncode == status, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def change(self, old: str, new: str) -> None:
        """Change the one place in clawfiles.toml that reads `old`."""
        file = self.root / "clawfiles.toml"
        assert file.read_text().count(old) == 1, f"{old!r} is not once in clawfiles.toml"
        file.write_text(file.read_text().replace(old, new))

    def task(self, title: str = "Look at the login") -> str:
        """The id of a new task that was given to peter."""
        return str(json.loads(self("task", "new", title, "--type", "bug", "--to", "peter", "--json"))["id"])

    def shown(self, task: str) -> dict[str, Any]:
        return dict(json.loads(self("task", "show", task, "--json")))

    def folder(self, run: str) -> Path:
        return self.root / "runs" / run

    def text(self, run: str, name: str) -> str:
        with suppress(OSError):
            return (self.folder(run) / name).read_text()
        return ""

    def record(self, run: str) -> dict[str, Any]:
        """What the bridge wrote down; empty before it did."""
        return dict(json.loads(self.text(run, "openclaw.json") or "{}"))

    def ended(self, run: str) -> str:
        """run.md of the run, once it has ended."""
        until(lambda: "\nended: " in self.text(run, "run.md"), f"the end of {run}")
        return self.text(run, "run.md")

    def settled(self, task: str, run: str) -> dict[str, Any]:
        """The task when its run has ended and a heartbeat has looked."""
        self.ended(run)
        self("heartbeat")
        return self.shown(task)

    def processes(self, run: str) -> list[int]:
        """The bridge and its supervisor, and what else belongs to the run."""
        marks = tuple(f"{name}={self.folder(run)}".encode() for name in ("CLAWFILES_RUN_DIR", "CLAWFILES_SUPERVISES"))
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if any(mark in (process / "environ").read_bytes().split(b"\0") for mark in marks):
                    found.append(int(process.name))
        return found

    def lose(self, run: str) -> None:
        """Kill the bridge and its supervisor, as a power cut does."""
        for pid in self.processes(run):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes(run), "nothing of the run to be left")

    def stop(self) -> None:
        """End every run that is left."""
        for folder in self.root.glob("runs/*"):
            if "\nended: " not in self.text(folder.name, "run.md") and self.processes(folder.name):
                (folder / "stop").touch()
                self.ended(folder.name)


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
