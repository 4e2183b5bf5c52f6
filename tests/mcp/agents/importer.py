"""The importer, which dies whatever one does, as in the example workspace, but with nothing than the tools of MCP."""

import os
import signal
import sys

from door import Call, live

sys.stdin.read()


async def importer(call: Call) -> None:
    task = (await call("task_claim", task=os.environ["CLAWFILES_TASK"]))["task"]
    if (await call("task_show", task=task))["attempt"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)


live(importer)
sys.exit("the supplier's server does not answer")
