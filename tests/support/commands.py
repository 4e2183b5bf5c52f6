"""Commands in this process, for tests in which starting one is not the point: what `python -m claw_files` would do."""

import io
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from claw_files.cli import run


def typed(root: Path, *words: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """How the command in the workspace ended and what it printed, with this environment or one without an agent."""
    given = {name: it for name, it in os.environ.items() if not name.startswith("CLAWFILES_")} if env is None else env
    written = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(it, "utf-8", "backslashreplace", write_through=True) for it in written)
    with mock.patch.dict(os.environ, given, clear=True), redirect_stdout(out), redirect_stderr(err):
        status = run(["-C", str(root), *words])
    return subprocess.CompletedProcess(words, status, *(it.getvalue().decode() for it in written))


def answered(root: Path, *words: str, env: Mapping[str, str] | None = None) -> Any:
    """What the command prints with --json; it must go well."""
    done = typed(root, *words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None
