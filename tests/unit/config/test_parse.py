"""What `config.parse` makes of a file, and everything it finds wrong."""

from datetime import time, timedelta
from pathlib import Path

import msgspec
import pytest

from claw_files import config
from claw_files.config.channels import named
from claw_files.core.errors import InvalidConfig, NotFound
from claw_files.core.model import AgentKind, Size

ROOT = Path(__file__).parents[3]
LEAST = b'[workspace]\ncoordinator = "sam"\n[agents.sam]\n'

FULL = b"""
[workspace]
coordinator = "sam"
monitor = "sentry"
timezone = "Europe/Berlin"
prefix = "TC"
ledger = "HEARTBEAT.md"
[agents.sentry]
kind = "named"
reports_to = "sam"
[agents.sam]
reports_to = "dimitrios"
session = "agent:main:main"
[agents.Peter]
takes = ["code-review", "bug"]
runtime = "command"
command = ["claude", "-p"]     # not a shell line
message = "file"
env = ["ANTHROPIC_API_KEY"]
timeout = "30m"
workspace = "../peter"
model = "anthropic/claude-sonnet-4-6"
quiet_hours = ["22:00-07:00"]
[agents.research]
kind = "worker"
command = ["python", "workers/research.py"]
[agents.shield]
compartment = true
[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
[routes]
code-review = { to = ["peter", "research", "self"], how = "send", review = "coordinator", verify = ["pytest", "-q"] }
research = { to = ["research"], how = "spawn", size = "M" }
[heartbeat]
check = ["1m", "500ms", "1h"]
backoff = "2s"
ack = "1h30m"
[quiet_hours]
windows = ["03:00-08:00", "23:30-24:00"]
critical_passes = false
[limits]
per_model = { "anthropic/claude-sonnet-4-6" = "15/min" }
[schedules.morning-report]
cron = "45 8 * * 1-5"
do = { spawn = ["email", "calendar"], combine = "sam" }
[schedules.nightly]
cron = "@daily"
do = { event = "night" }
catch_up = "skip"
"""


def problems(text: str) -> list[tuple[int | None, str]]:
    """What is wrong with the text."""
    with pytest.raises(InvalidConfig) as caught:
        config.parse(text.encode(), "clawfiles.toml")
    return caught.value.problems


def problems_with(more: str) -> list[str]:
    """What is wrong with `more` in a file that is right without it."""
    return [sentence for _, sentence in problems(LEAST.decode() + more)]


def test_a_coordinator_alone_is_enough_and_everything_else_has_a_default() -> None:
    settings = config.parse(LEAST)

    assert settings.coordinator == settings.monitor == "sam"
    assert settings.workspace.timezone == "UTC"
    assert settings.workspace.prefix == "TC"
    assert settings.heartbeat.check == (timedelta(minutes=30),)
    assert settings.heartbeat.lease == timedelta(minutes=90)
    assert (settings.heartbeat.sends, settings.heartbeat.attempts, settings.heartbeat.auto) == (2, 3, False)
    assert (settings.limits.runs, settings.limits.depth, settings.limits.spawns_per_minute) == (4, 1, 10)
    assert (settings.limits.breaker, settings.limits.breaker_pause) == (3, timedelta(minutes=10))
    assert settings.quiet_hours.windows == ()
    assert settings.agent("sam").session == "agent:sam:main"


def test_a_full_file_is_read_as_it_says() -> None:
    settings = config.parse(FULL)

    peter = settings.agent("peter")
    assert peter.runtime == "command"
    assert peter.command == ("claude", "-p")
    assert peter.quiet_hours == ((time(22), time(7)),)
    assert settings.agent("research").runtime == "command"  # for it has a command
    assert settings.agent("dimitrios").kind is AgentKind.HUMAN
    assert settings.routes["code-review"].to == ("peter", "research", "sam")
    assert settings.routes["code-review"].verify == ("pytest", "-q")
    assert settings.routes["research"].size is Size.M
    assert settings.heartbeat.check == (timedelta(minutes=1), timedelta(milliseconds=500), timedelta(hours=1))
    assert settings.heartbeat.ack == timedelta(minutes=90)
    assert settings.quiet_hours.windows == ((time(3), time(8)), (time(23, 30), time(0)))
    assert str(settings.quiet_hours.zone) == "Europe/Berlin"  # the workspace's
    assert settings.limits.per_model["anthropic/claude-sonnet-4-6"] == config.Rate(count=15, per=timedelta(minutes=1))
    assert settings.schedules["morning-report"].spawn == ("email", "calendar")
    assert settings.schedules["nightly"].cron == "0 0 * * *"
    assert settings.schedules["nightly"].catch_up == "skip"


