"""The workflow files: what `workflow check` says of them, before somebody begins a run."""

from collections.abc import Iterator

from claw_files.core.errors import CannotRead, InvalidFile, NotFound
from claw_files.core.workflow import Problem, Workflow
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import Survey
from claw_files.formats.task_fields import is_kept
from claw_files.formats.workflow_file import parse
from claw_files.policy.workflow_checks import check


def workflows(s: Survey) -> Iterator[Finding]:
    """Each problem of each workflow, with its line."""
    if s.settings is None:
        return
    found: dict[str, tuple[str, Workflow, tuple[Problem, ...]]] = {}
    nodes = [it for it in s.folder("workflows").nodes if it.kind == "file" and it.name.endswith(".md")]
    for node in nodes:
        name = node.name.removesuffix(".md")
        if not is_kept(name):
            yield Finding("invalid-workflow", node.path, None, "no workflow may be called so: give it another name")
            continue
        try:
            found[name] = (node.path, *parse(s.tree.read(node.path), node.path, name))
        except (CannotRead, NotFound):
            continue  # told of among the names
        except InvalidFile as wrong:
            yield Finding("invalid-workflow", node.path, wrong.line, str(wrong))
    asked = [(f"events.{it.event}", it.workflow) for it in s.settings.events.handlers.values()]
    asked += [(f"schedules.{it.name}", it.workflow) for it in s.settings.schedules.values()]
    for section, wanted in asked:
        if wanted and wanted not in {node.name.removesuffix(".md") for node in nodes}:
            yield Finding("invalid-workflow", "clawfiles.toml", None, f"[{section}] names {wanted!r}: there is none")
    others = {name: workflow for name, (_, workflow, _) in found.items()}
    for path, workflow, problems in found.values():
        for one in sorted((*problems, *check(workflow, s.settings, others)), key=lambda it: it.line):
            yield Finding("invalid-workflow", path, one.line, one.text)
