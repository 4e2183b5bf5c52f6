"""Every finding the doctor knows: its code, what it means, what to do. `docs/reference/doctor.md` is this table."""

from typing import Final

from claw_files.core.errors import INSTALL
from claw_files.core.model import Value

REPAIR: Final = "type `clawfiles doctor --repair`"


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
        ("invalid-config", "the configuration is wrong; no command works", "correct the line in clawfiles.toml"),
        (
            "untrusted",
            "others decide what is started here: no command works, and nothing else of the configuration is looked at",
            "do what is named, or type `clawfiles trust DIR` if you trust whoever can write there",
        ),
        (
            "no-modes",
            "this file system knows no modes: whoever may use the mount decides what is started",
            "mount it for yourself alone (uid=, umask=077), or keep the workspace on a local disk of Linux",
        ),
        (
            "others-write",
            "others can write it: what agents read and believe, they can change",
            "take their right away (chmod -R go-w), or share the folder with a group as docs/how-to/share.md tells",
        ),
        (
            "others-read",
            "others can read it",
            "take their right away (chmod -R go-rwx); what is made anew is for you alone anyway",
        ),
        (
            "not-ignored",
            "git would take tokens and caches from here",
            "write a line with nothing but * into .clawfiles/.gitignore",
        ),
        (
            "openclaw-ledger",
            "OpenClaw's doctor (since 2026.8.1) archives and removes HEARTBEAT.md here",
            'move the file to clawfiles/LEDGER.md and put ledger = "clawfiles/LEDGER.md" under [workspace]',
        ),
        (
            "openclaw-library",
            "the library that speaks with OpenClaw's gateway is missing: its agents are never woken",
            INSTALL["openclaw"],
        ),
        (
            "openclaw-gateway",
            "OpenClaw's gateway cannot be asked: its agents are not woken now",
            "see that it runs (openclaw gateway status), and url and token under [openclaw]",
        ),
        (
            "openclaw-agent",
            "OpenClaw knows no agent of that id: tasks for it fail",
            "add it there (openclaw agents add), or set openclaw_agent under [agents.{agent}]",
        ),
        (
            "openclaw-workspace",
            "OpenClaw has this agent work in another folder than the one whose reports are read",
            "set workspace under [agents.{agent}] to the folder that is named",
        ),
        (
            "openclaw-old",
            "this version of OpenClaw reads HEARTBEAT.md, and has no scratch that push_ledger could write to",
            "leave push_ledger out until OpenClaw is 2026.8.1 or newer",
        ),
        (
            "acp-library",
            "the library that speaks with ACP agents is missing: they are never woken",
            INSTALL["acp"],
        ),
        (
            "program-missing",
            "the program of an agent is not there: runs of it cannot start, and tasks for it fail",
            "install it, or let command in [agents.{agent}] name it by its path",
        ),
        (
            "no-sandbox",
            "the profile of this agent wants a sandbox, and none can be built here: it is never woken",
            "do what is named, or set sandbox under the profile of [agents.{agent}] to prefer or off",
        ),
        (
            "weak-sandbox",
            "this bubblewrap cannot forbid user namespaces inside of a sandbox, which lead to flaws of the kernel",
            "install bubblewrap 0.8 or newer",
        ),
        (
            "notify-library",
            "the library that reaches people outside of the workspace is missing: their channels get nothing",
            INSTALL["notify"],
        ),
        (
            "channel-unusable",
            "a channel of a person that nothing can be delivered to",
            "correct channels under [agents.{agent}]; the program apprise tries an address",
        ),
        (
            "not-writable",
            "you may not write it, and so the heartbeat cannot: a command of another user, mostly of root, has made it",
            "have root give it back to whoever owns clawfiles.toml (chown)",
        ),
        (
            "weak-filesystem",
            "this file system cannot exchange two names: an edit made at the very moment of a write may be lost",
            "keep the workspace on a local disk (ext4, xfs, btrfs), or edit by commands only",
        ),
        (
            "future-time",
            "the file's time is over five minutes ahead; it counts as now, and lateness cannot be seen from it",
            "set the clock of the machine that wrote it, then save the file again",
        ),
    ),
    _group(
        "Links, devices, folders",
        ("link", "a symbolic link: it is never followed, so it counts for nothing", "put the file itself there"),
        ("hard-link", "it has a second name: it is neither read nor written", "copy it, and put the copy in its place"),
        ("special-file", "a pipe, socket or device: it is never opened", "find out who made it; move it elsewhere"),
        ("folder-as-file", "a folder with the name of a file: it is not read", "move it out of the workspace"),
        ("no-permission", "it cannot be opened: permission denied", "let its owner make it readable (chmod u+rw)"),
        ("open-private", "a private folder that others may enter", "take their rights away (chmod go-rwx)"),
        ("compartment-open", "a compartment that others may enter, or something in it that is open to them", REPAIR),
        ("compartment-outside", "of an agent with a compartment, and outside of it, where others read", REPAIR),
        (
            "compartment-ill",
            "something in the compartment is wrong or odd; what it is, is for its agent",
            "type `clawfiles doctor` with {agent} in CLAWFILES_AGENT",
        ),
        ("too-large", "over 4 MiB: it is not read, or only to be cut", "move what is long into another file"),
        ("nearly-full", "over 3 MiB: at 4 MiB nothing can be added any more", "move what is long into another file"),
        ("foreign", "nothing of ours lies here under such a name: it is passed over", "move it out of the workspace"),
        ("bad-archive", "the archive of a month cannot be read: what is in it is not found", "put the good one back"),
        ("too-many-files", "over 20,000 files in one folder: the rest is not looked at", "type `clawfiles archive`"),
        ("too-deep", "folders more than four deep: nothing below is looked at", "move them out of the workspace"),
    ),
    _group(
        "Names",
        ("not-an-id", "this name is no id, so nobody reads the file", "rename it: letters, digits, '.', '_', '-'"),
        ("not-a-task-file", "it does not end in .md, so it is no task", "give it the ending .md, or move it elsewhere"),
        (
            "case-twins",
            "two files for one task, which differ in case only; one of them counts",
            f"if they are equal {REPAIR}; else put what is right into the lower-case one, move the other away",
        ),
        ("two-files", "the task has files in two folders; the first counts", "keep the right one; move the other away"),
        ("unicode-twins", "two names that look the same and differ in their bytes", "rename one of them"),
        ("look-alike", "letters of another script that look like an id; it is none", "type the name anew in ASCII"),
        ("odd-name", "a name with invisible or control characters, or bytes that are not UTF-8", "rename it"),
        ("device-name", "Windows keeps this name for a device: such a file cannot exist there", "choose another id"),
    ),
    _group(
        "What stands in files",
        ("encoding", "it is not UTF-8, or holds a NUL or odd line ends; it is not read", "save it as UTF-8 text"),
        ("unclosed", "the front matter of line 1 is never closed", "end it with a line ---"),
        ("bad-frontmatter", "the front matter is no list of key: value lines", "write one key: value a line"),
        ("frontmatter-large", "front matter over 16 KiB or 4,000 values", "move the text below the closing ---"),
        ("alias", "YAML anchors and aliases are not read", "write the value out"),
        ("tag", "YAML tags are not read", "take the !tag out"),
        ("nested", "front matter nested over 16 deep", "write one key: value a line"),
        ("duplicate-key", "a key stands there twice; which one counts is unclear", "keep one of the lines"),
        ("empty-file", "the file is empty: nothing is known of the task", "write it anew, or move it elsewhere"),
        (
            "unclear",
            "words about a task that were not understood: they do not count",
            "write what is suggested, or `clawfiles explain {task}`",
        ),
        ("wrong-id", "the id in the file is not the file's name; the file is not read", "correct one of the two"),
        ("bad-value", "a value is not of its form; the file is not read", "correct the line"),
        ("unknown-agent", "there is no such agent in clawfiles.toml", "correct the name, or add the agent"),
        ("cycle", "tasks wait for each other in a circle: none ever becomes ready", "take one of them out of after:"),
        ("missing-after", "it waits for a task that does not exist", "correct after:, or make the task"),
        ("ended-after", "it waits for a task that ended without being done", "correct after:, or cancel {task}"),
        ("parent-cycle", "tasks were spawned in one another, in a circle", "correct one parent:, or take it out"),
        ("missing-parent", "its parent does not exist", "correct parent:, or take the line out"),
    ),
    _group(
        "Where tasks stand",
        (
            "no-line",
            "in progress without a line in the ledger: no heartbeat looks at it",
            REPAIR,
        ),
        (
            "not-watched",
            "open and given to an agent, without a line in the ledger: no heartbeat looks at it",
            "type `clawfiles explain {task}`; write a line for it if it shall be followed",
        ),
        (
            "unseen-move",
            "cancelled or overwritten by hand, without a line in the ledger: no heartbeat sees it",
            "type `clawfiles explain {task}`; then the command for where it stands",
        ),
        (
            "refused-move",
            "a move by hand that nobody may make; the state before it stays in force",
            "type `clawfiles explain {task}`; then the command for the move, or put the old state back",
        ),
        (
            "lease-over",
            "its lease was over a day ago",
            "type `clawfiles explain {task}`; if nobody works on it, `clawfiles release {task} --agent NAME`",
        ),
        (
            "old-copy",
            "the file's generation is older than the claim files': an old copy was written over it",
            "type `clawfiles heartbeat`; it writes what is in force, if somebody holds the newer one",
        ),
        (
            "definition-alone",
            "a definition without a status file: a crash came between the two, or the file was deleted",
            "put the status file back, or make the task anew and move the definition away",
        ),
        (
            "definition-unreadable",
            "what was asked for cannot be read; what the task's message carries of it counts meanwhile",
            "correct the line that is named",
        ),
        ("misplaced", "dead outside of dead-letter/, or in it and not dead", REPAIR),
        (
            "output-missing",
            "it is done, and a file that it promised is not there",
            "bring the file, or type `clawfiles reopen {task}`",
        ),
        (
            "report-unknown-task",
            "an agent reports on a task that does not exist; nobody reads it",
            "correct the id in the report, or make the task",
        ),
    ),
    _group(
        "The ledger",
        ("ledger-lost", "the ledger is missing or empty while tasks are open: nobody looks at them", REPAIR),
        (
            "line-closed",
            "a line for a task that has been closed for over an hour: no heartbeat has been here",
            "type `clawfiles heartbeat`; `clawfiles install cron` makes it regular",
        ),
        (
            "line-unknown-task",
            "a line for a task that does not exist",
            "take the line out, or make the task",
        ),
        (
            "status-gone",
            "a line for a task whose status file is gone; nothing is made in its place",
            "put the file back, or take the line out",
        ),
        (
            "status-emptied",
            "its file is gone, and all of status/ is empty or missing: the heartbeat does nothing until it is back",
            "put status/ back, or take the lines out",
        ),
        ("line-unknown-agent", "a line that names an agent that is not in clawfiles.toml", "correct the name"),
        (
            "unclear-line",
            "a line in which not all words are understood; the task is watched, and the line stays as it is",
            "write what the finding says",
        ),
        ("line-twice", "a second line for a task; only the first acts", "take one of them out"),
    ),
    _group(
        "Inboxes",
        (
            "message-missing",
            "the task was delivered to its agent, and the message is not there",
            "type `clawfiles heartbeat`; with a line in the ledger it sends it again",
        ),
        ("orphan-message", "a message about a task that does not exist", "finish it: `clawfiles inbox done ID`"),
        (
            "unsent-message",
            "no line of the journal tells of it: somebody wrote it by hand, and whom it names may not be its author",
            "ask whom it names; then finish it: `clawfiles inbox done ID`",
        ),
        ("two-messages", "two messages of one key in one inbox; the first of new/, cur/, done/ counts", "keep one"),
        ("unreadable-message", "a message that cannot be read; it goes to quarantine/ when it is met", "send it anew"),
        ("unknown-inbox", "an inbox of nobody in clawfiles.toml: what lies there is read by nobody", "add the agent"),
        ("stale-tmp", "half delivered for over 36 hours: its sender has died", REPAIR),
    ),
    _group(
        "What was left behind",
        ("conflict-kept", "somebody's bytes that could not be merged", "take what you need, then move it elsewhere"),
        ("quarantined", "a file that was set aside", "take what you need, then move it elsewhere"),
        ("journal-torn", "the journal's last line was torn off by a crash", REPAIR),
        (
            "journal-cut-line",
            "a crash of clawfiles tore this line off; it is skipped, and a write that it told of is told again below",
            "nothing: the lines after it are whole",
        ),
        ("journal-bad-line", "a line of the journal that is no JSON object; it is skipped", "look who writes there"),
        ("swap-left", "a write that a crash cut short", REPAIR),
        (
            "no-heartbeat",
            "no heartbeat has come: versions that were displaced by writes are not looked at again",
            f"`clawfiles install cron` makes it regular; {REPAIR} looks at them now",
        ),
        ("run-lost", "a run without an end and without a process", REPAIR),
        ("run-lock-stray", "a lock of a run that is over or never was", "type `clawfiles heartbeat`; it is harmless"),
        ("event-failed", "a due time whose task could not be made", "type `clawfiles log`; then make the task by hand"),
        (
            "brief-undelivered",
            "items of a brief that a channel has not had",
            "read them with `clawfiles brief`; then see whether the channel can be written to",
        ),
        (
            "post-given-up",
            "what a channel of a person has not taken for so long that it is tried no more",
            "read it there; see that the channel works, then move it elsewhere",
        ),
        ("check-failed", "the doctor itself could not finish a check", "report it with the file, if you can"),
    ),
)  # fmt: skip

