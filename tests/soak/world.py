"""A busy office for a while: agents of every kind, commands, hands that edit, cron, and a daemon that is killed."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.daemon.conftest import Home
from tests.soak.checker import Checker, Finding

MOST_OPEN = 10  # lines in the ledger beyond which nobody makes more work
CRON_SECONDS = 5.0
CONVERGE_SECONDS = 90.0

BEGIN = """
T=$CLAWFILES_TASK FILE=status/$(echo "$CLAWFILES_TASK" | tr A-Z a-z).md
echo "$CLAWFILES_RUN" >> {beside}/starts.txt
[ -n "$T" ] || exit 0
"""
DONE = """
clawfiles done $T finished || exit 1
echo '{"what": "done", "task": "'$T'", "agent": "'$CLAWFILES_AGENT'"}' >> {beside}/told.jsonl
"""
AGENTS = {
    "fast": "printf '\\nStatus: DONE - PR #1\\n' >> $FILE",
    "slow": "clawfiles claim $T && sleep 2 && clawfiles progress $T 'half way'" + DONE,
    "fails": "clawfiles claim $T; clawfiles fail $T 'no idea how'",
    "crashes": "kill -SEGV $$",
    "moody": '[ "$CLAWFILES_GENERATION" -gt 1 ] || kill -KILL $$\nclawfiles claim $T' + DONE,
    "scribbler": 'echo "$T: IN PROGRESS" > $FILE; sleep 0.5; echo "$T: DONE (PR #2)" > $FILE',
    "silent": "exit 0",
    "research": """
