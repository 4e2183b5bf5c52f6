"""Each thing that can be wrong is made once, and named with its file and line; a healthy workspace gives nothing."""

import os
import re
import socket
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from claw_files.core.errors import INSTALL, CannotRead, InvalidFile
from claw_files.core.model import Task, TaskId, Unclear
from claw_files.core.operation_table import RIGHTS
from claw_files.doctor.bounded_reader import DiskNode, DiskTree
from claw_files.doctor.checks.tasks import circles, unclear
from claw_files.doctor.codes import CODES
from claw_files.doctor.survey import Survey, TaskFile
from claw_files.system import inotify_info

DAY = 86_400
RUN = "---\nrun: tc-1.1-s1\nagent: peter\nkey: tc-1.1\n"
SAM = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n'
Case = tuple[str, str, int | None, Callable]
CASES: dict[str, Case] = {}


def case(code: str, file: str, line: int | None = None) -> Callable[[Callable], Callable]:
    """Register a function that makes the workspace ill, with what must be named."""

    def keep(make: Callable) -> Callable:
        CASES[f"{code}: {make.__name__.replace('_', ' ').strip()}"] = (code, file, line, make)
        return make

    return keep


def front(code: str, text: str | bytes, line: int | None, name: str) -> None:
    """A case that is one status file."""

    def make(clinic) -> None:
        clinic.write("status/tc-1.md", text, clinic.clock.now() - timedelta(minutes=1))

    make.__name__ = name
    case(code, "status/tc-1.md", line)(make)


# --- configuration and machine


@case("invalid-config", "clawfiles.toml", 5)
def unknown_key(clinic) -> None:
    clinic.write("clawfiles.toml", '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[limits]\nrunz = 3\n')


@case("invalid-workflow", "workflows/draft.md", 5)
def a_workflow_for_nobody(clinic) -> None:
    clinic.write("workflows/other.md", "## a\n- to: sam\n\nWrite\n")
    clinic.write("workflows/draft.md", "## a\n- to: sam\n\nWrite\n{topik}\n## b\n- workflow: other\n")


@case("invalid-workflow", "workflows/draft.md", 1)
def a_workflow_that_cannot_be_read(clinic) -> None:
    clinic.write("workflows/draft.md", b"\xff## a\n")


@case("invalid-workflow", "workflows/null.md")
def a_workflow_whose_name_no_task_can_hold(clinic) -> None:
    clinic.write("workflows/null.md", "## a\n- to: sam\n\nWrite\n")


@case("invalid-workflow", "clawfiles.toml")
def a_handler_whose_workflow_there_is_not(clinic) -> None:
    clinic.write("workflows/other.md", "## a\n- to: sam\n\nWrite\n")
    events = '[events.order]\ndo = { workflow = "othr" }\n[events.query]\ndo = { workflow = "other" }\n'
    clinic.write("clawfiles.toml", f"{SAM}{events}")


@case("openclaw-ledger", "HEARTBEAT.md")
def soul_beside_the_ledger(clinic) -> None:
    clinic.write("HEARTBEAT.md", "# Heartbeat\n")
    clinic.write("SOUL.md", "I am.\n")
    clinic.write("AGENTS.md", "Do.\n")


@case("acp-library", "clawfiles.toml")
def no_library_for_acp(clinic) -> None:
    clinic.patch.setitem(sys.modules, "acp", None)
    clinic.write("clawfiles.toml", f'{SAM}[agents.peter]\nruntime = "acp"\ncommand = ["sh"]\n')


@case("program-missing", "clawfiles.toml", 6)
def a_program_that_is_not_installed(clinic) -> None:
    clinic.write("clawfiles.toml", f'{SAM}[agents.peter]\nruntime = "acp"\ncommand = ["codex-acp-not-there"]\n')


@case("no-sandbox", "clawfiles.toml", 8)
def profile_that_wants_bubblewrap(clinic) -> None:
    profile = '[profiles.boxed]\nsandbox = "require"\n'
    clinic.write("clawfiles.toml", f'{SAM}{profile}[agents.peter]\ncommand = ["true"]\nprofile = "boxed"\n')
    clinic.patch.setenv("PATH", str(clinic.root))  # where there is no program at all


@case("weak-sandbox", "clawfiles.toml")
def an_old_bubblewrap(clinic) -> None:
    program = clinic.root.parent / "old/bwrap"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncase "$*" in *--disable-userns*) echo "Unknown option" >&2; exit 1;; esac\n')
    program.chmod(0o755)
    clinic.patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    profile = '[profiles.boxed]\nsandbox = "require"\n'
    clinic.write("clawfiles.toml", f'{SAM}{profile}[agents.peter]\ncommand = ["true"]\nprofile = "boxed"\n')


ME = f'{SAM}[agents.me]\nkind = "human"\n'


def _without_apprise(clinic) -> None:
    clinic.patch.setitem(sys.modules, "apprise", None)


