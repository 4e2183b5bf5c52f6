"""How the tests themselves are started: in the background of a shell."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
import tests.conftest
program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
print(subprocess.check_output([sys.executable, "-c", program], text=True))
"""


def test_a_program_that_a_test_starts_is_ended_by_ctrl_c_though_the_shell_ignores_it() -> None:
    assert subprocess.check_output([sys.executable, "-c", PROGRAM], cwd=ROOT, text=True).split() == ["True"]
