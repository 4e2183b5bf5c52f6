"""Every way out of the program: one sentence or one JSON object on stderr, and a status that scripts can rely on."""

import json
import signal
import subprocess

import pytest

from claw_files.cli.root import root
from claw_files.core.errors import ClawError
from claw_files.core.operation_table import row_of


def test_status_0_done(desk) -> None:
    assert desk("task", "list") == (0, "no tasks\n", "")


def test_status_1_the_check_found_something(desk) -> None:
    assert desk("doctor").status == 0
    desk.write("status/tc-1.md", b"\xff")

    answer = desk("doctor", "--json")

    assert answer.status == 1
    assert answer.json["findings"][0]["file"] == "status/tc-1.md"
    assert answer.err == ""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["claim"], "usage"),
        (["claim", "TC-1", "--next"], "usage"),
        (["task", "new"], "usage"),
        (["task", "new", "x"], "no-agent-named"),
        (["task", "new", " ", "--agent", "sam"], "bad-value"),
        (["task", "new", "x", "--estimate", "soon", "--agent", "sam"], "bad-value"),
        (["task", "list", "--status", "sideways"], "bad-value"),
        (["task", "show", "../../etc/passwd"], "bad-id"),
        (["--sideways"], "usage"),
    ],
)
def test_status_2_wrong_use(desk, line: list[str], code: str) -> None:
    answer = desk(*line, "--json")

    assert (answer.status, answer.out) == (2, "")
    assert answer.error["code"] == code


def test_status_3_no_such_task_or_agent(desk) -> None:
    assert desk("task", "show", "TC-9") == (
        3,
        "",
        "clawfiles: no task 'TC-9'; `clawfiles task list` lists all tasks\n",
    )
    assert desk("task", "new", "x", by="nobody").status == 3
    assert desk("task", "new", "x", "--to", "nobody", by="sam").status == 3
    assert desk("task", "list").out == "no tasks\n"


def test_status_4_conflict_and_the_error_names_who(desk) -> None:
    desk.ok("claim", desk.task(), by="peter")

    code, said, wrong = desk("claim", "TC-1", by="iris")
    assert (code, said) == (4, "")
    assert wrong.startswith("clawfiles: TC-1 is held by peter (generation 1): status/tc-1.md, line ")


def test_status_5_refused_by_a_rule_with_what_to_do_instead(desk) -> None:
    answer = desk("done", desk.task(), by="peter")

    assert answer.status == 5
    assert "; claim it first: `clawfiles claim TC-1`" in answer.err


def test_status_5_for_a_spawn_without_its_contract_not_2(desk) -> None:
    answer = desk("spawn", "sum up the inbox", "--json", by="sam")

    assert (answer.status, answer.error["rule"]) == (5, "spawn-contract")


def test_status_6_invalid_file_or_configuration_with_file_and_line(desk) -> None:
    desk.write("status/tc-1.md", "---\nstatus: done\nlease: soon\n---\n")
    assert desk("task", "show", "TC-1", "--json").error["line"] == 3

    desk.write("clawfiles.toml", '[workspace]\ncoordinator = "sam"\ncolour = "red"\n')
    answer = desk("task", "list")

    assert answer.status == 6
    assert "clawfiles.toml, line 3" in answer.err
    assert all(line.startswith("clawfiles: ") for line in answer.err.splitlines())


def test_status_6_where_there_is_no_workspace(desk) -> None:
    (desk.root / "clawfiles.toml").unlink()

    assert desk("task", "list", "--json").error["code"] == "no-workspace"


