"""The bridge as a process, `python -I __main__.py`: what a run of an OpenClaw agent starts.

It takes what any agent takes: the message on standard input, the rest in its environment. It exits with 0 when the turn
went well, with 1 when it did not, and prints the turn's last words.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import FrameType

if __name__ == "__main__":  # -I leaves out the folders where somebody could put another package of this name
    sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))

from claw_files import config
from claw_files.core.errors import ClawError
from claw_files.integrations.openclaw import Target
from claw_files.integrations.openclaw.bridge import Bridge, BridgeJob
from claw_files.integrations.openclaw.gateway_access import access
from claw_files.integrations.openclaw.gateway_client import Gateway
from claw_files.integrations.openclaw.protocol import ADMIN

MESSAGE_BYTES = 8 << 20
CONFIG_BYTES = 1 << 20


class BridgeStopped(BaseException):
    """Somebody ended the run."""


def job(environ: Mapping[str, str], message: str, settings: config.Settings) -> BridgeJob:
    """What this run is to deliver."""
    agent = settings.agent(environ["CLAWFILES_AGENT"])
    return BridgeJob(
        folder=environ["CLAWFILES_RUN_DIR"],
        workspace=environ["CLAWFILES_WORKSPACE"],
        run=environ["CLAWFILES_RUN"],
        task=environ.get("CLAWFILES_TASK"),
        target=Target(agent=agent.there, session=agent.session),
        message_id=environ.get("CLAWFILES_MESSAGE_ID", ""),
        message=message,
    )


def main(environ: Mapping[str, str]) -> int:
    """Live through one run; the exit code."""
    message = sys.stdin.buffer.read(MESSAGE_BYTES).decode("utf-8", "replace")
    try:
        root = environ.get("CLAWFILES_BASE") or environ["CLAWFILES_WORKSPACE"]
        with open(os.path.join(root, "clawfiles.toml"), "rb") as file:
            settings = config.parse(file.read(CONFIG_BYTES))
        way = access(settings.openclaw, root, environ)
        bridge = Bridge(job(environ, message, settings), lambda: Gateway(way.url, way.token), _tell, time.sleep)
    except (ClawError, OSError, KeyError) as wrong:
        return _failed(wrong)
    signal.signal(signal.SIGTERM, _stop)
    try:
        outcome = bridge.run()
    except BridgeStopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return _given_up(bridge, lambda: Gateway(way.url, way.token, ADMIN, timedelta(seconds=1)))
    except (ClawError, OSError) as wrong:
        return _failed(wrong)
    sys.stdout.write(f"{outcome.said}\n")  # which is the log of the run
    return 0 if outcome.is_good else 1


def _given_up(bridge: Bridge, open_gateway: Callable[[], Gateway]) -> int:
    try:
        with open_gateway() as gateway:
            bridge.give_up(gateway)
    except (ClawError, OSError) as wrong:
        return _failed(wrong)
    _tell("the turn was ended in the gateway, too")
    return 1


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise BridgeStopped


def _tell(sentence: str) -> None:
    sys.stderr.write(f"clawfiles: {sentence}\n")  # which is the log of the run
    sys.stderr.flush()


def _failed(wrong: Exception) -> int:
    _tell(f"{wrong} is missing" if isinstance(wrong, KeyError) else str(wrong))
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
