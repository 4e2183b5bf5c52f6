"""Where the body of a message goes."""

import pytest

from claw_files.documents import messages


@pytest.mark.parametrize(
    ("size_bytes", "large", "too_large"),
    [
        (0, False, False),
        (10 * 1024, False, False),
        (10 * 1024 + 1, True, False),
        (1024 * 1024, True, False),
        (1024 * 1024 + 1, True, True),
    ],
)
def test_a_body_goes_where_its_size_belongs(size_bytes: int, large: bool, too_large: bool) -> None:
    body = "x" * size_bytes

    assert (messages.is_large(body), messages.is_too_large(body)) == (large, too_large)
