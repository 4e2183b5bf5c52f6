"""Workflow files: what is read, and everything that is wrong with one, each with its line."""

from datetime import timedelta
from pathlib import Path
from random import Random

from claw_files.config import parse
from claw_files.config.settings import Settings
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, Size
from claw_files.core.workflow import Condition, Deadline, OnFailure, Output, Repeat, Workflow
from claw_files.formats import workflow_file
from claw_files.policy.workflow_checks import check
from tests.each import each

PATTERNS = Path(__file__).parents[3] / "docs/how-to/patterns"
AGENTS = "researcher writer editor analyst manager worker support engineer owner publisher dimitrios"
TEAM: Settings = parse(
    (
        '[workspace]\ncoordinator = "manager"\n[routes]\ncode = { to = ["writer"] }\n'
        + "".join(f"[agents.{name}]\n" for name in AGENTS.split())
    ).encode()
)


def problems(text: str, name: str = "x", **others: str) -> list[tuple[int, str]]:
    found, wrong = workflow_file.parse(text.encode(), "x.md", name)
    nested = {it: workflow_file.parse(body.encode(), f"{it}.md", it)[0] for it, body in others.items()}
    both = (*wrong, *check(found, TEAM, nested))
    return sorted((it.line, it.text) for it in both)


def read(text: str) -> Workflow:
    found, wrong = workflow_file.parse(text.encode(), "x.md", "x")
    assert wrong == ()
    return found


WHOLE = """---
inputs: [wish, market = DE]
at once: 3
within: 2h
size: S
---
# Title

prose

## Re search: dig deep

* to: Researcher then writer; Size: m
* makes: api.md, data = ./out/x.csv; tries: 3
* choices: Ship it, drop; within: 1d, else drop; if it fails: ask

Find {wish}.
### no step
```
## no step
```
## again
- after any: re search = drop|failed; again from: re_search, at most 4
"""


def test_every_key_of_a_step_is_read() -> None:
    flow = read(WHOLE)
    first, second = flow.steps
    assert (flow.title, flow.at_once, flow.within) == ("Title", 3, timedelta(hours=2))
    assert [(it.name, it.default) for it in flow.inputs] == [("wish", None), ("market", "DE")]
    assert (first.name, first.title, first.line) == ("re-search", "dig deep", 11)
    assert (first.to, first.size, first.tries) == ((AgentId("researcher"), AgentId("writer")), Size.M, 3)
    assert first.makes == (Output(name="api", path="api.md"), Output(name="data", path="out/x.csv", is_shared=True))
    assert first.choices == ("ship it", "drop")
    assert first.deadline == Deadline(length=timedelta(days=1), word="drop")
    assert first.if_fails is OnFailure.ASK
    assert first.text.startswith("Find {wish}.\n### no step")
    assert (second.after, second.is_any) == ((Condition(step="re-search", words=("drop", "failed")),), True)
    assert (second.again, second.size) == (Repeat(step="re-search", most=4), Size.S)


@each("name", sorted(path.stem for path in PATTERNS.glob("*.md")))
def test_a_pattern_of_the_docs_is_sound_and_short(name: str) -> None:
    files = {path.stem: path.read_text() for path in PATTERNS.glob("*.md")}
    assert problems(files[name], name, **files) == []
    assert len(files[name].splitlines()) <= 25


STEP = "## a\n- to: writer\n\nx\n"


