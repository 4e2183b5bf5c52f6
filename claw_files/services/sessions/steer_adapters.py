"""How a run that is at work is handed a correction at once, by its runtime; the others look into their steer.md."""

from collections.abc import Mapping

from claw_files.config import Settings
from claw_files.core.model import Message, Run, Runtime
from claw_files.services.sessions.steering import NOW, Steer


def steers(settings: Settings, base: str, root: str, env: Mapping[str, str]) -> Mapping[Runtime, Steer]:
    """What hands one over, for each runtime that can.

    Args:
        base: the folder of clawfiles.toml.
        root: where the runs' folders lie: there, or in a compartment.
    """

    def to_gateway(run: Run, message: Message) -> str | None:
        from claw_files.integrations.openclaw.turn_steering import correct

        return NOW if correct(settings, base, root, env, run, message) else None

    def to_session(run: Run, message: Message) -> str | None:
        from claw_files.integrations.acp.corrections import correct

        return correct(root, run)

    return {Runtime.OPENCLAW: to_gateway, Runtime.ACP: to_session}
