"""Tests that go through hundreds of cases as one test, which names each case at fault in its one failure."""

import inspect
import traceback
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

SHOWN = 40  # cases of one failure that are written out


def each(names: str, cases: Iterable[Any], named: Callable[[Any], str] = str) -> Callable[..., Any]:
    """Call the decorated test once for each case, as its argument `names`: "path", or "key, value" for tuples.

    A `tmp_path` is a new folder for each case; other fixtures are made once for all cases.
    """
    wanted, every = [name.strip() for name in names.split(",")], list(cases)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def all_of_them(**given: Any) -> None:
            wrong = []
            for number, case in enumerate(every):
                own = dict(zip(wanted, case if len(wanted) > 1 else [case], strict=True))
                if "tmp_path" in given:
                    own["tmp_path"] = given["tmp_path"] / f"{number}"
                    own["tmp_path"].mkdir()
                try:
                    test(**given | own)
                except (Exception, pytest.fail.Exception) as error:
                    wrong.append(f"{named(case)!a}: {_told(error)}")
            assert every, "there is no case"
            if wrong:
                more = [f"... and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
                pytest.fail("\n".join([f"{len(wrong)} of {len(every)} cases:", *wrong[:SHOWN], *more]), pytrace=False)

        signature = inspect.signature(test)
        others = [it for it in signature.parameters.values() if it.name not in wanted]
        all_of_them.__signature__ = signature.replace(parameters=others)  # pytest reads from it which fixtures to make
        return all_of_them

    return decorate


def _told(error: BaseException) -> str:
    """Where in the tests it went wrong, and what."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[:3])
    return f"{type(error).__name__} at {where}: {error}"
