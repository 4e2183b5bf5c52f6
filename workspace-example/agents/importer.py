"""The importer: a program that dies whatever one does, so that you can see what becomes of its task."""

import os
import signal
import sys

from claw import claw

sys.stdin.read()
attempt = claw("task", "show", os.environ["CLAWFILES_TASK"])["attempt"]
claw("claim", os.environ["CLAWFILES_TASK"])
print(f"attempt {attempt}: connecting to the supplier's server", flush=True)
if attempt == 1:
    os.kill(os.getpid(), signal.SIGKILL)  # out of memory looks like this from outside
sys.exit("the supplier's server does not answer")
