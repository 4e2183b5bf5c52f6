"""`init` makes a workspace or completes one, and touches nothing that exists."""

from pathlib import Path

import pytest

from claw_files.cli import run


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def init(*arguments: str) -> int:
    return run(["init", *arguments])


def test_a_new_workspace_works_at_once(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.delenv("CLAWFILES_WORKSPACE", raising=False)
    assert init(str(tmp_path / "team")) == 0
    assert "made: clawfiles.toml\n" in capsys.readouterr().out

    at = ["-C", str(tmp_path / "team")]
    assert run([*at, "task", "new", "API security review", "--agent", "me"]) == 0
    assert run([*at, "claim", "TC-1", "--agent", "peter"]) == 0
    assert run([*at, "doctor"]) == 0
    assert "## Delegations\n\n- TC-1 delegated to peter" in (tmp_path / "team/HEARTBEAT.md").read_text()


def test_a_second_init_changes_nothing(tmp_path: Path, capsys) -> None:
    init(str(tmp_path))
    before = tree(tmp_path)
    capsys.readouterr()

    assert init(str(tmp_path)) == 0

    assert tree(tmp_path) == before
    said = capsys.readouterr().out.splitlines()[1:]
    assert said
    assert all(line.startswith("kept: ") for line in said)


@pytest.mark.parametrize("program", ["openclaw", "claude", "codex", "gemini"])
def test_what_exists_stays_byte_for_byte(tmp_path: Path, program: str, capsys) -> None:
    mine = {
        "AGENTS.md": b"my rules\r\n",
        "CLAUDE.md": b"\xef\xbb\xbfmy rules",
        "GEMINI.md": b"\xff\x00",
        "SOUL.md": b"soul",
        "HEARTBEAT.md": b"- buy milk",
        "memory/2026-03-07.md": b"x",
    }
    for name, data in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    assert init(str(tmp_path), "--for", program) == 0

    assert {name: data for name, data in tree(tmp_path).items() if name in mine} == mine
    out = capsys.readouterr().out
    assert "add yourself: " in out, "it says what to add"
    assert "clawfiles claim" in out


def test_for_openclaw_the_ledger_lies_where_its_doctor_does_not_tidy(tmp_path: Path) -> None:
    init(str(tmp_path), "--for", "openclaw")

    assert 'ledger = "clawfiles/LEDGER.md"' in (tmp_path / "clawfiles.toml").read_text()
    assert (tmp_path / "clawfiles/LEDGER.md").exists()
    assert not (tmp_path / "HEARTBEAT.md").exists()
    assert "clawfiles claim" in (tmp_path / "AGENTS.md").read_text()
    assert run(["-C", str(tmp_path), "doctor"]) == 0


@pytest.mark.parametrize(
    ("program", "file"), [("claude", "CLAUDE.md"), ("codex", "AGENTS.md"), ("gemini", "GEMINI.md")]
)
def test_for_a_program_its_agent_is_configured_and_told(tmp_path: Path, program: str, file: str, capsys) -> None:
    init(str(tmp_path), "--for", program)
    capsys.readouterr()

    assert "clawfiles claim" in (tmp_path / file).read_text()
    assert run(["-C", str(tmp_path), "route", "--type", "code-review"]) == 0
    assert f"next: {program}, by send" in capsys.readouterr().out


def test_a_wrong_configuration_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "clawfiles.toml").write_text("[workspace\n")

    assert init(str(tmp_path)) == 6
    assert set(tree(tmp_path)) == {"clawfiles.toml"}


def test_an_existing_configuration_s_ledger_is_made_where_it_says(tmp_path: Path) -> None:
    text = '[workspace]\ncoordinator = "sam"\nledger = "notes/LEDGER.md"\n[agents.sam]\nkind = "named"\n'
    (tmp_path / "clawfiles.toml").write_text(text)

    assert init(str(tmp_path)) == 0
    assert (tmp_path / "notes/LEDGER.md").exists()


@pytest.mark.parametrize("name", ["nothing", "..", "default/.."])
def test_an_unknown_template_is_told_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    assert init(str(tmp_path), "--template", name) in (2, 3)
    assert tree(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    assert init(str(tmp_path / "file/team")) == 6
