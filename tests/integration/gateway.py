"""A counterpart on loopback that speaks OpenClaw's protocol 4 as it was recorded from version 2026.9.6.

It keeps what a gateway keeps: sessions with a transcript, inputs that wait, keys in memory. `restart` forgets the keys
and has another boot id. What a turn does is up to the test: `end` ends it.
"""

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

Json = dict[str, Any]
TOKEN = "secret"
FINAL: Json = {
    "status": "ok",
    "summary": "completed",
    "result": {
        "payloads": [{"text": "TC-1 is done.", "mediaUrl": None}],
        "meta": {
            "durationMs": 893,
            "agentMeta": {
                "provider": "loopback",
                "model": "scripted",
                "usage": {"input": 100, "output": 16, "cacheRead": 20, "cacheWrite": 3, "total": 139},
                "costUsd": 0.25,
            },
        },
    },
}


def refusal(message: str, code: str = "", retryable: bool | None = None) -> Json:
    error: Json = {"code": "INVALID_REQUEST", "message": message, "details": {"code": code}}
    return error | ({} if retryable is None else {"retryable": retryable})


class Counterpart:
    """The gateway. Every change is made under `lock`; `sent` are the turns that were begun, in order."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.boots = itertools.count(1)
        self.boot = f"boot-{next(self.boots)}"
        self.messages: list[Json] = []
        self.pending: dict[str, str] = {}
        self.keys: dict[str, Json | None] = {}  # in memory only: key and final answer, None while it runs
        self.sent: list[str] = []
        self.params: list[Json] = []
        self.agents = ["main", "peter"]
        self.is_active = False
        self.starting = 0  # how many connections are told to come back later
        self.waits: dict[str, tuple[ServerConnection, str]] = {}
        self.drops: set[str] = set()  # methods at whose request the connection is cut, once each
        self.garbage = b""  # sent before each answer
        self.is_steerable: bool | None = True
        self.steered: list[Json] = []
        self.aborted: list[str] = []
        self.refusals: list[str] = []  # with which the next turns are refused after they were taken
        self.on_turn: Callable[[], object] = lambda: None  # what an agent does in its turn
        self.is_instant = True  # a turn ends as soon as it was begun
        self.server: Server = serve(self._serve, "127.0.0.1", 0, compression=None)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}"

    def close(self) -> None:
        self.server.shutdown()

    def restart(self) -> None:
        """Forget what is kept in memory, as a new process has; what is on the disk stays."""
        with self.lock:
            self.boot = f"boot-{next(self.boots)}"
            self.keys.clear()
            for connection, _ in self.waits.values():
                connection.close()
            self.waits.clear()

    def end(self, key: str, final: Json = FINAL) -> None:
        """The turn ends: its answer stands in the transcript, and whoever waits for it is told."""
        with self.lock:
            self.is_active = False
            text = "\n".join(one["text"] for one in final.get("result", {}).get("payloads", []))
            usage = {"input": 100, "output": 16, "cost": {"total": 0.5}}
            self.messages.append({"role": "assistant", "content": [{"type": "text", "text": text}], "usage": usage,
                                  "stopReason": "stop", "provider": "loopback", "model": "scripted",
                                  "__openclaw": {"runId": key}})  # fmt: skip
            self.keys[key] = {"runId": key, **final}
            if waiting := self.waits.pop(key, None):
                self._say(waiting[0], waiting[1], self.keys[key] or {})

    # --- the wire

    def _serve(self, connection: ServerConnection) -> None:
        try:
            connection.send(json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n"}}))
            while True:
                request = json.loads(connection.recv())
                with self.lock:
                    self._take(connection, request)
        except ConnectionClosed:
            pass

    def _take(self, connection: ServerConnection, request: Json) -> None:
        if self.garbage:
            connection.send(self.garbage)
        method, params = request["method"], request["params"]
        if method in self.drops:
            self.drops.discard(method)
            if method == "agent":
                self._agent(None, "", params)
            return connection.close()
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            return self._refuse(connection, request["id"], refusal(f"unknown method {method}"))
        return handler(connection, request["id"], params)

    def _say(self, connection: ServerConnection | None, number: str, payload: Json) -> None:
        if connection is not None:
            with suppress(ConnectionClosed):
                connection.send(json.dumps({"type": "res", "id": number, "ok": True, "payload": payload}))

    def _refuse(self, connection: ServerConnection | None, number: str, error: Json) -> None:
        assert connection is not None
        connection.send(json.dumps({"type": "res", "id": number, "ok": False, "error": error}))

    def _connect(self, connection: ServerConnection, number: str, params: Json) -> None:
        if self.starting:
            self.starting -= 1
            error = refusal("gateway is starting", retryable=True) | {"code": "UNAVAILABLE"}
            return self._refuse(connection, number, error)
        if params["auth"] != {"token": TOKEN}:
            return self._refuse(connection, number, refusal("unauthorized", "AUTH_TOKEN_MISMATCH"))
        server = {"version": "2026.9.6", "bootId": self.boot}
        return self._say(connection, number, {"type": "hello-ok", "protocol": 4, "server": server})

    def _agent(self, connection: ServerConnection | None, number: str, params: Json) -> None:
        key = params["idempotencyKey"]
        self.params.append(params)
        if params["agentId"] not in self.agents:
            return self._refuse(connection, number, refusal('invalid agent params: unknown agent id "nobody"'))
        if key in self.keys:
            return self._say(connection, number, self.keys[key] or {"runId": key, "status": "in_flight"})
        self._say(connection, number, {"runId": key, "status": "accepted", "acceptedAt": 1})
        self.sent.append(key)
        if self.refusals:
            error = refusal(f"Retry. | {self.refusals.pop(0)}", retryable=True) | {"code": "UNAVAILABLE"}
            self.keys[key] = {"runId": key, "status": "error"}
            return self._refuse(connection, number, error)
        self.keys[key], self.is_active = None, True
        self.messages.append({"role": "user", "content": params["message"], "idempotencyKey": f"{key}:user"})
        if connection is not None:
            self.waits[key] = (connection, number)
        self.on_turn()
        if self.is_instant:
            self.end(key)
        return None

    def _agent_wait(self, connection: ServerConnection, number: str, params: Json) -> None:
        final = self.keys.get(params["runId"])
        status = final["status"] if final else "timeout"
        reply = {"disposition": "visible", "text": "TC-1 is done."} if status == "ok" else {}
        self._say(connection, number, {"runId": params["runId"], "status": status, "terminalReply": reply})

    def _chat_history(self, connection: ServerConnection, number: str, params: Json) -> None:
        items = [{"runId": key, "state": state} for key, state in self.pending.items()]
        session = {"hasActiveRun": self.is_active}
        payload = {"messages": self.messages, "pendingInputs": {"items": items}, "sessionInfo": session}
        self._say(connection, number, payload)

    def _chat_abort(self, connection: ServerConnection, number: str, params: Json) -> None:
        self.aborted.append(params["runId"])
        self._say(connection, number, {})

    def _agents_list(self, connection: ServerConnection, number: str, params: Json) -> None:
        self._say(connection, number, {"agents": [{"id": name, "workspace": f"/ws/{name}"} for name in self.agents]})

    def _tools_invoke(self, connection: ServerConnection, number: str, params: Json) -> None:
        self.steered.append(params)
        if self.is_steerable is None:
            return self._say(connection, number, {"ok": False, "error": {"message": "Tool not available"}})
        details: Json = {"status": "accepted", "targetDisposition": "steered"}
        if not self.is_steerable:
            details = {"status": "error", "error": "Target has no active run that accepts steering."}
        return self._say(connection, number, {"ok": True, "output": {"details": details}})
