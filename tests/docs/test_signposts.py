"""README leads in two links to the file and function of each rule, and those exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
PLACE = re.compile(r"`([\w/]+\.py)`: `(\w+)`")
QUESTIONS = 12


def pages_within(links: int) -> set[Path]:
    """The pages that README leads to by at most so many links."""
    reached = edge = {ROOT / "README.md"}
    for _ in range(links):
        edge = {(page.parent / link).resolve() for page in edge for link in LINK.findall(page.read_text())
                if link.endswith(".md") and not link.startswith("http")}  # fmt: skip
        reached = reached | edge
    return reached


def names_in(path: Path) -> set[str]:
    """The functions and classes that the module defines at its top level."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)}


def rows(page: Path) -> dict[str, list[tuple[str, str]]]:
    """The page's rows under "Where to look": what is asked -> its (file, function) pairs, as the page names them."""
    text = page.read_text().partition("\n## Where to look\n")[2]
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: PLACE.findall(row[1]) for row in cells if len(row) == 2 and row[1] != "begin in"}


SIGNPOSTS = ROOT / "docs/explanation/architecture.md"


def test_readme_leads_to_the_signposts_and_to_the_page_on_extending_in_two_links() -> None:
    assert {SIGNPOSTS, ROOT / "docs/how-to/extend.md"} <= pages_within(2)


def test_each_row_names_a_file_and_a_function_that_exist() -> None:
    missing = []
    for asked, places in rows(SIGNPOSTS).items():
        missing += [] if places else [f"{asked}: names no file and function"]
        for path, name in places:
            module = ROOT / "claw_files" / path
            if not module.is_file() or name not in names_in(module):
                missing.append(f"{asked}: {path}: {name}")
    assert missing == []


def test_the_questions_of_newcomers_are_all_there() -> None:
    text = SIGNPOSTS.read_text().partition("### Questions of newcomers\n")[2].partition("\n### ")[0]
    questions = [line for line in text.splitlines() if line.startswith("| ") and "?" in line.split(" | ")[0]]
    assert len(questions) == QUESTIONS
