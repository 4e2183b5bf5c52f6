"""How runs of workflows went, as text: versions side by side, workflows one below the other."""

from collections.abc import Mapping
from datetime import timedelta

from claw_files.core.text import render_duration
from claw_files.policy.workflow_figures import Spread, WorkflowFigures, verdict
from claw_files.presentation.views import rows_text


def compared_text(names: tuple[str, str], sides: tuple[WorkflowFigures, WorkflowFigures], currency: str) -> str:
    """Two versions side by side, and what their difference tells."""
    a, b = sides
    told = f"{currency}, of {a.cost.count if a.cost else 0} and {b.cost.count if b.cost else 0} runs that told it"
    rows: list[tuple[str, ...]] = [
        ("", *names, ""),
        ("runs ended", str(a.ended), str(b.ended), f"{a.open} and {b.open} are open" if a.open or b.open else ""),
        ("done", _part(a.done, a.ended), _part(b.done, b.ended), verdict(a.done, a.ended, b.done, b.ended)),
        ("time, median", _length(a.time), _length(b.time), f"quarter to quarter {_quarters(a)}, {_quarters(b)}"),
        ("cost, median", *(f"{it.cost.median:.2f}" if it.cost else "-" for it in sides), told),
    ]
    for step in sorted({*a.answers, *b.answers}):
        each = [side.answers.get(step, {}) for side in sides]
        for word in sorted({*each[0], *each[1]}):
            cells = (_part(it.get(word, 0), sum(it.values())) for it in each)
            rows.append((f"{step} = {word}", *cells, "first pass"))
    return rows_text([*rows, ("waited most for", *map(_waited, sides), "")])


def workflows_text(found: Mapping[str, WorkflowFigures], currency: str) -> str:
    """A line for each workflow."""
    rows = [("workflow", "ended", "done", "open", "time, median", "quarter to quarter", "cost", "waited most for")]
    for name, it in found.items():
        cost = f"{it.total_cost:.2f} {currency}" if it.total_cost is not None else "-"
        counts = (str(it.ended), _part(it.done, it.ended), str(it.open))
        rows.append((name, *counts, _length(it.time), _quarters(it), cost, _waited(it)))
    return rows_text(rows)


def _part(number: int, of: int) -> str:
    return f"{number} ({number / of:.0%})" if of else "-"


def _length(found: Spread | None) -> str:
    return render_duration(timedelta(seconds=found.median)) if found else "-"


def _quarters(found: WorkflowFigures) -> str:
    time = found.time
    return "-".join(render_duration(timedelta(seconds=it)) for it in (time.low, time.high)) if time else "-"


def _waited(found: WorkflowFigures) -> str:
    return f"{found.waited_most} {_length(found.waited)}" if found.waited else "-"
