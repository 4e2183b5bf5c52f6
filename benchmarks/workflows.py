"""What runs of workflows cost: waiting for people, checking a file, an item of a long map."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from office import CONFIG, SAM
from timing import median

from claw_files.app.wiring import App
from claw_files.core.model import AgentId
from claw_files.formats import workflow_file
from claw_files.policy.workflow_checks import check
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.services.workflows.runs import begin

ANN, LINES = "- to: ann\n\nWell?\n", 100
MAP = "---\nat once: 100\n---\n## read\n- to: peter; for each: lines of pages.txt\n\nRead {item}\n"
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _place() -> tuple[Path, App]:
    root = Path(tempfile.mkdtemp(prefix="clawfiles-bench-", dir=_MEMORY))
    (root / "clawfiles.toml").write_text(
        CONFIG + "\n[workflows]\nruns = 1000\n[heartbeat]\nack = '9h'\nsilent = '9h'\n"
    )
    (root / "workflows").mkdir()
    (root / "workflows/ask.md").write_text(f"## ask\n{ANN}")
    (root / "workflows/map.md").write_text(MAP)
    return root, App(str(root), dict(os.environ), "sam")


def _begin(app: App, name: str) -> None:
    workflow = app.workflows.sound(name)
    begin(app.workspace, workflow, app.workflows.copies(workflow, name), {}, SAM)


def _settled(app: App) -> App:
    while app.heartbeat.tick().actions:
        continue
    return app


def rows() -> list[tuple[str, float]]:
    """Idle ticks, of lines alone and of runs; the check of a file with as many steps as may be."""
    found: list[tuple[str, float]] = []
    kinds = {
        f"tick: {2 * LINES} lines that wait for a person": False,
        f"tick: {LINES} runs that do, of two lines": True,
    }
    for name, is_run in kinds.items():
        root, app = _place()
        for _ in range(LINES if is_run else 2 * LINES):
            if is_run:
                _begin(app, "ask")
            else:
                app.delegations.delegate(app.tasks.new(NewTask(title="Well?"), SAM).id, SAM, AgentId("ann"))
        found.append((name, median(_settled(app).heartbeat.tick)))
        if not is_run:
            steps = (f"## s{n}\n- to: peter" + (f"; after: s{n - 1}" if n else "") + "\n\nDo it\n" for n in range(100))
            text = "\n".join(steps)
            found.append(("check of a workflow of 100 steps", median(lambda text=text, app=app: _check(text, app))))
        shutil.rmtree(root)
    return found


def _check(text: str, app: App) -> None:
    workflow, _ = workflow_file.parse(text.encode(), "workflows/x.md", "x")
    assert not check(workflow, app.settings, {})


def items() -> list[tuple[str, float]]:
    """What an item costs the heartbeat in maps of different lengths, in their second half, while others begin."""
    return [(f"an item of a map of {count:,}", _item(count)) for count in (200, 10_000)]


def _item(count: int) -> float:
    root, app = _place()
    (root / "pages.txt").write_text("".join(f"page-{number}\n" for number in range(count)))
    _begin(app, "map")
    done, spent, timed = 0, 0.0, 0
    while done < count:
        is_timed, start = count * 0.5 <= done < count * 0.95 - 20, time.process_time()
        app.heartbeat.tick()
        spent += (time.process_time() - start) * is_timed
        got = _work(root)
        timed, done = timed + got * is_timed, done + got
    shutil.rmtree(root)
    return spent / max(1, timed)


def _work(root: Path) -> int:
    """Take what is new, and say in the status files that it is done."""
    new = root / "inbox/peter/new"
    names = os.listdir(new) if new.exists() else []
    for name in names:
        os.rename(new / name, root / "inbox/peter/cur" / name)
        with open(root / f"status/{name.partition('Z-')[2].partition('.')[0]}.md", "a", encoding="utf-8") as file:
            file.write("\nStatus: DONE\n")
    return len(names)
