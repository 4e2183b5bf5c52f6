"""What the task of a step asks for: its text with the placeholders filled in, and what the run hands over as data."""

from contextlib import suppress

from msgspec.structs import replace

from claw_files.core.errors import ClawError
from claw_files.core.model import Task, TaskId
from claw_files.core.text import said
from claw_files.core.workflow import FAILED, HAND_ON, SKIPPED, Output, Step, StepState
from claw_files.formats.workflow_text import fill, path_part, stem
from claw_files.policy import item_batches
from claw_files.policy.workflow_plan import WorkflowRun, task_of
from claw_files.services.messaging import prompt_templates, task_news
from claw_files.services.workflows.run_files import RunFiles
from claw_files.storage.workspace import Workspace

SHORT = 200  # letters of a value that stands in the text itself
FEW = 20  # paths that are written out


class StepText:
    """Fills in the texts of one run."""

    def __init__(self, workspace: Workspace, run: WorkflowRun, files: RunFiles) -> None:
        self._ws, self._run, self._files = workspace, run, files
        self._items: dict[str, tuple[str, ...]] = {}
        self._inputs = {it.name: it.default or "" for it in run.workflow.inputs} | files.inputs()

    def body(self, step: Step, number: int) -> str:
        """The text of the step, or of one of its items; longer values stand below it, marked as data."""
        below: dict[str, str] = {}
        texts = [step.text, *self._loops(step), *_how_to_answer(step)]
        shown = [fill(text, lambda name, part: self._shown(step, number, name, part, below)) for text in texts if text]
        return "\n\n".join([*shown, *(prompt_templates.quoted(value, name) for name, value in below.items())])

    def _loops(self, step: Step) -> list[str]:
        """The text of the loop that sent the run back to this step last."""
        last = self._run.record.passes[-1:]
        loop = self._run.workflow.step(last[0].by) if last and last[0].step == step.name else None
        return [loop.text] if loop else []

    def outputs(self, step: Step, number: int) -> tuple[str, ...]:
        """The files that the step, or one of its items, promises, as paths from the workspace."""
        return tuple(f"./{self._path(step, it, number)}" for it in step.makes)

    def _path(self, step: Step, output: Output, number: int) -> str:
        item = self.item(step, number)
        values = {"": item, "name": item.rstrip("/").rsplit("/", 1)[-1], "stem": stem(item)}

        def value(name: str, part: str) -> str:
            return str(number) if name == "number" else path_part(values.get(part, item))

        path = fill(output.path, value)
        return path if output.is_shared else f"{self._files.folder}/{path}"

    def value_of(self, step: Step, text: str) -> str:
        """A value for an input of a nested workflow: its placeholders filled in, however long they are."""
        return fill(text, lambda name, part: self._value(step, 0, name, part))

    def item(self, step: Step, number: int) -> str:
        """The item, or the items of a batch, one a line; "" for a step without items."""
        if not number or step.to_each:
            return ""
        if step.name not in self._items:
            self._items[step.name] = self._files.items(step.name) or ()
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
            return self._run.id
        if not part:
            return self._inputs.get(name)
        other = self._run.workflow.step(name)
        return self._of_step(other, part) if other else None

    def _of_step(self, step: Step, part: str) -> str | None:
        state = self._run.record.steps.get(step.name) or StepState()
        if part == "choice":
            return state.word or "nothing"
        if part == "failed":
            return state.why if state.word == FAILED or state.failed else "nothing"
        if part == "says":
            return self._said(step, state)
        named = [it for it in step.makes if part in ("files", it.name)]
        if state.word == SKIPPED or not named:
            return "nothing"
        numbers = range(1, (state.total or 0) + 1) if step.is_map else (0,)
        paths = [self._path(step, it, number) for number in numbers for it in named]
        paths = [path for path in paths if self._ws.files.stamp(path)]  # items that failed have none
        if len(paths) <= FEW:
            return ", ".join(paths) or "nothing"
        return f"{self._files.folder}/ ({len(paths)} files, from {paths[0]} to {paths[-1]})"

    def _said(self, step: Step, state: StepState) -> str:
        if step.is_map:
            return state.why or "nothing"
        passes = range(state.pass_number, 0, -1)  # a loop tells what was said in the pass before
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
            paths = fill(text.removeprefix("lines of "), lambda name, part: self._value(step, 0, name, part))
            return tuple(item for path in paths.split(", ") for item in item_batches.items(self._content(path)))
        if "{" in text:
            filled = fill(text, lambda name, part: self._value(step, 0, name, part))
            if filled == "nothing":
                return ()
            return item_batches.items(filled) if "\n" in filled else _split(filled)
        if "*" in text:
            folder, _, pattern = text.removeprefix("./").rpartition("/")
            names = self._ws.files.names(folder)
            return tuple(f"{folder}/{name}".lstrip("/") for name in names if _fits(name, pattern))
        return _split(text)

    def _content(self, path: str) -> str:
        """The text of a file; "" where it cannot be read: a map over nothing fails, and says so."""
        with suppress(ClawError):
            return self._ws.files.read(path).data.decode("utf-8", "replace")
        return ""


def _how_to_answer(step: Step) -> list[str]:
    """How whoever does the step gives its word."""
    words = (*step.choices, *((HAND_ON,) if len(step.to) > 1 else ()))
    if not words:
        return []
    return [f"End it with one of these words: {', '.join(words)}. `clawfiles done TASK --answer WORD` says it."]


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _fits(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)
