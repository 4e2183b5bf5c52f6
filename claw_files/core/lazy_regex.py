"""Regular expressions compiled at first use: cron starts clawfiles often, and most are not needed then."""

import re
from typing import Any, cast


class _Lazy:
    """Replaces the compiled expression until one of its methods is used."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags
        self.pattern = text  # to build others from, without compiling this one

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self._text, self._flags)
        for method in ("match", "fullmatch", "search", "finditer", "findall", "sub", "split"):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """The regular expression; an error in it appears at its first use, so each has a test that uses it."""
    return cast(re.Pattern[str], _Lazy(text, flags))
