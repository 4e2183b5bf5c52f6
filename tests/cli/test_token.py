"""Tokens: made once, kept for their owner alone, and worth nothing as soon as anybody else could have read them."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import CannotRead


def tokens(desk):
    return App(str(desk.root), {}, None).tokens


def secret(desk, agent: str = "peter") -> str:
    return desk.ok("token", agent, "--show", "--json").json["token"]


def test_a_token_is_made_once_and_lies_in_a_file_of_its_owner_alone(desk) -> None:
    first = desk.ok("token", "Peter", "--json").json
    again = desk.ok("token", "peter", "--json").json
    file = desk.root / ".clawfiles/tokens/peter"

    assert first == {"agent": "peter", "path": ".clawfiles/tokens/peter", "made": True}
    assert again == {**first, "made": False}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}[.][0-9a-f]{32}\n", file.read_text())


def test_a_token_is_printed_only_when_it_is_asked_for(desk) -> None:
    told = desk.ok("token", "peter").out
    kept = desk.read(".clawfiles/tokens/peter").strip()

    assert told == "the token of peter is in .clawfiles/tokens/peter\n"
    assert desk.ok("token", "peter", "--show").out == f"{kept}\n"


def test_a_token_names_its_agent_and_no_other_text_names_any(desk) -> None:
    of_peter, of_iris = secret(desk), secret(desk, "iris")
    found = tokens(desk)

    assert of_peter != of_iris
    assert (found.agent_of(of_peter), found.agent_of(of_iris)) == ("peter", "iris")
    for other in ("", of_peter[:-1], of_peter + "x", of_peter.swapcase(), "\udcff", "ä" * 300):
        assert found.agent_of(other) is None


def test_a_revoked_token_is_nobodys_and_the_next_one_is_new(desk) -> None:
    old = secret(desk)

    assert desk.ok("token", "peter", "--revoke").out == "revoked the token of peter\n"
    assert tokens(desk).agent_of(old) is None
    assert desk.ok("token", "peter", "--revoke").out == "peter has no token\n"
    assert secret(desk) != old


def test_an_agent_that_the_configuration_does_not_know_gets_no_token_and_has_none(desk) -> None:
    assert desk("token", "nobody").status == 3
    assert desk("token", "peter", "--show", "--revoke").status == 2
    kept = secret(desk)
    (desk.root / ".clawfiles/tokens/peter").rename(desk.root / ".clawfiles/tokens/former")

    assert tokens(desk).agent_of(kept) is None


def wide(file: Path) -> None:
    file.chmod(0o640)


def wide_folder(file: Path) -> None:
    file.parent.chmod(0o750)


def link(file: Path) -> None:
    file.rename(file.parent / "elsewhere")
    file.symlink_to("elsewhere")


def second_name(file: Path) -> None:
    os.link(file, file.parent / "elsewhere")


def folder_link(file: Path) -> None:
    file.parent.rename(file.parent.parent / "elsewhere")
    file.parent.symlink_to("elsewhere")


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("spoil", [wide, wide_folder, link, second_name, folder_link, fifo])
def test_a_token_that_others_could_have_read_is_refused_with_a_sentence(desk, spoil: Callable[[Path], None]) -> None:
    kept = secret(desk)
    spoil(desk.root / ".clawfiles/tokens/peter")
    answer = desk("token", "peter", "--json")

    assert (answer.status, answer.error["code"]) == (6, "cannot-read")
    assert tokens(desk).agent_of(kept) is None
    assert any(".clawfiles/tokens" in problem for problem in tokens(desk).problems())


def test_a_token_of_another_user_is_refused(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, owner = secret(desk), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(CannotRead, match="belongs to another user"):
        tokens(desk).show("peter")
    assert tokens(desk).agent_of(kept) is None


def test_an_empty_file_is_no_token_and_is_made_anew(desk) -> None:
    file = desk.root / ".clawfiles/tokens/peter"
    secret(desk)
    file.write_text("")

    assert tokens(desk).agent_of("") is None
    assert tokens(desk).make("peter")
    assert tokens(desk).agent_of(file.read_text().strip()) == "peter"
