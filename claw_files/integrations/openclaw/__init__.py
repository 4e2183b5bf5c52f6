"""OpenClaw: its agents are woken through its gateway, by a small process of ours that is supervised like any command.

`docs/decisions/0012-a-bridge-to-openclaw.md` says why, `docs/how-to/openclaw.md` how it is used. What decides is in
`doubt` and `protocol`, which touch nothing; what reaches the gateway is in `client`.
"""

import os

from claw_files.core.model import Value

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
# Where OpenClaw keeps its configuration, which may hold the token.
ENVIRONMENT = ("OPENCLAW_CONFIG_PATH", "OPENCLAW_STATE_DIR")


class Target(Value, frozen=True):
    """Whom a message is for, as OpenClaw names them."""

    agent: str  # "peter"
    session: str  # "agent:peter:main"
