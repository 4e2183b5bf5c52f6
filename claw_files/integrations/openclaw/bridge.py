"""One run of an OpenClaw agent: check the gateway for its message, send if necessary, wait, report.

What a bridge is in doubt about it asks the gateway; what it is about to send it writes down first. So it may be killed
between any two steps, and the gateway, too: nothing is sent that was taken already.
"""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from msgspec.structs import asdict, replace

from claw_files.core.digest import digest
from claw_files.core.errors import GatewayAway, GatewayRefused
from claw_files.core.keys import Key
from claw_files.core.model import Value
from claw_files.integrations.openclaw import delivery_check, turn_result
from claw_files.integrations.openclaw.delivery_check import DeliveryStep, GatewayEvidence, SendRecord
from claw_files.integrations.openclaw.gateway_client import Gateway
from claw_files.integrations.openclaw.protocol import text
from claw_files.integrations.openclaw.run_records import NAME, read, recorded
from claw_files.integrations.openclaw.turn_result import TurnOutcome
from claw_files.processes.run_client import write_record

LOOK: Final = timedelta(seconds=20)  # how long the gateway may keep us waiting before we look again
SLACK: Final = timedelta(seconds=15)
MESSAGES: Final = 200  # of a session's transcript that are looked through; a turn that is in doubt is a recent one
FORGIVEN: Final = 6  # looks at a turn that seems to be given up, before it counts as over: a restart takes a while
PAUSES: Final = (0.5, 1, 2, 4, 8, 15)


class BridgeJob(Value, frozen=True):
    """The job of a bridge."""

    folder: str  # the run's, absolute
    workspace: str
    run: str
    task: str | None
    agent: str  # as OpenClaw names it: "peter"
    session: str  # "agent:peter:main"
    message_id: str
    message: str