def test_settings_survive_a_cache() -> None:
    settings = config.parse(FULL)

    assert msgspec.json.decode(msgspec.json.encode(settings), type=config.Settings) == settings


def test_line_endings_of_windows_and_a_byte_order_mark_are_fine() -> None:
    assert config.parse(b"\xef\xbb\xbf" + FULL.replace(b"\n", b"\r\n")) == config.parse(FULL)


def test_reports_to_is_filled_in_up_to_a_person() -> None:
    settings = config.parse(LEAST + b'[agents.peter]\n[agents.ann]\nkind = "human"\n')

    assert settings.reports_to("peter") == "sam"
    assert settings.reports_to("sam") == "ann"
    assert settings.reports_to("ann") is None
    assert settings.reports_to("nobody") is None
    assert settings.is_human("ann")
    assert not settings.is_human("sam")
    assert not settings.is_human("nobody")


def test_an_unknown_agent_is_not_found_and_the_error_names_those_there_are() -> None:
    settings = config.parse(FULL)

    assert settings.agent("PETER").name == "peter"
    with pytest.raises(NotFound, match="sentry, sam, peter"):
        settings.agent("petr")


def test_every_problem_is_told_at_once_with_its_line() -> None:
    found = problems(
        '[workspace]\ncordinator = "sam"\ntimezone = "Europe/Berln"\n\n[agents.peter]\nkind = "wroker"\n'
        'runtime = "command"\n[routes]\na = { to = ["petr"], size = "XL" }\n[limit]\nruns = 1\n'
    )

    assert [line for line, _ in found] == [1, 2, 3, 6, 7, 9, 9, 10]
    said = "\n".join(sentence for _, sentence in found)
    for hint in ("`coordinator`", "`Europe/Berlin`", "`worker`", "`peter`", "`L`", "`limits`", "needs one: command"):
        assert hint in said


def test_a_problem_in_an_inline_table_is_found_on_its_line() -> None:
    text = LEAST.decode() + '[schedules.a]\ncron = "@daily"\n# evnt = 1\ndo = { task = "x", evnt = "y" }\n'

    assert problems(text) == [(7, "schedules.a.do.evnt: unknown key; did you mean `event`?")]


def test_text_that_is_no_toml_is_one_problem_with_its_line() -> None:
    (found,) = problems("[workspace]\ncoordinator = sam\n")
    assert found[0] == 2
    (found,) = problems('[workspace]\ncoordinator = "sam')
    assert found[0] == 2
    with pytest.raises(InvalidConfig) as caught:
        config.parse(b"[workspace]\n# \xff\n", "clawfiles.toml")
    assert caught.value.problems == [(2, "is not UTF-8")]
    assert problems("a=" + "[" * 100_000)


