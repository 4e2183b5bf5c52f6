"""`prime`: what each role must know, within 300 words, in commands that exist; the skill is the same text."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from claw_files import config
from claw_files.cli import run
from claw_files.cli.root import Group, root
from claw_files.core.errors import InvalidConfig
from claw_files.core.model import AgentId
from claw_files.formats import own_sections
from claw_files.services.admin.agent_briefing import MOST_WORDS, Primer, prime, skill_text

SKILL = Path(__file__).parents[2] / "templates/skills/clawfiles/SKILL.md"

TEAM = """
[workspace]
coordinator = "sam"
ledger = "notes/LEDGER.md"

[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
reports_to = "sam"
takes = ["bug"]
runtime = "command"
command = ["peter"]
[agents.iris]
reports_to = "sam"
workspace = "../iris"
[agents.research]
kind = "worker"
runtime = "command"
command = ["research"]
[agents.shield]
takes = ["secret-matter"]
compartment = true
[agents.claw]
runtime = "openclaw"

[routes]
code-review = { to = ["peter", "self"] }
"""
ROLES = {
    "sam": "coordinator",
    "dimitrios": "human",
    "peter": "named",
    "iris": "named",
    "shield": "named",
    "claw": "named",
    "research": "worker",
    None: "nobody",
}


def primer(name: str | None, text: str = TEAM) -> Primer:
    return prime(config.parse(text.encode(), "clawfiles.toml"), AgentId(name) if name else None)


def commands(text: str) -> list[list[str]]:
    """Every command of ours that the text names, in words."""
    return [shlex.split(found) for found in re.findall(r"`clawfiles ([^`]+)`", text)]


def check_command(words: list[str]) -> None:
    """Fails unless the command exists, takes these options and as many arguments."""
    found: click.Command | None = root
    words = list(words)
    while isinstance(found, Group) and words and not words[0].startswith("-"):
        found = found.get_command(click.Context(found), words.pop(0))
    assert found, f"no such command: {words}"
    found.make_context(found.name, words)


@pytest.mark.parametrize("name", list(ROLES))
def test_each_role_is_told_within_300_words_in_commands_that_exist(name: str | None) -> None:
    told = primer(name)

    assert told.role == ROLES[name]
    assert told.agent == name
    assert 100 < told.words <= MOST_WORDS
    assert commands(told.text)
    for words in commands(told.text):
        check_command(words)


@pytest.mark.parametrize("words", ["no-such-thing TC-1", "done TC-1 --no-such", "task nonsense", "claim TC-1 TC-2"])
def test_a_command_that_does_not_exist_would_be_found(words: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        check_command(words.split())


# What the MCP server offers under these names.
TOOLS = {
    *("inbox", "subagents", "sessions_spawn", "sessions_send", "sessions_list", "sessions_history"),
    *("task_new", "task_claim", "task_progress", "task_done", "task_fail"),
}


@pytest.mark.parametrize("name", list(ROLES))
def test_tools_are_called_by_the_names_they_have(name: str | None) -> None:
    named = set(re.findall(r"`((?:task|sessions)_\w+|inbox|subagents)`", primer(name).text))
    assert named <= TOOLS
    assert bool(named) is (ROLES[name] not in ("worker", "human"))


def test_the_instructions_are_the_text_of_the_skill_and_point_at_prime(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path), "--for", "claude"]) == 0
    text = skill_text()
    assert ["prime"] in commands(text)
    assert text in (tmp_path / "CLAUDE.md").read_text()
    assert text in (tmp_path / ".claude/skills/clawfiles/SKILL.md").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sam", ["notes/LEDGER.md", "report to dimitrios", "peter (bug)", "research (worker)", "dimitrios (person)"]),
        ("peter", ["sam coordinates", "report to sam", "You do: bug, code-review.", "started for one message"]),
        ("iris", ["You take any task.", "clawfiles inbox --wait --agent iris", "`../iris`", "of your own folder"]),
        ("shield", ["secret-matter", "`compartments/shield/`"]),
        ("claw", ["OpenClaw"]),
        ("research", ["checkpoints/subagent-LABEL.md", "CLAWFILES_RUN"]),
        ("dimitrios", ["file:announcements.md", "--agent dimitrios", "clawfiles approve"]),
        (None, ["CLAWFILES_AGENT", "clawfiles prime"]),
    ],
)
def test_it_is_told_as_the_agent_is_configured(name: str | None, said: list[str]) -> None:
    text = primer(name).text
    assert [part for part in said if part not in text] == []
    assert "$" not in text


@pytest.mark.parametrize("name", [name for name in ROLES if name != "shield"])
def test_nobody_is_told_of_another_s_compartment(name: str | None) -> None:
    text = primer(name).text
    assert "shield" not in text
    assert "secret-matter" not in text


WORD = st.text(st.sampled_from("ab `$\n*\u202e{}"), min_size=1, max_size=70)


@settings(suppress_health_check=[HealthCheck.too_slow])  # drawing is slow only where the machine is busy
@given(types=st.lists(WORD, max_size=9), channel=WORD, folder=WORD, agents=st.integers(0, 20), closed=st.booleans())
@example(types=["a a a"] * 9, channel="c " * 30, folder="f " * 30, agents=80, closed=True)
def test_no_configuration_makes_it_longer_than_300_words(
    types: list[str], channel: str, folder: str, agents: int, closed: bool
) -> None:
    data = tomllib.loads(TEAM)
    for name in ("sam", "peter"):
        data["agents"][name] |= {"takes": types, "workspace": f"../{folder}"}
    data["agents"]["peter"]["compartment"] = closed
    data["agents"]["dimitrios"]["channels"] = [f"file:{channel}"] * 20
    data["agents"] |= {f"a{'x' * 60}{number}": {"takes": types} for number in range(agents)}
    data["workspace"]["ledger"] = "L " * 30 + ".md"
    try:
        team = config.parse(to_toml(data).encode(), "clawfiles.toml")
    except InvalidConfig:
        return
    for name in (name for name in data["agents"] if len(name) < 60):
        told = prime(team, AgentId(name))
        assert len(f"{told.text}\n\n(300 words, about 500 tokens: characters / 4)".split()) <= MOST_WORDS


def to_toml(data: dict[str, Any]) -> str:
    """The configuration as text: JSON's strings, lists and numbers are TOML's, too."""
    import json

    parts = []
    for table, values in data.items():
        for name, inner in values.items() if table == "agents" else [("", values)]:
            parts.append(f"[{table}.{name}]" if name else f"[{table}]")
            for key, value in inner.items():
                if isinstance(value, dict):
                    value = "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + " }"
                    parts.append(f"{key} = {value}")
                else:
                    parts.append(f"{key} = {json.dumps(value)}")
    return "\n".join(parts)


# --- the command


def test_the_last_line_is_its_size_and_json_has_it_as_numbers(desk) -> None:
    *text, empty, size = desk.ok("prime", by="peter").out.splitlines()
    answer = desk.ok("prime", "--json", by="peter").json

    assert "\n".join(text) == answer["text"]
    assert empty == ""
    assert size == f"({answer['words']} words, about {answer['tokens']} tokens: characters / 4)"
    assert (answer["agent"], answer["role"]) == ("peter", "named")
    assert answer["words"] == len(answer["text"].split())
    assert answer["tokens"] == -(-len(answer["text"]) // 4)


def test_nobody_in_particular_gets_the_skill_s_text_and_an_unknown_name_is_refused(desk) -> None:
    answer = desk.ok("prime", "--json").json
    assert (answer["agent"], answer["role"], answer["text"]) == (None, "nobody", skill_text())
    assert desk("prime", by="nobody-here").status == 3


# --- the skill


def test_the_skill_is_one_by_the_format_and_for_openclaw() -> None:
    text = SKILL.read_text()
    _, front, body = text.split("---\n", 2)
    head = yaml.safe_load(front)

    assert head.keys() == {"name", "description", "license", "compatibility", "metadata"}
    assert head["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", head["name"])
    assert 0 < len(head["description"]) <= 1024
    assert len(head["compatibility"]) <= 500
    assert head["license"] == "MIT"
    assert head["metadata"]["openclaw"] == {"requires": {"bins": ["clawfiles"]}}
    assert own_sections.inside(text.encode(), "SKILL.md") is not None
    assert body.strip() == f"{own_sections.BEGIN}\n{skill_text()}\n{own_sections.END}"
