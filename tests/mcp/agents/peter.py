"""Peter, the engineer, as in the example workspace, but with nothing than the tools of MCP."""

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta

from door import Call, live

MARGIN = timedelta(seconds=1)  # promised a little later than hoped for

options = argparse.ArgumentParser()
options.add_argument("--takes", default="20", metavar="SECONDS")
options.add_argument("--eta", metavar="INSTANT")
given = options.parse_args()
eta = datetime.fromisoformat(given.eta) if given.eta else datetime.now(UTC) + timedelta(seconds=int(given.takes))
sys.stdin.read()


async def peter(call: Call) -> None:
    if os.environ["CLAWFILES_KIND"] != "task":
        await call("inbox", action="done", id=os.environ["CLAWFILES_MESSAGE_ID"])
        return
    task = os.environ["CLAWFILES_TASK"]
    await call("task_claim", task=task)
    note = "the second charge comes from the retry of the payment form"
    await call("task_progress", task=task, note=note, eta=eta.isoformat())
    await asyncio.sleep(max(0.0, (eta - MARGIN - datetime.now(UTC)).total_seconds()))
    await call("task_done", task=task, summary="fixed, PR ready for review", outputs=["PR #142"])


live(peter)
