"""The ledger in an OpenClaw heartbeat's scratch: what OpenClaw reads since it no longer reads HEARTBEAT.md.

A section between two marks is ours and replaced as a whole; everything else in the scratch is somebody's and stays. It
is set by compare-and-swap: when somebody was faster, it is read again.
"""

import re

from claw_files.core.errors import GatewayRefused
from claw_files.integrations.openclaw.gateway_client import Gateway
from claw_files.integrations.openclaw.protocol import record, records, text

BEGIN, END = "<!-- clawfiles: the team's ledger, replaced when it changes -->", "<!-- clawfiles: end -->"
SCRATCH_BYTES = 262_144
TRIES = 5
_SECTION = re.compile(re.escape(BEGIN) + r".*?" + re.escape(END), re.DOTALL)


def with_ledger(scratch: str, ledger: str) -> str:
    """The scratch with the ledger in our section, at the end where there is none yet.

    A mark inside the ledger is spelled so that it is none: our section ends where we end it.
    """
    inner = ledger.replace("<!-- clawfiles:", "<!-- (clawfiles):").strip()
    section = f"{BEGIN}\n{inner}\n{END}"
    if _SECTION.search(scratch):
        return _SECTION.sub(lambda _: section, scratch, count=1)
    return f"{scratch.rstrip()}\n\n{section}\n" if scratch.strip() else f"{section}\n"


def push(gateway: Gateway, agent: str, ledger: str) -> bool:
    """Put the ledger into the scratch of the agent's heartbeat; False when it stood there already.

    The gateway must have been opened with `protocol.ADMIN`. Raises GatewayRefused where the agent has no heartbeat, the
    text is too long, or somebody else changes the scratch all the time.
    """
    job = _monitor(gateway, agent)
    for _ in range(TRIES):
        now = gateway.call("cron.scratch.get", {"id": job})
        before = text(record(now, "scratch"), "content", SCRATCH_BYTES)
        after = with_ledger(before, ledger)
        if after == before:
            return False
        if len(after.encode()) > SCRATCH_BYTES:
            raise GatewayRefused(f"the scratch of {agent}'s heartbeat", "with the ledger it is over 256 KiB")
        change = {"id": job, "content": after, "expectedRevision": _revision(now.get("currentRevision"))}
        if gateway.call("cron.scratch.set", change).get("ok") is True:
            return True
    raise GatewayRefused(f"the scratch of {agent}'s heartbeat", "another process keeps changing it")


def _monitor(gateway: Gateway, agent: str) -> str:
    jobs = records(gateway.call("cron.list", {"includeDisabled": True, "agentId": agent}), "jobs")
    for job in jobs:
        if job.get("declarationKey") == f"heartbeat:{agent}":
            return text(job, "id", 100)
    raise GatewayRefused(f"OpenClaw's agent {agent}", "has no heartbeat to put the ledger into", "give it one")


def _revision(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
