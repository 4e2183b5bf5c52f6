"""Results that are moved out of the way."""

import os
from pathlib import Path

from claw_files.app.wiring import App
from claw_files.core.model import AgentId

CONFIG = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n'


def test_two_results_of_one_time_are_both_kept(tmp_path: Path) -> None:
    (tmp_path / "clawfiles.toml").write_text(CONFIG)
    (tmp_path / "checkpoints").mkdir()
    checkpoints, path = App(str(tmp_path), {}, "sam").checkpoints, tmp_path / "checkpoints/subagent-mail.md"
    for text in ("first", "second", "third"):
        path.write_text(text)
        os.utime(path, (1_770_000_000,) * 2)

        checkpoints.set_aside("mail", AgentId("sam"))

    old = sorted((tmp_path / "checkpoints/old").iterdir())
    assert sorted(file.read_text() for file in old) == ["first", "second", "third"]
