"""docs/tutorial/research-develop-deploy/run.sh, run as a person runs it: real processes that share only a folder."""

import json
import os
import subprocess
from pathlib import Path

import frontmatter
import pytest

from claw_files.demo import stage

SOURCE = Path(__file__).parents[2] / "docs/tutorial/research-develop-deploy"
LIMIT_SECONDS = 120


def run(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the script said; every process of the folder has ended afterwards."""
    with stage.commands() as path:
        env = stage.environment(str(folder), path)
        del env["CLAWFILES_WORKSPACE"]
        try:
            return subprocess.run([script, folder], env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        finally:
            if folder.exists():
                stage.end_all(str(folder))


def heartbeats(folder: Path, count: int) -> None:
    with stage.commands() as path:
        env = stage.environment(str(folder), path)
        for _ in range(count):
            subprocess.run(["clawfiles", "heartbeat"], env=env, check=True, capture_output=True, timeout=LIMIT_SECONDS)


class Shop:
    """The folder that it left, and what it said."""

    def __init__(self, folder: Path, done: subprocess.CompletedProcess[str]) -> None:
        self.folder, self.done = folder, done

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def head(self, path: str) -> dict[str, object]:
        return frontmatter.loads(self.text(path)).metadata

    def steps(self) -> list[tuple[str, str, str | None]]:
        """(task, action, who acted) of the whole journal, in order."""
        lines = [line for path in sorted((self.folder / "audit").iterdir()) for line in path.read_bytes().splitlines()]
        return [(it["task"], it["action"], it["actor"]) for it in map(json.loads, lines)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("tutorial") / "shop"
    return Shop(folder, run(SOURCE / "run.sh", folder))


def test_the_page_is_online_and_the_person_was_told_once(shop: Shop) -> None:
    assert shop.done.returncode == 0, f"{shop.done.stdout}\n{shop.done.stderr}"
    assert shop.text("live/pay.html") == shop.text("build/pay.html")
    assert shop.done.stdout.endswith(shop.text("live/pay.html"))
    assert shop.text("announcements.md").count("The payment page is online") == 1


def test_each_began_when_the_one_before_it_was_done(shop: Shop) -> None:
    order = [
        ("TC-1", "spawn", "sam"),
        ("TC-1", "finish", "sam"),
        ("TC-2", "delegate", "sam"),
        ("TC-2", "claim", "coder"),
        ("TC-2", "done", "coder"),
        ("TC-3", "delegate", "sam"),
        ("TC-3", "claim", "deployer"),
        ("TC-3", "done", "deployer"),
    ]
    steps = shop.steps()
    found = [steps.index(step) for step in order]
    assert found == sorted(found)


def test_the_findings_went_by_the_path_of_their_file_and_were_read_there(shop: Shop) -> None:
    findings = shop.text("checkpoints/subagent-payments.md")
    (message,) = (shop.folder / "inbox/coder/done").iterdir()
    told = message.read_text(encoding="utf-8")

    assert len(findings.encode()) > 20 * 1024
    assert len(told.encode()) < 10 * 1024
    assert "Findings: checkpoints/subagent-payments.md" in told
    assert "Take Paywell: 0.9 percent" in told
    assert "use: paywell" in findings
    assert "use: paywell" not in told, "it could have been built without reading the findings"
    assert "https://paywell.example/pay" in shop.text("build/pay.html")


def test_each_had_a_run_of_its_own_and_nothing_is_left_over(shop: Shop) -> None:
    runs = {path.name: shop.head(f"runs/{path.name}/run.md") for path in (shop.folder / "runs").iterdir()}

    assert [(name, runs[name]["agent"], runs[name]["exit"]) for name in sorted(runs)] == [
        ("tc-1.1-s1", "researcher", 0),
        ("tc-2.1-s1", "coder", 0),
        ("tc-3.1-s1", "deployer", 0),
    ]
    assert "TC-" not in shop.text("HEARTBEAT.md")


# --- what goes wrong


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy of the tutorial's folder, whose agents a test may break."""
    target = tmp_path / "mine"
    subprocess.run(["cp", "-r", SOURCE, target], check=True)
    return target


def test_where_the_researcher_finds_nothing_nobody_builds(mine: Path, tmp_path: Path) -> None:
    (mine / "agents/researcher.py").write_text("raise SystemExit('no network')\n")

    done = run(mine / "run.sh", tmp_path / "shop")

    assert done.returncode == 8
    assert "== develop" not in done.stdout
    assert not list((tmp_path / "shop/status").glob("tc-2*"))


def test_where_the_coder_fails_nothing_is_put_online_and_the_reason_is_told(mine: Path, tmp_path: Path) -> None:
    text = (mine / "agents/researcher.py").read_text()
    (mine / "agents/researcher.py").write_text(text.replace("use: {best.lower()}", "it depends"))

    done = run(mine / "run.sh", tmp_path / "shop")

    assert done.returncode == 8
    assert "does not say what to use" in done.stderr
    assert "== deploy" not in done.stdout
    assert not (tmp_path / "shop/live").exists()
    heartbeats(tmp_path / "shop", 3)  # the failure becomes a dead letter, and what was to follow it is blocked
    deploy = frontmatter.load(str(tmp_path / "shop/status/tc-3.md")).metadata
    assert (deploy["status"], deploy["reason"]) == ("blocked", "it depends on TC-2 (dead)")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")

    assert run(SOURCE / "run.sh", tmp_path).returncode != 0
    assert os.listdir(tmp_path) == ["mine"]


def test_the_agents_use_nothing_of_ours_but_the_command() -> None:
    for script in SOURCE.rglob("*.py"):
        assert "claw_files" not in script.read_text(encoding="utf-8"), script
