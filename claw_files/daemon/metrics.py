"""Prometheus metrics as a text file, for the textfile collector of node_exporter."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from claw_files.daemon.loop import DaemonLoop
from claw_files.services.heartbeat.heartbeat import TickResult
from claw_files.system.private_files import replace_file


class Metrics:
    """Counters of a loop."""

    def __init__(self, loop: DaemonLoop) -> None:
        self._loop = loop
        self._ticks = self._errors = 0
        self._actions = Counter[str]()
        loop.on_tick = self._count

    def _count(self, ticked: TickResult | None) -> None:
        """Count one tick; None: it failed."""
        self._ticks += 1
        if ticked is None or ticked.problems:
            self._errors += 1
        if ticked is not None:
            self._actions.update(str(action.act) for action in ticked.actions)

    def write(self) -> None:
        """Replace the file that the configuration names. Raises OSError."""
        path = self._loop.app.settings.daemon.metrics
        if path:
            replace_file(os.path.join(self._loop.app.root, path), self.text().encode())

    def text(self) -> str:
        """All numbers, each with its type."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        loop, health = self._loop, self._loop.watch.health
        yield from _family("ticks_total", "counter", [("", self._ticks)])
        yield from _family("tick_errors_total", "counter", [("", self._errors)])
        kinds = [(f'{{kind="{kind}"}}', count) for kind, count in sorted(self._actions.items())]
        yield from _family("actions_total", "counter", kinds)
        yield from _family("runs_live", "gauge", [("", len(loop.runs))])
        yield from _family("messages_waiting", "gauge", [("", len(loop.waiting))])
        yield from _family("event_lag_seconds", "gauge", [("", round(loop.lag_seconds, 6))])
        yield from _family("missed_events_total", "counter", [("", health.missed)])
        yield from _family("rescans_total", "counter", [("", health.rescans)])
        faults = [(f'{{fault="{fault}"}}', count) for fault, count in sorted(health.faults.items())]
        yield from _family("watch_faults_total", "counter", faults)


def _family(name: str, kind: str, samples: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield f"# TYPE clawfiles_{name} {kind}\n"
    yield from (f"clawfiles_{name}{labels} {value}\n" for labels, value in samples)
