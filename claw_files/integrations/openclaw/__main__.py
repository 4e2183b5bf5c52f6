"""The bridge as a process, `python -I __main__.py`: started for a run of an OpenClaw agent.

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

if __name__ == "__main__":  # -I ignores folders in which another package of this name could be planted
    sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))

from claw_files import config
from claw_files.core.errors import ClawError
from claw_files.integrations.openclaw.bridge import Bridge, BridgeJob
from claw_files.integrations.openclaw.gateway_access import access
from claw_files.integrations.openclaw.gateway_client import Gateway
from claw_files.integrations.openclaw.protocol import ADMIN
from claw_files.processes.run_client import failed, read_message, read_settings, tell


class BridgeStopped(BaseException):
    """Somebody ended the run."""


def job(environ: Mapping[str, str], message: str, settings: config.Settings) -> BridgeJob:
    """The job of this run."""
    agent = settings.agent(environ["CLAWFILES_AGENT"])
    return BridgeJob(
        folder=environ["CLAWFILES_RUN_DIR"],
        workspace=environ["CLAWFILES_WORKSPACE"],
        run=environ["CLAWFILES_RUN"],
        task=environ.get("CLAWFILES_TASK"),
        agent=agent.there,
        session=agent.session,
        message_id=environ.get("CLAWFILES_MESSAGE_ID", ""),
        message=message,
    )


def main(environ: Mapping[str, str]) -> int:
    """Execute one run; returns the exit code."""
    try:
        root, settings = read_settings(environ)
        way = access(settings.openclaw, root, environ)
        task = job(environ, read_message(), settings)
        bridge = Bridge(task, lambda: Gateway(way.url, way.token), tell, time.sleep)
    except (ClawError, OSError, KeyError) as wrong:
        return failed(wrong)
    signal.signal(signal.SIGTERM, _stop)
    try:
        outcome = bridge.run()
    except BridgeStopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return _given_up(bridge, lambda: Gateway(way.url, way.token, ADMIN, timedelta(seconds=1)))
    except (ClawError, OSError) as wrong:
        return failed(wrong)
    sys.stdout.write(f"{outcome.said}\n")  # which is the log of the run
    return 0 if outcome.is_good else 1


def _given_up(bridge: Bridge, open_gateway: Callable[[], Gateway]) -> int:
    try:
        with open_gateway() as gateway:
            bridge.give_up(gateway)
    except (ClawError, OSError) as wrong:
        return failed(wrong)
    tell("the turn was ended in the gateway, too")
    return 1


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise BridgeStopped


if __name__ == "__main__":
    sys.exit(main(os.environ))
