"""A repeated request has one effect: the response to an `Idempotency-Key` is repeated."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from claw_files.core.digest import digest
from claw_files.core.errors import BadValue
from claw_files.core.model import AgentId
from claw_files.http.conditional_requests import HttpAnswer, HttpRequest
from claw_files.http.http_errors import Refusal

KEPT = 1000  # answers
_LONGEST = 200


class _StoredAnswer(NamedTuple):
    body: str
    answer: "asyncio.Future[HttpAnswer]"


class IdempotencyStore:
    """The newest `KEPT` successful responses since the server's start."""

    def __init__(self) -> None:
        self._kept = OrderedDict[tuple[str, ...], _StoredAnswer]()

    async def answer(
        self, key: str, asked: HttpRequest, who: AgentId | None, act: Callable[[], Awaitable[HttpAnswer]]
    ) -> HttpAnswer:
        """The response of `act`, or the stored one for the same request of `who` with this key.

        Raises Refusal "key-reused" where it was another request, and BadValue for a key that is none.
        """
        if not 0 < len(key) <= _LONGEST or not key.isprintable():
            raise BadValue("Idempotency-Key", key, f"up to {_LONGEST} printable characters")
        place = (who or "", asked.row.name, *asked.path.values(), key)
        body = digest(asked.body, 16)
        if found := self._kept.get(place):
            if found.body != body:
                raise Refusal("key-reused", "this `Idempotency-Key` was used for another body")
            return await asyncio.shield(found.answer)
        kept = _StoredAnswer(body, asyncio.get_running_loop().create_future())
        self._kept[place] = kept
        try:
            answer = await act()
        except BaseException:
            self._kept.pop(place, None)
            kept.answer.cancel()
            raise
        kept.answer.set_result(answer)
        if answer.status >= 400:  # nothing happened, so that it may be tried again
            self._kept.pop(place, None)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return answer
