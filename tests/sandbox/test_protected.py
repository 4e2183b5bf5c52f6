"""What a run leaves for others to obey: git, editors, shells and agents that are started outside, later, by people."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from claw_files.core.model import RunId
from claw_files.policy.sandbox_arguments import SandboxPlan, argv
from claw_files.processes.bubblewrap import PROGRAM
from claw_files.processes.supervisor import resolved
from claw_files.system.protected_paths import NAMES, finish, protect
from claw_files.testing.patience import until
from tests.sandbox.conftest import Yard, agent

TRY = """
import json, os, shutil, subprocess
def outcome(do):
    try: do()
    except (OSError, shutil.Error, subprocess.CalledProcessError) as error: return type(error).__name__
    return "done"
def write(path, text="forged", how="w"):
    with open(path, how) as file: file.write(text)
def git(*words):
    subprocess.run(["git", "-c", "user.name=p", "-c", "user.email=p@x", *words], check=True, capture_output=True)
def tell(found):
    with open("part", "w") as file: json.dump(found, file)
    os.rename("part", "found.json")
"""
EVIL = "[core]\n\tfsmonitor = touch {canary} #\n"


def git(folder: Path, *words: str) -> str:
    """A command of git outside, as a person would type it."""
    who = ("-c", "user.name=us", "-c", "user.email=us@x")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("a\n")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def run(yard: Yard, script: str, more: str = 'profile = "boxed"') -> str:
    """What stands in run.md when peter has done it."""
    yard.team(agent("peter", TRY + script, more))
    if not yard.status():
        yard.start()
    return yard.run_md(f"{yard.new('peter').lower()}.1-s1")


def test_no_name_that_programs_obey_can_be_made_and_none_is_left(yard: Yard) -> None:
    script = f"""
def folder(name):
    os.mkdir(name)
def inside(name):
    write(name + "/settings.json")
def moved(name):
    os.mkdir("x"); write("x/settings.json"); os.rename("x", name)
def removed(name):
    shutil.rmtree(name)
    os.mkdir(name)
def link(name):
    os.symlink("/tmp", name)
def hard(name):
    write("y"); os.link("y", name)
tries = [write, folder, inside, moved, removed, link, hard]
tell({{f"{{do.__name__}} {{name}}": outcome(lambda: do(name)) for name in {sorted(NAMES)!r} for do in tries}})
"""

    said = run(yard, script)

    found = yard.found()
    assert len(found) == 7 * len(NAMES)
    assert {name for name, what in found.items() if what == "done"} == set()
    assert "set aside" not in said
    assert set(os.listdir(yard.root / "work/peter")) == {"found.json", "x", "y"}
    assert not (yard.root / "quarantine").exists()


def test_existing_protected_files_are_readable_and_unchangeable(yard: Yard) -> None:
    work = yard.root / "work/peter"
    for name in NAMES - {".git"}:
        yard.write(f"work/peter/sub/{name}/settings" if name[1] in "ci" else f"work/peter/sub/{name}", name)
    before = tree(work)

    run(
        yard,
        """
tell([
    *(outcome(lambda: write(f"{folder}/{name}", "more", "a")) for folder, _, names in os.walk("sub") for name in names),
    *(outcome(lambda: os.rename(f"sub/{name}", f"old/{name}")) for name in os.listdir("sub")),
    *(outcome(lambda: os.unlink(f"sub/{name}")) for name in os.listdir("sub")),
    outcome(lambda: (os.mkdir("sub/.claude/more"))),
])
""",
    )

    assert "done" not in yard.found()
    assert {name: data for name, data in tree(work).items() if name.startswith("sub")} == before


GIT_TRIES = """
def replaced(path):
    write(path + ".new", EVIL); os.rename(path + ".new", path)
def exchanged(path):
    os.rename(path, "away"); shutil.copytree("away", path)
