"""What holds for every test: nothing is written into the home folder of whoever runs them, by child processes either;
the folders of tests lie in memory, where the machine has room; and where CLAWFILES_NO_SKIPS=1 is set, a test that is
skipped fails the whole run."""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from tests import proofs

MEMORY, ENOUGH_BYTES = "/dev/shm", 4 << 30


def _has_room(folder: str) -> bool:
    """Whether the tests' folders fit there, and programs in them can be started."""
    try:
        there = os.statvfs(folder)
    except OSError:
        return False
    return there.f_bavail * there.f_frsize >= ENOUGH_BYTES and not there.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)


# Thousands of small workspaces, each written with fsync: in memory, unless the environment names another place.
if not {"TMPDIR", "PYTEST_DEBUG_TEMPROOT"} & os.environ.keys() and _has_room(MEMORY):
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = MEMORY

# Not in a fixture: many modules copy the environment when they are imported. Each worker has a home of its own.
_HOME = tempfile.mkdtemp(prefix="clawfiles-tests-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in ("CONFIG", "STATE", "CACHE"):
    os.environ[f"XDG_{_name}_HOME"] = os.path.join(_HOME, _name.lower())

# What is compiled for one worker serves the others, the next run and every program that a test starts. With `python -B`
# nothing is kept: a file that is changed twice in a second would be taken for the one before.
if "-B" not in sys.orig_argv:
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Collecting makes millions of objects and no garbage, and what it makes stays until the end.
_THRESHOLDS = gc.get_threshold()
gc.set_threshold(50_000)

# A shell that starts the tests in the background ignores SIGINT, and every program that a test starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_skipped: list[str] = []


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run folders with two workers more than processors, because many tests wait, and named files in this process."""
    folders = [name for name in config.args if os.path.isdir(name)]
    return min((os.cpu_count() or 1) + 2, 8) if folders else 0


def pytest_collection_finish() -> None:
    """What was collected stays until the end: let no collection of garbage look through it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)  # many a test leaves folders open that only a collection closes


def pytest_runtest_logreport(report: Any) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append(f"{report.nodeid}: {why}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("CLAWFILES_NO_SKIPS") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[str, str, int, int], None]:
    """Tells how often a proof tried a promise, and how often it was broken, for the table of `make prove`."""

    def tell(promise: str, how: str, tries: int, violations: int) -> None:
        request.node.user_properties.append(("tried", (promise, how, tries, violations)))
        assert violations == 0, f"{promise}: {violations} of {tries}"

    return tell


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, ())]
    found = proofs.of_reports(report for report in reports if report.when == "call")
    if found and os.environ.get("CLAWFILES_PROVE"):
        terminalreporter.section("what was tried")
        terminalreporter.write(proofs.table(found) + "\n")
    if _skipped and os.environ.get("CLAWFILES_NO_SKIPS") == "1":
        terminalreporter.section("skipped, and none may be")
        for line in _skipped:
            terminalreporter.line(line)
