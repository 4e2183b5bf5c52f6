"""Cost, statistics, probe results and explanations, as text or JSON."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from claw_files.core.model import Message, Run
from claw_files.core.text import render_duration, safe, said
from claw_files.formats.usage import amount
from claw_files.presentation.views import rows_text, wait_json

if TYPE_CHECKING:
    from claw_files.config import Settings
    from claw_files.policy.costs import BillRow
    from claw_files.policy.forecast import Simulation
    from claw_files.policy.work_statistics import DurationSummary, WakeRate
    from claw_files.presentation.views import When
    from claw_files.services.accounting.spend import BillReport
    from claw_files.services.accounting.statistics import StatisticsReport
    from claw_files.services.heartbeat.explain import Explanation
    from claw_files.services.heartbeat.probe import ProbeResult, ProbeStep

NOT_REPORTED = "not reported"


# --- cost


def bill_json(billed: "BillReport", settings: "Settings") -> dict[str, Any]:
    """The bill: `rows`, named by the key in `by`, and `total`; `cost` is null if none was reported."""
    bill = billed.bill
    total = {key: value for key, value in _row_json(bill.total, "name").items() if key != "name"}
    return {
        "month": bill.month,
        "timezone": settings.workspace.timezone,
        "currency": settings.budgets.currency,
        "by": bill.by,
        "rows": [_row_json(row, bill.by) for row in bill.rows],
        "total": total,
        "broken_lines": billed.broken,
        "unread_days": billed.unread,
    }


def _row_json(row: "BillRow", name: str) -> dict[str, Any]:
    figures = {key: getattr(row, key) for key in ("runs", "unreported", "input", "cached", "output", "cost", "budget")}
    return {name: row.name, **figures, "share": None if row.share is None else round(row.share, 4)}


def bill_text(billed: "BillReport", settings: "Settings") -> str:
    """A table, its total, and what is unknown."""
    bill, currency = billed.bill, settings.budgets.currency
    head = (bill.by, "runs", "tokens in", "tokens out", "spent", "budget", "share")
    rows = [head, *(_row_cells(row, currency) for row in bill.rows), _row_cells(bill.total, currency)]
    title = f"{bill.month or 'all months'} ({settings.workspace.timezone}), by {bill.by}"
    return "\n".join([title, "", rows_text(rows), *_unsure(billed)])


def _row_cells(row: "BillRow", currency: str) -> tuple[str, ...]:
    tokens = (f"{number:,}" if number else "-" for number in (row.input, row.output))
    budget = "-" if row.budget is None else f"{row.budget:.2f} {currency}"
    share = "-" if row.share is None else f"{row.share:.0%}"
    return (row.name, str(row.runs), *tokens, _spent(row, currency), budget, share)


def _spent(row: "BillRow", currency: str) -> str:
    """The money, never 0.00 for unknown; less than a cent is shown in full."""
    if row.cost is None:
        return NOT_REPORTED if row.runs else "-"
    shown = f"{row.cost:.2f}" if row.cost >= 0.005 or not row.cost else amount(row.cost)
    return f"{shown} {currency}" + (f" + {row.unreported} {NOT_REPORTED}" if row.unreported else "")


def _unsure(billed: "BillReport") -> list[str]:
    total = billed.bill.total
    found = [f"{total.unreported} of {total.runs} runs reported no money: it is not in the sums"]
    found = [*(found if total.unreported else []), *_unreadable(billed.broken, billed.unread)]
    return ["", *found] if found else []


def _unreadable(broken: int, unread: Iterable[str]) -> list[str]:
    """The number of unreadable journal lines that were skipped."""
    lines = [f"{broken} line{'s' if broken > 1 else ''} of the journal cannot be read"] if broken else []
    return lines + [f"the journal of {day} cannot be read" for day in unread]


# --- statistics


def stats_json(told: "StatisticsReport") -> dict[str, Any]:
    """Lengths are in seconds, shares between 0 and 1."""
    found = told.stats
    return {
        "since": told.since,
        "until": told.until,
        "completion": {"by_type": _times_json(found.by_type), "by_agent": _times_json(found.by_agent)},
        "agents": [
            {"agent": e.agent, "done": e.done, "failed": e.failed, "success": e.success, "attempts": e.attempts}
            for e in found.ends
        ],
        "first_wake": [_acting_json(one, "acknowledged") for one in found.first_wakes],
        "waits": _times_json(found.waits),
        "dead_letters": found.dead_letters,
        "runs": told.reasons,
        "probes": [_acting_json(one, "acted") for one in found.probes],
        "broken_lines": told.broken,
        "unread_days": told.unread,
    }


def _times_json(times: Iterable["DurationSummary"]) -> list[dict[str, Any]]:
    lengths = ("median", "p90", "longest")
    return [
        {"name": one.name, "count": one.count, "open": one.open}
        | {name: getattr(one, name).total_seconds() for name in lengths}
        for one in times
    ]


def _acting_json(one: "WakeRate", acted: str) -> dict[str, Any]:
    share = round(one.acted / one.woken, 4)
    return {"agent": one.agent, "model": one.model, "woken": one.woken, acted: one.acted, "share": share}


def stats_text(told: "StatisticsReport", when: "When") -> str:
    """One section per question; sections without data are omitted."""
    found = told.stats
    agents = [(e.agent, str(e.done), str(e.failed), _share(e.success), f"{e.attempts or '-'}") for e in found.ends]
    sections = [
        _section("time to done, by type", _TIMES, _times_rows(found.by_type)),
        _section("time to done, by agent", _TIMES, _times_rows(found.by_agent)),
        _section("attempts", ("agent", "done", "failed", "success", "attempts for one done"), agents),
        _section("acknowledged on the first wake", _ACTING, _acting_rows(found.first_wakes)),
        _section("where work waits", (*_TIMES, "still"), _waits_rows(found.waits)),
        _section("runs", ("ended", "count"), [(reason, str(count)) for reason, count in told.reasons.items()]),
        _section("probes", _ACTING, _acting_rows(found.probes)),
        f"dead letters: {', '.join(found.dead_letters)}" if found.dead_letters else "",
    ]
    shown = [section for section in sections if section] or ["nothing happened"]
    notes = "\n".join(_unreadable(told.broken, told.unread))
    title = f"from {when(told.since)} to {when(told.until)}"
    return "\n\n".join([title, *shown, *([notes] if notes else [])])


_TIMES = ("", "count", "median", "p90", "longest")
_ACTING = ("agent", "model", "woken", "acted", "share")


def _section(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = rows_text([head, *rows]).split("\n")
    return "\n".join([title, *(f"  {line}" for line in lines)]) if rows else ""


def _times_rows(times: Iterable["DurationSummary"]) -> list[tuple[str, ...]]:
    return [(one.name, str(one.count), *map(render_duration, (one.median, one.p90, one.longest))) for one in times]


def _waits_rows(times: tuple["DurationSummary", ...]) -> list[tuple[str, ...]]:
    return [(*row, str(one.open or "-")) for row, one in zip(_times_rows(times), times, strict=True)]


def _acting_rows(found: Iterable["WakeRate"]) -> list[tuple[str, ...]]:
    return [(one.agent, one.model, str(one.woken), str(one.acted), _share(one.acted / one.woken)) for one in found]


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


# --- probes


def probe_json(found: "ProbeResult") -> dict[str, Any]:
    """The result of a probe; durations in seconds."""
    return {
        "agent": found.agent,
        "acts": found.acts,
        "task": found.task,
        "steps": [{"after": step.after.total_seconds(), "what": step.what} for step in found.steps],
        "acknowledged": found.acknowledged.total_seconds() if found.acknowledged is not None else None,
        "done": found.done.total_seconds() if found.done is not None else None,
        "exit": found.exit,
        "said": found.said,
        "advice": found.advice,
    }


def step_text(step: "ProbeStep") -> str:
    """One step with its time."""
    return f"{step.after.total_seconds():6.1f} s  {safe(step.what)}"


def probe_text(found: "ProbeResult") -> str:
    """The steps, the agent's output instead, and what to change."""
    said = ["", "it said:", *(f"  {line}" for line in safe(found.said, limit=2000, lines=True).split("\n"))]
    advice = ["", *(f"- {safe(line)}" for line in found.advice)]
    parts = [*map(step_text, found.steps), *(said if found.said else []), *(advice if found.advice else [])]
    return "\n".join(parts)


