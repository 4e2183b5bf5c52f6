"""JSON from strangers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.errors import UsageError
from claw_files.http import json_bodies

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
def test_whatever_json_can_say_is_read_as_it_was_meant(value: dict[str, object], ascii_only: bool) -> None:
    assert json_bodies.parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_anything_else_is_wrong_use_and_nothing_worse(raw: bytes) -> None:
    try:
        found = json_bodies.parse(raw)
    except UsageError:
        return
    assert isinstance(found, dict)


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_a_query_is_read_as_it_was_meant(value: dict[str, str]) -> None:
    from urllib.parse import urlencode

    assert json_bodies.query(urlencode(value).encode()) == value


@pytest.mark.parametrize("raw", [b"a=1&a=2", b"a=%ff", b"a=%00", b"&".join(b"a%d=1" % n for n in range(30)), b"\xff"])
def test_a_query_that_readers_could_take_for_two_things_is_wrong_use(raw: bytes) -> None:
    with pytest.raises(UsageError):
        json_bodies.query(raw)
