"""The pages stay true to the code and to each other: links, names of tests, commands, settings, words."""

import re
import tomllib
from collections import Counter
from pathlib import Path

from claw_files.cli.root import Group, root
from claw_files.config import parse
from tests.each import each

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "workspace-example").glob("README.md")])
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
every_page = each("page", PAGES, lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_every_page_is_reached_from_the_readme_in_three_steps() -> None:
    reached, edge = {ROOT / "README.md"}, {ROOT / "README.md"}
    for _ in range(3):
        links = [(page.parent / link.split("#")[0]).resolve() for page in edge for link in LINK.findall(prose(page))]
        edge = {target for target in links if target.suffix == ".md" and target.exists()} - reached
        reached |= edge
    assert {str(page.relative_to(ROOT)) for page in PAGES} - {str(page.relative_to(ROOT)) for page in reached} == set()


def test_every_test_that_a_page_names_exists() -> None:
    tests = list((ROOT / "tests").rglob("test_*.py"))
    known = {path.stem for path in tests}
    for path in tests:
        known |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    named = {(page.name, name) for page in PAGES for name in re.findall(r"\btest_\w+", page.read_text())}
    assert [f"{page}: {name}" for page, name in sorted(named) if name not in known] == []


def test_every_file_of_the_repository_that_a_page_names_exists() -> None:
    pattern = re.compile(r"`((?:tests|claw_files|templates|benchmarks|docs)/[\w./*-]+)`")
    named = {(page.name, path) for page in PAGES for path in pattern.findall(page.read_text())}
    assert [f"{page}: {path}" for page, path in sorted(named) if not any(ROOT.glob(path.rstrip("/")))] == []


def test_every_page_that_the_code_names_exists() -> None:
    modules = [path for folder in ("claw_files", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    named = {(path.name, page) for path in modules for page in re.findall(r"docs/[\w/.-]+\.md", path.read_text())}
    assert [f"{module}: {page}" for module, page in sorted(named) if not (ROOT / page).exists()] == []


def is_command(words: list[str]) -> bool:
    """Whether the words begin with a command of ours: "task new", "doctor"."""
    found = root.get_command(None, words[0])
    if isinstance(found, Group) and len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]):
        return words[1] in found.list_commands(None)
    return found is not None


@every_page
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    spoken = re.findall(r"`clawfiles ([^`]+)`", prose(page))
    typed = [line for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
             for line in re.findall(r"^\$ clawfiles (.+)$", block, re.MULTILINE)]  # fmt: skip
    for call in (*spoken, *typed):
        words = re.sub(r"^-C \S+ ", "", re.split("[;|&]", call)[0]).split()
        is_placeholder = words[0].isupper() or words[0].startswith("-")
        assert is_placeholder or is_command(words), f"no command `clawfiles {call}`"


@every_page
def test_every_setting_that_a_page_shows_is_read(page: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        shown = tomllib.loads(block)
        missing = [] if "sam" in shown.get("agents", {}) else ["[agents.sam]"]
        missing += [f"[agents.{name}]" for name in ("peter", "iris", "me") if name not in shown.get("agents", {})]
        head = "" if "workspace" in shown else '[workspace]\ncoordinator = "sam"\n'
        parse("\n".join([head, *missing, block]).encode(), "clawfiles.toml")


FORBIDDEN = re.compile(
    r"(?<![\w.~-])/(?:work|root|opt|srv|mnt)/|\brows? [A-E][0-9]|"
    r"\b(?:blazing|seamless(?:ly)?|powerful|robust|effortless(?:ly)?|cutting-edge|leverage|delve|supercharge)\b|"
    r"!\[[^\]]*\]\(https?:",
    re.IGNORECASE,
)


@every_page
def test_no_page_praises_itself_or_speaks_of_how_it_was_made(page: Path) -> None:
    assert [found[0] for found in FORBIDDEN.finditer(page.read_text())] == []


def test_every_word_of_the_glossary_is_used() -> None:
    terms = re.findall(r"^\| \*\*([^*]+)\*\* \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert len(terms) > 30
    code = "\n".join(path.read_text() for path in (ROOT / "claw_files").rglob("*.py"))
    pages = "\n".join(page.read_text() for page in PAGES if page.name != "glossary.md")
    text = f"{code}\n{pages}".lower().replace("_", " ").replace("-", " ")
    assert [term for term in terms if term.lower().replace("-", " ") not in text] == []


def test_each_word_of_the_glossary_stands_there_once_in_either_column() -> None:
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs/glossary.md").read_text().splitlines()]
    words = [[word.strip("* ") for word in row[0].split(",")] for row in rows if row[0].startswith("**")]
    others = [word.strip(" |") for row in rows if len(row) == 3 for word in row[2].split(",") if word.strip(" |")]
    given = [word for row in words for word in row] + others

    assert [word for word, times in Counter(given).items() if times > 1] == []
    assert [row[0] for row in words] == sorted((row[0] for row in words), key=str.lower)


def test_every_decision_has_its_four_parts() -> None:
    for page in (ROOT / "docs/decisions").glob("[0-9]*.md"):
        headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "What would change our mind"], page.name