# --- explain


def explain_json(found: "Explanation") -> dict[str, Any]:
    """The explanation, with stable keys."""
    task, entry = found.task, found.entry
    return {
        "id": task.id,
        "title": task.title,
        "status": task.state,
        "holder": task.assignee,
        "generation": task.generation,
        "attempt": task.attempt,
        "liveness": found.liveness,
        "conflict": found.conflict,
        "unclear": task.unclear,
        "waits_for": [it.task for it in found.waits_for],
        "not_ready": found.not_ready,
        "check": entry.at if entry else None,
        "sent": _sent_json(found.message) if found.message else None,
        "box": found.box,
        "run": _run_json(found.run) if found.run else None,
        "wait": wait_json(found.wait) if found.wait else None,
        "traces": [{"kind": it.kind, "path": it.path, "line": it.line, "at": it.at} for it in found.traces],
        "now": [action.as_json() for action in found.now],
        "waiting": found.waiting,
        "next": {"at": found.next_at, "rule": found.next_rule},
        "breaker": found.breaker,
        "reviewer": found.reviewer,
        "budget": found.budget,
        "parent": task.parent,
        "session": task.session,
        "brief": found.brief,
    }


def _sent_json(message: Message) -> dict[str, Any]:
    return {"id": message.id, "to": message.to, "at": message.sent, "sends": message.sends, "ack_by": message.ack_by}