CODES: Final = {row.code: row for _, rows in GROUPS for row in rows}

_HEAD = """# What the doctor finds

This page is made from the program. `clawfiles doctor` changes nothing: it prints two lines for each finding, where
and what, then what to do, and exits 1 when there was something. `clawfiles doctor --repair` mends what the last column
marks, says what it did, and names what is left. It deletes nothing of yours and never guesses: what can mean two things
is only named.

With `--json` it prints one document: `findings` (a list of `code`, `file`, `line`, `meaning`, `do`, `repairable`),
`repaired` (a list of `code`, `file`, `did`), and `notices` (sentences; they are no findings, and a terminal shows them,
too).

Editors' leftovers (`x~`, `#x#`, `4913`) and names that begin with a dot are passed over.

`clawfiles doctor --prove-claims [N]` tries your disk instead: [how](../explanation/proof.md#on-your-own-disk).
"""


def page() -> str:
    """The reference page, whole."""
    parts = [_HEAD]
    for title, rows in GROUPS:
        parts.append(f"## {title}\n\n| code | what it means | what to do | mended |\n|---|---|---|---|\n")
        parts[-1] += "".join(f"| `{c.code}` | {c.means} | {_shown(c.do)} | {_mark(c)} |\n" for c in rows)
    return "\n".join(parts)


def _shown(do: str) -> str:
    return do.replace("{task}", "TASK").replace("{agent}", "NAME")


def _mark(code: Code) -> str:
    return "yes" if code.repairable else ""
