"""Commands that are typed in a run: a process above them holds the run's lock, as the run's supervisor does."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HOLDS = """
import ctypes, fcntl, os, subprocess, sys
os.dup2(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600), 3)
fcntl.flock(3, fcntl.LOCK_EX)
env = {name: it for name, it in os.environ.items() if not name.startswith("CLAWFILES_")}
ends_with_us = lambda: ctypes.CDLL(None).prctl(1, 9)
sys.exit(subprocess.call(sys.argv[2:], env=env, preexec_fn=ends_with_us))
"""


def within(root: Path, agent: str, command: Sequence[str], /, run: str = "tc-1.1-s1", **told: str) -> list[str]:
    """The command as one of the agent's run, without a variable of ours; `told` is what else the run began with."""
    lock = root / ".clawfiles/runs" / f"{run}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    known = {"AGENT": agent, "SUPERVISES": str(root / "runs" / run)} | {name.upper(): it for name, it in told.items()}
    pairs = [f"CLAWFILES_{name}={value}" for name, value in known.items()]
    pairs += [f"PATH={os.environ['PATH']}", f"PYTHONPATH={ROOT}"]
    pairs += [f"{name}={it}" for name, it in os.environ.items() if name == "HOME" or name.startswith("XDG_")]
    return ["env", "-i", *pairs, sys.executable, "-c", _HOLDS, str(lock), *command]


def typed(root: Path, agent: str, /, *arguments: str, **told: str) -> "subprocess.CompletedProcess[str]":
    """What our command says that is typed in the agent's run."""
    command = [sys.executable, "-m", "claw_files", "-C", str(root), *arguments]
    return subprocess.run(within(root, agent, command, **told), capture_output=True, text=True)
