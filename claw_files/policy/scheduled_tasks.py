"""The tasks of a schedule's due time: their texts and ids."""

import re
from collections import Counter
from itertools import count, product

from claw_files.config import Schedule
from claw_files.core.digest import digest
from claw_files.core.model import Value

NAME_LETTERS = 64


class ScheduledTask(Value, frozen=True):
    """One task that a due time makes."""

    label: str = ""  # of its worker; "" for the one task of `do.task`
    worker: str | None = None  # as `do.spawn` names it
    title: str = ""
    text: str = ""
    item: str = ""


def jobs(schedule: Schedule) -> tuple[ScheduledTask, ...]:
    """The jobs of each due time: one per worker, or for the task, and per item.

    Labels are "email", "monitor-acme"; where several would be the same, "helper-1", "helper-2".
    """
    each = list(product(schedule.items or (None,), enumerate(schedule.spawn or (None,))))
    names = ["-".join(filter(None, (worker, item and _slug(item)))) for item, (_, worker) in each]
    labels = _unlike([bounded(name.lower()) for name in names])
    made = []
    for (item, (number, worker)), label in zip(each, labels, strict=True):
        text = schedule.text[number if len(schedule.text) > 1 else 0] if schedule.text else ""
        title = schedule.task or f"{schedule.name}: {worker or schedule.workflow}"
        if item is not None:
            title = title.replace("{item}", item) if "{item}" in title else f"{title}: {item}"
            text = text.replace("{item}", item) if "{item}" in text else f"{text}\n\n{item}".strip()
        made.append(ScheduledTask(label=label, worker=worker, title=title[:200], text=text, item=item or ""))
    return tuple(made)


def bounded(name: str, most: int = NAME_LETTERS) -> str:
    """The name, or for a longer one its beginning and a digest, so that two names stay distinct."""
    return name if len(name) <= most else f"{name[: most - 9]}-{digest(name.encode(), 4)}"


def _slug(item: str) -> str:
    """An item as part of a name: "https://acme.test/a b" is "https-acme-test-a-b"; without letters, a digest."""
    return re.sub(r"[^a-z0-9]+", "-", item.lower()).strip("-") or digest(item.encode(), 4)


def _unlike(names: list[str]) -> list[str]:
    """The names in their order; repeated ones are numbered from 1."""
    often, taken, numbered = Counter(names), set(names), list[str]()
    for name in names:
        if often[name] > 1:
            again = (bounded(f"{name}-{number}") for number in count(1))
            name = next(one for one in again if one not in taken)
            taken.add(name)
        numbered.append(name)
    return numbered
