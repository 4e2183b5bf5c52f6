"""What OpenClaw's users type at a spawn is understood."""

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import Refused
from claw_files.operations.dispatch import perform


@pytest.fixture
def app(desk) -> App:
    return App(str(desk.root), {}, "sam")


def test_the_runtime_subagent_means_the_worker_s_own(desk, app: App) -> None:
    desk.ok("spawn", "look", "--label", "a", "--size", "S", "--worker", "research", "--runtime", "subagent", by="sam")
    asked = {"task": "look", "label": "b", "size": "S", "agentId": "research", "runtime": "subagent"}
    perform(app, "sessions_spawn", asked)
    with pytest.raises(Refused, match="the runtime of research is command, not acp"):
        perform(app, "sessions_spawn", asked | {"label": "c", "runtime": "acp"})


def test_timeout_seconds_is_the_time_limit_at_every_door(desk, app: App) -> None:
    spawn = ("spawn", "look", "--size", "S", "--worker", "research")
    for label, option in (("a", "--timeout"), ("b", "--timeoutSeconds")):
        made = desk.ok(*spawn, "--label", label, option, "90", "--json", by="sam").json
        assert desk.show(made["task"])["timeout"] == "1m30s"
    for label, name in (("c", "timeoutSeconds"), ("d", "runTimeoutSeconds")):
        asked = {"task": "look", "label": label, "agentId": "research", name: 90}
        assert desk.show(perform(app, "sessions_spawn", asked)["task"])["timeout"] == "1m30s"
