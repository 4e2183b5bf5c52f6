"""Runs of agents: what other runners lose, flood, repeat without end, or lock their users out of."""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, State
from claw_files.services.delegation.delegation import SpawnOrder
from tests.support.office import TEAM, Office, python

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ROOT = Path(__file__).parents[2]
OWNER = 65534
FLOODS = "import sys\nwhile True: sys.stdout.write('Continue? [y/n] ' * 4096)\n"
ASKS = "import sys\nraise SystemExit(0 if input('Continue? [y/n] ') == 'y' else 1)\n"
RESULT = """
import os
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
head = "---\\nlabel: {label}\\nrun: {run}\\ntask: {task}\\nstatus: done\\n---\\n".format(**env)
body = RESULT
open("checkpoints/subagent-" + env["label"] + ".md", "wb").write(head.encode(CODEC) + body)
"""


def worker(script: str) -> str:
    return f"{TEAM}\n[agents.research]\nkind = 'worker'\n{python(script)}\n"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root makes files for somebody else")
def test_one_command_typed_as_root_locks_nobody_out() -> None:
    """greeves89/AI-Employee#423, Extra-Chill/wp-coding-agents#203, connectonion#587: one command was typed as root,
    and afterwards the user could not write the files that it had made.

    Here: what root makes in a workspace belongs to the owner of its folder, who goes on as before.
    """
    folder = Path(tempfile.mkdtemp(prefix="theirs-"))
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "SUDO_UID": str(OWNER)}
    owner = ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups")

    def typed(*command: str, by: tuple[str, ...] = ()) -> None:
        started = [*by, sys.executable, "-m", "claw_files", "-C", str(folder), "--agent", "sam", *command]
        subprocess.run(started, env=env, cwd=folder, check=True, capture_output=True)

    try:
        (folder / "clawfiles.toml").write_text(TEAM)
        for path in (folder, folder / "clawfiles.toml"):
            os.chown(path, OWNER, OWNER)
        typed("task", "new", "Read it", "--to", "peter")
        typed("heartbeat")

        typed("heartbeat", by=owner)
        typed("task", "new", "Read more", "--to", "peter", by=owner)
        assert [str(path) for path in folder.rglob("*") if path.lstat().st_uid == 0] == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (RESULT.replace("RESULT", "'Größe'.encode('utf-16')").replace("CODEC", "'utf-8'"), "UTF-8"),
        (RESULT.replace("RESULT", "'Größe'.encode('latin-1')").replace("CODEC", "'utf-8'"), ""),
        (RESULT.replace("RESULT", "b'x' * (5 << 20)").replace("CODEC", "'utf-8'"), "MB"),
    ],
    ids=["UTF-16", "Latin-1", "5 MB"],
)
def test_a_result_that_cannot_be_taken_is_kept_and_refused_for_its_real_reason(
    tmp_path: Path, script: str, reason: str
) -> None:
    """NousResearch/hermes-agent#105582, ethanhq/cc-fleet#88: a result in another encoding, or one that was too
    large, was dropped and called missing.

    Here: one of an older Windows is read; any other stays as it is, and the failure names what is wrong with it.
    """
    office = Office(tmp_path / "sam", worker(script))
    try:
        office.app().delegations.spawn(SpawnOrder(text="Look", label="look", size="S"), AgentId("sam"))
        office.settle()
        office.write("checkpoints/.keep", "")
        office.tick()
        office.runs_end()
        office.tick(MINUTE)

        assert (reason in str(office.task("TC-1").reason)) if reason else office.state("TC-1") is State.DONE
        assert any(path.stat().st_size for path in (office.root / "checkpoints").glob("subagent-look*"))
    finally:
        office.stop()


@pytest.mark.parametrize("script", [FLOODS, ASKS], ids=["floods", "asks"])
def test_a_program_that_asks_for_a_key_or_prints_without_end_is_ended_and_capped(tmp_path: Path, script: str) -> None:
    """anthropics/claude-code#47771, #39909, #31048: without a terminal a program asked "continue?" for ever, and
    the log filled the disk.

    Here: there is no terminal to ask, its output is capped, and its time limit ends it with all it started.
    """
    office = Office(tmp_path / "sam", worker(script))
    try:
        order = SpawnOrder(text="Look", label="look", size="S", timeout=2 * SECOND)
        office.app().delegations.spawn(order, AgentId("sam"))
        office.settle()
        office.tick()
        office.runs_end()
        office.tick(MINUTE)

        (run,) = (office.root / "runs").iterdir()
        assert sum(path.stat().st_size for path in run.iterdir()) < 4 << 20
        assert [act for act in office.audit(task="TC-1") if act["action"] == "fail"]
    finally:
        office.stop()


def test_a_schedule_whose_worker_always_fails_is_held_back_and_told(tmp_path: Path) -> None:
    """openclaw#29000: a job of every minute failed every time, and went on, and cost, all night.

    Here: after a few failures its agent is not woken any more until a pause is over, and somebody is told.
    """
    schedule = '[schedules.s]\ncron = "* * * * *"\ndo = { spawn = ["research"], text = "Look." }\n'
    office = Office(tmp_path / "sam", worker("raise SystemExit(1)") + schedule)
    try:
        office.write("checkpoints/.keep", "")
        office.tick()
        for _ in range(30):
            office.tick(MINUTE)
            office.runs_end()

        assert len(office.names("runs")) <= 10
        told = office.box("sam") + office.box("sentry") + office.box("dimitrios")
        assert told or office.exists("announcements.md")
    finally:
        office.stop()
