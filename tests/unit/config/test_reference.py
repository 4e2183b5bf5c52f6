"""The table of settings and the page made from it say the same."""

import msgspec

from claw_files.config import (
    TABLE,
    Agent,
    HeartbeatSettings,
    LimitSettings,
    QuietHours,
    Route,
    WorkspaceSettings,
)
from claw_files.config.toml_lines import locate
from claw_files.config.value_forms import FORMS


def test_every_form_is_used_and_every_default_is_of_its_form() -> None:
    for setting in TABLE:
        if setting.default is not None:
            FORMS[setting.form].read(setting.default)
    assert {setting.form for setting in TABLE} == set(FORMS)


def test_every_field_of_the_settings_is_in_the_table() -> None:
    rows = {setting.name for setting in TABLE}
    for section, kind in (
        ("workspace", WorkspaceSettings),
        ("heartbeat", HeartbeatSettings),
        ("quiet_hours", QuietHours),
        ("agents.*", Agent),
        ("routes.*", Route),
        ("limits", LimitSettings),
    ):
        fields = {field.name for field in msgspec.structs.fields(kind)} - {"name", "type", "per_model"}
        assert {f"{section}.{field}" for field in fields} <= rows


def test_keys_are_located_through_tables_dots_quotes_and_inline_tables() -> None:
    text = '[a]\nb = 1\n"c d".e = 2\n[ a . f ]\ng = { h = 1, "i" = [2] }\n[[k]]\n'

    found = locate(text)

    assert found["a", "b"] == 2
    assert found["a", "c d", "e"] == 3
    assert found["a", "f"] == 4
    assert (found["a", "f", "g", "h"], found["a", "f", "g", "i"]) == (5, 5)
    assert found["k",] == 6
