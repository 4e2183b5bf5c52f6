"""The importer: a program that dies whatever one does, so that you can see what becomes of its task."""

import os
import signal
import sys

from claw import claw

sys.stdin.read()
task = claw("claim", os.environ["CLAWFILES_TASK"])["task"]
attempt = claw("task", "show", task)["attempt"]
print(f"attempt {attempt}: connecting to the supplier's server", flush=True)
if attempt == 1:
    os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does to a process that takes too much memory
sys.exit("the supplier's server does not answer")
