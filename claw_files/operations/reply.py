"""The reply of an operation, for programs and for people; each interface shows its part."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """The answer as JSON and as text: made when an interface asks for it, because either may read files."""

    json: Callable[[], Any]
    text: Callable[[], str]
    warning: str | None = None  # beside the answer
    remarks: tuple[str, ...] = ()  # for people alone
    shell_json: Callable[[], Any] | None = None  # what `--json` prints, where it is not `json`
