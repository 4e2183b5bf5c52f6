"""The statements of a body at the last write, kept in `said`, so that only later ones are news.

"done" (the state), "done x3" (in three lines), "in_progress unclear 0a1b2c" (with marks of what was not understood and
has been overtaken by a command since).
"""

import re
from collections.abc import Iterator
from typing import Final

from claw_files.core.digest import digest
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import State, Unclear, Value
from claw_files.formats import body
from claw_files.formats.vocabulary import state as state_of

MOST: Final = 20  # marks that are kept


class SaidState(Value, frozen=True):
    """What the body said at our last write: its state, in how many lines, and what was unclear in it."""

    state: State | None = None
    times: int = 0  # 0 where that is not known
    unclear: tuple[str, ...] = ()


def news(unclear: tuple[Unclear, ...], before: tuple[str, ...]) -> Iterator[Unclear]:
    """What was not there at our last write; of words that stand there more often than then, the last."""
    left = list(before)
    for it in unclear:
        if (mark := _mark(it)) in left:
            left.remove(mark)
        else:
            yield it


def _mark(unclear: Unclear) -> str:
    return digest(" ".join(unclear.text.lower().split()).encode("utf-8", "surrogatepass"), 3)


_SAID = pattern(
    r"(?P<state>.*?)(?: ?x(?P<times>[0-9]{1,6}))?(?: ?unclear(?P<marks>(?: [0-9a-f]{6}){1,20}))?", re.DOTALL
)


def parse(text: str) -> SaidState | None:
    """The key's text as it was written; None where it is none of ours."""
    found = _SAID.fullmatch(text.strip())
    assert found, "every part of it may be missing"
    marks = tuple((found["marks"] or "").split())
    word, state = found["state"].strip(), state_of(found["state"])
    if state is None:
        return SaidState(unclear=marks) if marks and not word else None
    return SaidState(state=state, times=int(found["times"] or 1), unclear=marks)


def remembered(told: body.BodyStatements, before: SaidState, is_overtaken: bool) -> str | None:
    """What `said` holds from now on; unclear words are remembered once a command overtakes them."""
    now = [_mark(it) for it in told.unclear]
    marks = now if is_overtaken else [mark for mark in before.unclear if mark in now]
    parts = [told.state.value] if told.state else []
    parts += [f"x{told.times}"] if told.state and told.times > 1 else []
    return " ".join([*parts, *(["unclear", *marks[-MOST:]] if marks else [])]) or None
