"""Peter, the engineer: claims a task, says when it will be done, works, and hands in a pull request."""

import argparse
import os
import sys
import time
from datetime import UTC, datetime, timedelta

from claw import claw

MARGIN = timedelta(seconds=1)  # promised a little later than hoped for


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--takes", default="20", metavar="SECONDS", help="how long a fix takes")
    options.add_argument("--eta", metavar="INSTANT", help="instead of --takes: when it will be done")
    given = options.parse_args()
    eta = datetime.fromisoformat(given.eta) if given.eta else datetime.now(UTC) + timedelta(seconds=int(given.takes))
    sys.stdin.read()  # what is to be done: a model would read it, this script knows
    if os.environ["CLAWFILES_KIND"] == "task":
        fix(os.environ["CLAWFILES_TASK"], eta)
    else:
        claw("inbox", "done", os.environ["CLAWFILES_MESSAGE_ID"])


def fix(task: str, eta: datetime) -> None:
    claw("claim", task)  # the first act: from now on nobody else is given this task
    claw("progress", task, "the second charge comes from the retry of the payment form", "--eta", eta.isoformat())
    time.sleep(max(0.0, (eta - MARGIN - datetime.now(UTC)).total_seconds()))  # stands for the work
    claw("done", task, "fixed, PR ready for review", "--output", "PR #142")


main()
