"""`make demo-openclaw`: the workday of the example workspace, with sam and peter living in a real OpenClaw gateway.

Only their model is a script: where one would decide, it has them run the example's own scripts with OpenClaw's
`exec` tool, with what the message gives their commands. The workers and the importer stay programs of ours.
"""

import os
import re
import shlex
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
    __package__ = "openclaw"

from claw_files.demo import day, stage

from .model import Model, Rule
from .stage import TOKEN, Gateway

Say = Callable[[str, str, str], None]
AGENTS = ("sam", "peter")
LONGEST_MS = 120_000


class Day(day.DemoDay):
    """The demo's day; sam and peter are woken through the gateway."""

    def __init__(
        self,
        folder: str,
        environment: dict[str, str],
        say: Callable[[str, str, str], None],
        gateway: Gateway,
        model: Model,
    ) -> None:
        super().__init__(folder, environment | {"OPENCLAW_GATEWAY_TOKEN": TOKEN}, say)
        self._gateway, self._model = gateway, model

    def _configure(self) -> None:
        super()._configure()
        path = Path(self.folder, "clawfiles.toml")
        text = path.read_text()
        commands = {name: tomllib.loads(text)["agents"][name]["command"] for name in AGENTS}
        for name in AGENTS:
            started = rf'(\[agents\.{name}\].*?)runtime = "command"\ncommand = [^\n]*'
            text, count = re.subn(started, r'\1runtime = "openclaw"', text, count=1, flags=re.DOTALL)
            assert count == 1, name
        path.write_text(f'{text}\n[openclaw]\nurl = "{self._gateway.url}"\n')
        self._model.rules = [self._rule(name, command) for name, command in commands.items()]

    def _rule(self, name: str, command: list[str]) -> Rule:
        """What the model has the agent do with each message: run its script, in its name."""
        given = rf"You are {name}\..*?write: `(?P<given>[^`]*?) \S*clawfiles \.\.\.`"
        path = shlex.quote(self._env["PATH"])
        shell = f"cd {shlex.quote(self.folder)} && env PATH={path} {{given}} {shlex.join(command)} </dev/null"
        act = {"tool": "exec", "args": {"command": shell, "yieldMs": LONGEST_MS}}
        return Rule(given, [act, {"say": "done."}])


def live(say: Say, keep: str | None = None) -> None:
    """The whole day. Raises RunFailed when it did not end as it should."""
    day.PACE, day.LIMIT_SECONDS = 150, 150  # a turn takes a second or two more than a script
    model = Model([])
    with tempfile.TemporaryDirectory(prefix="clawfiles-openclaw-") as home:
        gateway = Gateway(Path(home), model.port, {"main": "0m", "sam": "0m", "peter": "0m"}).start()
        try:
            for name in AGENTS:  # the first turn of an agent takes some seconds
                gateway.cli("agent", "--agent", name, "--message", "Good morning.", "--json")
            with stage.workspace(keep) as folder, stage.commands() as path, stage.everything_ended(folder):
                lived = Day(folder, stage.environment(folder, path), say, gateway, model)
                lived.live()
                lived.close(keep)
        finally:
            gateway.stop()
            model.close()


if __name__ == "__main__":
    live(
        lambda clock, who, what: print(f"{clock:6}{who:11}{what}" if clock else what, flush=True),
        os.environ.get("KEEP"),
    )
