"""`init` makes a workspace or completes one, and touches nothing that exists."""

import os
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
def test_what_exists_stays_byte_for_byte_around_our_section_and_is_as_before_without_it(
    tmp_path: Path, program: str
) -> None:
    mine = {
        "AGENTS.md": b"my rules\r\n",
        "CLAUDE.md": b"\xef\xbb\xbfmy rules",
        "GEMINI.md": b"",
        "SOUL.md": b"soul",
        "HEARTBEAT.md": b"- buy milk",
        "memory/2026-03-07.md": b"x",
    }
    for name, data in mine.items():
        write(tmp_path / name, data)

    assert init(str(tmp_path), "--for", program) == 0
    instructed = tree(tmp_path)
    assert {name for name, data in mine.items() if instructed[name] != data} == {FILES[program]}
    assert instructed[FILES[program]].startswith(mine[FILES[program]])
    assert b"clawfiles claim" in instructed[FILES[program]]

    assert init(str(tmp_path), "--for", program) == 0
    assert tree(tmp_path) == instructed

    assert init(str(tmp_path), "--for", program, "--remove") == 0
    assert {name: data for name, data in tree(tmp_path).items() if name in mine} == mine
    assert not any("SKILL.md" in name for name in tree(tmp_path))


FILES = {"openclaw": "AGENTS.md", "claude": "CLAUDE.md", "codex": "AGENTS.md", "gemini": "GEMINI.md"}
PLACES = {program: ".claude" if program == "claude" else ".agents" for program in FILES}
BEGIN, END = "<!-- clawfiles begin -->", "<!-- clawfiles end -->"


def write(path: Path, data: bytes) -> None:
    """A file that nobody is in the middle of writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_an_older_section_is_brought_up_to_date_between_its_marks_only(tmp_path: Path, capsys) -> None:
    write(tmp_path / "AGENTS.md", f"mine\n{BEGIN}\nolder\n{END}\nmine, too".encode())

    assert init(str(tmp_path), "--for", "codex") == 0

    text = (tmp_path / "AGENTS.md").read_text()
    assert "updated: AGENTS.md" in capsys.readouterr().out
    assert text.startswith(f"mine\n{BEGIN}\n# Work with clawfiles")
    assert text.endswith(f"\n{END}\nmine, too")
    assert "older\n" not in text


@pytest.mark.parametrize(
    "text",
    [b"\xff\x00", f"{BEGIN}\nhalf".encode(), f"half\n{END}".encode(), f"{BEGIN}\na\n{END}\n".encode() * 2],
    ids=["no text", "no end", "no begin", "twice"],
)
@pytest.mark.parametrize("remove", [[], ["--remove"]], ids=["put", "take"])
def test_what_our_section_cannot_be_put_into_is_refused_and_nothing_is_written(
    tmp_path: Path, text: bytes, remove: list[str], capsys
) -> None:
    write(tmp_path / "GEMINI.md", text)

    assert init(str(tmp_path), "--for", "gemini", *remove) == 6

    assert tree(tmp_path) == {"GEMINI.md": text}
    assert not (tmp_path / "status").exists()
    said = capsys.readouterr().err
    assert said.startswith("clawfiles: GEMINI.md: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("remove", [[], ["--remove"]], ids=["put", "take"])
@pytest.mark.parametrize("name", ["CLAUDE.md", ".claude"])
def test_a_link_is_refused_and_what_it_leads_to_is_left_alone(tmp_path: Path, name: str, remove: list[str]) -> None:
    elsewhere, team = tmp_path / "elsewhere", tmp_path / "team"
    team.mkdir()
    write(elsewhere / "AGENTS.md", b"theirs")
    (team / name).symlink_to(elsewhere if name == ".claude" else elsewhere / "AGENTS.md")

    assert init(str(team), "--for", "claude", *remove) == 6

    assert tree(elsewhere) == {"AGENTS.md": b"theirs"}
    assert [path.name for path in team.iterdir()] == [name]


@pytest.mark.parametrize("program", list(FILES))
def test_what_was_made_for_a_program_alone_is_gone_again(tmp_path: Path, program: str, capsys) -> None:
    init(str(tmp_path))
    before = tree(tmp_path)
    init(str(tmp_path), "--for", program)
    assert {*tree(tmp_path)} - {*before} == {FILES[program], f"{PLACES[program]}/skills/clawfiles/SKILL.md"}
    capsys.readouterr()

    assert init(str(tmp_path), "--for", program, "--remove") == 0

    assert tree(tmp_path) == before
    assert f"removed: {FILES[program]}" in capsys.readouterr().out
    assert init(str(tmp_path), "--for", program, "--remove") == 0
    assert f"nothing to take out: {FILES[program]}" in capsys.readouterr().out


def test_a_skill_that_another_program_still_uses_stays(tmp_path: Path) -> None:
    for program in ("codex", "gemini"):
        init(str(tmp_path), "--for", program)

    init(str(tmp_path), "--for", "gemini", "--remove")
    assert (tmp_path / ".agents/skills/clawfiles/SKILL.md").exists()

    init(str(tmp_path), "--for", "codex", "--remove")
    assert not (tmp_path / ".agents/skills/clawfiles/SKILL.md").exists()


def test_a_skill_that_somebody_wrote_is_theirs_and_words_around_our_text_in_ours_stay(tmp_path: Path) -> None:
    skill = tmp_path / ".claude/skills/clawfiles/SKILL.md"
    write(skill, b"---\nname: clawfiles\n---\nmine")
    for more in ([], ["--remove"]):
        init(str(tmp_path), "--for", "claude", *more)
        assert skill.read_bytes() == b"---\nname: clawfiles\n---\nmine"

    skill.unlink()
    init(str(tmp_path), "--for", "claude")
    ours = skill.read_text()
    write(skill, f"{ours.replace('# Work with clawfiles', 'older')}\nAnd greet.\n".encode())
    init(str(tmp_path), "--for", "claude")
    assert skill.read_text() == f"{ours}\nAnd greet.\n"
    init(str(tmp_path), "--for", "claude", "--remove")
    assert skill.read_text().startswith("---\nname: clawfiles\n")
    assert skill.read_text().endswith("And greet.\n")


def test_taking_out_wants_a_program_and_a_folder_that_is_there(tmp_path: Path, capsys) -> None:
    assert init(str(tmp_path), "--remove") == 2
    assert "--for" in capsys.readouterr().err
    assert init(str(tmp_path / "none"), "--for", "claude", "--remove") == 6
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("program", ["claude", "openclaw"])
def test_what_an_existing_configuration_lacks_for_a_program_is_said(tmp_path: Path, program: str, capsys) -> None:
    init(str(tmp_path))
    capsys.readouterr()

    init(str(tmp_path), "--for", program)

    told = capsys.readouterr().out
    assert "add yourself: clawfiles.toml" in told
    assert ("[agents.claude]" if program == "claude" else "clawfiles/LEDGER.md") in told


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
