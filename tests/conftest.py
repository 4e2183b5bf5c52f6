"""What holds for every test: where CLAWFILES_NO_SKIPS=1 is set, a test that is skipped fails the whole run."""

import os
from typing import Any

import pytest

_skipped: list[str] = []


def pytest_runtest_logreport(report: Any) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append(f"{report.nodeid}: {why}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("CLAWFILES_NO_SKIPS") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _skipped and os.environ.get("CLAWFILES_NO_SKIPS") == "1":
        terminalreporter.section("skipped, and none may be")
        for line in _skipped:
            terminalreporter.line(line)