FORBIDDEN = {
    "its configuration": lambda: write(".git/config", EVIL, "a"),
    "its configuration, exchanged": lambda: replaced(".git/config"),
    "its configuration, by git": lambda: git("config", "core.fsmonitor", "x"),
    "its configuration, away": lambda: os.unlink(".git/config"),
    "that of worktrees": lambda: write(".git/config.worktree", EVIL),
    "another common folder": lambda: write(".git/commondir", "../evil"),
    "another common folder, exchanged": lambda: replaced(".git/commondir"),
    "a hook": lambda: write(".git/hooks/post-index-change"),
    "the hooks": lambda: exchanged(".git/hooks"),
    "the hooks, as a link": lambda: (shutil.rmtree(".git/hooks"), os.symlink("..", ".git/hooks")),
    "attributes": lambda: write(".git/info/attributes", "* filter=evil"),
    "the repository": lambda: exchanged(".git"),
    "the repository, away": lambda: shutil.rmtree(".git"),
    "a submodule's configuration": lambda: write(".git/modules/sub/config", EVIL, "a"),
    "a submodule's hook": lambda: write(".git/modules/sub/hooks/post-index-change"),
    "where a submodule lies": lambda: write("sub/.git", "gitdir: ../evil"),
    "where a submodule lies, exchanged": lambda: replaced("sub/.git"),
    "a bare one's configuration": lambda: write("bare.git/config", EVIL, "a"),
    "a bare one's hook": lambda: write("bare.git/hooks/post-index-change"),
    "hooks elsewhere": lambda: write(".githooks/post-index-change", "x", "a"),
    "a program that git is told to run": lambda: write("tools/monitor.sh", "x", "a"),
    "what its configuration includes": lambda: write(".gitmore", EVIL, "a"),
}
ALLOWED = {
    "a commit": lambda: (write("b.txt"), git("add", "b.txt"), git("commit", "-q", "-m", "by peter")),
    "a branch": lambda: git("checkout", "-q", "-b", "other"),
    "tidying": lambda: git("gc", "-q"),
    "a file": lambda: write("mine"),
    "reading it": lambda: open(".git/config").read(),
}
tell([outcome(one) for one in FORBIDDEN.values()] + [[outcome(one) for one in ALLOWED.values()], list(FORBIDDEN)])
"""


def test_a_repository_takes_commits_and_no_order(yard: Yard, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    work = repository(yard.root / "repo")
    source = repository(tmp_path / "source")
    git(work, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source), "sub")
    git(work, "init", "-q", "--bare", "bare.git")
    for name in (".githooks/post-index-change", "tools/monitor.sh", ".gitmore"):
        yard.write(f"repo/{name}", "")
    (work / ".githooks/post-index-change").chmod(0o755)
    git(work, "config", "core.hooksPath", ".githooks")
    git(work, "config", "include.path", "../.gitmore")
    git(work, "config", "core.fsmonitor", "tools/monitor.sh -v")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "all")
    config, top = (work / ".git/config").read_bytes(), os.listdir(work / ".git")

    said = run(yard, f"EVIL = {EVIL.format(canary=canary)!r}\n" + GIT_TRIES, 'profile = "boxed"\nworkspace = "repo"')

    *outcomes, allowed, names = json.loads((work / "found.json").read_text())
    assert [name for name, what in zip(names, outcomes, strict=True) if what == "done"] == []
    assert allowed == ["done"] * 5, said
    assert (work / ".git/config").read_bytes() == config
    assert "by peter" in git(work, "log", "--oneline", "-3")
    assert set(os.listdir(work / ".git")) - set(top) <= {"packed-refs", "COMMIT_EDITMSG", "config.new", "commondir.new"}
    assert "found.json" in git(work, "status", "--short")
    assert "set aside" not in said
    assert not canary.exists()


def test_a_worktree_cannot_be_led_to_another_repository(yard: Yard, tmp_path: Path) -> None:
    main = repository(tmp_path / "main")
    work = yard.root / "work/peter"
    git(main, "worktree", "add", "-q", str(work))
    led = (work / ".git").read_text()

    run(
        yard,
        """
def replaced():
    write("x", "gitdir: evil"); os.rename("x", ".git")
tell([outcome(one) for one in (lambda: write(".git", "gitdir: evil"), replaced, lambda: os.unlink(".git"))])
""",
    )

    assert "done" not in yard.found()
    assert (work / ".git").read_text() == led
    assert "found.json" in git(work, "status", "--short")


NEW = """
def repository(path, config=EVIL):
    os.makedirs(path + "/.git/refs"); os.makedirs(path + "/.git/objects")
    write(path + "/.git/HEAD", "ref: refs/heads/main\\n")
    write(path + "/.git/config", "[core]\\n\\trepositoryformatversion = 0\\n" + config)