def test_status_7_busy_names_who_holds_the_lock(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from claw_files.services.tasks import claims
    from claw_files.storage.locks import Locks

    task = desk.task()
    monkeypatch.setattr(claims, "PATIENCE", timedelta(0))
    with Locks(str(desk.root)).hold("tc-1", timedelta(0), "iris: clawfiles claim TC-1"):
        answer = desk("claim", task, "--json", by="peter")

    assert (answer.status, answer.error["code"]) == (7, "busy")
    assert "iris: clawfiles claim TC-1" in answer.error["message"]


def test_status_70_a_bug_of_ours_is_one_sentence(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero\x1b[2J")

    monkeypatch.setattr("claw_files.services.tasks.board.Board.listing", broken)

    answer = desk("task", "list")

    assert answer.status == 70
    assert answer.err.count("\n") == 1
    assert "ZeroDivisionError" in answer.err
    assert "\x1b" not in answer.err
    assert desk("task", "list", "--json").error["code"] == "bug"
    monkeypatch.setenv("CLAWFILES_DEBUG", "1")
    assert "Traceback" in desk("task", "list").err


def test_ctrl_c_ends_with_130_and_says_nothing(desk, program) -> None:
    desk.task()
    following = program("-C", str(desk.root), "log", "--follow")
    assert b"task new" in following.stdout.readline()

    following.send_signal(signal.SIGINT)

    assert following.communicate(timeout=20) == (b"", b"")
    assert following.returncode == 130


def test_a_reader_that_has_enough_is_no_error(desk, program) -> None:
    desk.task()
    following = program("-C", str(desk.root), "log", "--follow")
    assert b"task new" in following.stdout.readline()

    following.stdout.close()
    desk.task()

    assert following.wait(20) == 141
    assert following.stderr.read() == b""


def test_an_unknown_command_suggests_the_nearest(desk) -> None:
    answer = desk("clam", "TC-1")

    assert answer.status == 2
    assert "did you mean `claim`?" in answer.err


def test_a_wrong_command_line_with_json_is_one_json_object(desk) -> None:
    assert desk("task", "list", "--limit", "none", "--json").error["code"] == "usage"


def test_json_after_a_double_dash_is_text_not_an_option(desk) -> None:
    answer = desk("task", "new", "--agent", "nobody", "--", "--json")

    assert answer.err.startswith("clawfiles: no agent")


def test_the_workspace_is_found_from_a_folder_below(desk, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from claw_files.cli import run

    desk.task()
    monkeypatch.chdir(desk.root / "status")
    capsys.readouterr()

    assert run(["task", "list"]) == 0
    assert capsys.readouterr().out.startswith("TC-1")


def test_the_environment_names_workspace_and_agent_and_options_win(
    desk, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path
) -> None:
    from claw_files.cli import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLAWFILES_WORKSPACE", str(desk.root))
    monkeypatch.setenv("CLAWFILES_AGENT", "Sam")

    assert run(["task", "new", "one"]) == 0
    assert run(["task", "new", "two", "--agent", "iris"]) == 0
    assert [desk.show(task)["requested_by"] for task in ("TC-1", "TC-2")] == ["sam", "iris"]
    monkeypatch.setenv("CLAWFILES_WORKSPACE", str(tmp_path))
    assert run(["task", "list"]) == 6, "the environment names exactly one folder"


def test_shared_options_stand_before_or_after_the_command(desk) -> None:
    desk.task()

    assert (
        desk("--json", "task", "list").json
        == desk("task", "--json", "list").json
        == desk("task", "list", "--json").json
    )


def commands(group, path=()):
    import click

    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in commands(root)], ids=" ".join)
def test_the_help_of_every_command_shows_an_example(desk, path: tuple[str, ...]) -> None:
    answer = desk(*path, "--help")

    assert answer.status == 0
    assert f"Example:\n  clawfiles {path[0]}" in answer.out or 'Example:\n  eval "$(clawfiles' in answer.out


def test_the_table_of_commands_says_what_the_commands_say() -> None:
    for path, command in commands(root):
        row = row_of(" ".join(path))
        assert command.name in (" ".join(path), path[-1])
        assert row.says.endswith(".")
        assert command.help


def test_every_error_survives_pickling_and_has_a_sentence() -> None:
    import pickle

    from claw_files.core.errors import AlreadyClaimed, NothingReady

    for error in (AlreadyClaimed("TC-1", "peter", 3), NothingReady("peter", None)):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
        assert isinstance(error, ClawError)


def test_completion_names_commands_without_loading_them(program) -> None:
    asked = program(env={"_CLAWFILES_COMPLETE": "bash_complete", "COMP_WORDS": "clawfiles cla", "COMP_CWORD": "1"})

    assert asked.communicate(timeout=20)[0] == b"plain,claim\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(desk, shell: str) -> None:
    assert "_CLAWFILES_COMPLETE" in desk.ok("completion", shell).out


def test_the_process_exits_with_the_status(desk, program) -> None:
    asked = program("-C", str(desk.root), "task", "show", "TC-9", "--json")
    out, err = asked.communicate(timeout=20)

    assert (asked.returncode, out) == (3, b"")
    assert json.loads(err)["error"]["code"] == "not-found"
    assert isinstance(asked, subprocess.Popen)