def test_the_error_says_path_and_line_of_each_problem() -> None:
    with pytest.raises(InvalidConfig, match=r"^sub/clawfiles.toml, line 4: agents.sam.sesion: unknown key"):
        config.parse(LEAST + b'sesion = "x"\n', "sub/clawfiles.toml")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('reports_to = "nobody"', "no [agents.nobody]"),
        ('reports_to = "sam"', "cycle: sam -> sam"),
        ('reports_to = "b"\n[agents.b]\nreports_to = "sam"', "cycle: b -> sam -> b"),
        ('reports_to = "b"\n[agents.b]\nreports_to = "c"\n[agents.c]\nreports_to = "b"', "cycle: b -> c -> b"),
        ('command = "claude -p"', '["claude", "-p"]'),
        ('runtime = "command"', "needs one"),
        ('runtime = "acp"', 'is "acp", so it needs one'),
        ('permissions = "approve-all"', 'is only for runtime = "acp"'),
        ('permissions = "approve-writes"', "must be approve-reads | approve-all | deny-all"),
        ('kind = "worker"', "cannot coordinate"),
        ('runtime = "comand"', "did you mean `command`"),
        ("compartment = 1", "true or false"),
        ("takes = [1]", "must be a text"),
        ('takes = "bug"', "in square brackets"),
        ('env = ["A=B"]', "without their values"),
        ('channels = ["tgram:x"]', 'each wants "file:PATH"'),
        ('channels = ["file:../x"]', "inside the workspace"),
        ('quiet_hours = ["22-7"]', "window"),
        ('quiet_hours = ["00:00-12:00", "12:00-24:00"]', "no time of day"),
        ('timeout = "soon"', "length"),
        ('timeout = "0s"', "length"),
        ("timeout = true", "must be a text"),
        ('preset = "claude"', "unknown key"),
        ("[agents.self]", "reserved word"),
        ('[agents."a/b"]', "not a valid agent name"),
        ("[agents.Sam]", "used twice"),
        ("[[agents.b]]", "must be a table"),
        ('[routes.x]\nhow = "send"', "names no agent"),
        ('[routes.x]\nto = ["self"]\nreview = "boss"', "no [agents.boss]"),
        ('[routes.x]\nto = ["self"]\nverify = "pytest -q"', "never a shell line"),
        ('[heartbeat]\ncheck = ["1m", "later"]', "length"),
        ("[heartbeat]\ncheck = []", "list of them"),
        ("[heartbeat]\nsends = 0", "1 or more"),
        ("[heartbeat]\nsends = true", "whole number"),
        ('[quiet_hours]\nwindows = ["25:00-03:00"]', "window"),
        ('[quiet_hours]\nwindows = ["00:00-24:00"]', "no time of day"),
        ('[quiet_hours]\ntimezone = "../etc/passwd"', "time zone"),
        ('[limits]\nper_model = { x = "often" }', "15/min"),
        ('[schedules.x]\ndo = { task = "a" }', "needs a time"),
        ('[schedules.x]\ncron = "61 * * * *"\ndo = { task = "a" }', "Bad minute"),
        ('[schedules.x]\ncron = "0 0 31 2 *"\ndo = { task = "a" }', "not a cron line"),
        ('[schedules.x]\ncron = "* * * * * *"\ndo = { task = "a" }', "five fields"),
        ('[schedules.x]\ncron = "@often"\ndo = { task = "a" }', "@daily"),
        ('[schedules.x]\ncron = "@daily"', "exactly one"),
        ('[schedules.x]\ncron = "@daily"\ndo = { task = "a", event = "b" }', "exactly one"),
        (
            '[schedules.x]\ncron = "@daily"\ndo = { spawn = ["a"], combine = "b" }\n'
            '[agents.a]\nkind = "worker"\ncommand = ["a"]',
            "no [agents.b]",
        ),
        ('[schedules."a.b"]\ncron = "@daily"\ndo = { task = "a" }', "must be a name"),
        ("[wallet]", "unknown key; known: workspace, agents"),
    ],
)
def test_each_configuration_error_is_named(more: str, says: str) -> None:
    found = problems_with(more + "\n")

    assert len(found) == 1, found
    assert says in found[0]


@pytest.mark.parametrize("odd", ["json:hidden", "env:hid den", "json://hidden with blanks", "file://hidden", "hidden"])
def test_an_error_shows_no_address(odd: str) -> None:
    (found,) = problems_with(f'channels = ["json://127.0.0.1/hidden", "{odd}"]\n')

    assert "hidden" not in found


def test_channels_are_read_with_and_without_the_word_apprise() -> None:
    there = '["file:a.md", "apprise:json://me:pw@host/x?y=1", "tgram://t/c", "env:MINE", "addresses:~/mine.txt"]'
    agent = config.parse(LEAST + f"channels = {there}\n".encode()).agents["sam"]

    assert agent.channels == (
        "file:a.md",
        "json://me:pw@host/x?y=1",
        "tgram://t/c",
        "env:MINE",
        "addresses:~/mine.txt",
    )
    assert list(named(agent.channels)) == ["file:a.md", "json-2", "tgram-3", "env-4", "addresses-5"]


@pytest.mark.parametrize("more", ['coordinator = "nobody"', "", 'coordinator = ""', 'coordinator = "a b"'])
def test_a_coordinator_that_is_no_agent_is_one_problem(more: str) -> None:
    (found,) = problems(f"[workspace]\n{more}\n[agents.sam]\n")

    assert found[1].startswith("workspace.coordinator")


def test_a_long_value_is_not_repeated_whole_in_the_error() -> None:
    (said,) = problems_with(f'timeout = "{"x" * 100_000}"\n')

    assert len(said) < 300


@pytest.mark.parametrize("file", sorted((ROOT / "templates/agents").glob("*.toml")), ids=lambda file: file.stem)
def test_each_agent_template_parses(file: Path) -> None:
    settings = config.parse(LEAST + file.read_bytes(), file.name)

    assert settings.agent(file.stem).runtime == ("inbox" if file.stem == "inbox" else "command")


def test_there_is_a_template_for_each_agent_that_init_knows() -> None:
    names = {file.stem for file in (ROOT / "templates/agents").glob("*.toml")}

    assert names >= {"claude", "codex", "gemini", "script", "inbox"}