class Bridge:
    """One job. `open_gateway` connects anew each time; `pause` waits that many seconds."""

    def __init__(
        self,
        job: BridgeJob,
        open_gateway: Callable[[], Gateway],
        say: Callable[[str], None],
        pause: Callable[[float], None],
    ) -> None:
        self.job, self._open, self._say, self._pause = job, open_gateway, say, pause
        mark = digest("\0".join((job.workspace, job.message_id, job.message)).encode(), 6)
        self._mark = mark
        self.sent = read(job.folder)
        self._left = 0
        self._refusal = ""  # what the final answer to the newest send said, if it was an error

    @property
    def key(self) -> str:
        """The key that counts now."""
        return self.sent.key if self.sent else delivery_check.key_of(self.job.run, self._mark)

    def run(self) -> TurnOutcome:
        """The outcome of the message, within the run's time limit. Raises GatewayRefused, NotInstalled."""
        tries = 0
        while True:
            try:
                with self._open() as gateway:
                    tries = 0
                    return self._settle(gateway)
            except GatewayAway as away:
                if tries == 0:
                    self._say(f"{away}; trying again")
                self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1

    def give_up(self, gateway: Gateway) -> None:
        """Ask the gateway to stop the turn, because the run is being stopped.

        The gateway lets only the connection that began a turn end it, or one opened with `protocol.ADMIN`.
        """
        if self.sent is not None:
            gateway.call("chat.abort", {"sessionKey": self.sent.session, "runId": self.sent.key}, timedelta(seconds=1))

    # --- one connection

    def _settle(self, gateway: Gateway) -> TurnOutcome:
        if self.sent is None:
            self._adopt(gateway)
        while True:
            seen, history = self._look(gateway, self.key)
            step = delivery_check.plan(self.sent, seen)
            self._left = self._left + 1 if step is DeliveryStep.LEFT else 0
            if step is DeliveryStep.OVER or self._left > FORGIVEN:
                return self._over(gateway, history)
            if step is DeliveryStep.LEFT:
                self._pause(PAUSES[3])
            elif step is DeliveryStep.WAIT:
                self._wait(gateway)
            elif outcome := self._send(gateway, step):
                return self._done(outcome)

    def _adopt(self, gateway: Gateway) -> None:
        """Take over an earlier send of this message, or a running turn of an earlier attempt."""
        for earlier in self._earlier():
            seen, _ = self._look(gateway, earlier.key)
            step = delivery_check.plan(earlier, seen)
            is_same = earlier.key.split(":")[2:3] == [self._mark]
            if step is DeliveryStep.WAIT or (is_same and step in (DeliveryStep.OVER, DeliveryStep.LEFT)):
                self._say(f"the gateway has {earlier.key} already; it is waited for, and nothing is sent")
                self._record(replace(earlier, state="accepted", boot=gateway.hello.boot))
                return

    def _earlier(self) -> Iterator[SendRecord]:
        run = Key.parse(self.job.run)
        for n in range(1, run.send or 1):
            key = delivery_check.key_of(replace(run, send=n).render(), self._mark)
            yield SendRecord(key=key, session=self.job.session, boot="")
        if self.job.task:
            yield from recorded(os.path.dirname(self.job.folder), self.job.task, self.job.run, self.job.session)

    def _look(self, gateway: Gateway, key: str) -> tuple[GatewayEvidence, dict[str, Any]]:
        session = self.sent.session if self.sent else self.job.session
        waited = gateway.call("agent.wait", {"runId": key, "timeoutMs": 0})
        history = gateway.call("chat.history", {"sessionKey": session, "limit": MESSAGES, "inputRunIds": [key]})
        refusal = self._refusal if key == self.key else ""
        return delivery_check.seen(key, gateway.hello.boot, waited, history, refusal), history

    def _send(self, gateway: Gateway, step: DeliveryStep) -> TurnOutcome | None:
        """Record, then send; the outcome, or None if the gateway must be checked again."""
        renewal = (self.sent.renewal if self.sent else 1) + (step is DeliveryStep.RENEW)
        key = delivery_check.key_of(self.job.run, self._mark, renewal)
        session, boot = self.job.session, gateway.hello.boot
        if step is DeliveryStep.RENEW:
            self._say(f"the gateway took {self.key} and never began it; it is sent as {key}")
            self._pause(PAUSES[2])
        self._refusal = ""
        self._record(SendRecord(key=key, session=session, boot=boot, renewal=renewal))
        number = gateway.ask(
            "agent",
            {
                "message": self.job.message,
                "idempotencyKey": key,
                "agentId": self.job.agent,
                "sessionKey": session,
                "deliver": False,
            },
        )
        first = gateway.answer(number, "agent")
        status = text(first, "status", 40)
        if status not in ("accepted", "in_flight"):
            return self._ended(first)
        self._record(SendRecord(key=key, session=session, boot=boot, state="accepted", renewal=renewal))
        self._say(f"the gateway has {key} ({status})")
        return self._wait(gateway, number if status == "accepted" else None)

    def _wait(self, gateway: Gateway, number: str | None = None) -> TurnOutcome | None:
        """Wait for the turn's end; None when it is time to check again."""
        milliseconds, begin = int(LOOK.total_seconds() * 1000), monotonic()
        answer = gateway.call("agent.wait", {"runId": self.key, "timeoutMs": milliseconds}, LOOK + SLACK)
        if answer.get("status") in ("ok", "error"):
            return self._final(gateway, number) if number else None
        if monotonic() - begin < PAUSES[1]:  # it answers at once, whatever the reason: do not ask it all the time
            self._pause(PAUSES[1])
        return None

    def _final(self, gateway: Gateway, number: str) -> TurnOutcome | None:
        """The turn's final answer, which arrives shortly after its end; None if it does not arrive."""
        try:
            return self._ended(gateway.answer(number, "agent", timedelta(seconds=5)))
        except GatewayAway as away:
            self._refusal = away.reason
        except GatewayRefused as refused:
            self._refusal = refused.reason
        return None

    def _ended(self, payload: dict[str, Any]) -> TurnOutcome:
        self._name(payload)
        return turn_result.final(payload)

    def _name(self, payload: dict[str, Any]) -> None:
        """Tell a word for the turn's end that only a newer gateway knows."""
        if (status := text(payload, "status", 40)) not in (*turn_result.KNOWN, "pending"):
            self._say(f"the gateway ended the turn with {status!r}, which we do not know")

    def _over(self, gateway: Gateway, history: dict[str, Any]) -> TurnOutcome:
        """The outcome of a finished turn, from the gateway, with the usage from the transcript."""
        told = turn_result.transcript(history.get("messages") or [], self.key)
        waited = gateway.call("agent.wait", {"runId": self.key, "timeoutMs": 0})
        if waited.get("status") in ("ok", "error"):
            outcome = turn_result.waited(waited)
            return self._done(replace(outcome, said=outcome.said or self._refusal or told.said, usage=told.usage))
        self._name(waited)
        return self._done(told)

    def _done(self, outcome: TurnOutcome) -> TurnOutcome:
        if self.sent is not None:
            self._record(replace(self.sent, state="done"))
        if outcome.usage is not None:
            write_record(self.job.folder, "usage.json", asdict(outcome.usage))  # every key, also what is not known
        return outcome

    def _record(self, sent: SendRecord) -> None:
        """Durable before anything is sent."""
        write_record(self.job.folder, NAME, sent)
        self.sent = sent
