"""What is installed beside us: every import is declared, the lock file fits, and errors name libraries that exist."""

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
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
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


def test_the_lock_file_was_made_from_the_dependencies_that_are_declared() -> None:
    ours = next(package for package in LOCK if package["name"] == "clawfiles")
    wanted = {canonicalize_name(it.name) for it in [*ALWAYS, *(it for extra in EXTRAS.values() for it in extra)]}
    locked = {package["name"]: package["version"] for package in LOCK if "version" in package}

    assert {it["name"] for it in ours["metadata"]["requires-dist"]} == wanted
    for it in ours["metadata"]["requires-dist"]:
        assert locked[it["name"]] in Requirement(f"{it['name']}{it.get('specifier', '')}").specifier
    for it in [*ALWAYS, *(it for extra in EXTRAS.values() for it in extra)]:
        assert locked[canonicalize_name(it.name)] in it.specifier


def test_every_file_in_the_lock_file_has_a_digest() -> None:
    files = [it for package in LOCK for it in [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]]

    assert len(files) > 500
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", it["hash"]) for it in files)


def test_the_tests_run_with_the_versions_of_the_lock_file() -> None:
    locked = {package["name"]: package["version"] for package in LOCK if "registry" in package["source"]}

    assert {it.name: version(it.name) for it in ALWAYS if it.marker is None} == {
        it.name: locked[canonicalize_name(it.name)] for it in ALWAYS if it.marker is None
    }


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
