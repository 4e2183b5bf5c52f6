"""What an agent that asks may do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.model import TaskId
from claw_files.policy import acp_permissions
from claw_files.policy.acp_permissions import Option, PermissionRequest, decide, is_report, pick_mode

TASK = TaskId("TC-1")
ONCE = (Option(id="a", kind="allow_once"), Option(id="r", kind="reject_once"))
ALWAYS = (Option(id="A", kind="allow_always"), Option(id="R", kind="reject_always"))
MODES = ("approve-reads", "approve-all", "deny-all")
KINDS = ("read", "edit", "delete", "move", "search", "execute", "think", "fetch", "switch_mode", "other", None)
asked = st.builds(
    PermissionRequest,
    kind=st.sampled_from(KINDS),
    outside=st.sampled_from([None, "/etc/passwd"]),
    changes=st.booleans(),
    is_report=st.booleans(),
    options=st.lists(st.sampled_from([*ONCE, *ALWAYS]), max_size=5).map(tuple),
)


@pytest.mark.parametrize("kind", ["read", "search", "think"])
def test_reads_are_allowed_for_once(kind: str) -> None:
    found = decide("approve-reads", PermissionRequest(kind=kind, options=(*ALWAYS, *ONCE)))

    assert (found.allowed, found.option) == (True, "a")


@pytest.mark.parametrize("kind", ["edit", "delete", "move", "execute", "fetch", "switch_mode", "other", None, "new"])
def test_everything_else_is_refused_for_once(kind: str | None) -> None:
    found = decide("approve-reads", PermissionRequest(kind=kind, options=(*ALWAYS, *ONCE)))

    assert (found.allowed, found.option) == (False, "r")


def test_a_read_that_shows_a_change_is_none() -> None:
    assert not decide("approve-reads", PermissionRequest(kind="read", changes=True, options=ONCE)).allowed


def test_an_answer_for_ever_is_given_only_where_there_is_no_other() -> None:
    assert decide("approve-all", PermissionRequest(kind="edit", options=ALWAYS)).option == "A"
    assert decide("deny-all", PermissionRequest(kind="edit", options=ALWAYS)).option == "R"


def test_where_no_option_says_it_the_request_is_cancelled() -> None:
    found = decide("approve-reads", PermissionRequest(kind="edit", options=ONCE[:1]))

    assert (found.allowed, found.option) == (False, None)
    assert "offers no way" in found.why


@given(st.sampled_from([*MODES, "invented"]), asked)
def test_the_answer_is_offered_and_says_what_was_decided(mode: str, it: PermissionRequest) -> None:
    found = decide(mode, it)
    kinds = {option.kind for option in it.options if option.id == found.option}

    assert found.option is None or kinds
    assert not found.allowed or kinds <= {"allow_once", "allow_always"}
    assert found.allowed or not kinds & {"allow_once", "allow_always"}


@given(st.sampled_from(MODES), asked)
def test_outside_of_the_folder_nothing_is_allowed_but_a_report(mode: str, it: PermissionRequest) -> None:
    if it.outside and not it.is_report:
        assert not decide(mode, it).allowed
    if mode == "deny-all":
        assert not decide(mode, it).allowed


@pytest.mark.parametrize(
    "command",
    [
        "clawfiles claim TC-1",
        "clawfiles done TC-1 'looked at it; found $3' --output ./report.md",
        'clawfiles progress TC-1 "half, at 50%" --eta 11:00',
        "clawfiles claim TC-1 && clawfiles progress TC-1 half",
        "clawfiles task show TC-1",
        ["bash", "-lc", "clawfiles fail TC-1 'no way'"],
        ["/bin/sh", "-c", "clawfiles inbox"],
        ["clawfiles", "done", "TC-1", "$(literal, no shell reads it)"],
    ],
)
def test_a_word_about_its_own_task_is_a_report(command: str | list[str]) -> None:
    assert is_report(command, TASK)


def test_a_word_about_another_task_is_none_nor_one_that_starts_somebody() -> None:
    for line in ("clawfiles block TC-2 no", "clawfiles claim --next", "clawfiles claim", "clawfiles send iris hi"):
        assert not is_report(line, TASK)
    assert not is_report("clawfiles done TC-1", None)
    assert is_report("clawfiles done tc-1", TASK)


@pytest.mark.timeout(5)
def test_a_long_line_that_is_none_is_told_at_once() -> None:
    assert not is_report("clawfiles done TC-1 " + "a" * 100_000 + "(24);", TASK)
    assert not is_report("clawfiles done TC-1 --output src/checkout/service.py 2>&1", TASK)


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ({"file_path": "a.txt"}, ["a.txt"]),
        ({"absolute_path": "/etc/passwd"}, ["/etc/passwd"]),
        ({"paths": ["/etc/passwd", "b"]}, ["/etc/passwd"]),
        ({"file_path": "status/tc-1.md", "destination": "x"}, ["status/tc-1.md", "x"]),
        ({"changes": {"a.toml": {"move_path": "status/tc-1.md"}}}, ["a.toml", "status/tc-1.md"]),
        ({"url": "https://example.org/"}, []),
        ({"url": "file:///etc/passwd"}, ["/etc/passwd"]),
        ({"url": "FILE:/etc/pass%77d"}, ["/etc/passwd"]),
        ({"url": "file://host/etc"}, ["//host/etc"]),
        ({"url": "ssh://host/etc"}, ["ssh://host/etc"]),
        ({"glob": "../**/*.key"}, ["../**/*.key"]),
        ({"glob": "src/../../x"}, ["src/../../x"]),
        ({"pattern": "/etc/*"}, ["/etc/*"]),
        ({"path": ""}, [""]),
        ({"input": {"files": [{"name": "/etc/a"}, {"deep": [["~/b"]]}]}}, ["/etc/a", "~/b"]),
        ([{"path": "a"}, "/etc/b"], ["a", "/etc/b"]),
        ("/etc/passwd", ["/etc/passwd"]),
        ({"x": "a.txt,/etc/passwd"}, ["/etc/passwd"]),
        ({"x": "a.txt\n~/.ssh/id"}, ["~/.ssh/id"]),
        ({"x": "{/etc,a}/passwd"}, ["/etc,a}/passwd"]),
        ({"x": "src/{a,b}/c"}, []),
        ({"x": {"/etc/passwd": True}}, ["/etc/passwd"]),
        ({"anything": "$HOME/x"}, ["$HOME/x"]),
        ({"text": "see /etc/passwd", "prompt": "~"}, []),
        ({"path": "/tmp/my team/a b.txt"}, ["/tmp/my team/a b.txt"]),
        ({"where": "~/.ssh/id_rsa"}, ["~/.ssh/id_rsa"]),
        ({"content": "/usr/bin/env", "command": "/bin/ls"}, []),
    ],
)
def test_every_place_that_a_tool_is_called_with_is_looked_at(given_: dict[str, object], found: list[str]) -> None:
    assert list(acp_permissions.places_in(given_)) == found


def test_what_is_only_read_has_no_text_in_which_a_place_could_hide() -> None:
    assert list(acp_permissions.places_in({"text": "/etc/passwd", "content": "~/.ssh"}, is_read=True)) == [
        "/etc/passwd",
        "~/.ssh",
    ]
    assert list(acp_permissions.places_in({"text": "what is in /etc"}, is_read=True)) == []


@pytest.mark.parametrize(
    "text",
    [
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"where": ["x", {"deep": "HTTPS://example.org"}]},
        {"url": "169.254.169.254/latest"},
        {"href": "localhost:8080"},
        {"a": " ws://127.0.0.1"},
    ],
)
def test_a_read_of_an_address_is_a_fetch(text: dict[str, object]) -> None:
    address = acp_permissions.address_in(text)

    assert address
    assert not decide("approve-reads", PermissionRequest(kind="read", address=address, options=ONCE)).allowed
    assert decide("approve-all", PermissionRequest(kind="read", address=address, options=ONCE)).allowed


def test_a_file_is_no_address() -> None:
    assert acp_permissions.address_in({"url": "file:///a", "path": "a.txt", "text": "see https://example.org"}) is None


@pytest.mark.timeout(5)
def test_long_and_deep_requests_are_looked_through_at_once() -> None:
    deep: object = "/etc/passwd"
    for _ in range(50_000):
        deep = [deep]

    assert list(acp_permissions.places_in(deep)) == ["/etc/passwd"]
    assert list(acp_permissions.places_in({"x": " " * 500_000})) == []


def test_a_home_a_variable_and_an_address_lead_out() -> None:
    assert all(map(acp_permissions.leads_out, ("~/.ssh", "~root/x", "$HOME/x", "file:///etc/passwd")))
    assert not any(map(acp_permissions.leads_out, ("a", "/etc", "a~b", "a$b")))


@pytest.mark.parametrize(
    "command",
    [
        "",
        "clawfiles",
        "clawfiles spawn 'rm it' --worker w",
        "clawfiles delegate TC-1",
        "clawfiles heartbeat",
        "clawfiles approve TC-1",
        "clawfiles task new x",
        "clawfiles init /tmp/x",
        "clawfiles done TC-1 --agent sam",
        "clawfiles done TC-1 --agent=sam",
        "clawfiles claim -C /other TC-1",
        "clawfiles -C /other claim TC-1",
        'clawfiles done TC-1 "--agent" sam',
        "clawfiles done TC-1 $(rm -rf .)",
        'clawfiles done TC-1 "$(rm -rf .)"',
        "clawfiles done TC-1 `rm -rf .`",
        "clawfiles done TC-1; rm -rf .",
        "clawfiles done TC-1 & rm -rf .",
        "clawfiles done TC-1 | sh",
        "clawfiles done TC-1 > ~/.bashrc",
        "clawfiles done TC-1\nrm -rf .",
        "clawfiles done TC-1 'open",
        "clawfiles done TC-1 && rm -rf .",
        "clawfiles claim TC-1 && ",
        "CLAWFILES_AGENT=sam clawfiles done TC-1",
        "./clawfiles done TC-1",
        "clawfilesx claim TC-1",
        ["bash", "-c", "clawfiles claim TC-1; id"],
        ["env", "clawfiles", "claim", "TC-1"],
        ["bash", "clawfiles claim TC-1"],
        ["./bash", "-c", "clawfiles claim TC-1"],
        ["/ws/tools/sh", "-c", "clawfiles claim TC-1"],
        "clawfiles checkpoint save --body /etc/passwd",
    ],
)
def test_any_other_command_is_not_a_report(command: str | list[str]) -> None:
    assert not is_report(command, TASK)


@given(st.text(alphabet="clawfies dontTC-1'\"$`;&|<>\\\n()~*{}!#", max_size=60))
def test_no_word_of_ours_carries_anything_that_a_shell_would_do(tail: str) -> None:
    line = f"clawfiles done {tail}".strip()
    if is_report(line, TASK):
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line).replace(" && ", " ")
        assert not set(bare) & set("$`;&|<>\\\n()~*{}!#")
        assert not re.search(r"\"[^\"]*[$`\\!][^\"]*\"", re.sub(r"'[^'\"]*'", "", line))


def test_its_own_mode_is_changed_to_one_in_which_it_asks() -> None:
    assert pick_mode(acp_permissions.APPROVE_READS, ["agent", "read-only"], "agent") == "read-only"
    assert pick_mode(acp_permissions.DENY_ALL, ["acceptEdits", "default"], "acceptEdits") == "default"
    assert pick_mode(acp_permissions.DENY_ALL, ["default"], "default") is None
    assert pick_mode(acp_permissions.APPROVE_READS, ["own"], "own") is None
    assert pick_mode(acp_permissions.APPROVE_ALL, ["default", "yolo"], "yolo") is None
