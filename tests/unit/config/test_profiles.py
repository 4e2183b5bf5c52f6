"""Profiles in clawfiles.toml: how they are read, what they leave of an agent, and what is refused, with its line."""

from datetime import timedelta

import pytest

from claw_files.config import Profile, Settings, parse
from claw_files.core.errors import InvalidConfig

HEAD = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n'


def settings(text: str) -> Settings:
    return parse((HEAD + text).encode())


def problems(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(InvalidConfig) as refused:
        settings(text)
    return [(line and line - HEAD.count("\n"), sentence) for line, sentence in refused.value.problems]


def test_a_profile_is_read_with_all_it_says() -> None:
    found = settings(
        """[profiles.readonly]
commands = ["task list", "clawfiles  inbox", "progress"]
model = "small"
env = ["KEY"]
cwd = "work/{label}"
timeout = "10m"
memory = "2GiB"
sandbox = "require"
network = false
read = ["~/.config/agent"]
[agents.peter]
command = ["true"]
profile = "readonly"
"""
    )

    assert found.profile("peter") == Profile(
        name="readonly",
        commands=("task list", "inbox", "progress"),
        model="small",
        env=("KEY",),
        cwd="work/{label}",
        timeout=timedelta(minutes=10),
        memory=2 << 30,
        sandbox="require",
        network=False,
        read=("~/.config/agent",),
    )
    assert found.profile("sam") is None
    assert found.profile("nobody") is None


@pytest.mark.parametrize(
    ("own", "env", "timeout", "model"),
    [
        ("", ("A", "B"), 10, "small"),
        ('env = ["B", "C"]\ntimeout = "5m"\nmodel = "large"', ("B",), 5, "large"),
        ('timeout = "1h"\nenv = []', (), 10, "small"),
    ],
)
def test_the_narrower_right_or_limit_counts_and_else_the_agents_own_value(
    own: str, env: tuple[str, ...], timeout: int, model: str
) -> None:
    profile = '[profiles.p]\nenv = ["A", "B"]\ntimeout = "10m"\nmodel = "small"\n'

    peter = settings(f'{profile}[agents.peter]\nprofile = "p"\n{own}\n').agents["peter"]

    assert (peter.env, peter.timeout, peter.model) == (env, timedelta(minutes=timeout), model)


def test_a_profile_that_says_nothing_changes_nothing() -> None:
    own = '[agents.peter]\nenv = ["A"]\ntimeout = "1h"\nmodel = "m"\n'

    with_it, without = settings(f'[profiles.p]\n{own}profile = "p"\n'), settings(own)

    assert with_it.agents["peter"].env == without.agents["peter"].env
    assert with_it.agents["peter"].timeout == without.agents["peter"].timeout


PEER = '[agents.peter]\ncommand = ["true"]\n'


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('[profiles.p]\ncomands = ["inbox"]', 2, "did you mean `commands`?"),
        ('[profiles.p]\ncommands = ["taks list"]', 2, "did you mean `task list`?"),
        ('[profiles.p]\ncommands = "inbox"', 2, "in square brackets"),
        ('[profiles.p]\ncommands = ["inbox; rm -rf /"]', 2, "is no command"),
        ('[profiles.p]\nmemory = "2"', 2, '"2GiB"'),
        ('[profiles.p]\nmemory = "1MiB"', 2, '"64MiB"'),
        ("[profiles.p]\nmemory = 2000000000", 2, "text"),
        ('[profiles.p]\nsandbox = "required"', 2, "did you mean `require`?"),
        ("[profiles.p]\nnetwork = false", 2, 'set sandbox = "require"'),
        ('[profiles.p]\ncwd = "status"', 2, "is reserved for the workspace"),
        ('[profiles.p]\ncwd = "work/../status"', 2, "inside the workspace"),
        ('[profiles.p]\ncwd = "."', 2, "inside the workspace"),
        ('[profiles.p]\ncwd = "work/{task}"', 2, "only {agent} and {label}"),
        ('[profiles.p]\nread = ["secrets"]', 2, '"~/"'),
        ('[profiles.p]\nread = ["/"]', 2, '"~/"'),
        ('[profiles.p]\nenv = ["KEY=value"]', 2, "without their values"),
        (f'[profiles.readonly]\n{PEER}profile = "redonly"', 4, "did you mean `readonly`?"),
        ('[profiles.p]\nsandbox = "require"\n[agents.peter]\nprofile = "p"', 4, "inbox, the runtime of peter"),
    ],
)
def test_each_profile_error_names_its_line_and_the_right_form(text: str, line: int, part: str) -> None:
    [(at, sentence)] = problems(text)

    assert (at, part in sentence) == (line, True), sentence
