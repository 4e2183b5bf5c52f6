"""`docs/reference/settings.md`, generated from the table."""

from claw_files.config.table import NAMED, TABLE, Setting
from claw_files.config.value_forms import FORMS

_HEAD = """# Settings

`clawfiles.toml`, in the root of the workspace. This page is generated from the table that the program uses.

An unknown key is an error; the message names the line and the nearest known key. All errors are reported at once.
`*` is a name you choose. The only required key is `workspace.coordinator`, together with an agent of that name.

- A **length** is text such as "500ms", "45s", "30m", "1h30m", "7d", or a whole number of seconds.
- A **window** is text such as "22:00-07:00": from the first time to the second, over midnight if it is earlier.
  A window with equal ends is empty. "24:00" is the end of the day. Some of the day must remain outside all windows.
- A **command** is a list of texts and is never passed to a shell.
- An **amount** is a number in the currency of the budgets, without a currency sign: 450, 0.25.
- A **rate** is text such as "15/min": s, min, h or day.
- An **amount of memory** is text such as "512MiB" or "2GiB"; K, M, G and T count by 1024.
- An **agent** is a name under `[agents]`, not case-sensitive; it is stored in lower case.
- A **cron line** follows the clock in the workspace's time zone. A line with fixed times fires once a day even
  when clocks change; a line whose minute or hour begins with `*` follows elapsed time.
"""

_NOTES = {
    "schedules.*": "`do` contains exactly one of `spawn`, `event`, `task` and `workflow`. The name of a schedule\n"
    "is up to 38 letters, digits, `-` and `_`.",
    "events.*": "`*` is a type of [events](../how-to/events.md); `do` contains one of `spawn`, `task` and `workflow`.",
    "agents.*": "`templates/agents/` contains ready-made settings for well-known agent programs.",
    "profiles.*": "`*` is a name for `profile` of agents. [Profiles](../how-to/profiles.md) shows them at work.\n"
    "For `env` and `timeout` the stricter value applies, for `model` and the working folder the agent's.",
    "routes.*": "`*` is a task type. Without a route: agents that take the type, then the coordinator.",
    "budgets": "[What agents cost](../how-to/costs.md) explains budgets. `*` is the name of an agent.",
    "prices.*": "`*` is the name of a model as in `model` of an agent, or as its program reports it.",
    "workflows.*": "`*` is the name of a workflow: [versions](../how-to/workflow-versions.md).",
    "limits": "`*` is the name of a model as in `model` of an agent.",
}


def render() -> str:
    """The whole page."""
    sections = dict.fromkeys(_section(setting) for setting in TABLE)
    return "\n".join([_HEAD, *(_table(section) for section in sections)])


def _section(setting: Setting) -> str:
    path = setting.path
    return ".".join(path[:2]) if path[0] in NAMED and path[1] == "*" else path[0]


def _table(section: str) -> str:
    rows = [_row(setting, section) for setting in TABLE if _section(setting) == section]
    note = f"{_NOTES[section]}\n\n" if section in _NOTES else ""
    return f"## [{section}]\n\n{note}| key | value | default | meaning |\n|---|---|---|---|\n" + "".join(rows)


def _row(setting: Setting, section: str) -> str:
    key = setting.name.removeprefix(f"{section}.")
    return f"| `{key}` | {FORMS[setting.form].wanted} | {_toml(setting.default)} | {setting.meaning} |\n"


def _toml(default: object) -> str:
    if default is None:
        return ""
    shown = (
        str(default).lower() if isinstance(default, bool) else f'"{default}"' if isinstance(default, str) else default
    )
    return f"`{shown}`"
