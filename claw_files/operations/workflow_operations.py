"""The operations on workflows."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from claw_files.core.errors import BadValue, ClawError, UsageError
from claw_files.operations.fields import (
    UNLISTED,
    ArgumentType,
    File,
    Flag,
    Json,
    Name,
    Names,
    Shell,
    Task,
    Text,
    Texts,
)
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import AgentId
    from claw_files.core.workflow import Workflow as WorkflowFile

Workflow = Annotated[Name, Shell("NAME|FILE")]
Version = Annotated[int, ArgumentType(int, 1, 999_999)]


def workflow(
    app: "App",
    action: Literal["list", "check", "run", "show", "cancel", "resume"] = "list",
    name: Name | None = None,
    text: Text = "",
    inputs: Texts = (),
    task: Annotated[Task | None, Json("run")] = None,
    key: Annotated[Name | None, UNLISTED] = None,
) -> Reply:
    """List workflows; check or run one, by its name or as a whole text; show, cancel or resume a run."""
    from claw_files.operations.move_operations import cancel

    if action in ("show", "cancel", "resume"):
        if task is None:
            raise UsageError(f"workflow: `{action}` needs `run`, such as TC-1")
        if action == "resume":
            return resume(app, task)
        return show(app, task) if action == "show" else cancel(app, task)
    if action == "run":
        if not name and not text:
            raise UsageError("workflow: `run` needs `name` or `text`")
        return run(app, name or "unnamed", inputs=inputs, key=key, file=text)
    return check(app, name, file=text) if action == "check" else list_workflows(app)


def list_workflows(app: "App") -> Reply:
    """List the workflows of the workspace: the files workflows/NAME.md.

    Example:
        clawfiles workflow list
    """
    from claw_files.presentation.views import rows_text

    found: list[dict[str, Any]] = []
    for name in app.workflows.names():
        try:
            it = app.workflows.find(name)
        except ClawError as wrong:
            found.append({"name": name, "title": "", "steps": 0, "problems": 1, "error": str(wrong)})
            continue
        facts = {"title": it.workflow.title, "steps": len(it.workflow.steps), "problems": len(it.problems)}
        found.append({"name": name, **facts, "error": None})
    rows = [(it["name"], f"{it['steps']} steps", _state(it["problems"]), it["title"]) for it in found]
    return Reply(
        lambda: {"workflows": found}, lambda: rows_text(rows) or "no workflows: one is a file workflows/NAME.md"
    )


def _state(problems: int) -> str:
    return f"{problems} problem{'s' if problems > 1 else ''}" if problems else "sound"


def new(app: "App", name: Name, *, template: Annotated[Name, Shell("--from")] = "start") -> Reply:
    """Write a new workflow into workflows/NAME.md: a short one with comments, or a copy of one that is ready.

    Ready are content-pipeline, support-desk, research-platform and research-develop-deploy; each has real prompts, and
    `clawfiles init DIR --template NAME` makes a workspace with its agents, where it can be tried without a model.

    Args:
        template: The ready workflow to copy.

    Example:
        clawfiles workflow new invoices --from support-desk --agent sam
    """
    from claw_files.core.text import safe

    path, lacks = app.workflows.new(name, template)
    wrong = app.workflows.find(path).problems
    told = [f"made: {path}", *(f"line {it.line}: {it.text}" for it in wrong)]
    if lacks:
        told += ["", "to add to clawfiles.toml, with programs of your own:", "", safe(lacks, 20_000, lines=True)]
    return Reply(lambda: {"path": path, "problems": [it.text for it in wrong], "add": lacks}, lambda: "\n".join(told))


def check(app: "App", name: Workflow | None = None, *, file: File = "") -> Reply:
    """Say everything that is wrong with a workflow, or with all of them; exit status 6 if there is anything.

    Args:
        file: A file with the workflow, from outside of the workspace too; - reads standard input.

    Example:
        clawfiles workflow check content
    """
    from claw_files.core.workflow import InvalidWorkflow

    names = [name] if name or file else app.workflows.names()
    checked = [app.workflows.find(it or "", file) for it in names]
    if wrong := [(it.path, problem.line, problem.text) for it in checked for problem in it.problems]:
        raise InvalidWorkflow(wrong)
    steps = [(it.path, len(it.workflow.steps)) for it in checked]
    told = "\n".join(f"{path}: {count} steps, nothing wrong" for path, count in steps) or "there is no workflow"
    return Reply(lambda: {"checked": [path for path, _ in steps], "problems": []}, lambda: told)


def graph(app: "App", name: Workflow, *, mermaid: Flag = False, file: File = "") -> Reply:
    """Show the steps of a workflow, and what each waits for.

    Args:
        mermaid: As a Mermaid flow chart.
        file: A file with the workflow; - reads standard input.

    Example:
        clawfiles workflow graph content --mermaid
    """
    from claw_files.presentation import workflow_graph

    workflow = app.workflows.sound(name, file, key=None)
    shown = workflow_graph.mermaid(workflow) if mermaid else workflow_graph.text(workflow)
    return Reply(lambda: {"name": workflow.name, "graph": shown}, lambda: shown)


def run(
    app: "App",
    name: Workflow,
    *,
    inputs: Annotated[Texts, Shell("-w,--with")] = (),
    key: Name | None = None,
    version: Version | None = None,
    wait: Flag = False,
    dry_run: Flag = False,
    say: Names = (),
    fail: Names = (),
    items: Names = (),
    file: File = "",
) -> Reply:
    """Begin a run of a workflow; prints the id of its task. The heartbeat carries it out.

    Args:
        inputs: A value for an input: topic=solar; may repeat.
        key: A key of your choice. If a run was begun with it before, its id is printed, and none begins.
        version: Follow this version, whatever clawfiles.toml says; `clawfiles workflow versions NAME` lists them.
        wait: Wait until the run has ended; exit 8 if it failed.
        dry_run: Only play the run: what would be done when. Nothing is made, and all goes well but for these:
        say: With --dry-run: the answers of a step, one for each pass: verdict=rework,ship; may repeat.
        fail: With --dry-run: a step that fails, or items of it: research, research:2,4; may repeat.
        items: With --dry-run: how many items a step has: fetch=50; may repeat. Without it, three.
        file: A file with the workflow; - reads standard input.

    Example:
        clawfiles workflow run content -w topic=solar --agent sam
    """
    from claw_files.formats.workflow_file import name_of
    from claw_files.operations.worker_result import wait_for_run
    from claw_files.policy.delegation import check_wait
    from claw_files.presentation import views
    from claw_files.services.workflows.run_keys import RunKey
    from claw_files.services.workflows.runs import begin

    if key == "":
        raise UsageError("`--key` wants a key")
    if not dry_run and (say or fail or items):
        raise UsageError("`--say`, `--fail` and `--items` go with `--dry-run`")
    # A key answers whatever has become of the file and of the inputs since.
    begun = RunKey(app.workspace, name, key).begun() if key and not (file or dry_run) else None
    if begun:
        _ = app.actor
    else:
        known = app.workflows.key_of_run(name, key)
        workflow = app.workflows.sound(name, file, known, version)
        if dry_run:
            return _played(app, workflow, say, fail, items)
        pairs = [text.partition("=") for text in inputs]
        if wrong := next((text for text, equals, _ in pairs if not equals), None):
            raise UsageError(f"`-w {wrong}` should read `-w INPUT=VALUE`")
        given = {name_of(name): value for name, _, value in pairs}
        app.check_takes_work()
        is_begun = bool(key and RunKey(app.workspace, workflow.name, key).run())
        caller = app.delegations.admit(app.actor, app.inside, 0 if is_begun else 1)
        agents = app.workflows.agents(workflow, known)
        _check_hands(app, agents)
        for agent in agents if wait else ():
            check_wait(app.settings, app.actor, agent, app.lanes_held())
        app.begin("workflow run", workflow.name, key, version, tuple(sorted(given.items())))
        copies = app.workflows.copies(workflow, name, file, known, version)
        begun = begin(app.workspace, workflow, copies, given, app.actor, caller.within, key).id
        app.wake()
    if wait:
        wait_for_run(app, begun)
    shown = app.board.show(begun)
    return Reply(lambda: views.task_json(shown), lambda: shown.task.id)


def _played(
    app: "App", workflow: "WorkflowFile", say: "tuple[str, ...]", fail: "tuple[str, ...]", items: "tuple[str, ...]"
) -> Reply:
    """A dry run with the endings that are given."""
    from claw_files.formats.workflow_file import word_of
    from claw_files.policy.workflow_dry_run import Script, lines
    from claw_files.presentation.views import rows_text

    known = {step.name for step in workflow.steps}

    def split(option: str, texts: "tuple[str, ...]", mark: str) -> list[tuple[str, str]]:
        pairs = [text.partition(mark) for text in texts]
        for step, _, _ in pairs:
            if step not in known:
                raise BadValue(option, step, f"a step of the workflow: {', '.join(sorted(known))}")
        return [(step, rest) for step, _, rest in pairs]

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 6:
            raise BadValue("items", text, "a number of items")
        return int(text)

    says = {step: tuple(map(word_of, words.split(","))) for step, words in split("--say", say, "=")}
    for step in workflow.steps:
        for word in says.get(step.name, ()):
            if word not in step.choices:
                can = f"one of {', '.join(step.choices)}" if step.choices else "an answer: the step has no choices"
                raise BadValue(f"--say {step.name}", word, can)
    fails = {
        step: frozenset(map(number, rest.split(",") if rest else ["0"])) for step, rest in split("--fail", fail, ":")
    }
    totals = dict.fromkeys(known, 3) | {step: number(count) for step, count in split("--items", items, "=")}
    played = app.workflows.play(workflow, Script(says=says, fails=fails), totals)
    document = {
        "name": workflow.name,
        "status": played.state,
        "why": played.played[-1].action.why if played.played else "",
    }
    acts = [
        {"at": it.at, "act": it.action.act, "task": it.action.task, "step": it.action.step, "why": it.action.why}
        for it in played.played
    ]
    told = f"{rows_text([tuple(line.split(' ', 2)) for line in lines(played)])}\n{workflow.name} ends: {played.state}"
    return Reply(lambda: document | {"actions": acts}, lambda: told)


def show(app: "App", run: Annotated[Task, Shell("RUN")]) -> Reply:
    """Show a run of a workflow: how far each step is, and which tasks are open.

    Example:
        clawfiles workflow show TC-1
    """
    from claw_files.core.text import safe
    from claw_files.core.workflow import StepState
    from claw_files.policy.workflow_plan import open_tasks
    from claw_files.policy.workflow_planner import waits_for
    from claw_files.presentation.views import rows_text

    task, workflow, record = app.resolver.to_see(run).workflows.run(run)
    steps: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    for step in workflow.steps:
        state = record.steps.get(step.name) or StepState()
        is_cut = task.state.is_closed and not state.word  # by the end of the run
        tasks, at = [] if is_cut else open_tasks(run, step, state), state.since
        why = f"{run} is {task.state}" if is_cut and not record.stops else waits_for(workflow, record, step)
        why = state.why or ("" if tasks or state.word else why)
        facts = {"word": state.word, "since": at, "why": why or None, "done": state.done, "total": state.total}
        steps.append({"step": step.name, **facts, "tasks": tasks})
        how = state.word or ("open" if tasks else "not done" if is_cut else "waits")
        items = f"{state.done} of {state.total}" if state.total else ""
        rows.append((step.name, how, items, app.when(at) if at else "", ", ".join(tasks[:3]) or safe(why, 200)))
    head = f"{task.id}: {safe(task.title, 200)} [{task.state}]"
    document = {"id": task.id, "workflow": workflow.name, "status": task.state, "steps": steps}
    return Reply(lambda: document, lambda: f"{head}\n{rows_text(rows)}")


def _check_hands(app: "App", agents: "list[AgentId]") -> None:
    """Raises Refused where a run would hand work to somebody to whom whoever begins it could not."""
    for agent in agents:
        app.check_use("spawn" if app.settings.is_worker(agent) else "delegate")
        if not app.settings.is_worker(agent):
            app.delegations.check(app.actor, agent, app.inside)


def resume(
    app: "App",
    run: Annotated[Task, Shell("RUN")],
    *,
    step: Annotated[Name | None, Shell("--from")] = None,
    current: Flag = False,
) -> Reply:
    """Let a run that has ended go on: what failed or was not begun. What ended well keeps its result.

    Args:
        step: Begin a new pass at this step.
        current: Follow the workflow as its file is now, instead of the copy; its finished steps must be as they were.

    Example:
        clawfiles workflow resume TC-1 --from draft --agent sam
    """
    from claw_files.formats.workflow_file import name_of
    from claw_files.presentation import views
    from claw_files.services.workflows.resume import resume

    place, now = app.resolver.to_act(run), None
    app.check_takes_work()
    if current:
        name = place.workspace.load(run).task.workflow or ""
        flow = place.workflows.sound(name, key=None)
        _check_hands(app, place.workflows.agents(flow, None))
        now = (flow, place.workflows.copies(flow, name, key=None))
    moved = resume(place.workspace, run, app.actor, name_of(step) if step else None, now)
    app.wake()
    return Reply(lambda: views.task_json(place.board.show(run)), lambda: views.move_text(moved, app.when))


def cancel_run(app: "App", run: Annotated[Task, Shell("RUN")], why: Text = "") -> Reply:
    """Cancel a run; the next heartbeat cancels its steps.

    Example:
        clawfiles workflow cancel TC-1 "not needed any more" --agent sam
    """
    from claw_files.operations.move_operations import cancel

    return cancel(app, run, why)


def versions(app: "App", name: Workflow) -> Reply:
    """List the versions of a workflow: since when, how many runs followed each, and which steps changed.

    Example:
        clawfiles workflow versions content
    """
    from claw_files.formats import workflow_file
    from claw_files.policy.workflow_versions import changes
    from claw_files.presentation.views import rows_text
    from claw_files.services.accounting.run_history import RunHistory
    from claw_files.services.workflows.versions import VersionStore

    store, found, last = VersionStore(app.workspace, name), list[dict[str, Any]](), None
    records = [run.record for run in RunHistory(app.workspace).runs(name)]
    for number in store.numbers():
        flow, _ = workflow_file.parse(store.read(number), store.path(number), name)
        starts = [it.started for it in records if it.version == number and it.started]
        facts = {"since": min(starts, default=None), "runs": len(starts), "changes": list(changes(last or flow, flow))}
        found.append({"version": number, **facts})
        last = flow
    rows = [
        (
            str(it["version"]),
            app.when(it["since"]) if it["since"] else "-",
            "1 run" if it["runs"] == 1 else f"{it['runs']} runs",
            " ".join(it["changes"]),
        )
        for it in found
    ]
    told = rows_text(rows) or "no versions yet: the first run makes version 1"
    return Reply(lambda: {"name": name, "versions": found}, lambda: told)


def compare(app: "App", name: Workflow, one: Version, other: Version) -> Reply:
    """Compare the runs of two versions of a workflow: time, cost, outcome and answers, and what the difference tells.

    Example:
        clawfiles workflow compare content 2 3
    """
    import msgspec

    from claw_files.policy.workflow_figures import figures, verdict
    from claw_files.presentation.workflow_tables import compared_text
    from claw_files.services.accounting.run_history import RunHistory
    from claw_files.services.workflows.versions import VersionStore

    for number in (one, other):
        VersionStore(app.workspace, name).read(number)
    runs = list(RunHistory(app.workspace).runs(name))
    a, b = (figures([run for run in runs if run.record.version == number]) for number in (one, other))
    document: dict[str, Any] = {"name": name, "verdict": verdict(a.done, a.ended, b.done, b.ended)}
    document |= {"versions": {str(one): msgspec.to_builtins(a), str(other): msgspec.to_builtins(b)}}
    currency = app.settings.budgets.currency
    return Reply(lambda: document, lambda: compared_text((str(one), str(other)), (a, b), currency))