@each(
    "text, line, words",
    [
        ("just text\n", 1, "there is no step"),
        ("---\nstarts on: order, ../x\n---\n## a\n- to: writer\n\nx\n", 2, "`../x` is no type of events"),
        ("## a\n- to: writer; affter: b\n\nx\n", 2, "did you mean `after`?"),
        ("## a\nto: writer\n\nx\n", 2, "keys are a list: `- to: writer`"),
        ("## a\n- to: writer\n- to: editor\n\nx\n", 3, "`to` stands in line 2 already"),
        ("## a\n- to: writer; tries: 99\n\nx\n", 2, "a number from 1 to 20"),
        ("## a\n- to: nobody\n\nx\n", 2, "there is no agent `nobody`"),
        ("## a\n- to: writter\n\nx\n", 2, "did you mean `writer`?"),
        ("## a\n- type: cod\n\nx\n", 2, "did you mean `code`?"),
        ("## a\n\nx\n", 1, "nobody does it"),
        ("## a\n- to: writer; type: code\n\nx\n", 2, "to and type exclude each other"),
        ("## a\n- to: writer\n", 1, "`a` has no text"),
        ("## a-1\n- to: writer\n\nx\n", 1, "names no step"),
        ("## 9\n- to: writer\n\nx\n", 1, "names no step"),
        (STEP + STEP, 5, "there is a step `a` in line 1 already"),
        (STEP + "## b\n- to: writer; after: c\n\nx\n", 6, "there is no step `c`"),
        (STEP + "## b\n- to: writer; after: a = red\n\nx\n", 6, "`a` never ends with `red`"),
        ("## a\n- to: writer; after: b\n\nx\n## b\n- to: writer; after: a\n\nx\n", 2, "`a` waits for itself: a, b"),
        (STEP + "## b\n- to: writer\n\nx\n\n{a.files}\n", 10, "say `after: a`"),
        ("## a\n- to: writer\n\n{topik}\n", 4, "write {{topik}} to mean the braces"),
        (STEP + "## b\n- to: writer; after: a\n\n{a.report}\n", 8, "`a` has no `report`"),
        ("## a\n- to: writer; makes: ../x\n\nx\n", 2, "leaves the run's folder"),
        ("## a\n- to: writer; makes: /etc/passwd\n\nx\n", 2, "leaves the run's folder"),
        ("## a\n- to: writer; makes: {item}.md; for each: *.pdf\n\nx\n", 2, "cannot stand in a path"),
        ("## a\n- to: writer; makes: x.md; for each: *.pdf\n\nx\n", 2, "put {item.stem} or {number} into it"),
        (
            "## a\n- to: writer; makes: X.md\n\nx\n## b\n- to: writer; makes: x.md\n\nx\n",
            6,
            "`x.md` is made by step `a` in line 1 already",
        ),
        ("## a\n- to: writer; choices: one\n\nx\n", 2, "at least two words"),
        ("## a\n- to: writer; choices: done, failed\n\nx\n", 2, "`failed` has a meaning of its own"),
        ("## a\n- to: writer; choices: x, y; within: 1h, else z\n\nx\n", 2, "none of its choices"),
        ("## a\n- to: writer; within: soon\n\nx\n", 2, "`within`: `soon` is not a length such as"),
        ("## a: Pay {sum}?\n- to: writer\n\nx\n", 1, "{sum} stands in a title, where nothing is filled in"),
        ("---\ninputs: [sum]\n---\n\n# Pay {sum}\n\n" + STEP, 5, "put {sum} into the text below"),
        ("## a\n- to: writer, choices: yes, no\n\nx\n", 2, "`choices: yes` is a pair of its own: put `;` in front"),
        (STEP + "## b\n- again from: a\n", 6, "a loop goes back to what came before"),
        ("## a\n- workflow: y\n", 2, "there is no workflow `y`"),
        ("## a\n- workflow: x\n", 2, "nest in a circle"),
        ("---\nsteps: 3\n---\n" + STEP, 2, "`steps` is no key of a workflow"),
        ("---\nspend: 3 EUR\n---\n" + STEP, 2, "an amount in the currency of the budgets"),
        ("---\nspend: 0\n---\n" + STEP, 2, "an amount in the currency of the budgets"),
        ("---\ninputs: [a]\nat once: 101\n---\n" + STEP, 3, "`at once` is at most 100: workflows.at_once"),
        ("---\ninputs: [a, a]\n---\n" + STEP, 1, "`a` stands there twice"),
        ("## a\n- to: writer; batch: 3\n\nx\n", 2, "`batch` goes with `for each`"),
        ("".join(f"## s{n}x\n- to: writer\n\nx\n" for n in range(101)), 401, "more than 100 steps"),
    ],
)
def test_a_problem_is_named_with_its_line_and_what_to_write(text: str, line: int, words: str) -> None:
    found = problems(text)
    assert [(at, said) for at, said in found if at == line and words in said], found


def test_all_problems_are_told_at_once() -> None:
    found = problems("## a\n- to: nobody; affter: b; tries: 0\n\n{x}\n## b\n- too: writer\n\ny\n")
    assert [line for line, _ in found] == [2, 2, 2, 4, 5, 6]


def test_what_a_nested_workflow_needs_is_looked_at() -> None:
    inner = "---\ninputs: [topic, market = DE]\n---\n" + STEP
    assert problems("## a\n- workflow: y; with: topic = x\n", y=inner) == []
    assert problems("## a\n- workflow: y\n", y=inner) == [(2, "`y` needs `with: topic = ...`")]
    assert problems("## a\n- workflow: y; with: topic = x, size = 3\n", y=inner)[0][0] == 2
    deep = {name: f"## a\n- workflow: {inner}\n" for name, inner in (("y", "z"), ("z", "w"), ("w", "v"))} | {"v": STEP}
    assert "deeper than 3" in problems("## a\n- workflow: y\n", **deep)[0][1]


MARKS = ["{", "}", ":", ";", "\n", "## ", "- ", "---\n", "\x00", "=", ",", "|", "\u2028", "`", "ü", "9" * 20]


@each("seed", range(40))
def test_no_file_does_anything_but_give_problems(seed: int) -> None:
    """Files of the docs with random cuts, copies and letters in them."""
    chance = Random(seed)
    text = "\n".join(path.read_text() for path in sorted(PATTERNS.glob("*.md")))
    for _ in range(30):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.randrange(1, 600))
        piece = text[start:end]
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(piece) + 1)
            new = chance.choice(MARKS)
            piece = piece[:at] + new + piece[at + chance.randrange(0, 3) :]
        try:
            flow, wrong = workflow_file.parse(piece.encode(), "x.md", "x")
        except ClawError:
            continue
        last = piece.count("\n") + 2
        for problem in (*wrong, *check(flow, TEAM, {})):
            assert 1 <= problem.line <= last
            assert problem.text.isprintable()


def test_long_lines_of_marks_cost_little_and_break_nothing() -> None:
    for mark in ("#", "- ", "{", "## a\n", "- to: x;", "```\n", "{a.b}", "after: "):
        flow, _ = workflow_file.parse((mark * (900_000 // len(mark))).encode(), "x.md", "x")
        check(flow, TEAM, {})