git("init", "-q", "clone")
git("-C", "clone", "commit", "-q", "--allow-empty", "-m", "x")
git("-C", "clone", "worktree", "add", "-q", "../tree")
os.makedirs("clone/.vscode"); write("clone/.vscode/tasks.json")
repository("a/b/evil")
repository("hooked", "")
os.makedirs("hooked/.git/hooks"); write("hooked/.git/hooks/post-index-change", "#!/bin/sh\\ntouch " + CANARY + "\\n")
os.chmod("hooked/.git/hooks/post-index-change", 0o755)
os.makedirs("bare/refs"); os.makedirs("bare/objects")
write("bare/HEAD", "ref: refs/heads/main\\n"); write("bare/config", "[core]\\n bare = false\\n worktree = ..\\n" + EVIL)
os.makedirs("led/common"); repository("led", "")
write("led/.git/commondir", "../common"); write("led/common/config", EVIL)
os.makedirs("led/common/refs"); os.makedirs("led/common/objects")
os.rename("user", "gone"); repository("user")
repository("tucked", "[include]\\n\\tpath = ../../more\\n"); write("more", EVIL)
repository("/".join(["d"] * 80))
os.makedirs("dark/x"); repository("dark/x"); os.chmod("dark", 0o111)
os.makedirs("sub/.claude"); write("sub/.claude/settings.json"); write("sub/.envrc"); os.symlink("/tmp", "sub/.vscode")
tell("done")
"""
EVERY = (
    "clone",
    "tree",
    "a/b/evil",
    "hooked",
    "bare",
    "led",
    "user",
    "gone",
    "tucked",
    "d/" * 80,
    "dark/x",
    ".",
)


def test_new_protected_files_below_are_quarantined_after_the_run(yard: Yard, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    work = yard.root / "work/peter"
    repository(work / "user")

    said = run(yard, f"CANARY = {str(canary)!r}\nEVIL = {EVIL.format(canary=canary)!r}\n" + NEW)

    assert yard.found() == "done"
    for folder in EVERY:
        if (work / folder).is_dir():
            git(work / folder, "status")
    assert not canary.exists(), said
    assert "nothing to commit" in git(work / "gone", "status")  # it was the user's, and is only somewhere else
    assert "untracked" in git(work / "clone", "status")
    assert "nothing to commit" in git(work / "tree", "status")
    assert (work / "clone/.vscode/tasks.json").exists()
    assert f"obeyed by programs outside: {work}/clone/.vscode" in said
    assert os.listdir(work / "sub") == []
    for path in ("sub/.claude", "sub/.envrc", "sub/.vscode", "a/b/evil/.git/config", "user/.git/config"):
        assert f"set aside, because programs outside would obey it: {work}/{path}, now " in said
    assert "clawfiles: set aside" in yard.read("runs/tc-1.1-s1/stderr.log")
    assert f"{work}/{'d/' * 64}d, now d.tc-1.1-s1-" in said  # as a whole: nothing looks through folders without end
    quarantine = yard.names("quarantine")
    assert any(name.startswith("claude.") for name in quarantine)
    assert sum(name.endswith(".reason") for name in quarantine) * 2 == len(quarantine)
    found = json.loads(yard.popen("doctor", "--json").communicate(timeout=60)[0])
    assert len([one for one in found["findings"] if one["code"] == "quarantined"]) * 2 == len(quarantine)


def test_a_run_whose_supervisor_was_killed_is_looked_after_as_well(yard: Yard, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    script = (
        f"EVIL = {EVIL.format(canary=canary)!r}\n{NEW.partition('git(')[0]}repository('evil')\ntell(os.getppid())\n"
    )
    yard.team(agent("peter", TRY + script + "import time; time.sleep(300)"))
    yard.start()
    task = yard.new("peter")
    yard.found()
    work = yard.root / "work/peter"
    assert ".envrc" in os.listdir(work)
    run = yard.app().runtime.look(RunId(f"{task.lower()}.1-s1"))
    assert run is not None and run.pid is not None
    status = Path(f"/proc/{run.pid}/status").read_text()
    supervisor = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))

    os.kill(supervisor, 9)

    said = yard.run_md(f"{task.lower()}.1-s1")
    assert "set aside" in said
    assert set(os.listdir(work)) == {"evil", "found.json"}
    git(work / "evil", "status")
    assert not canary.exists()


def test_a_person_may_work_in_the_same_repository_meanwhile(yard: Yard) -> None:
    work = repository(yard.root / "repo")
    git(work, "config", "filter.lfs.clean", "git-lfs clean")
    yard.team(
        agent("peter", TRY + "tell(1)\nimport time\nwhile not os.path.exists('go'): time.sleep(0.02)\n", REPO),
    )
    yard.start()
    task = yard.new("peter")
    until((work / "found.json").exists, "peter is at work")

    git(work, "remote", "add", "origin", "https://host/x.git")
    git(work, "config", "branch.main.merge", "refs/heads/main")
    (work / ".vscode/settings.json").write_text("{}")
    said = git(work, "status")
    (work / "go").touch()

    assert "On branch main" in said
    assert "set aside" not in yard.run_md(f"{task.lower()}.1-s1")
    assert "host" in (work / ".git/config").read_text()
    assert (work / ".vscode/settings.json").exists()
    assert not (work / ".envrc").exists()


REPO = 'profile = "boxed"\nworkspace = "repo"'


@pytest.mark.parametrize("case", ["link", "hooks are a link", "hooks in the folder itself"])
def test_a_file_that_cannot_be_protected_refuses_the_run(yard: Yard, case: str) -> None:
    work = repository(yard.root / "repo")
    if case == "link":
        (work / "sub").mkdir()
        (work / "sub/.envrc").symlink_to("../a.txt")
    elif case == "hooks are a link":
        (work / ".git/hooks").rename(work / "githooks")
        (work / ".git/hooks").symlink_to("../githooks")
    else:
        git(work, "config", "core.hooksPath", ".")
    before = set(os.listdir(work))

    said = run(yard, "tell(1)", REPO)

    assert "could not start" in said
    assert ("is a link" if "link" in case else "makes git obey any file") in said
    assert set(os.listdir(work)) == before


def test_the_sandbox_works_for_an_ordinary_user_too() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:  # which that user can reach
        base, work = Path(scratch), Path(scratch, "work")
        ids = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        repository(work)
        (base / "door").mkdir()
        (work / "evil").write_text(EVIL.format(canary=base / "canary"))
        for path in (base, *base.rglob("*")):
            os.chown(path, *ids)
        ordinary = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setgid(ids[1])
            os.setuid(ids[0])
            os.write(write, json.dumps(protect(str(work), str(base / "door"), str(base / "aside"))).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        protected = json.loads(os.read(read, 1 << 20))
        here = ("/bin", "/lib", "/lib64")
        walls = SandboxPlan(
            program=resolved([PROGRAM], os.environ["PATH"]),
            links=tuple((path, os.readlink(path)) for path in here if os.path.islink(path)),
            readable=("/usr", *(path for path in here if not os.path.islink(path))),
            home=None,
            base=scratch,
            root=scratch,
            hidden=(),
            visible=(),
            writable=(str(work),),
            protected=tuple(sorted(protected.items())),
            covered=(),
            door=f"{scratch}/door",
            cwd=str(work),
            options=("--disable-userns",),
        )
        script = (
            "cat evil > .git/config; mv .git g; cp evil .envrc; mkdir .git/hooks/x; unshare -U true && echo new;"
            "mkdir -p in/.git/objects in/.git/refs; echo 'ref: refs/heads/main' > in/.git/HEAD; cp evil in/.git/config;"
            "git -c user.name=x -c user.email=x commit -q --allow-empty -m boxed"
        )

        done = subprocess.run([*ordinary, *argv(walls, ("/bin/sh", "-c", script))], capture_output=True, text=True)
        assert done.stderr.count("Read-only file system") == 3, done.stderr
        assert "new" not in done.stdout
        told = finish(f"{scratch}/door", "tc-1.1-s1")

        assert "boxed" in git(work, "-c", "safe.directory=*", "log", "--oneline")
        assert len(told) == 1
        git(work / "in", "-c", "safe.directory=*", "status")
        assert not (base / "canary").exists()
        assert set(os.listdir(work)) == {".git", "a.txt", "evil", "in"}
