"""A chat model on loopback with scripted answers, as OpenClaw asks for them (`/v1/chat/completions`).

It takes the newest turn of a request, counts the tool results after it, and plays that step of the first rule whose
expression is found in the turn. A message may bring its own script: `PLAY: [{"tool": ..., "args": {...}}] :YALP`.
"""

import json
import re
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Json = dict[str, Any]
INTERNAL = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"
INLINE = re.compile(r"PLAY:\s*(\[.*?\])\s*:YALP", re.DOTALL)
LAST_WORD: Json = {"say": "done."}


class Rule(NamedTuple):
    """What to do, step by step, at a turn in which `match` is found. `{0}`, `{name}` are the groups of the match."""

    match: str
    steps: list[Json]


class Request(NamedTuple):
    """One request that came in."""

    at: float
    turn: str  # the newest message, with what OpenClaw put beside it
    step: int
    results: list[str]  # what the tools answered since
    letters: int  # of the whole request
    action: Json


class Model(ThreadingHTTPServer):
    """Serves in a thread of its own until `close`."""

    daemon_threads = True

    def __init__(self, rules: Iterable[Rule], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.rules, self.requests = list(rules), list[Request]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def turns(self, needle: str) -> int:
        """How many turns began whose message holds `needle`."""
        return sum(1 for one in self.requests if one.step == 0 and needle in one.turn)

    @property
    def tokens(self) -> int:
        """What all requests together held, at four letters a token."""
        return sum(one.letters for one in self.requests) // 4

    def action(self, turn: str, step: int) -> Json:
        if inline := INLINE.search(turn):
            steps = json.loads(inline[1])
        else:
            steps = next((_filled(r.steps, m) for r in self.rules if (m := re.search(r.match, turn, re.DOTALL))), [])
        return dict(steps[step]) if step < len(steps) else LAST_WORD


def _filled(value: Any, match: re.Match[str]) -> Any:
    if isinstance(value, str):
        for name, text in ({str(n): g for n, g in enumerate(match.groups())} | match.groupdict()).items():
            value = value.replace(f"{{{name}}}", text or "")
        return value
    if isinstance(value, list):
        return [_filled(one, match) for one in value]
    return {key: _filled(one, match) for key, one in value.items()} if isinstance(value, dict) else value


def _text(message: Json) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content or [])


def _newest(messages: list[Json]) -> tuple[str, list[str]]:
    """The newest turn's text, and the tool results after it; messages that OpenClaw adds belong to the turn."""
    results, beside = list[str](), list[str]()
    for message in reversed(messages):
        text = _text(message)
        if message["role"] == "tool":
            results.insert(0, text)
        elif message["role"] == "user" and text.startswith(INTERNAL):
            beside.insert(0, text)
        elif message["role"] == "user":
            return "\n".join([text, *beside]), results
    return "\n".join(beside), results


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model

    def do_GET(self) -> None:
        self._send("application/json", b'{"object": "list", "data": [{"id": "scripted", "object": "model"}]}')

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw)
        turn, results = _newest(body.get("messages", []))
        action = self.server.action(turn, len(results))
        self.server.requests.append(Request(time.time(), turn, len(results), results, len(raw), action))
        time.sleep(action.get("delay", 0))
        message: Json = {"role": "assistant", "content": action.get("say")}
        if "tool" in action:
            call = {"name": action["tool"], "arguments": json.dumps(action.get("args", {}))}
            number = len(self.server.requests)
            message["tool_calls"] = [{"index": 0, "id": f"call_{number}", "type": "function", "function": call}]
        finish = "tool_calls" if "tool" in action else "stop"
        usage = {"prompt_tokens": len(raw) // 4, "completion_tokens": 8, "total_tokens": len(raw) // 4 + 8}
        head = {"id": "chatcmpl-1", "created": int(time.time()), "model": "scripted"}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            answer = {**head, "object": "chat.completion", "usage": usage, "choices": [choice]}
            return self._send("application/json", json.dumps(answer).encode())
        parts: list[Json] = [
            {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {"choices": [], "usage": usage},
        ]
        lines = [json.dumps({**head, "object": "chat.completion.chunk", **part}) for part in parts]
        return self._send("text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode())

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""