[ $(($(echo "$T" | tr -dc 0-9) % 4)) -gt 0 ] || exit 3
cat > checkpoints/.$CLAWFILES_LABEL <<END
---
label: $CLAWFILES_LABEL
run: $CLAWFILES_RUN
task: $T
agent: research
status: done
completed: $(date -u +%Y-%m-%dT%H:%M:%SZ)
outputs: []
---
found it
END
mv checkpoints/.$CLAWFILES_LABEL checkpoints/subagent-$CLAWFILES_LABEL.md
""",
}
CONFIG = """
[workspace]
coordinator = "sam"
monitor = "sentry"
[agents.sam]
reports_to = "ann"
[agents.sentry]
[agents.iris]
[agents.hand]
[agents.ann]
kind = "human"
channels = ["file:announcements.md"]
[heartbeat]
check = "10s"
ack = "1m"
silent = "1m"
attempts = 2
backoff = "1s"
[limits]
runs = 3
spawns_per_minute = 100
breaker_pause = "3s"
[daemon]
rescan = "5s"
[health]
every = "10s"
"""
COMMANDED = ("fast", "slow", "fails", "crashes", "moody", "scribbler", "silent")
# The others write over their files; in the file of "silent", somebody's words would count as its own.
REMARKED = ("iris", "slow", "moody", "fails")


class World:
    """One home with everybody in it."""

    def __init__(self, home: Home, seed: int, warm_seconds: float) -> None:
        self.home, self.root, self.beside = home, home.root, home.root.parent
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self._over, self._given_up = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._to: dict[str, str] = {}  # task -> agent
        self.problems: list[str] = []
        self.findings: list[Finding] = []
        self.counts = dict.fromkeys(("kills", "looks", "commands", "remarks", "groups"), 0)
        self._set_up()
        self.checker = Checker(self.root, self.beside / "told.jsonl", warm_seconds)

    def _set_up(self) -> None:
        text = CONFIG
        for name, script in AGENTS.items():
            path = self.beside / f"{name}.sh"
            path.write_text((BEGIN + script).replace("{beside}", str(self.beside)))
            kind = 'kind = "worker"\n' if name == "research" else ""
            text += f'[agents.{name}]\n{kind}command = ["/bin/sh", "{path}"]\n'
        self.home.write("clawfiles.toml", text)
        for folder in ("status", "checkpoints", "inbox/hand/new", "inbox/iris/new"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    # --- its life

    def live(self, seconds: float, life_seconds: float, look_seconds: float) -> None:
        """Work for so long, the daemon being killed about every `life_seconds`; then let everything come to rest."""
        ends = time.monotonic() + seconds
        self.home.start()
        jobs = [self._command, self._command, self._iris, self._sam, self._hand, self._remark, self._cron]
        for job in jobs:
            self._begin(job)
        self._begin(lambda: self._look(look_seconds))
        while time.monotonic() < ends and not self.findings and not self.problems:
            lasts = life_seconds * self._chance.uniform(0.6, 1.4)
            if time.monotonic() + lasts > ends:
                time.sleep(max(0.0, ends - time.monotonic()))
                break
            self._over.wait(lasts)
            self.home.kill()
            self.counts["kills"] += 1
            self.home.start()
        self._over.set()
        self._converge()
        self._given_up.set()
        for thread in self._threads:
            thread.join(60)

    def _begin(self, job: Callable[[], None]) -> None:
        def run() -> None:
            try:
                job()
            except BaseException as wrong:  # a thread that dies quietly would let the test pass
                self.problems.append(f"{type(wrong).__name__}: {wrong}")

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def _converge(self) -> None:
        end = time.monotonic() + CONVERGE_SECONDS
        while time.monotonic() < end and not self.problems and not self.findings:
            if not self.checker.open() and self.home.lines() == 0 and not self.home.live():
                return
            time.sleep(0.5)

    # --- what everybody does

    def _command(self) -> None:
        while not self._over.is_set():
            if (self.root / "HEARTBEAT.md").exists() and self.home.read("HEARTBEAT.md").count("\n- ") > MOST_OPEN:
                self._over.wait(0.5)
                continue
            self._pick()()

    def _pick(self) -> Callable[[], None]:
        with self._lock:
            acts = [self._new] * 7 + [self._send, self._cancel, self._spawn]
            return self._chance.choice(acts)

    def _new(self) -> None:
        with self._lock:
            to = self._chance.choice((*COMMANDED, "iris", "hand"))
        found = self._run("task", "new", f"Something for {to}", "--to", to)
        if found:
            self._to[found["id"]] = to
            self._tell(what="new", task=found["id"])

    def _send(self) -> None:
        to = self._chance.choice(("fast", "slow", "iris"))
        if found := self._run("send", to, "The staging host is back."):
            self._tell(what="send", agent=to, key=found["id"])

    def _cancel(self) -> None:
        mine = [task for task, to in self._to.items() if to in ("slow", "crashes", "iris")]
        if mine:
            task = self._chance.choice(mine[-3:])
            if self._run("cancel", task, "not needed"):
                self._tell(what="cancel", task=task, agent="sam")

    def _spawn(self) -> None:
        with self._lock:
            self.counts["groups"] += 1
            group = f"g-{self.counts['groups']}"
        for number in (1, 2, 3):
            label = f"{group}-{number}"
            args = ("--label", label, "--size", "S", "--group", group, "--of", "3")
            if found := self._run("spawn", f"look into {label}", *args):
                self._tell(what="new", task=found["task"])

    def _iris(self) -> None:
        self._finish_what_comes("iris")

    def _sam(self) -> None:
        """What an agent with an open breaker does not do comes back to the coordinator."""
        self._finish_what_comes("sam")

    def _finish_what_comes(self, agent: str) -> None:
        """Read the inbox by the names of the files, claim what is found, and finish it."""
        finished = set[str]()
        while not self._given_up.is_set():
            for task in self._tasks_of(agent):
                if task in finished:
                    continue
                claimed = self._run("claim", task, by=agent)
                if claimed:
                    self._tell(what="claim", task=task, agent=agent, generation=claimed["generation"])
                if claimed and self._run("done", task, "seen to", by=agent):
                    self._tell(what="done", task=task, agent=agent)
                    finished.add(task)
            self._given_up.wait(0.5)

    def _hand(self) -> None:
        """A person with an editor: writes over the whole status file, once in place, once with another file's name."""
        while not self._given_up.is_set():
            for task in self._tasks_of("hand"):
                path = self.root / f"status/{task.lower()}.md"
                if path.exists() and "status: backlog" in path.read_text():
                    path.write_text(f"{task}: IN PROGRESS\n\nI am at it.\n")
                    self._given_up.wait(0.7)
                elif path.exists() and "in_progress" in path.read_text():
                    other = path.with_name(f".{path.name}.swp")
                    other.write_text(f"{task}: DONE\n\nWent well.\n")
                    other.rename(path)
            self._given_up.wait(0.5)

    def _tasks_of(self, agent: str) -> list[str]:
        keys = [path.stem.partition("-")[2] for path in self.root.glob(f"inbox/{agent}/new/*-tc-*.md")]
        return [key.rpartition(".")[0].upper() for key in keys if key.rpartition(".")[2].isdigit()]

    def _remark(self) -> None:
        """Adds a line to a file as `echo >>` does, while everybody else writes it, too."""
        while not self._over.wait(0.4):
            mine = [task for task, to in list(self._to.items()) if to in REMARKED]
            paths = ["HEARTBEAT.md", *(f"status/{task.lower()}.md" for task in mine[-4:])]
            path, self.counts["remarks"] = self._chance.choice(paths), self.counts["remarks"] + 1
            text = f"remark-{self.counts['remarks']}-"
            try:
                fd = os.open(self.root / path, os.O_WRONLY | os.O_APPEND)
            except FileNotFoundError:  # it was moved to dead-letter/
                continue
            os.write(fd, f"\n{text} seen by hand\n".encode())
            os.close(fd)
            self._tell(what="remark", path=path, text=text)

    def _cron(self) -> None:
        while not self._over.wait(CRON_SECONDS):
            self._run("heartbeat")

    def _look(self, every: float) -> None:
        while not self._given_up.wait(every):
            daemon = self.home.daemon
            found = self.checker.look(daemon.pid if daemon.poll() is None else None)
            self.counts["looks"] += 1
            self.findings += found
            if found:
                self._over.set()

    # --- commands

    def _run(self, *args: str, by: str = "sam") -> dict[str, Any] | None:
        """A command in a process of its own; its answer, or None where it was refused as the protocol allows."""
        command = [*self.home.command, *args, "--agent", by, "--json"]
        done = subprocess.run(command, env=self.home.env, capture_output=True, timeout=60, text=True)
        self.counts["commands"] += 1
        if done.returncode == 0:
            return dict(json.loads(done.stdout.splitlines()[-1])) if done.stdout.strip() else {}
        if done.returncode not in (3, 4, 5, 7) or "Traceback" in done.stderr:
            self.problems.append(f"{' '.join(args)}: exit {done.returncode}: {done.stderr[-500:]}")
        return None

    def _tell(self, **facts: object) -> None:
        fd = os.open(self.beside / "told.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(fd, json.dumps(facts).encode() + b"\n")
        os.close(fd)


def stopped(home: Home) -> int:
    """End the daemon as an operator would; its exit status."""
    home.signal(signal.SIGTERM)
    return home.ends()


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
