"""Selects the agent for a task, by the agents' load and remaining budgets."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from claw_files.core.model import AgentId, Task, TaskId
from claw_files.policy import budgets, routing
from claw_files.policy.pools import Loads
from claw_files.policy.route_explanation import Reasons, RouteQuestion, reasons
from claw_files.services.evidence import agent_load
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace

if TYPE_CHECKING:  # read when a route keeps results
    from claw_files.services.delegation.result_cache import ResultCache


class AgentSelection:
    """Read-only, except for its cache."""

    def __init__(self, workspace: Workspace, evidence: EvidenceReader, checkpoints: Checkpoints) -> None:
        self._ws = workspace
        self._evidence = evidence
        self._checkpoints = checkpoints

    @cached_property
    def caching(self) -> "ResultCache":
        """The finder of earlier results, for spawns whose route has a cache."""
        from claw_files.services.delegation.result_cache import ResultCache

        return ResultCache(self._ws, self._evidence, self._checkpoints)

    def pick(self, task: Task) -> routing.AgentChoice | None:
        """The agent for the task; one without budget only if no other is left. None at the route's end."""
        settings, loads = self._ws.settings, self.loads(task.type)
        urgent, poor = routing.is_urgent(task), tuple(self.without_money())
        return routing.pick(settings, task.type, poor, urgent, loads) or routing.pick(
            settings, task.type, urgent=urgent, loads=loads
        )

    def asked(self, task_id: TaskId) -> RouteQuestion:
        """The question of the choice for this task. Raises NotFound, InvalidFile, CannotRead."""
        task = self._ws.in_force(self._ws.load(task_id).task)
        return RouteQuestion(
            type=task.type,
            task=task.id,
            urgent=routing.is_urgent(task),
            model=task.model,
            estimate=task.estimate,
            assignee=task.assignee,
            tried=self._evidence.tried(task),
        )

    def reasons(self, asked: RouteQuestion) -> Reasons:
        """The reasons of the choice for a task like this."""
        return reasons(self._ws.settings, asked, self.loads(asked.type), self.without_money())

    def loads(self, task_type: str | None) -> Loads:
        """The agents' loads, if tasks of the type go to a pool."""
        return agent_load.loads(self._ws, self._evidence.live, [Task(id=TaskId(""), type=task_type)])

    def without_money(self) -> Mapping[AgentId, str]:
        """The agents whose budget is used up, each with the reason in one sentence."""
        settings = self._ws.settings
        if not settings.budgets.is_set:
            return {}
        from claw_files.services.accounting.spend import Spending

        spent = Spending(self._ws).now()
        told = {agent: budgets.used_up(settings, spent, agent) for agent in settings.agents}
        return {agent: why for agent, why in told.items() if why}
