"""The record of a workflow's run, `flows/TC-50/record.md`: facts in front matter, and a check list for people below.

Each step that has begun has one key, with the facts of `StepState` that differ from those of a fresh step. The list is
written anew each time; ticks that people set in it mean nothing.
"""

from typing import Any, Final

from msgspec.structs import fields as fields_of

from claw_files.core.errors import InvalidFile
from claw_files.core.model import State
from claw_files.core.text import parse_instant, render_instant, safe
from claw_files.core.workflow import Pass, RunRecord, StepState, Workflow
from claw_files.formats.frontmatter import parse as parse_document
from claw_files.formats.frontmatter_edits import block

_NUMBERS: Final = {
    "pass": "pass_number",
    "hop": "hop",
    "total": "total",
    "next": "next",
    "items": "items_of",
    "done": "done",
    "failed": "failed",
    "row": "in_a_row",
}
_LISTS: Final = ("open", "left")
_COUNTS: Final = ("version", "made", "grants")
_FLAGS: Final = {"asked": "is_asked", "forgiven": "is_forgiven"}
_FRESH: Final = {field.name: field.default for field in fields_of(StepState)}
_STEP: Final = "step "
_MOST: Final = 1_000_000  # items, tasks, passes
_BYTES: Final = 1 << 18  # a hundred reasons, and twenty thousand items that are begun again


def render(record: RunRecord, workflow: Workflow) -> bytes:
    """The whole file."""
    values: dict[str, Any] = {
        "workflow": workflow.name,
        "started": render_instant(record.started) if record.started else None,
        "stops": safe(record.stops, 400) or None,
        "over": "yes" if record.is_over else None,
        "out": "yes" if record.is_out else None,
        "resumed": "yes" if record.is_resumed else None,
        **{key: str(value) for key in _COUNTS if (value := getattr(record, key))},
        "ended": render_instant(record.ended) if record.ended else None,
        "outcome": record.outcome,
        "passes": [f"{it.number} from {it.step} by {it.by}" for it in record.passes] or None,
    }
    for name, state in record.steps.items():
        values[_STEP + name] = _facts(state)
        values[f"why {name}"] = safe(state.why, 400) or None
    values |= {f"first {name}": word for name, word in record.first.items()}
    return (block(values) + "\n".join(_list(record, workflow)) + "\n").encode()


def _facts(state: StepState) -> str:
    facts = {key: getattr(state, field) for key, field in _NUMBERS.items()}
    words = [f"{key}={value}" for key, value in facts.items() if value != _FRESH[_NUMBERS[key]]]
    words += [f"at={render_instant(state.since)}"] if state.since else []
    words += [f"began={render_instant(state.began)}"] if state.began else []
    words += [key for key, field in _FLAGS.items() if getattr(state, field)]
    words += [f"{key}={','.join(map(str, items))}" for key in _LISTS if (items := getattr(state, key))]
    words += [f"word={state.word.replace(' ', '_')}"] if state.word else []  # a word has no underscore
    return " ".join(words) or "fresh"


def _list(record: RunRecord, workflow: Workflow) -> list[str]:
    lines = []
    for step in workflow.steps:
        state = record.steps.get(step.name) or StepState()
        how = state.word or (
            f"{state.done} of {state.total} done" if state.total else "at work" if state.since else "waits"
        )
        why = f" ({safe(state.why, 200)})" if state.why else ""
        lines.append(f"- [{'x' if state.word else ' '}] {step.name}: {how}{why}")
    return lines


def parse(raw: bytes, path: str) -> RunRecord:
    """The record. Raises InvalidFile for one that somebody has changed into something else."""
    meta = parse_document(raw, path, _BYTES).meta
    try:
        steps = {
            key.removeprefix(_STEP): _state(str(value), str(meta.get(f"why {key.removeprefix(_STEP)}", "")))
            for key, value in meta.items()
            if key.startswith(_STEP)
        }
        return RunRecord(
            started=parse_instant(meta.get("started")),
            stops=str(meta.get("stops", "")),
            is_over=meta.get("over") == "yes",
            passes=tuple(_pass(str(it)) for it in meta.get("passes", ())),
            steps=steps,
            is_out=meta.get("out") == "yes",
            is_resumed=meta.get("resumed") == "yes",
            **{key: _number(meta[key]) for key in _COUNTS if key in meta},
            ended=parse_instant(meta.get("ended")),
            outcome=State(meta["outcome"]) if meta.get("outcome") else None,
            first={key.removeprefix("first "): str(it) for key, it in meta.items() if key.startswith("first ")},
        )
    except (ValueError, KeyError) as wrong:
        raise InvalidFile(path, "record", f"this is no record of a run: {safe(str(wrong), 100)}") from None


def _pass(text: str) -> Pass:
    number, _, step, _, by = text.split()
    return Pass(number=_number(number), step=step, by=by)


def _number(text: object) -> int:
    """A number, of which some are counted up to."""
    number = int(str(text))
    if not 0 <= number <= _MOST:
        raise ValueError(f"a number from 0 to {_MOST:,} is needed")
    return number


def _state(text: str, why: str) -> StepState:
    found: dict[str, Any] = {"why": why}
    for word in text.split():
        key, equals, value = word.partition("=")
        if word == "fresh":
            continue
        if not equals:
            found[_FLAGS[key]] = True
        elif key in _LISTS:
            found[key] = tuple(map(_number, value.split(",")))
        elif key in ("at", "began"):
            found["since" if key == "at" else key] = parse_instant(value)
        elif key == "word":
            found["word"] = value.replace("_", " ")
        else:
            found[_NUMBERS[key]] = _number(value)
    return StepState(**found)
