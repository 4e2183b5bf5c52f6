"""The workday of the example workspace, run in under a minute with real agent processes."""

from collections.abc import Callable

from claw_files.demo import stage
from claw_files.demo.day import DemoDay

Say = Callable[[str, str, str], None]  # what the demo's clock reads, who, what happened; the first two may be empty


def run(say: Say, keep: str | None = None) -> None:
    """Run the day and report on it; its folder is removed at the end, unless `keep` names one.

    Raises Refused when `keep` holds something already, RunFailed when the day did not end as it should: then its folder
    stays, whatever was asked. No process is left behind, also after Ctrl-C.
    """
    with stage.workspace(keep) as folder, stage.commands() as path, stage.everything_ended(folder):
        day = DemoDay(folder, stage.environment(folder, path), say)
        day.live()
        day.close(keep)
