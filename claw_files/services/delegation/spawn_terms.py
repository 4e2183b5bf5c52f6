"""Terms of a spawn that depend on its worker: the model, and a cached answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from claw_files.core.model import AgentId, Result, Task, Value
from claw_files.policy import routing
from claw_files.policy.delegation import SpawnOrder
from claw_files.policy.result_reuse import fingerprint
from claw_files.storage.workspace import Workspace

if TYPE_CHECKING:
    from claw_files.services.delegation.agent_selection import AgentSelection


class SpawnTerms(Value, frozen=True):
    """What follows from an order once its worker is known."""

    model: str | None = None  # that its run will work with
    asked: str | None = None  # the mark of its question, where the route keeps answers
    earlier: tuple[Task, Result] | None = None  # the task that answers it already


def terms_of(
    ws: Workspace, order: SpawnOrder, worker: AgentId, choosing: "Callable[[], AgentSelection] | None" = None
) -> SpawnTerms:
    """The terms of the order. Work on a task that exists has no answer yet, whatever its text.

    Nor has a session: it is spoken to again, and its answer to a later message answers no spawn.
    """
    settings, own = ws.settings, ws.load(order.task).task if order.task else None
    if own:
        return SpawnTerms(model=routing.model_for(settings, worker, own.type, order.model or own.model))
    model, route = routing.model_for(settings, worker, order.type, order.model), settings.route(order.type)
    if route is None or route.cache is None or order.mode == "session":
        return SpawnTerms(model=model)
    asked = fingerprint(order.text, worker, model, order.cwd, order.type)
    earlier = choosing().caching.earlier(asked, route) if choosing and order.cache else None
    return SpawnTerms(model=model, asked=asked, earlier=earlier)