@case("notify-library", "clawfiles.toml")
def mail_without_apprise(clinic) -> None:
    _without_apprise(clinic)
    clinic.write("clawfiles.toml", f'{ME}channels = ["mailto://me:secret@example.com"]\n')


@case("channel-unusable", "clawfiles.toml", 6)
def an_address_that_apprise_does_not_know(clinic) -> None:
    clinic.write("clawfiles.toml", f'{ME}channels = ["telegraph://secret"]\n')


@case("channel-unusable", "clawfiles.toml", 6)
def a_variable_that_is_not_set(clinic) -> None:
    clinic.write("clawfiles.toml", f'{ME}channels = ["env:NOBODY_SETS_THIS"]\n')


@case("channel-unusable", "clawfiles.toml", 6)
def addresses_that_others_may_read(clinic) -> None:
    clinic.write("clawfiles.toml", f'{ME}channels = ["addresses:mine.txt"]\n')
    clinic.write("mine.txt", "json://127.0.0.1:1/secret\n")


@case("channel-unusable", "clawfiles.toml", 6)
def a_folder_as_a_channel(clinic) -> None:
    clinic.write("clawfiles.toml", f'{ME}channels = ["file:heap"]\n')
    clinic.write("heap/x", "")


@case("channel-unusable", "clawfiles.toml", 6)
def a_channel_with_a_second_name(clinic) -> None:
    clinic.write("clawfiles.toml", f'{ME}channels = ["file:heap.md"]\n')
    clinic.write("heap.md", "x\n")
    (clinic.root.parent / "second.md").hardlink_to(clinic.root / "heap.md")


PETER_THERE = f'{SAM}[agents.peter]\nruntime = "openclaw"\n'


@case("openclaw-gateway", "clawfiles.toml")
def a_gateway_that_is_not_there(clinic) -> None:
    clinic.patch.setenv("OPENCLAW_GATEWAY_TOKEN", "x")
    clinic.write("clawfiles.toml", f'{PETER_THERE}[openclaw]\nurl = "ws://127.0.0.1:1"\n')


@case("openclaw-library", "clawfiles.toml")
def no_library(clinic) -> None:
    clinic.patch.setenv("OPENCLAW_GATEWAY_TOKEN", "x")
    clinic.patch.setitem(sys.modules, "websockets", None)
    clinic.write("clawfiles.toml", PETER_THERE)


@case("openclaw-agent", "clawfiles.toml", 5)
def an_agent_that_is_not_in_the_new_configuration(clinic) -> None:
    clinic.openclaw("{agents: {entries: {main: {workspace: '/x'}, iris: {workspace: '/y'}}}}")
    clinic.write("clawfiles.toml", PETER_THERE)


@case("openclaw-agent", "clawfiles.toml", 5)
def an_agent_that_is_not_in_the_old_configuration(clinic) -> None:
    clinic.openclaw("{agents: {list: [{id: 'main'}, {id: 'iris'}]}}")
    clinic.write("clawfiles.toml", PETER_THERE)


@case("openclaw-workspace", "clawfiles.toml", 5)
def an_agent_that_works_elsewhere(clinic) -> None:
    clinic.openclaw("{agents: {defaults: {workspace: '~/desk'}, list: [{id: 'peter'}, {id: 'main'}]}}")
    clinic.write("clawfiles.toml", f'{PETER_THERE}workspace = "../peter"\n')


def with_compartment(clinic) -> None:
    clinic.write(
        "clawfiles.toml", '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.shield]\ncompartment = true\n'
    )


@case("compartment-open", "compartments/shield")
def open_compartment(clinic) -> None:
    with_compartment(clinic)
    clinic.write("compartments/shield/audit/note.txt", "x")
    for path in ("compartments", "compartments/shield", "compartments/shield/audit"):
        (clinic.root / path).chmod(0o700)
    (clinic.root / "compartments/shield/audit/note.txt").chmod(0o644)


@case("compartment-outside", "status/tc-1.md")
def left_outside(clinic) -> None:
    with_compartment(clinic)
    clinic.status("TC-1", "status: done\nassignee: shield")


@case("compartment-ill", "compartments/shield")
def ill_compartment(clinic) -> None:
    with_compartment(clinic)
    clinic.write("compartments/shield/status/tc-1.md", "---\nid: TC-1\nstatus: nonsense\n---\n")
    clinic.age("compartments/shield/status/tc-1.md", 10)


@case("weak-filesystem", ".")
def network_disk(clinic) -> None:
    mounts = clinic.root.parent / "mounts"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {clinic.root.parent} rw - nfs4 b rw\n")
    inotify_info.MOUNTS = str(mounts)


@case("no-modes", ".")
def windows_disk(clinic) -> None:
    mounts = clinic.root.parent / "mounts"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {clinic.root.parent} rw - 9p b rw\n")
    inotify_info.MOUNTS = str(mounts)


@case("untrusted", "clawfiles.toml")
def written_by_all(clinic) -> None:
    (clinic.root / "clawfiles.toml").chmod(0o666)


@case("not-ignored", ".clawfiles")
def in_git(clinic) -> None:
    clinic.write(".clawfiles/claims/tc-1.log", "")
    (clinic.root / ".git").mkdir()


