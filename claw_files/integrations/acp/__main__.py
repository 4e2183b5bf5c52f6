"""The client as a process, `python -I __main__.py -- PROGRAM ...`: started for a run of an ACP agent.

It takes what any agent takes: the message on standard input, the rest in its environment. What the agent says goes to
standard output. It exits with 0 when the last turn went well, and with 1, and one sentence on standard error, else.
"""

import os
import sys

if __name__ == "__main__":  # -I ignores folders in which another package of this name could be planted
    sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))

from claw_files.core.errors import ClawError
from claw_files.processes import run_client
from claw_files.system.libraries import need


def main(argv: list[str]) -> int:
    """Execute one run; returns the exit code."""
    message = run_client.read_message()
    command = argv[argv.index("--") + 1 :] if "--" in argv else []
    try:
        need("an ACP agent", "acp")
        from claw_files.integrations.acp.run import AcpRun

        return AcpRun(os.environ, command, message).run()
    except (ClawError, OSError, KeyError) as wrong:
        return run_client.failed(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
