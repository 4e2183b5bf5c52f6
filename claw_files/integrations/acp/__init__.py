"""ACP: agent programs that speak the Agent Client Protocol, driven by a small process of ours that is supervised.

`docs/decisions/0020-an-acp-client-in-each-run.md` says why, `docs/how-to/acp.md` how it is used. What an agent may do
is decided in `policy.acp_permissions`; the protocol is the official library's, which only `talk` and `client` import.
"""

import os
import sys

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")


def command(program: tuple[str, ...]) -> tuple[str, ...]:
    """What a run of an ACP agent starts: our client, and behind `--` the agent's program, which the client starts."""
    return (sys.executable, "-I", PROGRAM, "--", *program)
