"""The `clawfiles` command for the scripts beside this file. A real agent types it into its shell instead."""

import json
import subprocess
import sys
from typing import Any


def claw(*words: str) -> Any:
    """What the command answers with --json. Where it refuses, its sentence goes to our stderr and we end like it."""
    answer = subprocess.run(["clawfiles", *words, "--json"], capture_output=True, text=True)
    if answer.returncode:
        sys.stderr.write(answer.stderr)
        sys.exit(answer.returncode)
    return json.loads(answer.stdout) if answer.stdout.strip() else None
