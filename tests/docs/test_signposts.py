"""README leads in three steps to the answers that newcomers look for, and the signposts name code that exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PLACE = re.compile(r"`([\w/]+\.py)`: `(\w+)`")
SIGNPOSTS = ROOT / "docs/explanation/architecture.md"
STEPS = 3  # links to follow, and the file to open at the end

ANSWERS = {  # what newcomers asked: where the answer is, a function or a heading
    "Which rule refuses a second hop": "policy/delegation.py:check_hop",
    "Who decides that it is quiet hours": "policy/quiet_hours.py:until",
    "What happens between saving a file and the tick": "docs/explanation/architecture.md#the-walk-of-an-edit-by-hand",
    "How do I add a runtime": "docs/how-to/extend.md#add-a-runtime",
    "How do I add an operation": "docs/how-to/extend.md#add-an-operation",
    "Which files can a crash leave behind": "docs/explanation/recovery.md",
    "How do I add a state": "docs/how-to/extend.md#add-a-state",
    "When is a message acknowledged": "policy/acknowledgement.py:traces",
    "What does `clawfiles done TC-47` do": "docs/explanation/architecture.md#the-walk-of-clawfiles-done-tc-47",
    "Which agent is woken, and with which text": "services/messaging/prompt_templates.py:wake_text",
    "What opens the circuit breaker": "policy/resilience.py:breaker",
    "Where are the files of a workspace": "storage/places.py:Siblings",
}


def links_of(page: Path, text: str) -> Iterator[tuple[Path, str]]:
    """The pages and headings that the text, which stands on `page`, links to."""
    for link in LINK.findall(text):
        path, _, heading = link.partition("#")
        if not link.startswith("http") and (path.endswith(".md") or not path):
            yield ((page.parent / path).resolve() if path else page), heading


def distances() -> dict[Path, int]:
    """How many links lead from README to each page."""
    found, edge = {ROOT / "README.md": 0}, [ROOT / "README.md"]
    for page in edge:
        for target, _ in links_of(page, page.read_text()):
            if target not in found and target.exists():
                found[target] = found[page] + 1
                edge.append(target)
    return found


def rows() -> dict[str, str]:
    """The rows under "Where to look": what is asked, and the answer as the page has it."""
    text = SIGNPOSTS.read_text().partition("\n## Where to look\n")[2]
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in cells if len(row) == 2 and row[1] != "begin in"}


def defined(path: Path) -> set[str]:
    """The functions and classes that the module defines at its top level."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)}


@pytest.mark.parametrize("question", ANSWERS)
def test_readme_leads_in_three_steps_to_the_answer(question: str) -> None:
    (answer,) = [text for asked, text in rows().items() if asked.startswith(question)]
    there = {f"{path}:{name}" for path, name in PLACE.findall(answer)}
    for target, heading in links_of(SIGNPOSTS, answer):
        there |= {str(target.relative_to(ROOT)), f"{target.relative_to(ROOT)}#{heading}"}

    assert ANSWERS[question] in there
    assert distances()[SIGNPOSTS] + 1 + 1 <= STEPS, "links to the signposts, the row, the file or page it names"


def test_each_row_names_a_file_and_a_function_that_exist() -> None:
    missing = []
    for asked, answer in rows().items():
        places = PLACE.findall(answer)
        missing += [] if places else [f"{asked}: names no file and function"]
        for path, name in places:
            module = ROOT / "claw_files" / path
            if not module.is_file() or name not in defined(module):
                missing.append(f"{asked}: {path}: {name}")
    assert missing == []


def test_each_module_of_rules_has_a_row() -> None:
    named = {path for answer in rows().values() for path, _ in PLACE.findall(answer)}
    modules = {f"policy/{path.name}" for path in (ROOT / "claw_files/policy").glob("[!_]*.py")}

    assert modules - named == set()


def test_readme_links_to_the_page_on_extending() -> None:
    assert distances()[ROOT / "docs/how-to/extend.md"] == 1
