"""The script of the demo's day: commands, output, and checks of the result.

The demo plays only what a machine and a person would do: it types the first commands and runs `clawfiles heartbeat`
once a second, as cron would once a minute. All else is done by the agents' own processes. Time is compressed by the
lengths in the copy's clawfiles.toml; the product has no other clock.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from claw_files.core import text as words
from claw_files.core.errors import RunFailed
from claw_files.demo import stage

FIRST = timedelta(hours=7, minutes=30)  # what the demo's clock reads at the start
PACE = 300  # one second stands for this many
LIMIT_SECONDS = 150  # a day that is not over by then has gone wrong; it takes about 50, on a slow machine more
WIDTH = 110  # letters of what is told in one line
ZONE = ZoneInfo("Europe/Berlin")  # the example workspace's
NIGHT_NEWS = "The backup took 40 minutes longer than usual, the disk is 81 % full."
REPORT = ("2 important mails, 14 newsletters", "2 meetings: 10:00, 15:00", "3 tasks of high priority open, 1 blocked")
SENTENCES = {  # what the heartbeat does, by the name of the action; the others are shown as they are
    "deliver": "puts {task} into {agent}'s inbox",
    "wake": "wakes {agent}{about}",
    "fail": "{task} has failed: {why}",
    "retry": "{task} gets another attempt: {why}",
    "again": "{task} is restarted: {why}",
    "dead-letter": "{task} is out of attempts and goes to dead-letter/",
    "escalate": "tells {agent}: {why}",
    "finish": "{task} has a result: {why}",
    "report": "sends {agent} one report: {why}",
    "wait-until": "{task} is in progress: wait until {eta}",
    "progress": "tells {agent} how {task} is going",
    "review": "asks {agent} to review {task}",
    "inform": "informs {agent} that {task} is done",
    "announce": "sends {agent} the news{about}",
    "brief": "sends {agent} the brief: {why}",
    "close": "{task} leaves the ledger: {why}",
    "event": "schedule: {why}",
    "workflow": "{task} goes on: {why}",
    "verified": "{task} is verified: {why}",
}
OWN = ("claim", "progress", "done", "approve", "reopen", "delegate", "send")  # what is shown of agents' own commands


class DemoDay:
    """One run of the demo in its folder."""

    def __init__(self, folder: str, environment: dict[str, str], say: Callable[[str, str, str], None]) -> None:
        self.folder, self._env, self._say = folder, environment, say
        self._start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        self._shown = self._start
        self._read = 0  # bytes of the journal that were shown
        self._plan = [("07:30", self._night), ("08:45", self._morning), ("09:15", self._refunds)]
        self._refund = ""  # the run of the workflow; until then none
        self._is_asked = False

    # --- the clock

    def instant(self, reading: str) -> datetime:
        """When the demo's clock reads `reading`, such as "08:45"."""
        hours, minutes = map(int, reading.split(":"))
        return self._start + (timedelta(hours=hours, minutes=minutes) - FIRST) / PACE

    def reading(self, at: datetime) -> str:
        """What the demo's clock reads at `at`."""
        minutes = int((FIRST + (at - self._start) * PACE).total_seconds() // 60)
        return f"{minutes // 60:02}:{minutes % 60:02}"

    # --- the day

    def live(self) -> None:
        """Live until all that must come has come. Raises RunFailed when the time is over before."""
        self._configure()
        self._open()
        _until_the_next_second()
        while missing := self.missing():
            if (datetime.now(UTC) - self._start).total_seconds() > LIMIT_SECONDS:
                raise RunFailed("demo", f"after {LIMIT_SECONDS} s: {'; '.join(missing)}. Look into {self.folder}")
            while self._plan and self.instant(self._plan[0][0]) <= datetime.now(UTC):
                self._plan.pop(0)[1]()
            self._beat()
            self._agree()
            _until_the_next_second()

    def _configure(self) -> None:
        """Write the copy's clawfiles.toml with seconds for minutes, and quiet hours that end at 08:00."""
        path = os.path.join(self.folder, "clawfiles.toml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(stage.compress(text, self._changes()))

    def _changes(self) -> dict[str, str]:
        quiet = [at.astimezone(ZONE) for at in (self._start - timedelta(minutes=1), self.instant("08:00"))]
        later = (self._start + timedelta(hours=12)).astimezone(ZONE)
        return {
            '"--check", "+30m"': f'"--check", "{words.render_instant(self.instant("10:00"))}"',
            '"--takes", "20"': f'"--eta", "{words.render_instant(self.instant("11:00"))}"',
            'check = "30m"': 'check = "6s"',
            'ack = "5m"': 'ack = "10s"',  # starting a process takes as long as ever
            'silent = "45m"': 'silent = "9s"',
            'lease = "90m"': 'lease = "18s"',
            'backoff = "2s"': 'backoff = "1s"',
            'cron = "45 8 * * 1-5"': f'cron = "{later.minute} {later.hour} * * *"',  # `_morning` plays it, once
            '"03:00-08:00"': f'"{quiet[0]:%H:%M:%S}-{quiet[1]:%H:%M:%S}"',
        }

    def _night(self) -> None:
        self._type("sentry", "send", "dimitrios", NIGHT_NEWS)
        self._type("sam", "delegate", "TC-90")

    def _morning(self) -> None:
        """08:45: the one thing that is not waited for, because the finest line of cron is a minute, five hours here."""
        name = f"schedule.morning-report.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.md"
        self._tell("clock", f"the morning report is due: events/new/{name}")
        os.makedirs(os.path.join(self.folder, "events/new"), exist_ok=True)
        with open(os.path.join(self.folder, "events", name), "w", encoding="utf-8") as file:
            file.write("---\ntype: schedule\nschedule: morning-report\n---\n")
        os.rename(file.name, os.path.join(self.folder, "events/new", name))

    def _refunds(self) -> None:
        """Sam begins a workflow: letters to everybody who was charged twice, one of which cannot be written."""
        self._tell("sam", "$ clawfiles workflow run refunds")
        self._refund = self._clawfiles("--agent", "sam", "workflow", "run", "refunds").strip()

    def _agree(self) -> None:
        """The person agrees as soon as the workflow asks."""
        step = f"{self._refund}-APPROVE"
        if not self._is_asked and f"answer {step}: send" in self._file("announcements.md"):
            self._is_asked = True
            self._type("dimitrios", "done", step, "--answer", "send")

    # --- typing and showing

    def _type(self, agent: str, *arguments: str) -> None:
        """Type a command as `agent`, and show it."""
        shown = " ".join(f'"{word}"' if " " in word else word for word in arguments)
        self._tell(agent, f"$ clawfiles {shown}")
        self._clawfiles("--agent", agent, *arguments)
        self._journal()  # it has been shown

    def _clawfiles(self, *arguments: str) -> str:
        command = ["clawfiles", *arguments]
        answer = subprocess.run(  # noqa: S603 - a command of ours with words of ours, no shell
            command, env=self._env, cwd=self.folder, capture_output=True, text=True
        )
        if answer.returncode:
            raise RunFailed("demo", f"`clawfiles {' '.join(arguments)}` said: {answer.stderr.strip()}")
        return answer.stdout

    def _beat(self) -> None:
        beat = json.loads(self._clawfiles("heartbeat", "--json"))
        for act in self._journal():
            if _is_own(act):
                self._tell(act["actor"], _own_sentence(act), datetime.fromisoformat(act["timestamp"]))
        for action in beat["actions"]:
            self._tell("heartbeat", self._sentence(action), datetime.fromisoformat(beat["tick"]["at"]))

    def _sentence(self, action: dict[str, str | None]) -> str:
        form = SENTENCES.get(action["action"] or "", "{action} {task} ({agent}): {why}")
        eta = self._eta(action["task"]) if "{eta}" in form else ""
        return form.format(about=f", {action['task']}" if action["task"] else "", eta=eta, **action)

    def _eta(self, task: str | None) -> str:
        shown = json.loads(self._clawfiles("task", "show", task or "", "--json"))
        eta = shown["eta"] or shown["completed"]  # a fast agent is done before we look
        return self.reading(datetime.fromisoformat(eta)) if eta else "its ETA"

    def _journal(self) -> list[dict[str, str]]:
        """What was written into the journal since the last call."""
        folder = os.path.join(self.folder, "audit")
        data = b"".join(_bytes(os.path.join(folder, name)) for name in sorted(self._names("audit")))
        data = data[: data.rfind(b"\n") + 1]
        fresh, self._read = data[self._read :], len(data)
        return [json.loads(line) for line in fresh.splitlines()]

    def _tell(self, who: str, what: str, at: datetime | None = None) -> None:
        """Show what happened; the clock never goes back, also where somebody's line is found a little later."""
        self._shown = max(self._shown, at or datetime.now(UTC))
        text = words.safe(" ".join(what.split()))
        self._say(self.reading(self._shown), who, text if len(text) <= WIDTH else text[: WIDTH - 3] + "...")

    def _text(self, text: str) -> None:
        for line in text.rstrip().split("\n"):
            self._say("", "", words.safe(line))

    def _open(self) -> None:
        self._text(
            "A workday of sam (coordinates), peter (engineer) and four workers, with real processes and real files.\n"
            "07:30 one task fails, 08:45 a report is due, 09:15 a workflow writes letters, 11:00 a bug is fixed.\n"
            f"One second is about {PACE // 60} minutes of the day. The agents are small scripts instead of models.\n"
        )

    def close(self, keep: str | None) -> None:
        """Show what has become of it all, and where to look next."""
        self._text("\nThe board (clawfiles board):\n" + self._clawfiles("board"))
        steps = self._clawfiles("workflow", "show", self._refund)
        self._text(f"\nThe workflow with one letter that failed (clawfiles workflow show {self._refund}):\n{steps}")
        self._text("\nHEARTBEAT.md, which is empty at the end of the day:\n" + self._file("HEARTBEAT.md"))
        self._text("\nannouncements.md, with everything that dimitrios received:\n" + self._file("announcements.md"))
        if keep is None:
            self._text("\nTo keep the files of the day: clawfiles demo --keep DIR. To get started: docs/tutorial/")
        else:
            self._text(f"\nLook around: cd {keep}, clawfiles log, clawfiles explain TC-89, reports/morning.md,")
            self._text("dead-letter/tc-90.md, runs/. To create your own workspace: docs/tutorial/")

    # --- what must have come of it

    def missing(self) -> list[str]:
        """One sentence for each end of the day that has not been reached yet."""
        told = self._file("announcements.md")
        ends = {
            "the night's news did not reach dimitrios": told.count(NIGHT_NEWS) == 1,
            "the morning report did not reach dimitrios": all(part in told for part in REPORT),
            "TC-89 is not done": "\nstatus: done\n" in self._file("status/tc-89.md"),
            "dimitrios was not told that TC-89 is done": "PR #142" in told,
            "TC-90 is not in dead-letter/": bool(self._file("dead-letter/tc-90.md")),
            "dimitrios was not told about TC-90": "TC-90" in told,
            "the letters were not sent": bool(self._file(f"flows/{self._refund.lower()}/sent.md")),
            "the ledger still has entries": "\n- " not in self._file("HEARTBEAT.md"),
            "an agent has unread messages": not any(map(self._unread, ("sam", "peter", "importer"))),
            "an agent still works": all("\nended: " in self._file(f"runs/{run}/run.md") for run in self._names("runs")),
        }
        return [sentence for sentence, reached in ends.items() if not reached]

    def _unread(self, agent: str) -> bool:
        return bool(self._names(f"inbox/{agent}/new"))

    def _names(self, folder: str) -> list[str]:
        path = os.path.join(self.folder, folder)
        return os.listdir(path) if os.path.isdir(path) else []

    def _file(self, path: str) -> str:
        return _bytes(os.path.join(self.folder, path)).decode(errors="replace")


def _is_own(act: dict[str, str]) -> bool:
    """Whether a line of the journal is a command of an agent's own; a tick writes for others, too."""
    for_another = act["action"] in ("claim", "progress") and act["agent"] != act["actor"]
    of_a_task = act["action"] == "send" and bool(act["task"])  # the message that belongs to a delegation
    return act["actor"] is not None and act["action"] in OWN and not for_another and not of_a_task


def _own_sentence(act: dict[str, str]) -> str:
    return " ".join(filter(None, (act["action"], act["task"]))) + f": {act['why']}"


def _until_the_next_second() -> None:
    time.sleep(1 - datetime.now(UTC).microsecond / 1e6)


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
