"""The workflow files of a workspace: found by name, read, and checked beside the configuration."""

from collections.abc import Iterator
from contextlib import suppress
from string import Template

from claw_files.core import text as words
from claw_files.core.errors import ClawError, Conflict, NotFound, UsageError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, AgentKind, Audit, Task, TaskId, Value
from claw_files.core.workflow import FILE_BYTES, InvalidWorkflow, Problem, RunRecord, Workflow
from claw_files.formats import workflow_file
from claw_files.formats.task_fields import is_kept
from claw_files.policy import routing
from claw_files.policy.profiles import is_work
from claw_files.policy.workflow_checks import check
from claw_files.policy.workflow_dry_run import DryRun, Script, dry_run, not_begun
from claw_files.policy.workflow_planner import waits_for
from claw_files.policy.workflow_versions import pick
from claw_files.services.workflows.run_files import RunFiles
from claw_files.services.workflows.versions import FOLDER, VersionStore
from claw_files.storage.workspace import Workspace
from claw_files.system.package_data import template, template_paths


class CheckedWorkflow(Value, frozen=True):
    """A workflow file with everything that is wrong with it."""

    path: str
    workflow: Workflow
    problems: tuple[Problem, ...]


class WorkflowCatalog:
    """Reads; never writes."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def names(self) -> list[str]:
        """The workflows there are, sorted; none by a name that the task of a run could not hold."""
        names = (name[:-3] for name in self._ws.files.names(FOLDER) if name.endswith(".md"))
        return [name for name in names if is_kept(name)]

    def new(self, name: str, like: str) -> tuple[str, str]:
        """The path of a new workflow made from a template, and the settings that the workspace lacks for it.

        Raises Conflict where there is one of that name, NotFound for an unknown template.
        """
        name, ready = words.label(name), f"workspaces/{like}/{FOLDER}/{like}.md"
        if name in self.names():
            raise Conflict(f"{FOLDER}/{name}.md is there already: choose another name")
        known = [path for path in template_paths(".") if path.startswith("workspaces/")]
        if like != "start" and ready not in known:
            names = ", ".join(path.split("/")[1] for path in known if f"/{FOLDER}/" in path)
            raise NotFound("ready workflow", like, f"there are {names}")
        settings = self._ws.settings
        person = next((it for it in settings.agents if settings.is_human(it)), settings.coordinator)
        values = {"name": name, "agent": settings.coordinator, "person": person}
        text = Template(template("workflows/start.md")).substitute(values) if like == "start" else template(ready)
        text = text.replace("- to: me;", f"- to: {person};")
        audit = Audit(JournalEvent.WORKFLOW, actor=settings.coordinator, why=f"{name}, made from {like}")
        path = f"{FOLDER}/{name}.md"
        self._ws.files.commit(path, lambda raw: text.encode() if raw is None else raw, self._ws.line(audit))
        return path, "" if like == "start" else self._lacks(template(f"workspaces/{like}/clawfiles.toml"))

    def _lacks(self, config: str) -> str:
        """The tables of the configuration for agents and routes that the workspace has none of."""
        tables = [f"[{part.strip()}\n" for part in config.split("\n[")]
        agents, routes = self._ws.settings.agents, self._ws.settings.routes
        known = {*(f"[agents.{it}]" for it in agents), *(f"[routes.{it}]" for it in routes)}
        named = [it for it in tables if it.startswith(("[agents.", "[routes."))]
        _, _, runs = template("agents/inbox.toml").partition('kind = "named"\n')
        found = [it for it in named if it.partition("]")[0] + "]" not in known]
        return Template("\n".join(found)).safe_substitute(runs=runs.strip())

    def find(self, name: str, text: str = "", key: str | None = None, version: int | None = None) -> CheckedWorkflow:
        """The workflow of that name, in that file of the workspace, or of that text, with all its problems.

        Args:
            key: of a run, which follows the version that the configuration names; None: the file as it is.
            version: that one, whatever the configuration says.

        Raises NotFound, InvalidFile for a file that cannot be read at all, CannotRead.
        """
        raw, path = self._raw(name, text, key, version)
        stem = name.rsplit("/", 1)[-1].removesuffix(".md")
        workflow, problems = workflow_file.parse(raw, path, stem or "-")
        found = (*problems, *check(workflow, self._ws.settings, self._others(workflow, key)))
        return CheckedWorkflow(path=path, workflow=workflow, problems=tuple(sorted(found, key=lambda it: it.line)))

    def starting_on(self, type: str) -> list[str]:
        """The workflows that an event of the type begins, by their names. Only their front matter is read."""
        return [name for name, types in self._starting() if type in types]

    def types(self) -> frozenset[str]:
        """The types of events that are handled here."""
        handlers = self._ws.settings.events.handlers.values()
        named = (it.event for it in handlers if it.task or it.spawn or it.workflow)
        return frozenset((*named, *(type for _, types in self._starting() for type in types)))

    def _starting(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name in self.names():
            with suppress(ClawError):  # its own check names what is wrong with it
                yield name, workflow_file.starts_on(*self._raw(name, "", None, None))

    def copies(
        self, workflow: Workflow, name: str, text: str = "", key: str | None = "", version: int | None = None
    ) -> dict[str, bytes]:
        """The workflow as a run follows it, byte for byte, and those that it nests, by their names."""
        inner = {it: self._raw(it, "", key, None)[0] for it in self._others(workflow, key)}
        return inner | {workflow.name: self._raw(name, text, key, version)[0]}

    def agents(self, workflow: Workflow, key: str | None = "") -> list[AgentId]:
        """Who may do a step of the workflow, and of those that it nests, each once: whom a route may choose, too."""
        steps = [step for flow in (workflow, *self._others(workflow, key).values()) for step in flow.steps]
        routed = {it.type: routing.candidates(self._ws.settings, it.type) if it.type else () for it in steps}
        return list(dict.fromkeys(who for it in steps for who in (*it.to, *it.to_each, *routed[it.type])))

    def sound(self, name: str, text: str = "", key: str | None = "", version: int | None = None) -> Workflow:
        """The workflow, which may be run. Raises InvalidWorkflow, and what `find` raises."""
        found = self.find(name, text, key, version)
        if found.problems:
            raise InvalidWorkflow([(found.path, it.line, it.text) for it in found.problems])
        return found.workflow

    def key_of_run(self, name: str, key: str | None) -> str:
        """By what the version of a new run is chosen: its key, or the number that it will have."""
        pin = self._ws.settings.workflows.pins.get(name)
        is_open = key is None and pin is not None and pin.split
        return f"{self._ws.settings.workspace.prefix}-{self._ws.next_number()}" if is_open else key or ""

    def _raw(self, name: str, text: str, key: str | None, version: int | None) -> tuple[bytes, str]:
        """The bytes, and where they lie."""
        is_file, path = name.endswith(".md"), name if name.endswith(".md") else f"{FOLDER}/{name}.md"
        if text or (is_file and is_work(self._ws.settings, path)):
            if version:
                raise UsageError("`--version` goes with the name of a workflow: its versions are those of its file")
            return (text.encode(), "-") if text else (self._ws.files.read(path, FILE_BYTES).data, path)
        pin = self._ws.settings.workflows.pins.get(name)
        if number := version or (None if key is None else pick(pin, name, key)):
            store = VersionStore(self._ws, name)
            return store.read(number), store.path(number)
        if is_file or name not in self.names():
            names = ", ".join(self.names()) or "none yet: a workflow is a file workflows/NAME.md"
            raise NotFound("workflow", name, f"there are {names}")
        return self._ws.files.read(path, FILE_BYTES).data, path

    def run(self, id: TaskId) -> tuple[Task, Workflow, RunRecord]:
        """A run with the copy that it follows. Raises NotFound for a task that is no run."""
        task, files = self._ws.in_force(self._ws.load(id).task), RunFiles(self._ws, id)
        if task.workflow is None:
            raise NotFound("run of a workflow", id, "`clawfiles workflow run NAME` begins one")
        return task, files.workflow(task.workflow), files.record()

    def _others(self, workflow: Workflow, key: str | None) -> dict[str, Workflow]:
        """The workflows that it nests, and those that these nest. One that cannot be read is none."""
        found, left = dict[str, Workflow](), [step.workflow for step in workflow.steps if step.workflow]
        while left:
            if (name := left.pop()) in found:
                continue
            with suppress(ClawError):  # its own check names what is wrong with it
                raw, path = self._raw(name, "", key, None)
                found[name], _ = workflow_file.parse(raw, path, name)
                left += [step.workflow for step in found[name].steps if step.workflow]
        return found

    def play(self, workflow: Workflow, script: Script, items: dict[str, int]) -> DryRun:
        """A dry run from now on, with the endings of the script; nothing is made."""
        agents = self._ws.settings.agents.values()
        people = frozenset(agent.name for agent in agents if agent.kind is AgentKind.HUMAN)
        return dry_run(not_begun(workflow, people, items), script, self._ws.clock.now())


def step_to_come(ws: Workspace, id: TaskId) -> tuple[Task, str] | None:
    """The task that a step of a run may become, by its id, and why there is none now; None for any other id."""
    parts = id.split("-")
    for run in (TaskId("-".join(parts[:end])) for end in range(len(parts) - 1, 0, -1)):
        task, rest = ws.known(run), f"{id.lower()}-".removeprefix(f"{run.lower()}-")
        if task and task.workflow:
            files = RunFiles(ws, run)
            workflow, record = files.workflow(task.workflow), files.record()
            steps = sorted(workflow.steps, key=lambda it: len(it.name))
            if step := next((it for it in reversed(steps) if rest.startswith(f"{it.name}-")), None):
                why = f"{run} is {task.state}" if task.state.is_closed else waits_for(workflow, record, step)
                return Task(id=id, title=f"{step.name} of {run}", flow=run), why
    return None
