"""The least that could react to a message: `python bare_loop.py ROOT AGENT NOTES`; `daemon.py` measures it beside us.

A loop around inotify that, for each file moved into inbox/AGENT/new/, makes the durable writes that the daemon makes
and starts the same supervisor in the same way. It decides nothing: no task, lane, limit, lock or second look. A crash
of it loses and repeats work as the daemon does not.
"""

import ctypes
import os
import shutil
import struct
import sys
import time

from claw_files.processes.process_runner import SUPERVISOR
from claw_files.processes.supervisor import sync_folder, write_durably
from claw_files.system.processes import SystemProcesses

IN_MOVED_TO = 0x80


def synced(path: str, data: bytes, flags: int) -> None:
    """Write and keep, as `flags` open it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)


def react(root: str, agent: str, notes: str, name: str) -> None:
    run, inbox = name.removesuffix(".md") + "-s1", f"{root}/inbox/{agent}"
    staged, folder, lock = f"{root}/staged/{run}", f"{root}/runs/{run}", f"{root}/locks/{run}"
    with open(f"{inbox}/new/{name}", "rb") as file:
        message = file.read()
    os.mkdir(staged)
    synced(f"{staged}/message.md", message, os.O_EXCL)
    head = f"---\nrun: {run}\nagent: {agent}\nkey: {run[:-3]}\n"
    write_durably(staged, "run.md", f"{head}---\n")
    held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    order = os.open(f"{staged}/.order", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(f"{staged}/.order")
    fields = {"inode": os.stat(staged).st_ino, "head": head, "staged": staged, "folder": folder, "lock": lock}
    fields |= {"cwd": root, "umask": "", "stdin": f"{folder}/message.md", "limit": "", "grace": "2", "cap": "1048576"}
    given = [*fields.items(), *(("arg", part) for part in ("/bin/sh", notes)), ("env", f"CLAWFILES_RUN_DIR={folder}")]
    os.write(order, "\0".join(f"{key}={value}" for key, value in given).encode())
    os.lseek(order, 0, os.SEEK_SET)
    waits, go = os.pipe()
    argv = [sys.executable, "-I", "-S", "-X", "utf8", SUPERVISOR, run]
    SystemProcesses().detach(argv, {"CLAWFILES_SUPERVISES": folder}, (held, order, waits))
    os.rename(staged, folder)
    sync_folder(f"{root}/runs")
    for fd in (go, held, order, waits):
        os.close(fd)  # with `go` the agent starts; what follows delays only the next one
    for act in ("wake", "inbox read"):
        if act == "inbox read":
            os.rename(f"{inbox}/new/{name}", f"{inbox}/cur/{name}")
            sync_folder(f"{inbox}/cur")
            sync_folder(f"{inbox}/new")
        line = f'{{"timestamp": "{time.strftime("%Y-%m-%dT%H:%M:%SZ")}", "action": "{act}", "key": "{run}"}}\n'
        synced(f"{root}/audit/today.jsonl", line.encode(), os.O_APPEND)


def main(root: str, agent: str, notes: str) -> None:
    for folder in ("staged", "runs", "locks", "audit", f"inbox/{agent}/new", f"inbox/{agent}/cur"):
        os.makedirs(f"{root}/{folder}")
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init()
    libc.inotify_add_watch(watch, os.fsencode(f"{root}/inbox/{agent}/new"), IN_MOVED_TO)
    shutil.copy(notes, f"{root}/ready")
    while events := os.read(watch, 65536):
        while events:
            length = struct.unpack_from("iIII", events)[3]
            react(root, agent, notes, events[16 : 16 + length].rstrip(b"\0").decode())
            events = events[16 + length :]


if __name__ == "__main__":
    main(*sys.argv[1:])
