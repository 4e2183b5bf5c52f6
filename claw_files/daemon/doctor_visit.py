"""`python -m claw_files.daemon.doctor_visit ROOT SECONDS`: the doctor's findings, as JSON on stdout.

In a process of its own and out of everybody's way: the loop would otherwise share its interpreter with a walk through
thousands of files, and keep the memory that the walk took. A thread of low priority would be worse: while it holds the
interpreter and has to wait for the processor, so has the loop.
"""

import os
import signal
import sys

import msgspec

from claw_files.doctor.checkup import examine
from claw_files.processes.supervisor import PR_SET_PDEATHSIG, prctl

NICE = 10


def main() -> None:
    """Check the workspace at ROOT, with SECONDS since 1970 as the current time; exit with the parent."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(NICE)
    findings = examine(sys.argv[1], float(sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode(findings))


if __name__ == "__main__":
    main()
