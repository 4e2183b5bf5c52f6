"""Spawns batches: one task per few items, all in one group, with one combined report."""

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import BadValue, Refused
from claw_files.core.model import AgentId, TaskId, Value
from claw_files.policy import delegation, item_batches, payload_sizes
from claw_files.policy.delegation import SpawnOrder
from claw_files.services.delegation.delegation import DelegationResult, Delegations
from claw_files.services.delegation.spawn_contract import check_group, check_label
from claw_files.storage.workspace import Workspace

MOST = 1_000  # tasks in one group


class SpawnedBatch(Value, frozen=True):
    """The accepted tasks, in the order of their items."""

    group: str
    items: int
    batch: int  # how many in one message, at most
    tasks: tuple[DelegationResult, ...]


class BatchSpawner:
    """Splits one order with many items into spawns; at most `limits.runs` of them start at once."""

    def __init__(self, workspace: Workspace, delegations: Delegations) -> None:
        self._ws = workspace
        self._delegations = delegations

    def spawn(
        self, order: SpawnOrder, items_text: str, by: AgentId, inside: TaskId | None = None, size: int | None = None
    ) -> SpawnedBatch:
        """Queue the items, `size` per message (default: the route's batch, or 10).

        Labels are the order's with "-1", "-2", ... behind it; the group is the order's, or bears its label.

        Raises what a spawn raises, before any of them is made, also where the tree has no room for all of them;
        Refused for over 1,000 batches.
        """
        payload_sizes.check(items_text, "the list of items")
        found = item_batches.items(items_text)
        if not found:
            raise BadValue("--items", items_text, "lines, or a Markdown list")
        if order.task:
            raise Refused("batches", "each item becomes a new task", "omit --task")
        delegation.check_contract(order.label, order.size)
        route = self._ws.settings.route(order.type)
        each = size or (route.batch if route else None) or item_batches.USUAL
        split = item_batches.split(found, each)
        if len(split) > MOST:
            raise Refused("batches", f"{len(split)} batches exceed {MOST:,}", "use a larger --batch, or fewer items")
        group = words.label(order.group or order.label or "")
        check_group(self._ws, group, by)
        is_again = self._ws.pending.again  # then some are there already; each spawn checks its own
        self._delegations.admit(by, inside, 0 if is_again else len(split))
        orders = []
        for number, batch in enumerate(split, start=1):
            label = words.label(f"{order.label}-{number}")
            if not is_again:
                check_label(self._ws, label, None)
            text = item_batches.text(order.text, batch, (number - 1) * each + 1, len(found), number, len(split))
            orders.append(replace(order, text=text, label=label, group=group, group_size=len(split)))
        tasks = tuple(self._delegations.spawn(one, by, inside) for one in orders)
        return SpawnedBatch(group=group, items=len(found), batch=each, tasks=tasks)
