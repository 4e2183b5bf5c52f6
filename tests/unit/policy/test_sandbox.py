"""The words that build a sandbox: their order is what keeps things out."""

import pytest
from msgspec.structs import replace

from claw_files.core.errors import Refused
from claw_files.policy.profiles import WORK
from claw_files.policy.sandbox_arguments import DOOR, SandboxPlan, argv, check_folder, is_above

DESK = f"/home/u/team/{WORK}/peter"
WALLS = SandboxPlan(
    program="/usr/bin/bwrap",
    links=(("/bin", "usr/bin"),),
    readable=("/usr", "/home/u/.venv"),
    home="/home/u",
    base="/home/u/team",
    root="/home/u/team",
    hidden=("/home/u/team/.clawfiles", "/home/u/team/inbox", "/home/u/team/runs"),
    visible=("/home/u/team/runs/tc-1.1-s1", "/home/u/team/inbox/peter"),
    writable=("/home/u/team/checkpoints/peter.md", DESK),
    protected=((f"{DESK}/.git", True), (f"{DESK}/.git/config", False)),
    covered=("/home/u/team/token",),
    door="/home/u/team/.clawfiles/doors/tc-1.1-s1",
    cwd=DESK,
)
COMMAND = ("/usr/bin/agent", "--yes", "{x}")


def mounts(words: list[str]) -> list[tuple[str, str]]:
    """(option, where) of each mount, in order."""
    at = {"--ro-bind": 2, "--bind": 2, "--tmpfs": 1, "--remount-ro": 1}
    return [(word, words[n + at[word]]) for n, word in enumerate(words[: words.index("--")]) if word in at]


def position(words: list[str], option: str, path: str) -> int:
    return mounts(words).index((option, path))


def test_only_what_is_named_can_be_written() -> None:
    words = argv(WALLS, COMMAND)

    assert [path for option, path in mounts(words) if option == "--bind"] == [*WALLS.writable, f"{DESK}/.git"]
    assert mounts(words)[-1] == ("--remount-ro", "/")
    assert words[words.index("/dev/null") + 1] == "/home/u/team/token"


def test_what_is_hidden_is_covered_after_the_workspace_and_before_what_is_its_own() -> None:
    words = argv(WALLS, COMMAND)
    base = position(words, "--ro-bind", WALLS.base)

    assert position(words, "--tmpfs", "/home/u") < base  # the workspace lies in the home that is covered
    for path in WALLS.hidden:
        assert base < position(words, "--tmpfs", path) < position(words, "--remount-ro", path)
    for path, own in zip(("/home/u/team/runs", "/home/u/team/inbox"), WALLS.visible, strict=True):
        assert position(words, "--tmpfs", path) < position(words, "--ro-bind", own)
    assert position(words, "--ro-bind", DOOR) > base


def test_what_is_hidden_in_a_compartment_is_covered_after_it_came_to_light() -> None:
    root = "/home/u/team/compartments/shield"
    hidden = ("/home/u/team/compartments", "/home/u/team/inbox", f"{root}/.clawfiles", f"{root}/inbox")

    words = argv(replace(WALLS, root=root, hidden=hidden), COMMAND)

    there = position(words, "--ro-bind", root)
    assert position(words, "--ro-bind", WALLS.base) < position(words, "--tmpfs", "/home/u/team/compartments") < there
    assert there < position(words, "--tmpfs", f"{root}/.clawfiles")
    assert [option for option, _ in mounts(words)].count("--tmpfs") == len(hidden) + 2  # and the home, and /tmp


def test_the_command_comes_last_and_no_word_of_it_is_an_option() -> None:
    words = argv(WALLS, COMMAND)

    assert words[words.index("--") + 1 :] == list(COMMAND)
    assert words[words.index("--") - 2 : words.index("--")] == ["--chdir", WALLS.cwd]
    assert words[0] == WALLS.program


def test_it_has_processes_and_rights_of_its_own_and_no_network_where_that_is_said() -> None:
    words = argv(WALLS, COMMAND)

    assert {"--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent"} <= set(words)
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert "--unshare-net" not in words
    assert "--unshare-net" in argv(replace(WALLS, network=False), COMMAND)


@pytest.mark.parametrize(
    ("cwd", "is_right"),
    [
        (f"/w/{WORK}/peter", True),
        ("/w/src", True),
        ("/elsewhere", True),
        ("/wide", True),
        (f"/w/{WORK}", False),  # everybody's work
        ("/w/.git/hooks", False),  # what lies there is run by people
        ("/w/src/.config", False),
        ("/w", False),
        ("/", False),
        ("/w/status", False),
        ("/w/inbox/iris", False),
        ("/w/.clawfiles/doors", False),
        ("/w/compartments/shield", False),
        ("/w/notes", False),  # the ledger lies in it
    ],
)
def test_no_working_folder_holds_what_is_not_its_own(cwd: str, is_right: bool) -> None:
    kept = ("/w/notes/LEDGER.md", "/w/clawfiles.toml")
    if is_right:
        check_folder(cwd, "/w", "/w", kept)
        return
    with pytest.raises(Refused, match="cannot be a working folder"):
        check_folder(cwd, "/w", "/w", kept)


def test_in_a_compartment_its_own_folders_count() -> None:
    root = "/w/compartments/shield"

    check_folder(f"{root}/{WORK}/shield", root, "/w", ())
    for cwd in (f"{root}/status", root, "/w/compartments", "/w/status", "/w"):
        with pytest.raises(Refused):
            check_folder(cwd, root, "/w", ())


def test_a_folder_is_above_what_is_in_it_and_not_above_its_namesakes() -> None:
    assert is_above("/w", "/w/a")
    assert is_above("/w", "/w")
    assert is_above("/", "/w")
    assert not is_above("/w", "/wide")
