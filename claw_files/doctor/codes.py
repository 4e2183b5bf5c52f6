"""Every finding of the doctor: code, meaning, what to do. `docs/reference/doctor.md` is this table."""

from typing import Final

from claw_files.core.errors import INSTALL
from claw_files.core.model import Value

REPAIR: Final = "run `clawfiles doctor --repair`"


class Code(Value, frozen=True):
    """One kind of finding. `{task}` and `{agent}` in `do` are filled with ids that were checked, nothing else is."""

    code: str
    means: str
    do: str
    repairable: bool = False


def _group(title: str, *rows: tuple[str, str, str]) -> tuple[str, tuple[Code, ...]]:
    return title, tuple(Code(code=code, means=means, do=do, repairable=REPAIR in do) for code, means, do in rows)


GROUPS: Final = (
    _group(
        "The configuration and the machine",
        ("invalid-config", "the configuration is invalid, so no command works", "correct the line in clawfiles.toml"),
        (
            "invalid-workflow",
            "a workflow has a problem, so no run of it can begin",
            "correct the line; `clawfiles workflow check` names all problems",
        ),
        (
            "untrusted",
            "other users can control which programs start here, so no command works; the rest is not checked",
            "follow the advice in the finding, or run `clawfiles trust DIR` if you trust these users",
        ),
        (
            "no-modes",
            "this file system has no permissions: any user of the mount can control which programs start",
            "mount it for your user only (uid=, umask=077), or keep the workspace on a local Linux disk",
        ),
        (
            "others-write",
            "other users can write to it and change what agents read",
            "remove the permission (chmod -R go-w), or share the folder with a group as in docs/how-to/share.md",
        ),
        (
            "others-read",
            "other users can read it",
            "remove the permission (chmod -R go-rwx); new files are private anyway",
        ),
        (
            "not-ignored",
            "git would commit tokens and caches from this folder",
            "write the single line * into .clawfiles/.gitignore",
        ),
        (
            "openclaw-ledger",
            "OpenClaw's doctor (since 2026.8.1) archives and removes HEARTBEAT.md here",
            'move the file to clawfiles/LEDGER.md and put ledger = "clawfiles/LEDGER.md" under [workspace]',
        ),
        (
            "openclaw-library",
            "the library for OpenClaw's gateway is not installed, so OpenClaw agents are never woken",
            INSTALL["openclaw"],
        ),
        (
            "openclaw-gateway",
            "OpenClaw's gateway does not answer, so OpenClaw agents are not woken",
            "check that it runs (openclaw gateway status), and check url and token under [openclaw]",
        ),
        (
            "openclaw-agent",
            "OpenClaw has no agent with this id, so its tasks fail",
            "add it in OpenClaw (openclaw agents add), or set openclaw_agent under [agents.{agent}]",
        ),
        (
            "openclaw-workspace",
            "OpenClaw runs this agent in a different folder from the one whose reports are read",
            "set workspace under [agents.{agent}] to the folder in the finding",
        ),
        (
            "acp-library",
            "the library for ACP agents is not installed, so ACP agents are never woken",
            INSTALL["acp"],
        ),
        (
            "program-missing",
            "the agent's program does not exist, so its runs cannot start and its tasks fail",
            "install it, or use its full path in the command of [agents.{agent}]",
        ),
        (
            "no-sandbox",
            "the agent's profile requires a sandbox, which this machine cannot provide, so it is never woken",
            "follow the advice in the finding, or set sandbox to prefer or off in the profile of [agents.{agent}]",
        ),
        (
            "weak-sandbox",
            "this bubblewrap cannot disable user namespaces in a sandbox, which exposes kernel vulnerabilities",
            "install bubblewrap 0.8 or newer",
        ),
        (
            "notify-library",
            "the notification library is not installed, so people's channels receive nothing",
            INSTALL["notify"],
        ),
        (
            "channel-unusable",
            "a channel of a person cannot receive anything",
            "correct channels under [agents.{agent}]; the program apprise can test an address",
        ),
        (
            "not-writable",
            "you cannot write to it, and neither can the heartbeat: another user, usually root, created it",
            "ask root to chown it to the owner of clawfiles.toml",
        ),
        (
            "weak-filesystem",
            "this file system cannot exchange two files, so an edit at the moment of a write may be lost",
            "keep the workspace on a local disk (ext4, xfs, btrfs), or use only commands to edit",
        ),
        (
            "future-time",
            "the file's time is over five minutes in the future; it is treated as now, so lateness is not detected",
            "correct the clock of the machine that wrote it, then save the file again",
        ),
    ),
    _group(
        "Links, devices, folders",
        ("link", "a symbolic link, which is ignored", "replace it with the file itself"),
        ("hard-link", "it has a hard link, so it is neither read nor written", "replace it with a copy"),
        ("special-file", "a pipe, socket or device, which is never opened", "move it elsewhere"),
        ("folder-as-file", "a folder where a file is expected; it is ignored", "move it out of the workspace"),
        ("no-permission", "it cannot be opened: permission denied", "ask its owner to make it readable (chmod u+rw)"),
        ("open-private", "a private folder that other users can enter", "remove the permission (chmod go-rwx)"),
        ("compartment-open", "a compartment, or a file in it, that other users can access", REPAIR),
        ("compartment-outside", "a file of a compartment outside it, where other agents can read it", REPAIR),
        (
            "compartment-ill",
            "the compartment has problems, which only its agent may see",
            "run `clawfiles doctor` with CLAWFILES_AGENT={agent}",
        ),
        ("too-large", "over 4 MiB, so it is not read", "move long text into another file"),
        ("nearly-full", "over 3 MiB; nothing can be added at 4 MiB", "move long text into another file"),
        ("foreign", "clawfiles has no file of this name here; it is ignored", "move it out of the workspace"),
        ("bad-archive", "the archive of a month cannot be read", "restore it from a backup"),
        ("too-many-files", "over 20,000 files in one folder; the rest is not checked", "run `clawfiles archive`"),
        ("too-deep", "folders more than four deep; deeper ones are not checked", "move them out of the workspace"),
    ),
    _group(
        "Names",
        ("not-an-id", "the name is not an id, so the file is ignored", "rename it: letters, digits, '.', '_', '-'"),
        ("not-a-task-file", "it does not end in .md, so it is not a task", "rename it to .md, or move it elsewhere"),
        (
            "case-twins",
            "two files for one task that differ only in case; one of them is used",
            f"if they are equal {REPAIR}; otherwise put the right text into the lower-case file, move the other away",
        ),
        ("two-files", "the task has files in two folders; the first is used", "keep one; move the other away"),
        ("unicode-twins", "two names that look the same but differ in their bytes", "rename one of them"),
        ("look-alike", "letters of another script that only look like an id", "rename it in ASCII"),
        ("odd-name", "a name with invisible or control characters, or bytes that are not UTF-8", "rename it"),
        ("device-name", "Windows reserves this name for a device, so the file cannot exist there", "choose another id"),
    ),
    _group(
        "Content of files",
        ("encoding", "it is not UTF-8, or contains NUL or CR line endings; it is not read", "save it as UTF-8 text"),
        ("unclosed", "the front matter that begins in line 1 is not closed", "close it with a line ---"),
        ("bad-frontmatter", "the front matter is not a list of key: value lines", "write one key: value per line"),
        ("frontmatter-large", "front matter over 16 KiB or 4,000 values", "move the text below the closing ---"),
        ("alias", "YAML anchors and aliases are not read", "write out the value"),
        ("tag", "YAML tags are not read", "remove the !tag"),
        ("nested", "front matter nested more than 16 deep", "write one key: value per line"),
        ("duplicate-key", "a key appears twice, so its value is unclear", "keep one of the lines"),
        ("empty-file", "the file is empty, so nothing is known about the task", "rewrite it, or move it elsewhere"),
        (
            "unclear",
            "text about a task that was not understood and is ignored",
            "write the suggested text, or run `clawfiles explain {task}`",
        ),
        ("wrong-id", "the id in the file differs from the file's name, so the file is not read", "correct one of them"),
        ("bad-value", "a value has the wrong format, so the file is not read", "correct the line"),
        ("unknown-agent", "there is no such agent in clawfiles.toml", "correct the name, or add the agent"),
        ("cycle", "tasks depend on each other in a cycle, so none becomes ready", "remove one of them from after:"),
        ("missing-after", "it depends on a task that does not exist", "correct after:, or create the task"),
        ("ended-after", "it depends on a task that ended without being done", "correct after:, or cancel {task}"),
        ("parent-cycle", "parents of tasks form a cycle", "correct one parent:, or remove it"),
        ("missing-parent", "its parent does not exist", "correct parent:, or remove the line"),
    ),
    _group(
        "States of tasks",
        (
            "no-line",
            "in progress without a line in the ledger, so no heartbeat checks it",
            REPAIR,
        ),
        (
            "not-watched",
            "open and assigned, without a line in the ledger, so no heartbeat checks it",
            "run `clawfiles explain {task}`; add a ledger line if it should be followed up",
        ),
        (
            "unseen-move",
            "cancelled or overwritten by hand, without a line in the ledger, so no heartbeat notices it",
            "run `clawfiles explain {task}`, then the command that fits its state",
        ),
        (
            "refused-move",
            "an edit by hand to a state that is not allowed; the previous state still applies",
            "run `clawfiles explain {task}`; then use the command for the move, or restore the old state",
        ),
        (
            "lease-over",
            "its lease expired more than a day ago",
            "run `clawfiles explain {task}`; if no agent works on it, `clawfiles release {task} --agent NAME`",
        ),
        (
            "old-copy",
            "the file's generation is older than the claim files': an old copy has overwritten the file",
            "run `clawfiles heartbeat`; it restores the newer generation if an agent holds it",
        ),
        (
            "definition-alone",
            "a definition without a status file, after a crash or because the file was deleted",
            "restore the status file, or create the task again and move the definition away",
        ),
        (
            "definition-unreadable",
            "the definition cannot be read; the text in the task's message is used meanwhile",
            "correct the line in the finding",
        ),
        ("misplaced", "dead but not in dead-letter/, or in it but not dead", REPAIR),
        (
            "output-missing",
            "it is done, but a promised output file does not exist",
            "add the file, or run `clawfiles reopen {task}`",
        ),
        (
            "report-unknown-task",
            "an agent reports on a task that does not exist; the report is ignored",
            "correct the id in the report, or create the task",
        ),
    ),
    _group(
        "The ledger",
        ("ledger-lost", "the ledger is missing or empty while tasks are open, so they are not checked", REPAIR),
        (
            "line-closed",
            "a line for a task that was closed more than an hour ago: no heartbeat has run since",
            "run `clawfiles heartbeat`; `clawfiles install cron` runs it regularly",
        ),
        (
            "line-unknown-task",
            "a line for a task that does not exist",
            "remove the line, or create the task",
        ),
        (
            "status-gone",
            "a line for a task whose status file is missing; the file is not created again",
            "restore the file, or remove the line",
        ),
        (
            "status-emptied",
            "its file and all of status/ are missing, so the heartbeat does nothing",
            "restore status/, or remove the lines",
        ),
        ("line-unknown-agent", "a line with an agent that is not in clawfiles.toml", "correct the name"),
        (
            "unclear-line",
            "a line that is not fully understood; the task is followed up, and the line is left unchanged",
            "write the suggested text",
        ),
        ("line-twice", "a second line for a task; only the first is used", "remove one of them"),
    ),
    _group(
        "Inboxes",
        (
            "message-missing",
            "the task was delivered to its agent, but the message is missing",
            "run `clawfiles heartbeat`; it resends the message of a task with a ledger line",
        ),
        ("orphan-message", "a message about a task that does not exist", "finish it: `clawfiles inbox done ID`"),
        (
            "unsent-message",
            "the journal has no record of it: it was written by hand, and its sender is unproven",
            "ask the named sender, then finish it: `clawfiles inbox done ID`",
        ),
        ("two-messages", "two messages with one key in one inbox; the first of new/, cur/, done/ is used", "keep one"),
        ("unreadable-message", "it cannot be read, and will be moved to quarantine/", "send it again"),
        ("unknown-inbox", "an inbox without an agent in clawfiles.toml; its messages are not read", "add the agent"),
        ("stale-tmp", "partly delivered for over 36 hours: its sender has crashed", REPAIR),
    ),
    _group(
        "Leftovers",
        ("conflict-kept", "an edit that could not be merged", "copy what you need, then move it elsewhere"),
        ("quarantined", "a file that was set aside", "copy what you need, then move it elsewhere"),
        ("journal-torn", "a crash cut off the journal's last line", REPAIR),
        (
            "journal-cut-line",
            "a crash cut this line off; it is skipped, and its write is recorded again below",
            "nothing: the following lines are intact",
        ),
        ("journal-bad-line", "a journal line that is not a JSON object; it is skipped", "find out what writes there"),
        ("swap-left", "a write that a crash interrupted", REPAIR),
        (
            "no-heartbeat",
            "no heartbeat has run, so file versions replaced by writes have not been checked again",
            f"`clawfiles install cron` runs it regularly; {REPAIR} checks them now",
        ),
        ("run-lost", "a run without an end record and without a process", REPAIR),
        ("run-lock-stray", "a lock of a run that has ended or never existed", "run `clawfiles heartbeat`"),
        ("event-failed", "an event, or a due time, that could not be handled", "see `clawfiles event list --failed`"),
        (
            "source-failing",
            "a source of events that could not be read at its last polls",
            "see the last lines of its newest run in runs/; it is polled again by itself",
        ),
        (
            "brief-undelivered",
            "items of a brief that a channel did not receive",
            "read them with `clawfiles brief`; then check that the channel is writable",
        ),
        (
            "post-given-up",
            "a message that a channel did not accept and that is no longer retried",
            "read it; check the channel, then move the file elsewhere",
        ),
        ("check-failed", "the doctor could not finish a check", "please report it, with the file if possible"),
    ),
)  # fmt: skip

CODES: Final = {row.code: row for _, rows in GROUPS for row in rows}
