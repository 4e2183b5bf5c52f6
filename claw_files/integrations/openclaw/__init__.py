"""OpenClaw: its agents are woken through its gateway, by a small supervised bridge process.

`docs/decisions/0012-a-bridge-to-openclaw.md` says why, `docs/how-to/openclaw.md` how it is used. What decides is in
`delivery_check` and `protocol`, which touch nothing; what reaches the gateway is in `gateway_client`.
"""

import os

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
# Where OpenClaw keeps its configuration, which may hold the token.
ENVIRONMENT = ("OPENCLAW_CONFIG_PATH", "OPENCLAW_STATE_DIR")
