"""Checks of a workflow beyond its form: agents, words, placeholders, paths and cycles. Pure.

`check` looks at one workflow beside the configuration and the workflows that it nests.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Final

from claw_files.config.settings import Settings
from claw_files.core.text import safe
from claw_files.core.workflow import (
    ENDED,
    FAILED,
    MOST_PROBLEMS,
    SKIPPED,
    Condition,
    Problem,
    Step,
    Workflow,
    is_of_run,
)
from claw_files.formats.workflow_file import placeholders
from claw_files.policy.profiles import is_work

_OF_ITEM: Final = {("item", ""), ("item", "name"), ("item", "stem"), ("number", "")}
_OF_RUN: Final = {("run", ""), ("run", "version")}
_OF_STEP: Final = ("files", "says", "failed", "choice")
_WHO: Final = ("to", "type", "to each", "workflow", "again from")


def check(workflow: Workflow, settings: Settings, others: Mapping[str, Workflow]) -> tuple[Problem, ...]:
    """All problems, in the order of lines; none where a run may begin.

    Args:
        others: the workflows of the workspace by name, for those that are nested.
    """
    found = islice(_Check(workflow, settings, others).problems(), MOST_PROBLEMS)
    return tuple(sorted(found, key=lambda it: it.line))


def before(workflow: Workflow) -> dict[str, frozenset[str]]:
    """For each step those that must have ended before it begins. A step in a circle is in its own set."""
    known = {step.name: step for step in workflow.steps}
    found: dict[str, frozenset[str]] = {name: frozenset() for name in known}
    changes = True
    while changes:  # twice where steps stand in their order
        changes = False
        for name, step in known.items():
            sets = [found[it.step] | {it.step} for it in step.after if it.step in found]
            kind = frozenset.intersection if step.is_any else frozenset.union
            if sets and (now := kind(*sets)) != found[name]:
                found[name], changes = now, True
    return found


class _Check:
    def __init__(self, workflow: Workflow, settings: Settings, others: Mapping[str, Workflow]) -> None:
        self._workflow, self._settings, self._others = workflow, settings, others
        self._steps = {step.name: step for step in reversed(workflow.steps)}
        self._inputs = {it.name for it in workflow.inputs}
        self._before = before(workflow)
        self._sound: dict[str, int] = {}  # nested workflows that were looked through, and how deep they lay then

    def problems(self) -> Iterator[Problem]:
        for kind in (self._names, self._nesting):
            yield from kind()
        for step in self._workflow.steps:
            for look in (self._who, self._order, self._keys, self._places):
                yield from look(step)
        yield from self._paths()

    def _at(self, step: Step, key: str, text: str) -> Problem:
        return Problem(line=step.lines.get(key, step.line), text=text)

    # --- the file as a whole

    def _names(self) -> Iterator[Problem]:
        for step in self._workflow.steps:
            if (first := self._steps[step.name]) is not step:
                yield self._at(step, "", f"there is a step `{step.name}` in line {first.line} already")
        if self._workflow.at_once > (most := self._settings.workflows.at_once):
            line = self._workflow.lines.get("at once", 1)
            yield Problem(line=line, text=f"`at once` is at most {most}: workflows.at_once in clawfiles.toml")
        names = [it.name for it in self._workflow.inputs]
        for name in dict.fromkeys(names):
            if names.count(name) > 1 or name in ("item", "number", "run"):
                yield Problem(line=1, text=f"`inputs`: `{name}` stands there twice, or has a meaning of its own")

    def _nesting(self) -> Iterator[Problem]:
        for step in self._workflow.steps:
            if step.workflow and (chain := self._chain(self._workflow.name, step.workflow, ())):
                most = self._settings.workflows.depth
                yield self._at(step, "workflow", f"workflows nest in a circle, or deeper than {most}: {chain}")

    def _chain(self, top: str, name: str, passed: tuple[str, ...]) -> str:
        """The names from the top to where nesting goes wrong; "" where it does not."""
        way = (*passed, name)
        if name == top or name in passed or len(way) >= self._settings.workflows.depth:
            return " > ".join((top, *way))
        if self._sound.get(name, 0) >= len(way):
            return ""
        inner = (step.workflow for step in (self._others[name].steps if name in self._others else ()) if step.workflow)
        wrong = next((found for it in inner if (found := self._chain(top, it, way))), "")
        if not wrong:
            self._sound[name] = len(way)
        return wrong

    def _paths(self) -> Iterator[Problem]:
        taken: dict[tuple[bool, str], Step] = {}
        for step in self._workflow.steps:
            for output in step.makes:
                where = (output.is_shared, output.path.lower())
                if (first := taken.setdefault(where, step)) is not step:
                    text = f"`{output.path}` is made by step `{first.name}` in line {first.line} already"
                    yield self._at(step, "makes", text)
                if not output.is_shared and is_of_run(output.path):
                    yield self._at(step, "makes", f"`{output.path}` is a file of the run itself: choose another name")
                used = {name for _, name, _ in placeholders(output.path)}
                if step.is_map and step.batch == 1 and not used & {"item", "number"}:
                    hint = "put {item.stem} or {number} into it"
                    yield self._at(step, "makes", f"every item would write `{output.path}`: {hint}")

    # --- one step

    def _who(self, step: Step) -> Iterator[Problem]:
        given = (step.to, step.type, step.to_each, step.workflow, step.again)
        named = [key for key, value in zip(_WHO, given, strict=True) if value]
        if len(named) != 1:
            what = f"{' and '.join(named)} exclude each other" if named else "nobody does it"
            yield self._at(step, named[-1] if named else "", f"`{step.name}`: {what}: say one of {', '.join(_WHO)}")
        for agent in (*step.to, *step.to_each):
            if agent not in self._settings.agents:
                key = "to" if agent in step.to else "to each"
                yield self._at(step, key, f"there is no agent `{agent}`{_near(agent, self._settings.agents)}")
        if step.type and step.type not in self._settings.routes:
            near = _near(step.type, self._settings.routes)
            yield self._at(step, "type", f"there is no route for the type `{safe(step.type, 40)}`{near}")
        if step.workflow:
            yield from self._inner(step, self._others.get(step.workflow))
        elif step.given:
            yield self._at(step, "with", "`with` goes with `workflow`")
        if not step.text and not step.workflow and not step.again:
            yield self._at(step, "", f"`{step.name}` has no text below its list: say what is to be done")

    def _inner(self, step: Step, inner: Workflow | None) -> Iterator[Problem]:
        if inner is None:
            yield self._at(
                step, "workflow", f"there is no workflow `{step.workflow}`{_near(step.workflow or '', self._others)}"
            )
            return
        given, known = {name for name, _ in step.given}, {it.name for it in inner.inputs}
        for name in sorted(given - known):
            yield self._at(step, "with", f"`{inner.name}` has no input `{name}`{_near(name, known)}")
        if missing := [it.name for it in inner.inputs if it.default is None and it.name not in given]:
            yield self._at(step, "workflow", f"`{inner.name}` needs `with: {missing[0]} = ...`")

    def _order(self, step: Step) -> Iterator[Problem]:
        key = "after any" if step.is_any else "after"
        for condition in step.after:
            yield from self._condition(step, key, condition)
        if step.name in self._before[step.name]:
            yield self._at(step, key, f"`{step.name}` waits for itself: {', '.join(sorted(self._before[step.name]))}")
        if step.again and step.again.step not in self._before[step.name]:
            text = f"`{step.again.step}` need not have ended before `{step.name}`: a loop goes back to what came before"
            yield self._at(step, "again from", text)

    def _condition(self, step: Step, key: str, condition: Condition) -> Iterator[Problem]:
        known = self._steps.get(condition.step)
        if known is None:
            yield self._at(step, key, f"there is no step `{condition.step}`{_near(condition.step, self._steps)}")
            return
        words = {*known.words, ENDED}
        for word in condition.words:
            if word not in words:
                shown = ", ".join(sorted(words - {FAILED, SKIPPED, ENDED}))
                yield self._at(
                    step, key, f"`{known.name}` never ends with `{safe(word, 40)}`: it ends with {shown}, or failed"
                )

    def _keys(self, step: Step) -> Iterator[Problem]:
        for key, is_set in (("batch", step.batch > 1), ("enough", "enough" in step.lines)):
            if is_set and not step.is_map:
                yield self._at(step, key, f"`{key}` goes with `for each`")
        read, is_read = (step.items or "").removeprefix("lines of "), (step.items or "").startswith("lines of ")
        if (is_read or "*" in read) and "{" not in read and not is_work(self._settings, read.replace("*", "x")):
            yield self._at(step, "for each", f"`{safe(read, 60)}` is the workspace's own, and no work to go through")
        late = step.deadline.word if step.deadline else None
        if late and step.choices and late not in step.choices:
            yield self._at(step, "within", f"`{safe(late, 40)}` is none of its choices: {', '.join(step.choices)}")
        if step.is_map and (step.again or len(step.to) > 1):
            yield self._at(step, "for each", "a loop or a hand-off has no items: nest a workflow")

    def _places(self, step: Step) -> Iterator[Problem]:
        yield from self._unknown(step, "", step.text, step.text_line)
        for key, text in (("for each", step.items or ""), *(("with", value) for _, value in step.given)):
            yield from self._unknown(step, key, text, step.lines.get(key, step.line))
        for output in step.makes:
            for _, name, part in placeholders(output.path):
                if (name, part) not in _OF_ITEM - {("item", "")} or not step.is_map:
                    shown = f"{{{name}.{part}}}" if part else f"{{{name}}}"
                    yield self._at(
                        step,
                        "makes",
                        f"{shown} cannot stand in a path: {{item.name}}, {{item.stem}}, {{number}} of a map can",
                    )

    def _unknown(self, step: Step, key: str, text: str, line: int) -> Iterator[Problem]:
        for at, name, part in placeholders(text):
            wrong = self._why_not(step, name, part, is_item=step.is_map and key != "for each")
            if wrong:
                yield Problem(line=line + text.count("\n", 0, at), text=wrong)

    def _why_not(self, step: Step, name: str, part: str, is_item: bool) -> str:
        """The problem of a placeholder; "" if it can be filled in."""
        shown = f"{{{name}.{part}}}" if part else f"{{{name}}}"
        if (name, part) in _OF_RUN or (is_item and (name, part) in _OF_ITEM) or (not part and name in self._inputs):
            return ""
        known = self._steps.get(name)
        if known is None or not part:
            can = sorted({*self._inputs, "run", *(("item", "number") if is_item else ())})
            return f"{shown} is unknown; known are {', '.join(can)}; write {{{shown}}} to mean the braces"
        if part not in (*_OF_STEP, *(it.name for it in known.makes)):
            names = ", ".join((*_OF_STEP, *(it.name for it in known.makes)))
            return f"{shown}: `{name}` has no `{part}`; it has {names}"
        if name not in self._before[step.name]:
            return f"{shown}: `{name}` need not have ended before `{step.name}`: say `after: {name}`"
        return ""


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name[:40], names, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; there are {', '.join(sorted(names)[:12])}" if names else ""