def _run_json(run: Run) -> dict[str, Any]:
    return {"id": run.id, "alive": run.alive, "started": run.started, "ended": run.ended, "exit": run.exit}


def explain_text(found: "Explanation", when: "When") -> str:
    """The explanation on one screen, with waits and their ends."""
    from claw_files.policy import acknowledgement
    from claw_files.policy.dispatch_queue import sentence

    task, entry, message, run = found.task, found.entry, found.message, found.run
    rows = [
        ("holder", f"{task.assignee or 'nobody'}, generation {task.generation}, attempt {task.attempt}"),
        ("liveness", found.liveness),
        ("conflict", found.conflict),
        *(("unclear", f"{it.path}, line {it.line}: {said(it.text)}: {it.hint}") for it in task.unclear[:5]),
        ("not ready", found.not_ready),
        ("waits for", ", ".join(f"{it.task} ({it.stands})" for it in found.waits_for)),
        ("reason", task.reason),
        ("spawned in", task.parent if task.label else None),
        ("session", f"{task.session}, message {task.turn}" if task.session else None),
        ("in the ledger", entry.line.strip() if entry else "no line"),
        ("sent", _sent(found, message, when) if message else "nothing yet"),
        ("run", f"{run.id}, {'alive' if run.alive else run.reason or 'over'}" if run else None),
        ("turn", sentence(found.wait, when) if found.wait else None),
        ("evidence", "; ".join(acknowledgement.sentence(it, when) for it in found.traces)),
        ("now", found.next_rule if found.now else found.waiting),
        ("next", _next(found, when)),
        ("breaker", found.breaker + (f" until {when(found.breaker_until)}" if found.breaker_until else "")),
        ("reviewer", found.reviewer),
        ("budget", found.budget),
        ("brief", "; ".join(found.brief)),
        ("held until", when(found.told_at) if found.told_at else None),
    ]
    lines = [f"{name + ':':<15}{safe(str(value), limit=500)}" for name, value in rows if value]
    return "\n".join([f"{task.id}: {safe(task.title)} [{task.state}]", *lines])


def simulation_json(found: "Simulation") -> dict[str, Any]:
    """The actions of a simulation, each with its time; `cut` says why it was not followed as far as it was asked."""
    actions = [{"at": tick.at, **it.as_json()} for tick in found.ticks for it in tick.actions]
    span = {"from": found.start, "until": found.until, "cut": found.cut or None}
    return {**span, "actions": actions, "problems": found.problems}


def simulation_text(found: "Simulation", when: "When") -> str:
    """A line for each action that is more than another check time, and last how far it was followed."""
    from claw_files.policy.forecast import TIMES

    acts = [(when(tick.at), it) for tick in found.ticks for it in tick.actions if it.act not in TIMES]
    rows = [(at, it.act, it.task or str(it.key), it.agent or "-", it.why) for at, it in acts]
    end = f"not followed beyond {when(found.until)}: {found.cut}" if found.cut else ""
    told = [rows_text(rows) or f"nothing is due until {when(found.until)}", *map(safe, found.problems), end]
    return "\n".join(filter(None, told))


def _sent(found: "Explanation", message: Message, when: "When") -> str:
    at = f"at {when(message.sent)}" if message.sent else "at an unknown time"
    sends = f", {message.sends} times" if message.sends > 1 else ""
    due = f", acknowledgement due at {when(message.ack_by)}" if message.ack_by and not found.traces else ""
    return f"to {message.to} {at}{sends}, in {found.box}/{due}"


def _next(found: "Explanation", when: "When") -> str | None:
    if found.now:
        return None  # its consequences appear when it is done
    return (f"at {when(found.next_at)}: " if found.next_at else "") + found.next_rule
