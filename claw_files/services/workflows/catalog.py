"""The workflow files of a workspace: found by name, read, and checked beside the configuration."""

from string import Template

from claw_files.core import text as words
from claw_files.core.errors import ClawError, Conflict, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, AgentKind, Audit, Task, TaskId, Value
from claw_files.core.workflow import FILE_BYTES, InvalidWorkflow, Problem, RunRecord, Workflow
from claw_files.formats import workflow_file
from claw_files.policy.workflow_checks import check
from claw_files.policy.workflow_dry_run import DryRun, Script, dry_run, not_begun
from claw_files.services.workflows.run_files import RunFiles
from claw_files.storage.workspace import Workspace
from claw_files.system.package_data import template, template_paths

FOLDER = "workflows"


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
        """The workflows there are, sorted."""
        return [name[:-3] for name in self._ws.files.names(FOLDER) if name.endswith(".md")]

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

    def find(self, name: str, text: str = "") -> CheckedWorkflow:
        """The workflow of that name, in that file of the workspace, or of that text, with all its problems.

        Raises NotFound, InvalidFile for a file that cannot be read at all, CannotRead.
        """
        if text:
            return self._checked(text.encode(), "-", name or "-")
        if not name.endswith(".md") and name not in self.names():
            names = ", ".join(self.names()) or "none yet: a workflow is a file workflows/NAME.md"
            raise NotFound("workflow", name, f"there are {names}")
        path = self._path(name)
        stem = path.rsplit("/", 1)[-1].removesuffix(".md")
        return self._checked(self._ws.files.read(path, FILE_BYTES).data, path, stem)

    def copies(self, workflow: Workflow, name: str, text: str = "") -> dict[str, bytes]:
        """The workflow as it stands, byte for byte, and those that it nests, by their names."""
        own = text.encode() if text else self._read(self._path(name))
        return {it: self._read(self._path(it)) for it in self._others(workflow)} | {workflow.name: own}

    def agents(self, workflow: Workflow) -> list[AgentId]:
        """Whom the workflow names, and those that it nests, each once."""
        flows = (workflow, *self._others(workflow).values())
        return list(dict.fromkeys(it for flow in flows for step in flow.steps for it in (*step.to, *step.to_each)))

    def _read(self, path: str) -> bytes:
        return self._ws.files.read(path, FILE_BYTES).data

    def sound(self, name: str, text: str = "") -> Workflow:
        """The workflow, which may be run. Raises InvalidWorkflow, and what `find` raises."""
        found = self.find(name, text)
        if found.problems:
            raise InvalidWorkflow([(found.path, it.line, it.text) for it in found.problems])
        return found.workflow

    @staticmethod
    def _path(name: str) -> str:
        return name if name.endswith(".md") else f"{FOLDER}/{name}.md"

    def run(self, id: TaskId) -> tuple[Task, Workflow, RunRecord]:
        """A run with the copy that it follows. Raises NotFound for a task that is no run."""
        task, files = self._ws.in_force(self._ws.load(id).task), RunFiles(self._ws, id)
        if task.workflow is None:
            raise NotFound("run of a workflow", id, "`clawfiles workflow run NAME` begins one")
        return task, files.workflow(task.workflow), files.record()

    def _checked(self, raw: bytes, path: str, name: str) -> CheckedWorkflow:
        workflow, problems = workflow_file.parse(raw, path, name)
        found = (*problems, *check(workflow, self._ws.settings, self._others(workflow)))
        return CheckedWorkflow(path=path, workflow=workflow, problems=tuple(sorted(found, key=lambda it: it.line)))

    def _others(self, workflow: Workflow) -> dict[str, Workflow]:
        """The workflows that it nests, and those that these nest. One that cannot be read is none."""
        found, left = dict[str, Workflow](), [step.workflow for step in workflow.steps if step.workflow]
        while left:
            name = left.pop()
            if name in found or name not in self.names():
                continue
            try:
                raw = self._ws.files.read(f"{FOLDER}/{name}.md", FILE_BYTES).data
                found[name], _ = workflow_file.parse(raw, f"{FOLDER}/{name}.md", name)
            except ClawError:  # its own check names what is wrong with it
                continue
            left += [step.workflow for step in found[name].steps if step.workflow]
        return found

    def play(self, workflow: Workflow, script: Script, items: dict[str, int]) -> DryRun:
        """A dry run from now on, with the endings of the script; nothing is made."""
        agents = self._ws.settings.agents.values()
        people = frozenset(agent.name for agent in agents if agent.kind is AgentKind.HUMAN)
        return dry_run(not_begun(workflow, people, items), script, self._ws.clock.now())
