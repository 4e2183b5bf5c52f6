"""The events of the journal: every value of `action`, which of them are moves, and the codes of reasons.

`docs/reference/file-format.md` lists the events from here. The actions of a tick (`claw_files.policy.snapshot.Act`) are
journalled under their own names.
"""

from enum import StrEnum
from typing import Self


class JournalEvent(StrEnum):
    """The event of a journal line. The reference page has the sentence of each."""

    leads_to: str | None  # of a move, the state that it usually leads to; "" where only the line says it

    def __new__(cls, value: str, leads_to: str | None = None) -> Self:
        event = str.__new__(cls, value)
        event._value_, event.leads_to = value, leads_to
        return event

    @property
    def is_move(self) -> bool:
        """Whether a line has the task's state before and after: `from` and `to`. `close` has `to` alone."""
        return self.leads_to is not None

    # tasks and their moves
    TASK_NEW = "task new", "backlog"  # A task was created.
    CLAIM = "claim", "in_progress"  # An agent became the holder of the task, or renewed its lease.
    PROGRESS = "progress", "in_progress"  # The holder reported progress, or followers of the task were notified of it.
    BEAT = "beat", "in_progress"  # The holder renewed its lease.
    DONE = "done", "done"  # The holder finished the task.
    REVIEW = "review", "review"  # The holder asked for a review, or the heartbeat asked the reviewer for it.
    APPROVE = "approve", "done"  # The reviewer approved the work.
    REOPEN = "reopen", "backlog"  # The reviewer or the check rejected the work: the task went back to backlog.
    FAIL = "fail", "failed"  # An attempt failed.
    BLOCK = "block", "blocked"  # The task was blocked.
    NEED = "need", "blocked"  # The task was blocked until an agent answers a question.
    UNBLOCK = "unblock", "backlog"  # The task is no longer blocked.
    RELEASE = "release", "backlog"  # The holder gave the task back.
    REQUEUE = "requeue", "backlog"  # A dead letter was put back into backlog.
    CANCEL = "cancel", "cancelled"  # The task was cancelled.
    RECORD = "record", ""  # An edit by hand was recorded as a move.
    CARRY = "carry", ""  # An agent's report was carried into the status file.
    CONFLICT = "conflict"  # An edit by hand that does not count was reported to the monitor.
    FINISH = "finish", "done"  # A worker's result moved its task.
    FROM_CACHE = "from cache", "done"  # An earlier result answered the task.
    COPY_RESULT = "copy result"  # The earlier result was copied for the task.
    NO_REVIEWER = "no reviewer", "done"  # The route requires a review, but only the holder could give it.
    VERIFY = "verify"  # The check of the task's route was started.
    VERIFIED = "verified"  # The outputs exist, and the check of the route passed.
    URGENT = "urgent"  # The task got the highest priority.
    COMMENT = "comment"  # A comment was added to the task.
    DEAD_LETTER = "dead-letter", "dead"  # The task has no attempts left and was moved to dead-letter/.
    ARCHIVE = "archive"  # A closed task was moved to the archive.
    BRING_BACK = "bring back"  # The task's file was moved back to status/.
    CHECKPOINT_SAVE = "checkpoint save"  # An agent saved its checkpoint.
    MOVED_IN = "moved in"  # A task or message was moved into a compartment.
    # the ledger
    WATCH = "watch"  # The task got a ledger line.
    UNWATCH = "unwatch"  # The task's ledger line was removed before the task ended.
    HOLD = "hold"  # The box of the ledger line was ticked until a command has made its move.
    CLOSE = "close"  # The ledger line of an ended task was removed, or a session was closed.
    DATE = "date"  # The date was added to a ledger line that had only a time.
    EXTEND = "extend"  # The ledger line got a new check time.
    WAIT_UNTIL = "wait-until"  # The ledger line's check time became the task's ETA.
    # delegation and messages
    DELEGATE = "delegate"  # The task was given to an agent: its ledger line was written.
    SPAWN = "spawn", "backlog"  # A worker was requested.
    DELIVER = "deliver", "backlog"  # The task was reserved for the agent that gets its message.
    SEND = "send"  # A message was put into an inbox.
    RESEND = "resend"  # The task's message was sent again.
    PUT_BACK = "put back"  # A message that was read was moved back to new/.
    WITHDRAW = "withdraw"  # A message was withdrawn from an agent.
    NEXT_AGENT = "next-agent", "backlog"  # The task was given to another agent.
    RETRY = "retry", "backlog"  # A failed task got its next attempt.
    AGAIN = "again", "backlog"  # A task whose run a stopping daemon ended got a new attempt.
    TURN = "turn", "backlog"  # The next message of a worker's session became an attempt.
    ANSWER = "answer"  # A question was answered.
    STEER = "steer"  # A message was sent into a session or a run.
    INBOX_READ = "inbox read"  # A message was moved to cur/.
    INBOX_DONE = "inbox done"  # A message was moved to done/.
    QUARANTINE = "quarantine"  # An inbox file that could not be read was moved to quarantine/.
    # runs
    WAKE = "wake"  # A run of the agent was started.
    STOP = "stop"  # The heartbeat asked a run to end.
    KILL = "kill"  # A command asked a run to end.
    RUN_LOST = "run lost"  # A run ended without its supervisor.
    NO_SANDBOX = "no sandbox"  # A run could not start in a sandbox.
    PERMISSION = "permission"  # An ACP agent's request for permission was decided.
    ACP = "acp"  # A warning about an ACP agent.
    ACP_SESSION = "acp session"  # The session of an ACP agent's program was recorded.
    SAVE_PARTIAL = "save partial"  # The partial work of a run was saved when the daemon stopped.
    SET_ASIDE = "set aside"  # A worker's earlier result was moved to checkpoints/old/.
    USAGE = "usage"  # The usage of a run; each `key` counts once.
    PROBE = "probe"  # An agent was probed.
    PROBE_OVER = "probe over"  # A probe's task was closed.
    # people
    NUDGE = "nudge"  # The holder was asked for its progress.
    ASK = "ask"  # A question from the holder was sent to another agent.
    ESCALATE = "escalate"  # A manager in the `reports_to` chain was notified.
    INFORM = "inform"  # A follower was notified that the task had ended.
    CRITICAL = "critical"  # A critical finding was reported to the coordinator.
    REPORT = "report"  # The results of a group of workers were sent to its spawner.
    TELL = "tell"  # The requester was notified about a task that depends on another.
    CHOICE = "choice"  # A person ticked a box in a message.
    ANNOUNCE = "announce"  # A message was delivered to a person's channels.
    HANDED_OVER = "handed over"  # A message was delivered to one channel.
    BRIEF = "brief"  # A brief was written with the announcements that quiet hours held back.
    BRIEF_HANDED_OVER = "brief handed over"  # A brief was delivered to one channel.
    DELIVERED = "delivered"  # A channel accepted a post.
    NOT_DELIVERED = "not delivered"  # A channel did not accept a post at the first try.
    GAVE_UP = "give up"  # A post was moved to outbox/failed/.
    GIVE_UP = "give-up"  # The heartbeat abandoned a post: its channel has not accepted it for too long.
    # events and schedules
    EVENT = "event"  # An event, or a due time of a schedule, was written.
    EVENT_ACCEPT = "event accept"  # A file in events/ was accepted as an event.
    EVENT_START = "event start"  # What handles the type of an event was started.
    EVENT_AGAIN = "event again"  # An event whose key is known arrived again; it starts nothing.
    POLL = "poll"  # A source was read, and had something new, or could not be read.
    EVENT_DONE = "event done"  # An event was handled.
    EVENT_FAILED = "event failed"  # An event could not be handled.
    # workflows
    WORKFLOW = "workflow"  # A step of a workflow's run began or ended, or a workflow was made.
    STEP = "step"  # The task of a step or an item was created and delegated.
    STEP_CANCEL = "step cancel"  # A task that its workflow no longer needs was cancelled.
    STEP_COUNTED = "step counted"  # The ledger line of a step's task was removed: the run has counted its end.
    WORKFLOW_END = "workflow end", ""  # A workflow's run ended.
    # operation
    DAEMON_START = "daemon start"  # A daemon started; `epoch` is its number.
    DAEMON_STOP = "daemon stop"  # The daemon stopped.
    RELOAD_REFUSED = "reload refused"  # A changed configuration was refused.
    PING = "ping"  # An agent was pinged.
    ALERT = "alert"  # A silent agent was reported to the monitor.
    SYNC = "sync"  # The doctor's findings were reported to the monitor.
    ROUNDS_FAILED = "rounds failed"  # The pings or the doctor's check, started by cron, failed.
    REPAIR = "repair"  # `doctor --repair` made a change.
    RECOVER = "recover"  # An unfinished write was completed after a crash, or a file was moved aside.
    COMPRESS = "compress"  # Files were moved into the archive of their month.
    DELETE = "delete"  # An archive was deleted after its retention time.


class Reason(StrEnum):
    """Reasons that something reads; all others are for people alone and stand in `why`."""

    ACTS = "acts"  # of a probe: the agent acknowledged and finished it
    ACTS_NOT = "acts-not"
    WORKER_STARTS = "worker-starts"  # of a claim: made by the heartbeat in the worker's name
