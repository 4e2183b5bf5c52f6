"""Times as people write them: files, the command line, HTTP and MCP all parse them with `instant`.

A text is cut into tokens (a date, a clock, a zone, a day's name), and all of it must be understood: the zone of
"23:00 CET" is never left out, and no reading of "07/12/2031" is picked. `find` looks for such a text inside a longer
one. German is read beside English.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final, NamedTuple

from claw_files.core.errors import BadValue
from claw_files.core.lazy_regex import pattern
from claw_files.core.text import duration

_WANTED: Final = 'a time such as "2026-03-07 10:00", "10:00", "tomorrow 10:00", "Monday 9:00" or "+30m"'
_YEARS: Final = range(1971, 2200)  # every zone can be converted there and back, and no clock we meet is outside
_LONGEST: Final = 64
_DAY: Final = timedelta(days=1)
_OLD: Final = timedelta(days=60)  # a date without a year that is over for less may as well mean the one that is over

# --- the words -------------------------------------------------------------------------------------------------------


def _table(text: str, first: int = 0) -> dict[str, int]:
    """Names and their numbers, from lines of names that count up: "mon mo, tue di": mon 0, mo 0, tue 1, di 1."""
    return {name: at for at, names in enumerate(text.split(", "), first) for name in names.split()}


_MONTHS: Final = _table("jan, feb, mar mär mae, apr, may mai, jun, jul, aug, sep, oct okt, nov, dec dez", 1)
_WEEKDAYS: Final = _table("mon mo, tue die di, wed mit mi, thu don do, fri fre fr, sat sam sa sonnabend, sun son so")
_NUMBERS: Final = _table(
    "a an one ein eine einer einem einen, two zwei, three drei, four vier, five fünf, six sechs",
    1,
)
_RELATIVE: Final = _table("yesterday gestern, today heute, tomorrow morgen", -1)
# By hours east of UTC, from eight west on; what names several places (BST, CST, IST) is left out.
_ZONES: Final = _table(
    "pst, pdt mst, mdt, est cdt, edt, , , , wet, west cet mez, cest mesz eet, eest msk", -8
) | _table("sgt hkt, jst kst, aest, aedt", 8)
_MONTH = (
    r"(?:jan(?:uary?|uar)?|feb(?:ruary?|ruar)?|mar(?:ch)?|märz?|maerz|apr(?:il)?|mai|may|jun[ei]?|jul[iy]?|aug(?:ust)?"
    r"|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)(?![^\W\d_])\.?"
)
_WEEKDAY = (
    r"(?:(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?|(?:mon|diens|donners|frei|sams|sonn)tag"
    r"|mittwoch|sonnabend)(?![^\W_])\.?|(?:mo|di|mi|do|fr|sa|so)\.?(?=,?[ \t]*(?:um[ \t]+)?[0-9]))"
)
_UNIT = (
    r"(?:hours?|hrs?|h|min(?:ute)?n?s?|m|sec(?:ond)?s?|sekunden?|s|days?|d|weeks?|w|stunden?|std|tag(?:en?)?|wochen?)"
)
_PIECE = rf"(?:[0-9]{{1,5}}(?:[.,][0-9]{{1,3}})?[ \t]?|(?:{'|'.join(_NUMBERS)})[ \t]+){_UNIT}(?![^\W\d_])"
_HALF = r"half[ \t]+an?[ \t]+hour(?![^\W_])|einer[ \t]+halben[ \t]+stunde(?![^\W_])"
_LENGTH = rf"(?:{_HALF}|{_PIECE}(?:[ \t,]*(?:(?:and|und)[ \t]+)?{_PIECE}){{0,3}})"
_FEW = r"in[ \t]+an?[ \t]+(?:while|few|couple)|(?:in[ \t]+)?(?:a[ \t]+few|some|ein[ \t]+paar)[ \t]+[a-zäöü]{4,8}"
_PERIOD = r"(?:(?:next|this|n(?:ä|ae)chste|diese)[ \t]+)?(?:week(?:end)?|month|woche|monat)s?"

# The first that matches counts. Forms of words end with their word, forms of figures with the last figure.
_WORDS: Final = {
    "day_month": rf"[0-9]{{1,2}}(?:st|nd|rd|th)?[ \t./-]*(?:of[ \t]+)?{_MONTH}(?:[ \t,/-]*[0-9]{{4}})?",
    "month_day": rf"{_MONTH}[ \t]*[0-9]{{1,2}}(?:st|nd|rd|th)?(?![0-9:]|[ \t]?[ap]\.?m)(?:[ \t,]+[0-9]{{4}})?",
    "ordinal": r"[0-9]{1,2}(?:st|nd|rd|th)",
    "half": r"[0-9]{1,2}(?:[:.][0-9]{2}(?::[0-9]{2})?)?[ \t]?[ap](?:m|\.[ \t]?m\.?)",
    "uhr": r"[0-9]{1,2}(?:[.:][0-9]{2})?[ \t]?uhr(?:[ \t][0-9]{2})?|[0-9]{1,2}h(?:[0-9]{2})?",
    "noon": r"(?:12[ \t])?(?:noon|midday|mittags?|midnight|mitternacht)",
    "relative": r"(?:the[ \t]+)?day[ \t]+after[ \t]+tomorrow|übermorgen|" + "|".join(_RELATIVE),
    "weekday": rf"(?:(?:next|this|coming|n(?:ä|ae)chste[nrms]?|kommende[nrms]?|diese[nrms]?)[ \t]+)?{_WEEKDAY}",
    "now": "now|jetzt",
    "fuzzy": rf"noonish|tonight|{_FEW}|{_PERIOD}|(?:in[ \t]+the[ \t]+|this[ \t]+)?(?:morning|evening|afternoon|night)"
    r"|(?:vor|nach)mittags?|abends?|nachts?|morgens|soon|bald|later|sp(?:ä|ae)ter|asap|eod|eow|cob|mondays",
    "weak": r"before|vor|between|zwischen|every|each|daily|jeden?|t(?:ä|ae)glich|last|letzten?|early|late|fr(?:ü|ue)h"
    r"|half[ \t]past|quarter[ \t](?:to|past)|halb|viertel|o['’]clock|sharp|punkt|prompt|-?ish"
    r"|[a-z]{2,20}[ \t](?:local[ \t])?time|(?-i:(?!NOT|BUT|GET|PUT|NEXT|TEST|AT\b)[A-Z]{1,4}T|BST)",
}
_FIGURES: Final = {
    "ymd": r"[0-9]{4}(?P<y>[-/.])[0-9]{1,2}(?P=y)[0-9]{1,2}",
    "dmy": r"[0-9]{1,2}(?P<d>[-/.])[0-9]{1,2}(?P=d)(?:[0-9]{4}|[0-9]{2})",
    "dm": r"[0-9]{1,2}\.[0-9]{1,2}\.|[0-9]{1,2}/[0-9]{1,2}(?!/)",
    "clock": r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?",
    "point": r"[0-2]?[0-9]\.[0-5][0-9](?!\.)",  # half past ten, or the tenth of ...?
}
_ZONE = (
    rf"\((?:{'|'.join(_ZONES)}|utc|gmt)\)|(?:utc|gmt)(?:[ \t]?[+-][0-9]{{1,2}}(?::?[0-9]{{2}})?)?(?!\w)|z(?!\w)"
    rf"|(?:{'|'.join(_ZONES)})(?!\w)|[+-][0-9]{{2}}(?::?[0-9]{{2}})?(?![\w:.-])"
    r"|(?:africa|america|antarctica|arctic|asia|atlantic|australia|europe|indian|pacific|etc)/[a-z_/+-]{2,40}"
)
_AHEAD = (
    r"(?:by|about|around|circa|approx|ca|from|after|not[ \t]before|gegen|ab|nach|at|on|um|am|den|der|the)(?!\w)\.?|[~,]"
)
_BETWEEN: Final = frozenset({"at", "on", "um", "am", "den", "der", "the", ","})  # these also behind the first word
_JOINER = r"(?:or|oder|and|und|to|till|until|bis)(?!\w)|[-–/]"
_LATER = rf"\+[ \t]?{_LENGTH}|in[ \t]+{_LENGTH}|{_LENGTH}[ \t]+from[ \t]+now(?!\w)"
_TOKEN = pattern(
    "|".join(
        (
            rf"(?P<later>{_LATER})|(?P<zone>{_ZONE})",
            *(rf"(?P<{kind}>(?:{form})(?![^\W_]))" for kind, form in _WORDS.items()),
            rf"(?P<length>{_LENGTH})",
            *(rf"(?P<{kind}>(?:{form})(?![0-9]))" for kind, form in _FIGURES.items()),
            rf"(?P<ahead>{_AHEAD})|(?P<joiner>{_JOINER})|(?P<number>[0-9]+)",
        )
    ),
    re.IGNORECASE,
)
_SPOKEN: Final = frozenset({"later", *_WORDS, *_FIGURES} - {"weak"})  # one of these makes words a time
_CLOCKS: Final = frozenset({"clock", "half", "uhr", "noon"})
_DATES: Final = frozenset({"ymd", "dmy", "dm", "day_month", "month_day", "ordinal", "relative", "weekday"})


class _Token(NamedTuple):
    kind: str
    text: str  # in lower case
    start: int
    end: int


def _tokens(text: str, at: int = 0) -> Iterator[_Token]:
    """The tokens from `at` on, with nothing but blanks between them."""
    while found := _TOKEN.match(text, at):
        kind, at = str(found.lastgroup), found.end()
        yield _Token(kind, found[0].lower(), found.start(), at)
        if kind == "ymd" and text[at : at + 1] in ("T", "t") and text[at + 1 : at + 2].isdigit():
            at += 1
        while text[at : at + 1] in (" ", "\t"):
            at += 1


# --- reading ---------------------------------------------------------------------------------------------------------


def instant(text: str, now_local_reference: datetime, tz: tzinfo, name: str = "time") -> datetime:
    """The instant that `text` names, aware, UTC, in whole seconds.

    Reads ISO 8601, dates with figures or names of months, days by name, clocks of 24 and of 12 hours, "+30m", "in 2
    hours"; docs/reference/file-format.md has the list. Without a zone it is a time of `tz`; a date alone is its first
    minute. A bare time means its first occurrence after one hour before the reference. A time that daylight saving
    skips is moved on by what was skipped; of one that exists twice the first counts (for a bare time: the first that
    is not over).

    Args:
        now_local_reference: aware, any zone: now for what is typed, a file's own time for what stands in it.

    Raises BadValue(name, ...) for anything else, what can be read in two ways, a date that does not exist, and years
    outside 1971 to 2199.
    """
    return read(text, now_local_reference, tz, name)[0]


def read(text: str, reference: datetime, tz: tzinfo, name: str = "time") -> tuple[datetime, bool]:
    """The parsed instant, and whether the text alone determines it: "10:00" needs a reference."""
    stripped, wanted = text.strip(), _WANTED
    if (ours := _ours(stripped, tz)) and ours.year in _YEARS:  # most of what is read
        return ours, True
    try:
        at, is_dated = _read(stripped, reference, tz) if len(text) <= _LONGEST else (None, False)
    except _Ambiguous as two:
        at, wanted = None, str(two)
    except (ValueError, OverflowError, KeyError, OSError, BadValue):  # KeyError: a zone that there is not
        at = None
    if at is None or at.year not in _YEARS:
        raise BadValue(name, text, wanted)
    return at, is_dated


class _Ambiguous(Exception):
    """The text has two readings; the message says what to write."""


def _ours(text: str, tz: tzinfo) -> datetime | None:
    """Parse the output of `core.text.render_instant` and `render_local` without a regular expression."""
    if text[16:] == " UTC":
        text, tz = text[:16], UTC
    if len(text) in (16, 19, 20) and text[4:14:3] in ("-- :", "--T:") and text[:2] == "20" and text[11:13] < "24":
        with suppress(ValueError):
            at = datetime.fromisoformat(text)
            if at.tzinfo or len(text) != 20:
                return (at if at.tzinfo else at.replace(tzinfo=tz)).astimezone(UTC)
    return None


def _read(text: str, reference: datetime, tz: tzinfo) -> tuple[datetime | None, bool]:
    tokens = list(_tokens(text))
    if not tokens or tokens[-1].end != len(text):
        return None, False
    parts: dict[str, _Token] = {}
    for at, token in enumerate(tokens):
        touches = at > 0 and tokens[at - 1].end == token.start and token.kind != "zone"
        if (token.kind == "ahead" and (not parts or token.text in _BETWEEN)) and at + 1 < len(tokens):
            continue
        role = "clock" if token.kind in _CLOCKS else "date" if token.kind in _DATES - {"weekday"} else token.kind
        if role in parts or (touches and tokens[at - 1].kind != "ahead"):
            return None, False
        parts[role] = token
    if not parts.keys() <= {"clock", "date", "weekday", "zone"}:
        if len(tokens) > 1 or tokens[0].kind not in ("now", "later"):
            return None, False
        after = _length(tokens[0].text) if tokens[0].kind == "later" else timedelta()
        return (reference.astimezone(UTC) + after).replace(microsecond=0), False
    zone = _zone(parts["zone"].text) if "zone" in parts else tz
    if "clock" not in parts:
        return (None, False) if "zone" in parts else _on_day(parts, None, reference, zone)
    clock = _clock(parts["clock"])
    if not parts.keys() & {"date", "weekday"}:
        if "zone" in parts and _RANGE.fullmatch(parts["zone"].text):
            raise _Ambiguous(f'one time: "{clock:%H:%M}"')
        return _next_occurrence(clock, reference, zone), False
    if parts["clock"].text.removeprefix("12 ").startswith(("midn", "mitt")) and clock.hour == 0:
        raise _Ambiguous('a date with "00:00" or "23:59": midnight is at both ends of a day')
    return _on_day(parts, clock, reference, zone)


def _length(text: str) -> timedelta:
    low = re.sub(_HALF, "30m", text.removeprefix("+").removeprefix("in ").removesuffix("from now").strip())
    low = re.sub(r"(?<=[0-9]),(?=[0-9])", ".", re.sub(r"\b(?:and|und)\b", " ", low))
    low = re.sub(r"[^\W\d_]+", lambda it: str(_NUMBERS.get(it[0], it[0])), low)
    return duration(re.sub(r"\b(stunde|std|minute|sekunde|tag|woche)[ne]{0,2}\b", lambda it: _GERMAN[it[1]], low))


_RANGE = pattern(r"-[0-9]{2}:[0-9]{2}")  # behind a bare time: an offset, or until when?
_GERMAN: Final = {"stunde": "h", "std": "h", "minute": "m", "sekunde": "s", "tag": "d", "woche": "w"}


def _clock(token: _Token) -> time:
    if token.kind == "noon":
        return time(0 if token.text.removeprefix("12 ").startswith(("midn", "mitter")) else 12)
    hour, minute, second = [*map(int, re.findall(r"(?<![.,])[0-9]+|(?<=\.)[0-9]{2}(?=[^0-9]|$)", token.text)), 0, 0][:3]
    if token.kind == "half":
        if not 1 <= hour <= 12:
            raise ValueError("no such hour on a twelve-hour clock")
        hour = hour % 12 + (12 if "p" in token.text else 0)
    elif "h" in token.text and "u" not in token.text and hour <= 6:
        raise _Ambiguous(f'clear: write "{hour}:{minute:02}" for a time of day, "in {hour}h" for a length')
    return time(hour, minute, second)


def _zone(text: str) -> tzinfo:
    low = text.strip("()")
    if "/" in low:
        from zoneinfo import ZoneInfo

        area, _, place = low.partition("/")
        name = "_".join(word.title() if word != "of" else word for word in place.split("_"))
        return ZoneInfo(f"{area.title()}/{name}" if area != "etc" else f"Etc/{place.upper()}")
    if low in _ZONES:
        return timezone(timedelta(hours=_ZONES[low]))
    offset = re.sub(r"[a-z \t]", "", low)
    if not offset:
        return UTC
    hours, minutes = offset[1:].split(":") if ":" in offset else (offset[1:3], offset[3:])
    if int(hours) > 14 or int(minutes or 0) > 59:
        raise ValueError("no such zone")
    east = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-east if offset[0] == "-" else east)


def _next_occurrence(clock: time, reference: datetime, zone: tzinfo) -> datetime:
    since = reference.astimezone(UTC) - timedelta(hours=1)
    # Start a day early: where daylight saving skips midnight, an occurrence may fall on the day after its date.
    day = datetime.combine(since.astimezone(zone), clock) - _DAY
    while True:
        for fold in (0, 1):  # of a time that is skipped, 1 is the earlier: it never counts
            at = day.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if at > since:
                return at
        day += _DAY


# --- days ------------------------------------------------------------------------------------------------------------


def _on_day(
    parts: dict[str, _Token], clock: time | None, reference: datetime, zone: tzinfo
) -> tuple[datetime | None, bool]:
    token = parts["date"] if "date" in parts else parts["weekday"]
    today = reference.astimezone(zone).date()

    def at(day: date) -> datetime:
        return datetime.combine(day, clock or time(), zone).astimezone(UTC)

    if token.kind == "weekday":
        is_over = clock is not None and at(today) <= reference - timedelta(hours=1)
        return at(_weekday(token.text, today, is_over, clock is None)), False
    day, is_dated = _date(token, today)
    if "weekday" in parts and token.kind == "relative":
        return None, False  # "Montag morgen" is Monday morning
    if "weekday" in parts and day.weekday() != _number_of(parts["weekday"].text):
        raise _Ambiguous(f"a day that exists: {day:%Y-%m-%d} is a {day:%A}")
    return at(day), is_dated


def _number_of(weekday: str) -> int:
    name = weekday.split()[-1].rstrip(".")
    return _WEEKDAYS[name if name in _WEEKDAYS else name[:3]]


def _weekday(text: str, today: date, is_over: bool, is_bare: bool) -> date:
    which = text.split()[0] if len(text.split()) > 1 else ""
    ahead = (_number_of(text) - today.weekday()) % 7
    if ahead == 0 and (which or is_over):
        ahead = 0 if which.startswith(("this", "diese")) else 7
    day = today + timedelta(days=ahead)
    is_this_week = ahead < 7 - today.weekday()
    if which.startswith(("next", "n")) and is_this_week:
        raise _Ambiguous(f'a single day: it may be "{day}" or "{day + timedelta(days=7)}"')
    if which.startswith(("this", "diese")) and not is_this_week:
        raise ValueError("over in this week")
    if ahead == 0 and is_bare and not which:
        raise _Ambiguous(f'a single day: it may be "today" or "{today + timedelta(days=7)}"')
    return day


def _date(token: _Token, today: date) -> tuple[date, bool]:
    """The date, and whether the text gives its year."""
    if token.kind == "relative":
        name = token.text.removeprefix("the").strip()
        return today + timedelta(days=_RELATIVE.get(name, 2)), False
    numbers = [int(it) for it in re.findall("[0-9]+", token.text)]
    if token.kind == "ymd":
        return date(numbers[0], numbers[1], numbers[2]), True
    if token.kind == "ordinal":
        first = today if numbers[0] >= today.day else (today.replace(day=1) + timedelta(days=32))
        return first.replace(day=numbers[0]), False
    if token.kind in ("dmy", "dm"):
        day, month = _day_and_month(numbers, token.text)
    else:
        word = re.search(r"(?<![^\W\d_])(?!of\b|st\b|nd\b|rd\b|th\b)[^\W\d_]{3,}", token.text)
        day, month = numbers[0], _MONTHS[word[0][:3] if word else ""]
    if len(numbers) > 2 or (token.kind.endswith(("month", "_day")) and len(numbers) == 2):
        return date(numbers[-1] + (2000 if numbers[-1] < 100 else 0), month, day), True
    this = date(today.year, month, day)
    if timedelta() < today - this < _OLD:
        raise _Ambiguous(f'a date with its year, such as "{this}"')
    return (this if this >= today else this.replace(year=today.year + 1)), False


def _day_and_month(numbers: list[int], text: str) -> tuple[int, int]:
    """Day and month as numbers: with dots the day comes first; else one must be over 12, or both the same."""
    first, second = numbers[:2]
    if "." in text or first > 12 or first == second:
        return first, second
    if second > 12:
        return second, first
    year = f"{numbers[2] % 100 + 2000}" if len(numbers) > 2 else "2026"
    raise _Ambiguous(f'a single day: it may be "{year}-{first:02}-{second:02}" or "{year}-{second:02}-{first:02}"')


# --- finding ---------------------------------------------------------------------------------------------------------


class TimeSpans(NamedTuple):
    """The positions of all time words in a text."""

    start: int
    end: int
    has_clock: bool
    is_plain: bool  # it says when by figures, not by the name of a day alone


def find(text: str, at: int = 0, end: int | None = None) -> Iterator[TimeSpans]:
    """The positions of times in `text`, from `at` to `end`, in order; `read` parses them."""
    while begun := _TOKEN.search(text, at, len(text) if end is None else end):
        before = text[begun.start() - 1 : begun.start()]
        if before.isalnum() or before in (".", ":", "/", "#"):  # within a word, a version, a path
            at = begun.start() + 1
            continue
        run = list(_tokens(text, begun.start()))
        at = run[-1].end
        if kept := _run(run):
            kinds, at = {token.kind for token in kept}, kept[-1].end
            plain = bool(kinds & (_CLOCKS | {"ymd", "dmy", "later"}))
            yield TimeSpans(kept[0].start, at, bool(kinds & _CLOCKS), plain)


def _run(tokens: list[_Token]) -> list[_Token]:
    """The tokens of one time expression, from its first token to its last."""
    kept: list[_Token] = []
    for token in tokens:
        if token.kind == "number" and kept and kept[-1].kind not in ("ahead", "joiner"):
            break
        if kept or token.kind in _SPOKEN or token.kind in ("weak", "length"):
            kept.append(token)
    while kept and kept[-1].kind in ("ahead", "joiner"):
        kept.pop()
    return kept if any(token.kind in _SPOKEN for token in kept) else []
