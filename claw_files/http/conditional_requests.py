"""A request, its response, and conditional headers as in RFC 9110."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from claw_files.core.digest import digest
from claw_files.core.operation_table import HttpRoute
from claw_files.http.http_errors import Refusal
from claw_files.presentation import views

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class HttpAnswer(NamedTuple):
    """A response: no document for 304."""

    status: int
    document: Any = None
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def body(self) -> bytes:
        return b"" if self.document is None else views.to_json(self.document).encode()


class Conditions(NamedTuple):
    """The lines of `If-Match` and `If-None-Match`: each `*`, or a list of tags."""

    match: Sequence[str] = ()
    none_match: Sequence[str] = ()

    @property
    def are_any(self) -> bool:
        return bool(self.match or self.none_match)

    def check(self, tag: str) -> None:
        """Raises Refusal "outdated" if the request's conditions exclude a change at this tag."""
        if (self.match and not _names(self.match, tag)) or _names(self.none_match, tag, weakly=True):
            raise Refusal("outdated", "its revision has changed; read the task again", ETag=tag)

    def met(self, answer: HttpAnswer) -> HttpAnswer:
        """The response to a conditional read: 304 if unchanged. Raises Refusal "outdated"."""
        if answer.status != 200:
            return answer
        tag = answer.headers.get("ETag") or tag_of(answer.body)
        self._replace(none_match=()).check(tag)
        headers = {**answer.headers, "ETag": tag}
        has_it = _names(self.none_match, tag, weakly=True)
        return HttpAnswer(304, None, headers) if has_it else answer._replace(headers=headers)


class HttpRequest(NamedTuple):
    """A request."""

    row: HttpRoute
    path: dict[str, str]
    query: bytes
    body: bytes
    authorization: str | None = None
    is_near: bool = True  # no proxy has passed it on
    conditions: Conditions = Conditions()
    key: str | None = None  # `Idempotency-Key`


def tag_of(raw: bytes) -> str:
    """The tag of these bytes."""
    return f'"{digest(raw)}"'


def _names(lines: Sequence[str], tag: str, weakly: bool = False) -> bool:
    """Whether the lines contain the tag. `W/"x"` matches only in a weak comparison."""
    text = ",".join(lines)
    return text.strip() == "*" or any(it == tag and (weakly or not weak) for weak, it in _TAG.findall(text))
