"""What the task of a step asks for: its text with the placeholders filled in, and what the run hands over as data."""

from contextlib import suppress

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentKind, Task, TaskId
from claw_files.core.text import render_duration, said
from claw_files.core.workflow import FAILED, HAND_ON, SKIPPED, Output, Step, StepState, is_of_run
from claw_files.formats.workflow_text import fill, path_part, stem
from claw_files.policy import item_batches
from claw_files.policy.profiles import is_work
from claw_files.policy.workflow_plan import WorkflowRun, task_of
from claw_files.services.messaging import prompt_templates, task_news
from claw_files.services.workflows.run_files import RunFiles
from claw_files.storage.workspace import Workspace

SHORT = 200  # letters of a value that stands in the text itself
FEW = 20  # paths that are written out
MOST_FAILED = 100  # items that are named


class StepText:
    """Fills in the texts of one run."""

    def __init__(self, workspace: Workspace, run: WorkflowRun, files: RunFiles) -> None:
        self._ws, self._run, self._files = workspace, run, files
        self._items: dict[str, tuple[str, ...]] = {}
        self._first: dict[tuple[str, str], dict[str, int]] = {}  # the first item of each path
        self._inputs = {it.name: it.default or "" for it in run.workflow.inputs} | files.inputs()

    def body(self, step: Step, number: int, task: TaskId, agent: Agent | None = None) -> str:
        """The text of the step, or of one of its items, and how it ends; longer values stand below, marked as data.

        Args:
            agent: who does it, where that is known already.
        """
        below: dict[str, str] = {}
        texts = [step.text, *self._loops(step)]
        shown = [fill(text, lambda name, part: self._shown(step, number, name, part, below)) for text in texts if text]
        files = ", ".join(f"`{path.removeprefix('./')}`" for path in self.outputs(step, number))
        ends = [f"Write into the workspace: {files}. Without that the step has failed."] if files else []
        ends += _how_to_answer(step, task, agent.kind if agent else AgentKind.NAMED)
        return "\n\n".join([*shown, *ends, *(prompt_templates.quoted(value, name) for name, value in below.items())])

    def _loops(self, step: Step) -> list[str]:
        """The text of the loop that sent the run back to this step last."""
        last = self._run.record.passes[-1:]
        loop = self._run.workflow.step(last[0].by) if last and last[0].step == step.name else None
        return [loop.text] if loop else []

    def outputs(self, step: Step, number: int) -> tuple[str, ...]:
        """The files that the step, or one of its items, promises, as paths from the workspace."""
        return tuple(f"./{self._path(step, it, number)}" for it in step.makes)

    def _path(self, step: Step, output: Output, number: int) -> str:
        """The path of an output; of items with one path, and with that of a file of the run, it has the number."""
        path, first = self._plain_path(step, output, number), self._first.get((step.name, output.path))
        if first is None:
            numbers = range(1, -(-len(self._items.get(step.name, ())) // step.batch) + 1) if step.items else ()
            paths = [(self._plain_path(step, output, it).lower(), it) for it in numbers]
            self._first[step.name, output.path] = first = dict(reversed(paths))
        is_taken = first.get(path.lower(), number) != number or is_of_run(path)
        while number and is_taken:
            head, dot, ending = path.rpartition(".")
            path = f"{head}-{number}.{ending}" if dot else f"{path}-{number}"
            is_taken = path.lower() in first
        return path if output.is_shared else f"{self._files.folder}/{path}"

    def _plain_path(self, step: Step, output: Output, number: int) -> str:
        item = self.item(step, number)
        values = {"": item, "name": item.rstrip("/").rsplit("/", 1)[-1], "stem": stem(item)}

        def value(name: str, part: str) -> str:
            return str(number) if name == "number" else path_part(values.get(part, item))

        return fill(output.path, value)

    def value_of(self, step: Step, text: str) -> str:
        """A value for an input of a nested workflow: its placeholders filled in, however long they are."""
        return fill(text, lambda name, part: self._value(step, 0, name, part))

    def item(self, step: Step, number: int) -> str:
        """The item, or the items of a batch, one a line; "" for a step without items."""
        if not number or step.to_each:
            return ""
        if step.name not in self._items:
            state = self._run.record.steps.get(step.name) or StepState()
            self._items[step.name] = self._files.items(step.name, state) or ()
        items = self._items[step.name]
        return "\n".join(items[(number - 1) * step.batch : number * step.batch])

    # --- placeholders

    def _shown(self, step: Step, number: int, name: str, part: str, below: dict[str, str]) -> str | None:
        value = self._value(step, number, name, part)
        if value is None:
            return None
        is_path = part not in ("", "says", "failed")
        if is_path or name == "number" or name == "run":
            return value
        if part != "says" and len(value) <= SHORT and "\n" not in value:
            return said(value, SHORT)
        below[name if not part else f"{name}.{part}"] = value
        return f"(below: {name})"

    def _value(self, step: Step, number: int, name: str, part: str) -> str | None:
        if name == "number" and not part:
            return str(number)
        if name == "item":
            item = self.item(step, number)
            return {"": item, "name": path_part(item.rsplit("/", 1)[-1]), "stem": path_part(stem(item))}.get(part)
        if name == "run":
            return str(self._run.version or "-") if part else self._run.id
        if not part:
            return self._inputs.get(name)
        other = self._run.workflow.step(name)
        return self._of_step(other, part) if other else None

    def _of_step(self, step: Step, part: str) -> str | None:
        state = self._run.record.steps.get(step.name) or StepState()
        if part == "choice":
            return state.word or "nothing"
        if part == "failed":
            return self._failed(step, state) or (state.why if state.word == FAILED else "nothing")
        if part == "says":
            return self._said(step, state)
        paths = self._made(step, part)
        if len(paths) <= FEW:
            return ", ".join(paths) or "nothing"
        return f"{self._files.folder}/ ({len(paths)} files, from {paths[0]} to {paths[-1]})"

    def _made(self, step: Step, part: str) -> list[str]:
        """The files that a step made, those of one of its names or all; items that failed have none."""
        state = self._run.record.steps.get(step.name) or StepState()
        named = [it for it in step.makes if part in ("files", it.name) and state.word != SKIPPED]
        numbers = range(1, (state.total or 0) + 1) if step.is_map else (0,)
        paths = [self._path(step, it, number) for number in numbers for it in named]
        return [path for path in paths if self._ws.files.stamp(path)]

    def _all_files(self, name: str, part: str) -> str:
        """What a placeholder becomes where each file is an item: however many there are."""
        step = self._run.workflow.step(name) if part not in ("", "says", "failed", "choice") else None
        return "\n".join(self._made(step, part)) if step else ""

    def _failed(self, step: Step, state: StepState) -> str:
        """The items of a map that failed, one a line with why, and those that were not begun; "" where none did."""
        dead = set(self._ws.files.names("dead-letter")) if state.failed else set()
        ids = {number: task_of(self._run.id, step.name, state, number) for number in range(1, state.next)}
        failed = [number for number, id in ids.items() if f"{id.lower()}.md" in dead or number in state.open]
        lines = [f"{number}: {self._name(step, number)}: {self._why(ids[number])}" for number in failed[:MOST_FAILED]]
        lines += [f"and {len(failed) - MOST_FAILED} more"] if len(failed) > MOST_FAILED else []
        lines += [f"not begun: {state.next} to {state.total}"] if state.next <= (state.total or 0) else []
        return "\n".join(lines)

    def _name(self, step: Step, number: int) -> str:
        return ", ".join(step.to_each[number - 1 : number] or self.item(step, number).split("\n"))

    def _why(self, id: TaskId) -> str:
        task = self.task(id)
        return " ".join(((task and task.reason) or "its time was over").split())

    def _said(self, step: Step, state: StepState) -> str:
        if step.is_map:
            return state.why or "nothing"
        before = (it.number for it in reversed(self._run.record.passes) if it.number < state.pass_number)
        passes = (state.pass_number, *before, 1)  # a loop tells what was said in the pass before
        found = (self.task(task_of(self._run.id, step.name, replace(state, pass_number=number))) for number in passes)
        task = next(filter(None, found), None)
        if task is None:
            return "nothing"
        said, is_cut, path, _ = task_news.report_of(self._ws, task)
        more = f"(more in {path})" if is_cut else ""
        return "\n".join(filter(None, (task.summary, said, more))) or "nothing"

    def task(self, id: TaskId) -> Task | None:
        try:
            return self._ws.load(id).task
        except ClawError:
            return None

    # --- items

    def items(self, step: Step) -> tuple[str, ...]:
        """The items of a map, as they are found now: an input's, a step's files or their lines, files, or words."""
        text = step.items or ""
        if text.startswith("lines of "):
            paths = fill(
                text.removeprefix("lines of "),
                lambda name, part: self._all_files(name, part) or self._value(step, 0, name, part),
            )
            found = (path.strip() for line in paths.split("\n") for path in line.split(", "))
            return tuple(item for path in found for item in item_batches.items(self._content(path)))
        if "{" in text:
            filled = fill(text, lambda name, part: self._all_files(name, part) or self._value(step, 0, name, part))
            if filled == "nothing":
                return ()
            return item_batches.items(filled) if "\n" in filled else _split(filled)
        if "*" in text:
            folder, _, pattern = text.removeprefix("./").rpartition("/")
            names = self._ws.files.names(folder)
            found = (f"{folder}/{name}".lstrip("/") for name in names if _fits(name, pattern))
            return tuple(path for path in found if is_work(self._ws.settings, path))
        return _split(text)

    def _content(self, path: str) -> str:
        """The text of a file; "" where it cannot be read: a map over nothing fails, and says so."""
        with suppress(ClawError):
            if not is_work(self._ws.settings, path):
                return ""
            return self._ws.files.read(path).data.decode("utf-8", "replace")
        return ""


def _how_to_answer(step: Step, task: TaskId, kind: AgentKind) -> list[str]:
    """How whoever does the step gives its word, and what a person's silence means."""
    choices = (*step.choices, *((HAND_ON,) if len(step.to) > 1 else ()))
    late = step.deadline
    over = f" Without an answer in {render_duration(late.length)}: {late.word or 'it has failed'}." if late else ""
    if kind is AgentKind.HUMAN:
        return [over.strip()] if late else []
    if not choices:
        return []
    place = "the front matter of your result" if kind is AgentKind.WORKER else "the front matter of its status file"
    by_command = f"`clawfiles done {task} --answer {choices[0]}`, or " if kind is AgentKind.NAMED else ""
    return [f"End it with one of these words: {', '.join(choices)}. {by_command}`answer: {choices[0]}` in {place}."]


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _fits(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)
