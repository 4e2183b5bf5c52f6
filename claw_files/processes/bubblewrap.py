"""Whether bubblewrap works on this machine; reads no workspace, and writes nothing."""

import os
import subprocess
from collections.abc import Mapping

from claw_files.processes.supervisor import resolved

PROGRAM = "bwrap"
_INSTALL = "install bubblewrap (Debian and Ubuntu: apt-get install bubblewrap)"
_PROBE_SECONDS = 10.0
_working = dict[str, tuple[str, ...]]()  # programs that have built one for this process, with the options they know


def problem(environ: Mapping[str, str]) -> str | None:
    """Why no sandbox can be built here, and the fix, in one sentence; None if it can. Tries it, once."""
    try:
        program = resolved([PROGRAM], environ.get("PATH", os.defpath))
    except OSError:
        return f"bubblewrap is not installed: {_INSTALL}"
    if program in _working:
        return None
    for options in (("--disable-userns",), ()):
        words = ["--unshare-user", *options, "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "/bin/true"]
        try:
            done = subprocess.run(  # noqa: S603 - the system's program with words of ours, no shell
                [program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"bubblewrap does not work here: {error}"
        if not done.returncode:
            _working[program] = options
            return None
    said = done.stderr.decode("utf-8", "replace").strip()[-200:]
    return f"bubblewrap cannot make namespaces here ({said}): allow unprivileged user namespaces on this machine"


def options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The optional features that this bubblewrap supports, after `problem`. Raises OSError without it."""
    return _working.get(resolved([PROGRAM], environ.get("PATH", os.defpath)), ())