@case("hard-link", "HEARTBEAT.md")
def ledger_with_a_second_name(clinic) -> None:
    (clinic.root / "HEARTBEAT.md").touch()
    os.link(clinic.root / "HEARTBEAT.md", clinic.root.parent / "other")


@case("hard-link", "announcements.md")
def channel_with_a_second_name(clinic) -> None:
    clinic.write("announcements.md", "")
    os.link(clinic.root / "announcements.md", clinic.root.parent / "announced")


@case("future-time", "status/tc-1.md")
def ahead(clinic) -> None:
    clinic.status("TC-1", "status: backlog")
    clinic.age("status/tc-1.md", -1000)


# --- nodes


@case("link", "status/tc-2.md")
def link_to_a_secret(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    (clinic.root / "status/tc-2.md").symlink_to("/etc/shadow")


@case("link", "inbox")
def folder_is_a_link(clinic) -> None:
    (clinic.root / "inbox").symlink_to("/tmp")


@case("hard-link", "status/tc-1.md")
def second_name(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    os.link(clinic.root / "status/tc-1.md", clinic.root / "second")


@case("special-file", "status/tc-9.md")
def fifo(clinic) -> None:
    (clinic.root / "status").mkdir()
    os.mkfifo(clinic.root / "status/tc-9.md")


@case("special-file", "inbox/peter/new/x.md")
def socket_in_an_inbox(clinic) -> None:
    box = clinic.root / "inbox/peter/new"
    box.mkdir(parents=True)
    here = os.getcwd()
    os.chdir(box)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("x.md")
    os.chdir(here)


@case("folder-as-file", "status/tc-9.md")
def folder(clinic) -> None:
    (clinic.root / "status/tc-9.md").mkdir(parents=True)


@case("no-permission", "status/tc-1.md")
def mode_000(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    (clinic.root / "status/tc-1.md").chmod(0)


@case("open-private", ".clawfiles")
def private_folder_for_all(clinic) -> None:
    (clinic.root / ".clawfiles").mkdir(mode=0o755)


@case("too-large", "status/tc-1.md")
def sparse(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    os.truncate(clinic.root / "status/tc-1.md", 1 << 40)
    clinic.age("status/tc-1.md", 60)


@case("nearly-full", "HEARTBEAT.md")
def a_ledger_of_more_than_3_mib(clinic) -> None:
    clinic.write("HEARTBEAT.md", "x\n" * (3 << 19) + "y\n")
    clinic.age("HEARTBEAT.md", 60)


@case("too-many-files", "events/new")
def twenty_thousand(clinic) -> None:
    folder = clinic.root / "events/new"
    folder.mkdir(parents=True)
    for number in range(20_001):
        (folder / f"e{number}").symlink_to("x") if number < 1 else os.close(
            os.open(folder / f"e{number}", os.O_CREAT | os.O_WRONLY)
        )


@case("too-deep", "events/a/b/c/d")
def six_deep(clinic) -> None:
    (clinic.root / "events/a/b/c/d/e").mkdir(parents=True)


# --- names


@case("not-an-id", "status/two words.md")
def blank_in_the_name(clinic) -> None:
    clinic.write("status/two words.md", "x\n")


@case("not-a-task-file", "status/tc-1.txt")
def other_ending(clinic) -> None:
    clinic.write("status/tc-1.txt", "TC-1: DONE\n")


@case("case-twins", "status/TC-1.md")
def upper_and_lower(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    clinic.write("status/TC-1.md", "TC-1: DONE\n")


@case("two-files", "dead-letter/tc-1.md")
def in_status_and_dead_letter(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    clinic.write("dead-letter/tc-1.md", "TC-1: DEAD\n")


@case("two-files", "status/tc-1.md")
def in_status_and_archive(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    clinic.write("status/archive/2026-01/tc-1.md", "TC-1: DONE\n")


@case("unicode-twins", "checkpoints/\u00e9.md")
def composed_and_not(clinic) -> None:
    clinic.write("checkpoints/e\u0301.md", "x\n")
    clinic.write("checkpoints/\u00e9.md", "x\n")


@case("look-alike", "status/\u0442\u0441-1.md")
def cyrillic(clinic) -> None:
    clinic.write("status/\u0442\u0441-1.md", "x\n")


@case("odd-name", "status/tc\\u202e-1.md")
def right_to_left(clinic) -> None:
    clinic.write("status/tc\u202e-1.md", "x\n")


@case("odd-name", "status/a\\x0a\\x1b[2J.md")
def newline_and_escape(clinic) -> None:
    clinic.write("status/a\n\x1b[2J.md", "x\n")


@case("odd-name", "status/\\xff.md")
def not_utf8(clinic) -> None:
    clinic.write("status/\udcff.md", "x\n")


@case("odd-name", "status/tc\\u200b-1.md")
def zero_width(clinic) -> None:
    clinic.write("status/tc\u200b-1.md", "x\n")


@case("device-name", "status/CON.md")
def console(clinic) -> None:
    clinic.write("status/CON.md", "x\n")


@case("device-name", "status/a:b.md")
def colon(clinic) -> None:
    clinic.write("status/a:b.md", "x\n")


# --- contents

front("encoding", b"# TC-1\n\nStatus: \xff\n", 3, "not utf-8")
front("encoding", b"---\nid: TC-1\n---\n\0\n", 4, "nul")
front("encoding", b"---\rid: TC-1\r---\r", 1, "cr only")
front("encoding", "---\ntitle: a\u2028b\n---\n", 2, "line separator")
front("unclosed", "---\nid: TC-1\n", 1, "no closing fence")
front("bad-frontmatter", "---\n- a\n- b\n---\n", 2, "a list")
front("bad-frontmatter", "---\njust text\n---\n", 2, "a scalar")
front("bad-frontmatter", "---\nid: TC-1\na: [\n---\n", 4, "no yaml")
front("bad-frontmatter", "---\n~: x\n---\n", 2, "a null key")
front("frontmatter-large", "---\nx: " + "y" * 17_000 + "\n---\n", 1, "17 kb")
front("frontmatter-large", "---\nx: [" + "y," * 4_500 + "]\n---\n", 2, "many values")
front("alias", "---\na: &x [1]\nb: *x\n---\n", 2, "anchor")
front("tag", "---\nid: TC-1\na: !!python/object/apply:os.system [id]\n---\n", 3, "python tag")
front("nested", "---\na: " + "[" * 40 + "]" * 40 + "\n---\n", 2, "forty deep")
front("duplicate-key", "---\nstatus: open\nstatus: done\n---\n", 3, "status twice")
front("duplicate-key", "---\na:\n  b: 1\n  b: 2\n---\n", 4, "inside")
front("empty-file", "\n \n", None, "blank")
front("unclear", "---\nid: TC-1\nstatus: sleeping\n---\n", 3, "sleeping")
front("wrong-id", "---\nid: TC-2\n---\n", 2, "another id")
front("unclear", "---\nid: TC-1\ncreated: 2026-02-30\n---\n", 3, "no such day")
front("unclear", "---\nid: TC-1\neta: 9999-12-31\n---\n", 3, "year 9999")
front("unclear", "---\nestimate: 1 fortnight\n---\n", 2, "estimate")
front("unclear", "---\nestimate: -5m\n---\n", 2, "negative estimate")
front("unclear", "---\npriority: NaN\n---\n", 2, "priority")
front("bad-value", "---\ngeneration: 1e3\n---\n", 2, "generation")
front("bad-value", "---\nafter: [../x]\n---\n", 2, "path as id")
front("unknown-agent", "---\nstatus: backlog\nassignee: nobody\n---\n", 3, "stranger")
front("cycle", "---\nafter: TC-1\n---\n", 2, "itself")
front("missing-after", "---\nid: TC-1\nafter: [TC-9]\n---\n", 3, "no tc-9")
front("parent-cycle", "---\nparent: TC-1\n---\n", 2, "itself")
front("missing-parent", "---\nparent: TC-9\n---\n", 2, "no parent")


@case("ended-after", "status/tc-2.md", 4)
def after_a_cancelled_task(clinic) -> None:
    clinic.status("TC-1", "status: cancelled\nrecorded: cancelled")
    clinic.status("TC-2", "status: backlog\nafter: TC-1")


# --- where tasks stand


@case("no-line", "status/tc-1.md", 4)
def held_without_a_line(clinic) -> None:
    clinic.held()
    clinic.write("HEARTBEAT.md", "# Heartbeat\n\n```\n- TC-1 delegated to peter, check at 10:00\n```\n")


@case("not-watched", "status/tc-1.md", 3)
def review_without_a_line(clinic) -> None:
    clinic.write("HEARTBEAT.md", "# Heartbeat\n")
    clinic.status("TC-1", "status: review\nassignee: peter\nrecorded: review")


@case("unseen-move", "status/tc-1.md", 3)
def cancelled_by_hand(clinic) -> None:
    clinic.status("TC-1", "status: cancelled\nassignee: peter\nrecorded: in_progress")


@case("unseen-move", "status/tc-1.md", 1)
def overwritten(clinic) -> None:
    clinic.message(box="cur")
    clinic.write("status/tc-1.md", "TC-1: CANCELLED\n")


@case("refused-move", "status/tc-1.md", 3)
def approved_by_hand(clinic) -> None:
    clinic.status("TC-1", "status: done\nrecorded: review")


@case("refused-move", "status/tc-1.md", 6)
def brought_back_in_the_body(clinic) -> None:
    clinic.status("TC-1", "status: done\nrecorded: done", "\nTC-1: WIP\n".removeprefix("\n"))


@case("lease-over", "status/tc-1.md", 8)
def two_days(clinic) -> None:
    lease = (clinic.clock.now() - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    clinic.held(more=f"lease: {lease}")


@case("old-copy", "status/tc-1.md", 6)
def generation_behind(clinic) -> None:
    clinic.held()
    clinic.write(".clawfiles/claims/tc-1.log", "2 by iris 1\n2 written\n")
    (clinic.root / ".clawfiles").chmod(0o700)
    clinic.age(".clawfiles/claims/tc-1.log", 3600)


@case("definition-alone", "definitions/tc-1.md")
def defined_and_not_made(clinic) -> None:
    clinic.write("definitions/tc-1.md", "---\ntitle: Pay\n---\n")
    clinic.write("definitions/tc-2.md", "---\ntitle: Pay\n---\n")
    clinic.write("definitions/archive/tc-3.md", "---\ntitle: Pay\n---\n")
    clinic.age("definitions/tc-1.md", 3600)
    clinic.status("TC-2", "status: backlog\nrecorded: backlog")


@case("definition-unreadable", "definitions/tc-1.md", 2)
def defined_in_no_form(clinic) -> None:
    clinic.write("definitions/tc-1.md", "---\nsize: enormous\n---\n")
    clinic.age("definitions/tc-1.md", 3600)
    clinic.status("TC-1", "status: backlog\nrecorded: backlog")


@case("misplaced", "status/tc-1.md", 3)
def dead_in_status(clinic) -> None:
    clinic.status("TC-1", "status: dead\nrecorded: dead")


@case("misplaced", "dead-letter/tc-1.md", 2)
def open_in_dead_letter(clinic) -> None:
    clinic.write("dead-letter/tc-1.md", "---\nstatus: backlog\nrecorded: backlog\n---\n")


@case("output-missing", "status/tc-1.md", 5)
def promised_file(clinic) -> None:
    clinic.status("TC-1", "status: done\nrecorded: done\noutputs: [./report.md, 'PR #142']")


@case("report-unknown-task", "status/peter.md", 2)
def report_on_nothing(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    clinic.write("status/peter.md", "TC-1: IN PROGRESS\n- TC-77: DONE\n")


# --- the ledger


@case("ledger-lost", "HEARTBEAT.md")
def missing(clinic) -> None:
    clinic.held()
    (clinic.root / "HEARTBEAT.md").unlink()


@case("ledger-lost", "HEARTBEAT.md")
def blank(clinic) -> None:
    clinic.held()
    clinic.write("HEARTBEAT.md", "\n", clinic.clock.now() - timedelta(minutes=1))


@case("line-closed", "HEARTBEAT.md", 1)
def done_long_ago(clinic) -> None:
    clinic.write("HEARTBEAT.md", "- TC-1 delegated to peter, check at 10:00\n")
    clinic.status("TC-1", "status: done\nrecorded: done")
    clinic.age("status/tc-1.md", DAY)


@case("line-unknown-task", "HEARTBEAT.md", 3)
def line_for_nothing(clinic) -> None:
    clinic.write("HEARTBEAT.md", "# Heartbeat\n\nTC-9 → Peter (check 10:00)\n")


@case("unclear-line", "HEARTBEAT.md", 1)
def a_time_that_there_is_not(clinic) -> None:
    clinic.write("HEARTBEAT.md", "- TC-1 delegated to peter, check at 25:00\n")


@case("status-gone", "HEARTBEAT.md", 2)
def a_file_gone(clinic) -> None:
    clinic.delegated("peter")
    clinic.status("TC-2", "status: backlog\nrecorded: backlog")
    (clinic.root / "status/tc-1.md").unlink()


@case("status-emptied", "HEARTBEAT.md", 2)
def all_files_gone(clinic) -> None:
    clinic.delegated("peter")
    (clinic.root / "status/tc-1.md").unlink()


@case("line-unknown-agent", "HEARTBEAT.md", 1)
def line_for_nobody(clinic) -> None:
    clinic.write("status/tc-1.md", "TC-1: TODO\n")
    clinic.write("HEARTBEAT.md", "- [ ] **TC-1** -> Nobody\n")


@case("line-twice", "HEARTBEAT.md", 2)
def two_lines(clinic) -> None:
    clinic.held()
    clinic.add("HEARTBEAT.md", "TC-1 wait until 11:00\n")


# --- inboxes


@case("message-missing", "status/tc-1.md")
def delivered_and_gone(clinic) -> None:
    task = clinic.delegated("peter")
    for path in (clinic.root / "inbox/peter/new").iterdir():
        path.unlink()
    assert task == "TC-1"


@case("orphan-message", "inbox/peter/new/20260307T084500Z-tc-9.1.md")
def about_nothing(clinic) -> None:
    clinic.message("tc-9.1", task="TC-9")


@case("unsent-message", "inbox/peter/new/20260307T084500Z-tc-1.9.md")
def written_by_somebody(clinic) -> None:
    clinic.delegated("peter")  # its message stands in the journal of the day
    clinic.message("tc-1.9")
    clinic.age("inbox/peter/new/20260307T084500Z-tc-1.9.md", 60)


@case("two-messages", "inbox/peter/cur/20260307T084500Z-tc-1.1.md")
def new_and_cur(clinic) -> None:
    clinic.held()
    clinic.message()
    clinic.message(box="cur")


@case("unreadable-message", "inbox/peter/new/x.md", 1)
def no_key(clinic) -> None:
    clinic.write("inbox/peter/new/x.md", "---\nid: x\n---\nhello\n", clinic.clock.now() - timedelta(minutes=1))


@case("unreadable-message", "inbox/peter/done/x.md", 1)
def bytes_in_done(clinic) -> None:
    clinic.write("inbox/peter/done/x.md", b"\xff\xfe")
    clinic.age("inbox/peter/done/x.md", 60)


@case("unknown-inbox", "inbox/nobody")
def inbox_of_nobody(clinic) -> None:
    clinic.held()
    clinic.message(to="nobody")


@case("stale-tmp", "inbox/peter/tmp/half")
def half_delivered(clinic) -> None:
    clinic.write("inbox/peter/tmp/half", "x")
    clinic.age("inbox/peter/tmp/half", 37 * 3600)


# --- what was left behind


@case("conflict-kept", "conflicts/status%tc-1.md~x")
def bytes_in_conflicts(clinic) -> None:
    clinic.write("conflicts/status%tc-1.md~x", "theirs")
    clinic.write("conflicts/status%tc-1.md~x.reason", "because")


@case("quarantined", "quarantine/a.md")
def bytes_in_quarantine(clinic) -> None:
    clinic.write("quarantine/a.md", "theirs")


@case("journal-torn", "audit/2026-03-07.jsonl", 2)
def half_a_line(clinic) -> None:
    clinic.write("audit/2026-03-07.jsonl", '{"action": "x"}\n{"act', clinic.clock.now() - timedelta(minutes=1))


@case("journal-bad-line", "audit/2026-03-07.jsonl", 1)
def no_json(clinic) -> None:
    clinic.write("audit/2026-03-07.jsonl", "hello\n{}\n")


@case("journal-cut-line", "audit/2026-03-07.jsonl", 1)
def a_line_that_a_crash_tore_off_and_the_next_one_ended(clinic) -> None:
    clinic.write("audit/2026-03-07.jsonl", '{"timestamp":"2026-03-07T08:00:00Z","action":"cla\n{}\n')


@case("bad-archive", "audit/2026-01.zip")
def an_archive_that_is_none(clinic) -> None:
    clinic.write("audit/2026-01.zip", "PK")


@case("foreign", "audit/2025")
def a_folder_among_the_journals(clinic) -> None:
    (clinic.root / "audit/2025").mkdir(parents=True)


@case("foreign", "runs/notes.txt")
def a_file_among_the_runs(clinic) -> None:
    clinic.write("runs/notes.txt", "mine")


@case("swap-left", ".clawfiles/swap/status%tc-1.md~none~abcd~5-01234567.part")
def half_a_write(clinic) -> None:
    clinic.write(".clawfiles/swap/status%tc-1.md~none~abcd~5-01234567.part", "x")
    (clinic.root / ".clawfiles").chmod(0o700)


@case("no-heartbeat", ".clawfiles/kept")
def displaced(clinic) -> None:
    for number in range(3):
        clinic.write(f".clawfiles/kept/status%tc-{number}.md~abcd-1~abce~5-01234567", "x")
    (clinic.root / ".clawfiles").chmod(0o700)


@case("run-lost", "runs/tc-1.1-s1/run.md")
def no_end_and_no_process(clinic) -> None:
    clinic.write("runs/tc-1.1-s1/run.md", "---\nrun: tc-1.1-s1\nagent: peter\nkey: tc-1.1\npid: 4194304\n---\n")
    clinic.age("runs/tc-1.1-s1", 60)


@case("run-lock-stray", ".clawfiles/runs/tc-7.1-s1.lock")
def lock_of_nothing(clinic) -> None:
    clinic.write(".clawfiles/runs/tc-7.1-s1.lock", "", clinic.clock.now() - timedelta(minutes=1))
    (clinic.root / ".clawfiles").chmod(0o700)


@case("event-failed", "events/failed/schedule.x.20260307T074500Z.md")
def due_time_without_a_task(clinic) -> None:
    clinic.write("events/failed/schedule.x.20260307T074500Z.md", "x")


SOURCE = f'{SAM}[sources.orders]\ncommand = ["true"]\n'


@case("source-failing", "sources/orders.md")
def source_that_fails(clinic) -> None:
    clinic.write("clawfiles.toml", SOURCE)
    text = "---\npolled: 2026-03-07T07:00:00Z\nfailures: 3\nsince: 2026-03-07T06:00:00Z\nproblem: no\n---\n"
    clinic.write("sources/orders.md", text)


@case("brief-undelivered", "briefs/2026-03-07.md", 3)
def half_delivered_brief(clinic) -> None:
    had = "- a <!-- key: k1 file:announcements.md=2026-03-07T07:00:03Z -->"
    clinic.write("briefs/2026-03-07.md", f"# Brief\n{had}\n- b <!-- key: k2 -->\n")
    clinic.age("briefs/2026-03-07.md", 3600)


@case("post-given-up", "outbox/failed")
def a_post_that_nobody_took(clinic) -> None:
    clinic.write("outbox/failed/me.json-1.abc.md", "x")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, clinic) -> None:
    """What a case may change of the machine is put back after its test; no OpenClaw of this machine is seen."""
    monkeypatch.setattr(inotify_info, "MOUNTS", inotify_info.MOUNTS)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("OPENCLAW_CONFIG_PATH", str(clinic.root.parent / "openclaw.json"))
    monkeypatch.delenv("OPENCLAW_GATEWAY_TOKEN", raising=False)
    clinic.patch = monkeypatch


@pytest.mark.parametrize("name", CASES)
def test_each_finding_names_its_file_and_line(clinic, name: str) -> None:
    code, file, line, make = CASES[name]
    make(clinic)
    before = clinic.sums()

    found = [one for one in clinic.findings() if one.code == code]

    assert [(one.file, one.line) for one in found] == [(file, line)], [one.as_text() for one in clinic.findings()]
    assert found[0].repairable is CODES[code].repairable
    assert clinic.sums() == before


def test_no_finding_shows_an_address(clinic) -> None:
    clinic.write("mine.txt", "telegraph://hidden1\n")
    (clinic.root / "mine.txt").chmod(0o600)
    clinic.patch.setenv("ADDRESS_OF_ME", "telegraph://hidden2 json://127.0.0.1/ok")
    there = ["telegraph://hidden3", "addresses:mine.txt", "env:ADDRESS_OF_ME", "json://127.0.0.1/fine"]
    clinic.write("clawfiles.toml", f"{ME}channels = {there}\n")

    texts = [one.as_text() for one in clinic.findings() if one.code == "channel-unusable"]

    assert len(texts) == 3
    for name, text in zip(("telegraph-1", "addresses-2", "env-3"), texts, strict=True):
        assert f"{name}: apprise does not understand address 1 of" in text
    assert "hidden" not in "".join(texts)


def test_every_finding_that_is_documented_is_made_here() -> None:
    """Those that are left out have tests of their own."""
    assert {code for code, *_ in CASES.values()} == CODES.keys() - {
        "check-failed",
        "not-writable",
        *("others-read", "others-write"),  # tests/integration/test_modes.py
    }


def test_an_empty_workspace_gives_nothing(clinic) -> None:
    assert clinic.findings() == []


def test_a_workspace_at_work_gives_nothing(clinic) -> None:
    """Made by commands and ticks alone: delegated, claimed, done, failed, blocked, spawned, told, finished."""
    first, second, third = (clinic.delegated("peter") for _ in range(3))
    clinic.tick()
    app = clinic.app("peter")
    app.claims.claim(first, "peter")
    app.claims.claim(second, "peter")
    app.claims.claim(third, "peter")
    clinic.settle()
    assert clinic.findings() == []
    app = clinic.app("peter")
    app.tasks.done(first, "peter", "good")
    app.tasks.block(second, "peter", "no key")
    clinic.settle()
    clinic.tick(timedelta(minutes=1))

    assert [one.as_text() for one in clinic.findings()] == []


@pytest.mark.parametrize(
    "name", [".tc-1.md.swp", "tc-1.md~", "#tc-1.md#", "4913", ".#tc-1.md", ".gitkeep", ".DS_Store"]
)
def test_the_doctor_passes_over_leftovers_of_editors(clinic, name: str) -> None:
    (clinic.root / "status").mkdir()
    if name.startswith(".#"):
        (clinic.root / "status" / name).symlink_to("me@host.123")
    else:
        clinic.write(f"status/{name}", b"\xff\0")

    assert clinic.findings() == []


def test_a_file_that_is_being_written_is_waited_for(clinic) -> None:
    clinic.write("status/tc-1.md", "---\nid: TC-1\n", clinic.clock.now())
    assert clinic.findings() == []

    clinic.clock.advance(timedelta(seconds=3))
    assert clinic.codes() == ["unclosed"]


def test_a_circle_of_a_hundred_thousand_tasks_is_found_without_recursion(clinic) -> None:
    survey = Survey(str(clinic.root), clinic.now)
    node = DiskNode(path="status/x.md", name="x.md", kind="file", size_bytes=1, mtime=0, links=1, mode=0o644)
    count = 90_000
    survey.tasks = [
        TaskFile(
            id=f"TC-{n}", folder="status", node=node,
            task=Task(id=f"TC-{n}", after=(f"TC-{(n + 1) % count}",)),
        )
        for n in range(count)
    ]  # fmt: skip

    found = list(circles(survey))

    assert [one.code for one in found] == ["cycle"]
    assert "more" in found[0].detail


def test_words_that_were_not_understood_are_named_with_line_and_hint(clinic) -> None:
    clinic.status("TC-1", "status: backlog\nrecorded: backlog")
    survey = Survey(str(clinic.root), clinic.now)
    words = Unclear(path="status/tc-1.md", line=7, text="Status: In Progess", hint="write: in_progress")
    survey.tasks = [replace(it, task=replace(it.task, unclear=(words,))) for it in survey.tasks]

    assert [(one.code, one.file, one.line) for one in unclear(survey)] == [("unclear", "status/tc-1.md", 7)]
    assert all("“Status: In Progess”; write: in_progress" in one.meaning for one in unclear(survey))


def test_a_circle_of_parents_is_told_with_its_path(clinic, one) -> None:
    for task, parent in (("TC-1", "TC-2"), ("TC-2", "TC-3"), ("TC-3", "TC-2")):
        clinic.status(task, f"parent: {parent}")

    assert one("parent-cycle").detail == "TC-2 -> TC-3 -> TC-2"


def test_a_circle_is_told_with_its_path(clinic, one) -> None:
    for task, after in (("TC-1", "TC-2"), ("TC-2", "TC-3"), ("TC-3", "TC-1"), ("TC-4", "TC-1")):
        clinic.status(task, f"after: {after}")

    assert one("cycle").detail == "TC-1 -> TC-2 -> TC-3 -> TC-1"


def test_a_check_that_breaks_does_not_hide_the_others(clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    from claw_files.doctor import checkup
    from claw_files.doctor.checks import tasks

    def breaks(_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(checkup, "CHECKS", (breaks, *checkup.CHECKS[checkup.CHECKS.index(tasks.outputs) :]))
    promised_file(clinic)

    assert clinic.codes() == ["check-failed", "output-missing"]


def test_nothing_that_the_doctor_says_destroys_anything() -> None:
    destroys = re.compile(
        r"\brm\b|\brmdir\b|\bunlink\b|\btruncate\b|\bshred\b|\bdd\b|>|\bgit\b|--force|\s-f\b|\bdelete\b"
    )
    for code in CODES.values():
        if code.do not in INSTALL.values():  # it names versions
            assert not destroys.search(code.do), code
        for typed in re.findall(r"`([^`]*)`", code.do):
            assert typed.startswith("clawfiles "), code
            assert typed.split()[1] in RIGHTS, code


def test_a_hostile_name_never_becomes_part_of_what_to_type(clinic) -> None:
    for name in ("`rm -rf x`.md", "$(reboot).md", "; rm x.md", "{task}.md", "{0.__class__}.md"):
        clinic.write(f"status/{name}", "x")

    found = clinic.findings()

    assert {one.code for one in found} == {"not-an-id"}
    assert {one.do for one in found} == {CODES["not-an-id"].do}


def test_a_healthy_workspace_has_no_findings(clinic) -> None:
    """A generation that is the newest, a task closed just now, a run that has ended."""
    clinic.held()
    clinic.write(".clawfiles/claims/tc-1.log", "1 by peter 1\n1 written\n", clinic.clock.now() - timedelta(hours=1))
    (clinic.root / ".clawfiles").chmod(0o700)
    clinic.status("TC-2", "status: done\nrecorded: done")
    clinic.add("HEARTBEAT.md", "- TC-2 delegated to peter, check at 2026-03-07 10:00\n")
    clinic.write("runs/tc-1.1-s1/run.md", f"{RUN}ended: 2026-03-07T08:00:00Z\n---\n")
    clinic.age("runs/tc-1.1-s1", 60)

    assert [finding.as_text() for finding in clinic.findings()] == []


def test_the_reader_itself_follows_no_link_and_reads_no_second_name(clinic) -> None:
    tree = DiskTree(str(clinic.root))
    clinic.write("status/plain.md", "x")
    clinic.write("status/two.md", "x")
    os.link(clinic.root / "status/two.md", clinic.root / "second")
    (clinic.root / "status/link.md").symlink_to("plain.md")
    (clinic.root / "other").symlink_to("status")
    os.mkfifo(clinic.root / "status/pipe.md")
    wanted = {"status/link.md": "link", "other/plain.md": "link", "status/two.md": "hard-link"}

    assert tree.read("status/plain.md") == b"x"
    for path, code in (wanted | {"status/pipe.md": "special-file"}).items():
        with pytest.raises(CannotRead) as refused:
            tree.read(path)
        assert refused.value.problem == code, path


@pytest.mark.parametrize(
    "text", ["Owner: Jane Doe\n", "---\nassignee: ['@peter']\n---\n", "---\ntype: [bug]\n---\n", "---\nOwner: ~\n---\n"]
)
def test_the_doctor_refuses_a_status_file_exactly_where_the_program_does(clinic, text: str) -> None:
    clinic.write("status/tc-1.md", text, clinic.clock.now() - timedelta(minutes=1))
    try:
        clinic.app("sam").workspace.load(TaskId("TC-1"))
    except InvalidFile as wrong:
        found = [one for one in clinic.findings() if one.path == "status/tc-1.md"]
        assert [(one.line, wrong.reason in one.meaning) for one in found] == [(wrong.line, True)]
    else:
        assert not {"bad-value", "unclosed", "bad-frontmatter"} & set(clinic.codes())
