"""Pings every agent regularly, and reports each silence once.

Open alerts are in the monitor's inbox and open pings in the agent's, so a restarted daemon finds them there. Only the
answer ends a ping, not the run that it started.
"""

import threading
from collections.abc import Mapping
from datetime import datetime
from queue import SimpleQueue

from claw_files.app.wiring import App
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key, topic_key
from claw_files.core.model import AgentId, Audit, Box, Kind, Message
from claw_files.daemon.log import DaemonLog
from claw_files.policy import health_rules
from claw_files.policy.health_rules import Ping, PingMethod, Silence
from claw_files.policy.snapshot import Snapshot
from claw_files.processes import LOST

CLIMB_SECONDS = 10.0  # interval of the check for unread alerts


class HealthChecks:
    """The pings of one daemon."""

    def __init__(self, app: App, log: DaemonLog, silent: Mapping[AgentId, Silence] | None = None) -> None:
        """`silent` are the known silences, if they were saved."""
        self._app, self._log, self._clock = app, log, app.clock
        self._silent = dict(silent or {})
        self._asked: dict[AgentId, tuple[Message, datetime]] = {}  # turns that wait for their answer, and until when
        self._late: dict[AgentId, Message] = {}  # overdue turns, whose late answer ends the silence
        self._asking: set[AgentId] = set()  # whose gateways are being asked now
        self._answers: SimpleQueue[tuple[AgentId, str | None]] = SimpleQueue()
        self._climb_at = 0.0
        self._known = False

    def take_over(self, app: App) -> None:
        """Go on with another configuration."""
        self._app = app
        for known in (self._silent, self._asked, self._late):
            for agent in known.keys() - app.settings.agents.keys():
                del known[agent]

    def ask(self) -> None:
        """Ping every agent once."""
        self._remember()
        app = self._app
        snap = app.snapshots.snapshot(app.workspace.entries())
        for ping in health_rules.plan_pings(app.settings, snap.live):
            if ping.how is PingMethod.RUN and self._waits_for_answer(ping.agent):
                continue  # other work is not an answer to the ping
            if ping.how is PingMethod.TURN:
                self._begin_turn(ping.agent)
            elif ping.how is PingMethod.HOOK:
                self._begin_asking(ping.agent)
            elif ping.agent not in self._asked:
                self._judge(ping.agent, self._answer(ping, snap))
        self._alert()

    def turn(self) -> None:
        """About once a second: answers that arrived or are overdue, and unread alerts."""
        self._hear()
        for agent, late in list(self._late.items()):
            if self._has_answered(late):
                del self._late[agent]
                self._judge(agent, None)
        for agent, (message, until) in list(self._asked.items()):
            if self._has_answered(message):
                del self._asked[agent]
                self._judge(agent, None)
            elif self._clock.now() >= until:
                self._late[agent] = self._asked.pop(agent)[0]
                self._judge(agent, f"{agent} did not answer a ping within {self._app.settings.health.answer}")
                self._alert()
        if self._silent and self._clock.monotonic() >= self._climb_at:
            self._alert()

    # --- asking

    def _answer(self, ping: Ping, snap: Snapshot) -> str | None:
        """Why the agent counts as silent, or None."""
        match ping.how:
            case PingMethod.RUN:
                assert ping.run is not None
                run = self._app.runtime.look(ping.run.id)
                is_lost = run is not None and not run.ended and (run.reason == LOST or not run.alive)
                return f"{ping.agent}: its run {ping.run.id} has lost its supervisor" if is_lost else None
            case PingMethod.PROGRAM:
                return self._app.ping(ping.agent, self._app.settings.health.answer)
            case PingMethod.SIGN:
                return health_rules.silence(snap, ping.agent, self._clock.now())
            case _:
                raise ValueError(ping.how)  # a turn and a gateway answer later

    def _begin_asking(self, agent: AgentId) -> None:
        """Ask the agent's gateway in a thread, so that the heartbeat does not wait for one that hangs."""
        if agent in self._asking:
            return
        app, answers = self._app, self._answers
        self._asking.add(agent)

        def ask() -> None:
            try:
                answers.put((agent, app.ping(agent, app.settings.health.answer)))
            except Exception as wrong:  # noqa: BLE001 - whatever went wrong in the thread, it is its answer
                answers.put((agent, f"{agent} could not be pinged: {wrong}"))

        threading.Thread(target=ask, daemon=True).start()

    def _hear(self) -> None:
        """Process the answers of gateways."""
        while not self._answers.empty():
            agent, silence = self._answers.get()
            self._asking.discard(agent)
            if agent in self._app.settings.agents:
                self._judge(agent, silence)
                self._alert()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer may still come in time."""
        return bool(self._asked or self._asking)

    @property
    def silent(self) -> Mapping[AgentId, Silence]:
        """The known silences."""
        return self._silent

    def _waits_for_answer(self, agent: AgentId) -> bool:
        return agent in self._silent and self._app.settings.agents[agent].ping == "turn"

    def _questions(self, agent: AgentId) -> list[tuple[str, Box]]:
        """The pings in the agent's inbox, newest last, with their boxes."""
        ws, boxes = self._app.workspace.mailbox(agent), (Box.NEW, Box.CUR, Box.DONE)
        return sorted((id, box) for box in boxes for id in ws.message_ids(agent, box) if Key.parse(id).topic == "ping")

    def _is_answered(self, agent: AgentId, box: Box) -> bool:
        """Whether a ping was answered; for an agent that polls, reading it is enough."""
        return box is Box.DONE or (box is Box.CUR and not self._app.settings.is_woken(agent))

    def _begin_turn(self, agent: AgentId) -> None:
        if agent in self._asked:
            return
        earlier = [(id, box) for id, box in self._questions(agent) if box is not Box.DONE]
        if earlier and self._runs_on(agent, earlier[-1][0]):
            if (found := self._app.workspace.find_message(agent, earlier[-1][0])) is not None:
                self._late[agent] = found[0]
            self._judge(agent, f"{agent} does not answer {earlier[-1][0]}, and its run does not end")
            return
        now = self._clock.now().replace(microsecond=0)
        key = topic_key("ping", agent, now)
        me = self._app.settings.coordinator
        text = f"Health check: please run `clawfiles answer {key} pong`."
        audit = Audit(JournalEvent.PING, agent=agent, key=key, actor=me, why="health")
        message = self._app.messages.tell(key, agent, text, Kind.PING, None, audit)
        self._asked[agent] = (message, now + self._app.settings.health.answer)
        for id, box in earlier:  # after the new one is there: a question that is put away is no answer
            done = Audit(JournalEvent.INBOX_DONE, agent=agent, key=id, actor=me, why="asked anew")
            self._app.workspace.mailbox(agent).shift(agent, id, box, Box.DONE, done)

    def _runs_on(self, agent: AgentId, id: str) -> bool:
        return any(run.key == id for run in self._app.resolver.of(agent).runtime.live())

    def _has_answered(self, message: Message) -> bool:
        found = self._app.workspace.find_message(message.to, str(message.key))
        return found is not None and self._is_answered(message.to, found[1])

    # --- what follows

    def _remember(self) -> None:
        """Load unfinished alerts of an earlier daemon as the same silences."""
        if self._known:
            return
        self._known = True
        self.take_over(self._app)
        ws = self._app.workspace
        ids = [id for box in (Box.NEW, Box.CUR) for id in ws.message_ids(self._app.settings.monitor, box)]
        for name in ids:
            key = Key.parse(name)
            if key.topic == "health" and (agent := AgentId(key.name)) in self._app.settings.agents:
                self._silent.setdefault(agent, Silence(key=name, why=f"{agent} had stopped answering"))

    def _judge(self, agent: AgentId, why: str | None) -> None:
        before = self._silent.get(agent)
        if why is None:
            if before:
                del self._silent[agent]
                self._log.say("health", f"{agent} answers again")
                self._app.workspace.put_away(before.key, None, "it answers again")
            return
        key = before.key if before else topic_key("health", agent, self._clock.now())
        self._silent[agent] = Silence(key=key, why=why)
        if before is None:
            self._log.say("health", why)

    def _alert(self) -> None:
        self._climb_at = self._clock.monotonic() + CLIMB_SECONDS
        app = self._app
        for action in health_rules.plan_alerts(app.settings, self._silent, app.workspace.told(), self._clock.now()):
            assert action.agent is not None and action.kind is not None
            audit = Audit(JournalEvent.ALERT, agent=action.agent, key=action.key, actor=app.settings.coordinator)
            app.messages.tell(action.key, action.agent, action.text, action.kind, None, audit)
