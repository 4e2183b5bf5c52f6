"""What is installed beside us: every import is declared, the constraints fit, and errors name libraries that exist."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from claw_files.core.errors import INSTALL
from tests.each import each

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
ALWAYS = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
# The extra that each room may import from, beside what is always there.
ROOMS = {
    "acp": "acp",
    "notify": "notify",
    "openclaw": "openclaw",
    "http": "web",
    "sources": "sql",
    "mcp": "mcp",
}


@cache
def distributions() -> dict[str, list[str]]:
    """The distributions of each top-level module that is installed."""
    return dict(packages_distributions())


def imported(path: Path) -> set[str]:
    """The distributions outside of the standard library whose modules the file imports, by their normal names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [it.name for it in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        found |= {name.partition(".")[0] for name in names}
    known = distributions()
    outside = found - set(sys.stdlib_module_names) - {"claw_files", ""}
    return {canonicalize_name(known.get(name, [name])[0]) for name in outside}


@each("path", sorted((ROOT / "claw_files").rglob("*.py")))
def test_every_library_that_is_imported_is_declared(path: Path) -> None:
    room = next(it for it in path.relative_to(ROOT / "claw_files").parts if it != "integrations")
    extra = EXTRAS[ROOMS[room]] if room in ROOMS else []
    declared = {canonicalize_name(it.name) for it in [*ALWAYS, *extra]}
    if room == "testing":  # for tests of users, who bring pytest
        declared |= {"pytest", "hypothesis"}

    assert imported(path) <= declared


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_error_about_a_missing_library_names_what_the_project_declares(extra: str) -> None:
    named = re.findall(r"'([^']+)'", INSTALL[extra])

    assert list(map(Requirement, named)) == EXTRAS[extra]


def test_constraints_name_a_version_for_each_dependency_that_is_declared() -> None:
    for it in [*ALWAYS, *(it for extra in EXTRAS.values() for it in extra)]:
        if it.marker is None or it.marker.evaluate():
            assert LOCKED[canonicalize_name(it.name)] in it.specifier


def test_constraints_name_versions_and_nothing_else() -> None:
    for name, number in LOCKED.items():
        assert canonicalize_name(name) == name
        assert re.fullmatch(r"[0-9][0-9a-z.+]*", number)


def test_the_tests_run_with_the_versions_of_the_constraints() -> None:
    names = [it.name for it in ALWAYS if it.marker is None]

    assert {name: version(name) for name in names} == {name: LOCKED[canonicalize_name(name)] for name in names}


# A lower bound below one of these would let in a release with a hole that is publicly known.
MENDED = {
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701: a link in the place of the lock file
    "h11": "0.16",  # CVE-2025-43859: chunked bodies that a proxy reads differently
    "mcp": "1.23",  # CVE-2025-66416: no check of Host by default
    "PyYAML": "5.4",  # CVE-2020-14343: code from a document
    "pytest": "9.0.3",  # CVE-2025-71176: a temporary folder whose name can be guessed
    "starlette": "1.0.1",  # CVE-2025-62727: quadratic Range; CVE-2026-48710: a path taken from Host
    "apprise": "0.9.5.1",  # CVE-2021-39229: an expression that is quadratic
    "websockets": "10.0",  # CVE-2021-33880: a password compared byte by byte
}


def test_no_lower_bound_lets_in_a_release_with_a_known_hole() -> None:
    dev = [Requirement(it) for it in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]]
    bounds = [*ALWAYS, *(it for extra in EXTRAS.values() for it in extra), *dev]

    for it in bounds:
        lowest = [part.version for part in it.specifier if part.operator == ">="]
        assert lowest, f"{it.name} has no lower bound"
        if it.name in MENDED:
            assert Requirement(f"x>={MENDED[it.name]}").specifier.contains(lowest[0])
    assert set(MENDED) <= {it.name for it in bounds}
