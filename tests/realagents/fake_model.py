"""A model on loopback that does what its script says, in the three dialects that the real agent programs speak.

It stands where the provider's server would: the program asks it what to do next, it answers with the next tool call of
the script, and after the last one with a closing word. Which step is next follows from the conversation alone (how many
results it holds), so a program may ask twice. What the tools answered is kept, for the test to look at.
"""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Json = dict[str, Any]
LAST_WORD = "That was all."
KEY_HEADERS = ("x-api-key", "authorization", "x-goog-api-key")


class Shell(NamedTuple):
    """Have the program run a command line. `{task}`, `{run}` and `{question}` are what the message says."""

    command: str


class Write(NamedTuple):
    """Have the program write a file, with its own tool or, where it has none, with the shell."""

    path: str
    text: str


class Tool(NamedTuple):
    """Have the program call a tool of an MCP server, with arguments as JSON; only Claude Code is asked for this."""

    name: str
    arguments: str


Step = Shell | Write | Tool


class Seen(NamedTuple):
    """One request: its key, the text of all it holds, the tools it offers, and what they answered so far."""

    key: str
    text: str
    tools: tuple[str, ...]
    results: tuple[str, ...]


class Model(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1; `seen` are the requests, oldest first."""

    daemon_threads = True

    def __init__(self, steps: list[Step]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps, self.seen = steps, list[Seen]()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def results(self) -> tuple[str, ...]:
        """What the tools answered, in the order of the script."""
        return max((seen.results for seen in self.seen), key=len, default=())

    @property
    def first(self) -> Seen:
        """The first request that offers a tool: the message has come in, nothing has been done."""
        return next(seen for seen in self.seen if seen.tools)

    def next_step(self, seen: Seen) -> Step | None:
        """The step that follows what was done; None when all is done, or no tool is offered (a title, a summary)."""
        if not seen.tools or len(seen.results) >= len(self.steps):
            return None
        step = self.steps[len(seen.results)]
        return type(step)(*(_filled(part, seen.text) for part in step))


MESSAGE = {
    "{task}": r"First, run `clawfiles claim ([A-Z]+-\d+)",
    "{run}": r"run `([\w.-]+)`",
    "{question}": r"clawfiles answer (\d\S+)",  # the instructions say it, too, with ID
}


def _filled(part: str, text: str) -> str:
    """The part of a step with what the message says; a placeholder whose value is not in it stays, and fails."""
    for placeholder, pattern in MESSAGE.items():
        found = re.search(pattern, text)
        part = part.replace(placeholder, found[1]) if found else part
    return part


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model

    def do_GET(self) -> None:
        self._answer("application/json", b'{"data": [], "models": []}')

    def do_HEAD(self) -> None:
        self._answer("application/json", b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.partition("?")[0]
        dialect = next((speak for ending, speak in DIALECTS.items() if path.endswith(ending)), None)
        if dialect is None:
            return self._answer("application/json", b'{"input_tokens": 10, "totalTokens": 10}')
        key = next((self.headers[name] for name in KEY_HEADERS if name in self.headers), "")
        seen = Seen(key.removeprefix("Bearer "), json.dumps(body), dialect.tools(body), dialect.results(body))
        self.server.seen.append(seen)
        events = dialect.say(self.server.next_step(seen), body)
        stream = body.get("stream") or path.endswith(":streamGenerateContent")
        if stream:
            return self._answer("text/event-stream", b"".join(map(_event, events)))
        return self._answer("application/json", json.dumps(dialect.whole(list(events))).encode())

    def _answer(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def _event(data: Json) -> bytes:
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()


def _patch(step: Write) -> str:
    lines = "".join(f"+{line}\n" for line in step.text.splitlines())
    return f"*** Begin Patch\n*** Add File: {step.path}\n{lines}*** End Patch\n"


class Anthropic:
    """`/v1/messages`, as Claude Code asks."""

    @staticmethod
    def tools(body: Json) -> tuple[str, ...]:
        return tuple(tool["name"] for tool in body.get("tools", []))

    @staticmethod
    def results(body: Json) -> tuple[str, ...]:
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        return tuple(json.dumps(block.get("content")) for block in blocks if block["type"] == "tool_result")

    @staticmethod
    def say(step: Step | None, body: Json) -> Iterator[Json]:
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
        message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 1}}
        block: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": LAST_WORD}
        if step:
            name = step.name if isinstance(step, Tool) else "Bash" if isinstance(step, Shell) else "Write"
            block = {"type": "tool_use", "id": f"toolu_{len(Anthropic.results(body))}", "name": name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(_given(step))}
        yield {"type": "message_start", "message": message}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        stop = {"stop_reason": "tool_use" if step else "end_turn", "stop_sequence": None}
        yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 3}}
        yield {"type": "message_stop"}

    @staticmethod
    def whole(events: list[Json]) -> Json:
        text = {"type": "text", "text": LAST_WORD}
        return events[0]["message"] | {"content": [text], "stop_reason": "end_turn"}


class OpenAI:
    """`/v1/responses`, as Codex asks."""

    @staticmethod
    def tools(body: Json) -> tuple[str, ...]:
        return tuple(tool.get("name", tool["type"]) for tool in body.get("tools", []))

    @staticmethod
    def results(body: Json) -> tuple[str, ...]:
        return tuple(json.dumps(item["output"]) for item in body["input"] if item["type"].endswith("_call_output"))

    @staticmethod
    def say(step: Step | None, body: Json) -> Iterator[Json]:
        content = [{"type": "output_text", "text": LAST_WORD, "annotations": []}]
        item: Json = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": content}
        if step:
            item = OpenAI._call(step, f"call_{len(OpenAI.results(body))}", OpenAI.tools(body))
        usage = {"input_tokens": 5, "input_tokens_details": None, "output_tokens": 3, "output_tokens_details": None}
        yield {"type": "response.created", "response": {"id": "r1"}}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": {"id": "r1", "usage": usage | {"total_tokens": 8}}}

    @staticmethod
    def _call(step: Step, call: str, tools: tuple[str, ...]) -> Json:
        assert not isinstance(step, Tool)
        if isinstance(step, Write):
            if "apply_patch" in tools:
                return {"type": "custom_tool_call", "call_id": call, "name": "apply_patch", "input": _patch(step)}
            step = Shell(f"cat > '{step.path}' <<'END'\n{step.text}END")
        name = next(tool for tool in tools if tool in ("exec_command", "shell_command"))
        given = {"cmd" if name == "exec_command" else "command": step.command}
        return {"type": "function_call", "call_id": call, "name": name, "arguments": json.dumps(given)}

    @staticmethod
    def whole(events: list[Json]) -> Json:
        return {"id": "r1", "object": "response", "output": [events[1]["item"]]}


class Gemini:
    """`:streamGenerateContent`, as Gemini CLI asks."""

    @staticmethod
    def tools(body: Json) -> tuple[str, ...]:
        return tuple(made["name"] for tool in body.get("tools", []) for made in tool.get("functionDeclarations", []))

    @staticmethod
    def results(body: Json) -> tuple[str, ...]:
        parts = [part for content in body["contents"] for part in content["parts"]]
        return tuple(json.dumps(part["functionResponse"]) for part in parts if "functionResponse" in part)

    @staticmethod
    def say(step: Step | None, body: Json) -> Iterator[Json]:
        # Before it begins it asks which of its models fits, and takes JSON only.
        wants_json = "json" in body.get("generationConfig", {}).get("responseMimeType", "")
        part: Json = {
            "text": '{"complexity_reasoning": "one step", "complexity_score": 1}' if wants_json else LAST_WORD
        }
        if step:
            name = "run_shell_command" if isinstance(step, Shell) else "write_file"
            part = {"functionCall": {"name": name, "args": _given(step)}, "thoughtSignature": "c2lnbmVk"}
        usage = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
        content = {"role": "model", "parts": [part]}
        yield {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}], "usageMetadata": usage}

    @staticmethod
    def whole(events: list[Json]) -> Json:
        return events[0]


def _given(step: Step) -> Json:
    """What Claude Code's and Gemini CLI's tools are called with; in this they agree."""
    if isinstance(step, Tool):
        given: Json = json.loads(step.arguments)
        return given
    return {"command": step.command} if isinstance(step, Shell) else {"file_path": step.path, "content": step.text}


DIALECTS: dict[str, Any] = {
    "/messages": Anthropic,
    "/responses": OpenAI,
    ":streamGenerateContent": Gemini,
    ":generateContent": Gemini,
}
