"""Probes: tasks that only ask whether an agent acts when it is woken. Their ids say so, everywhere and for ever."""

from claw_files.model import AgentId, TaskId
from claw_files.patterns import pattern

TYPE = "probe"
ACTS = "acts"  # how the journal's line on a probe begins when the agent acted
_ID = pattern(r"PROBE-[A-Z0-9._-]{1,40}-[0-9A-F]{8}")


def probe_id(agent: AgentId, token: str) -> TaskId:
    """The id of a probe; `token` are eight hexadecimal digits by chance."""
    return TaskId(f"PROBE-{agent[:40]}-{token}".upper())


def is_probe(task: str | None) -> bool:
    """Whether the id is a probe's: no work, so no ledger follows it, no breaker and no statistics count it as such."""
    return task is not None and _ID.fullmatch(task) is not None
