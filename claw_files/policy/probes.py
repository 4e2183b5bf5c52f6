"""Probes: tasks that only test whether an agent acts. Their ids mark them permanently."""

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, Run, State, TaskId

TYPE = "probe"
_ID = pattern(r"PROBE\.[A-Z0-9._]{1,40}-[0-9]{8}")
_NUMBERS = 100_000_000


def probe_id(agent: AgentId, number: int) -> TaskId:
    """The id of a probe, such as "PROBE.PETER-40931877": of a form in which reports and ledger lines name tasks.

    Args:
        number: any, by chance.
    """
    return TaskId(f"{stem(agent)}{number % _NUMBERS:08d}".upper())


def stem(agent: AgentId) -> str:
    """The prefix of the ids of the agent's probes, in lower case. Prefixes of other tasks contain no dot."""
    return f"probe.{agent[:40].replace('-', '_').lower()}-"


def is_probe(task: str | None) -> bool:
    """Whether the id is a probe's: no ledger line, no breaker, no ordinary statistics."""
    return task is not None and _ID.fullmatch(task) is not None


def verdict(agent: AgentId, run: Run | None, state: State) -> str:
    """How a failed probe ended; `state` is the agent's last state."""
    if run is None:
        return f"{agent} was not woken"
    code = "" if run.exit is None else f" (exit {run.exit})"
    how = "was still running" if run.alive else f"{run.reason or 'ended'}{code}"
    if state is State.BACKLOG:
        return f"its run {how}, without a state in its status file"
    return f"its run {how}, and " + ("it never said done" if state is State.IN_PROGRESS else f"it says {state}")


def advice(agent: AgentId, run: Run, state: State) -> tuple[str, ...]:
    """What to change, most likely first, if an agent was woken and did not act."""
    where = f"[agents.{agent}]"
    if run.reason and run.reason.startswith("could not start"):
        return (f"correct `command` in {where}: {run.reason}",)
    if run.alive:
        by_hand = f"run its command by hand with runs/{run.id}/message.md"
        return (
            f"it may be waiting for an answer, or for its model: {by_hand}",
            f"see that {where} starts it without questions, and that `env` names its key",
        )
    if run.exit:
        return (
            f"its program failed with exit code {run.exit}: runs/{run.id}/stderr.log has all it said",
            f"it sees only PATH, HOME, LANG, TZ, CLAWFILES_* and what `env` in {where} names: is its key there?",
        )
    if state is not State.BACKLOG:
        return (f"it started but did not finish: see its status file and its output in runs/{run.id}/",)
    return (
        "it replied but did nothing: allow it to write files and run `clawfiles` (docs/how-to/agent-programs.md)",
        f"tell it in its instructions what to do when woken: `clawfiles prime --agent {agent}` prints them",
        f"some models find reasons not to use a tool: try another `model` in {where}",
    )
