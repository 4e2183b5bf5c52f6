"""The words of a phrase, and how those after a state word change its meaning."""

import re
from itertools import pairwise
from typing import Final

import msgspec

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import State
from claw_files.formats.vocabulary import LONGEST, MARKS, Vocabulary


class Token(msgspec.Struct, frozen=True, gc=False):  # smaller and sooner made than a tuple with names
    text: str  # in lower case
    start: int
    end: int


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HEDGES: Final = word_set(  # behind an ending: wherever they stand
    "not except excluding but almost nearly mostly partly partially partial half tomorrow later soon theory principle "
    "however nicht außer ausser aber fast beinahe teilweise teils halb morgen später bald jedoch allerdings soweit"
)
_HEDGES_OF_A_CLAUSE: Final = word_set(  # behind an ending: where a clause begins, or ends
    "pending remaining missing open failing red broken untested unmerged unverified incomplete unfinished yet todo "
    "outstanding draft ausstehend fehlt fehlen offen entwurf"
)
_HEDGES_AT_ITS_START: Final = word_set(
    "once when if until unless as-soon-as will needs need must requires still part without minus besides assuming "
    "apart awaiting though although sobald wenn bis braucht benötigt muss noch ohne wird doch falls sofern"
)
_HEDGES_AT_ITS_END: Final = word_set("fail fails left rot fehl")
_GOOD_ENDS: Final = word_set("pass passes passed work works ran")
_HEDGES_OF_TWO: Final = word_set(
    "to-go to-follow to-come as-far steht-aus stehen-aus es-fehlt es-fehlen noch-fehlt noch-fehlen fehlt-noch "
    "fehlen-noch"
)
_SECONDS: Final = frozenset(pair.split("-")[1] for pair in _HEDGES_OF_TWO)
_FAULTS: Final = word_set("failures failure errors error failed fehler")  # with a number in front
_NONE: Final = word_set("no nothing none zero 0 kein keine nichts nothing's never")
_PAST: Final = word_set("did could was were would had konnte konnten wurde wurden war waren")
_OVER: Final = _NONE | _PAST | {"not", "nicht"}
LINKS: Final = word_set(  # what may follow an ending without a comma
    "by on at since in via as of today yesterday now already successfully and & + per under within this last early "
    "ahead von am um seit im mit heute gestern erfolgreich und laut siehe pr mr commit see thanks too again auch durch "
    "per from after"
)
REASONS: Final = word_set("on by for until because since due at in to from with auf durch wegen bis von an bei seit im")
_HARMLESS_WITH: Final = word_set("no all zero 0 tests success notes warnings thanks commit pr mr #")
CUTS: Final = frozenset(",;().:-–—|/!→")  # between clauses
_CHOICES: Final = frozenset("|/→>⇒")
# "done and tested", "und geprüft"
_DONE_TOO: Final = ("ed", "et", "rt", "en", "ft", "lt", "zt", "yt", "gt", "live", "green", "ready")
_RETRIED: Final = word_set("will retry retrying again wird erneut")
_NUMBERS: Final = {
    w: n for n, w in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
}
_WATCHED: Final = _HEDGES.union(
    _HEDGES_OF_A_CLAUSE,
    _HEDGES_AT_ITS_START,
    _HEDGES_AT_ITS_END,
    _GOOD_ENDS,
    _SECONDS,
    _FAULTS,
    ("waiting", "wartet", "?"),
)
_BEFORE_NUMBERS: Final = word_set("on by from to pr # am")  # of dates and names, not of parts
_NO_COUNT: Final = word_set("coverage faster slower less more fewer smaller larger better cheaper abdeckung")
_TOKEN = pattern(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")
_JOINED = pattern(r"(?<=[^\W_])[-_](?=[^\W_])")
_OPAQUE = pattern(r"[a-z]{2,8}://\S+|`[^`]*`|[0-9]{4}-[0-9]{2}-[0-9]{2}|[\w./-]+\.[a-z]{1,5}\b|\b[0-9]+(?:/[0-9]+){2,}")
REVIEW = pattern(
    r"\b(?:(?:(?:is|now|pr|it)\s+)*(?:waiting|waits|awaiting|pending|ready|open|sent|up|out|needs?|requested|please|"
    r"in|under|for|to be|zur|in der|zum|im|bitte|wartet auf)\s+(?:[\w'’#]+\s+){0,4}?"
    r"(?:re-?view(?:ed|er)?|prüfung|abnahme|prüfen)|"
    r"(?:review|prüfung|abnahme)\s+(?:is\s+|ist\s+)?(?:pending|needed|requested|ausstehend|steht aus))\b"
)


_REVIEWS = pattern(r"view|prüf|abnahme")  # what each of these holds: looked for first, because it costs little


def tokens_of(text: str) -> list[Token]:
    plain = text
    if "/" in text or "`" in text or "." in text or "-" in text:
        plain = _OPAQUE.sub(lambda found: "0" * len(found[0]), text)
    if "-" in plain or "_" in plain:
        plain = _JOINED.sub(" ", plain)
    plain = plain.replace("’", "'").lower()
    if len(plain) != len(text):  # a letter whose lower case is two letters
        plain = plain.encode("ascii", "replace").decode()[: len(text)]
    return [Token(found[0], *found.span()) for found in _TOKEN.finditer(plain)]


def count_at(tokens: list[Token], at: int) -> tuple[bool, int] | None:
    """For "80%", "3/5", "3 of 5" at this position: whether it is incomplete, and its end."""
    word = tokens[at].text
    value = int(word[:6]) if word.isdecimal() and word.isascii() else _NUMBERS.get(word)
    if value is None:
        return None
    after = [token.text for token in tokens[at + 1 : at + 4]]
    if after[:1] == ["%"] or after[:1] in (["percent"], ["prozent"]):
        return value < 100, at + 2
    if after[:1] in (["/"], ["of"], ["von"]) and len(after) > 1:
        whole = int(after[1][:6]) if after[1].isdecimal() and after[1].isascii() else _NUMBERS.get(after[1])
        return None if whole is None else (value < whole, at + 3)
    if after[:2] == ["out", "of"] and len(after) > 2 and after[2].isdecimal():
        return value < int(after[2][:6]), at + 4
    return None


def phrase_at(tokens: list[Token], at: int, vocabulary: Vocabulary) -> tuple[State | None, int, str]:
    """The longest state phrase that begins here: the state, its end, and the phrase squashed."""
    found: tuple[State | None, int, str] = (None, at, "")
    word = ""
    for behind in range(at, min(at + LONGEST, len(tokens))):
        word += tokens[behind].text.replace("'", "")
        if state := vocabulary.states.get(word):
            found = (state, behind + 1, word)
    return found


def ended(state: State, word: str, text: str, tail: list[Token], vocabulary: Vocabulary) -> State | str:
    """The state after the rest of the phrase, or in a few words why there is none."""
    if not tail:
        return state
    first = tail[0].text
    is_not = first == "(" and len(tail) > 1 and tail[1].text in ("?", "not", "nicht")
    is_all = state in (State.DONE, State.REVIEW) or len(tail) < 3 or tail[2].text in CUTS | {"?"}
    if first == "?" or (is_not and is_all):  # "blocked (not by us)" is a reason
        return "it is a question, or taken back"
    if [token.text for token in tail[:2]] in (["no", "longer"], ["nicht", "mehr"]):
        return "it is taken back"
    choice = 2 if first == "-" and len(tail) > 1 and tail[1].text == ">" else 1
    if (first in _CHOICES or first in ("or", "oder") or choice == 2) and len(tail) > choice:
        other = phrase_at(tail, choice, vocabulary)
        if other[0] and other[0] is not state:
            return "it names several states"
    if (
        state is State.BLOCKED
        and word.startswith(("wait", "wart", "await"))
        and REVIEW.search(f"waiting{text.lower()}")
    ):
        return State.REVIEW
    if state is State.BACKLOG:
        return _begun(word, first, tail, vocabulary)
    if state is State.IN_PROGRESS:
        if word == "working" and first in ("as", "fine", "correctly", "well", "again"):
            return "it may mean that something works"
        return "it names several states" if _other_state(state, tail, vocabulary, whole=True) else state
    if state in (State.BLOCKED, State.FAILED, State.CANCELLED, State.DEAD):
        return _with_reason(state, tail, vocabulary)
    return _finished(state, text, tail, vocabulary)


def _begun(word: str, first: str, tail: list[Token], vocabulary: Vocabulary) -> State | str:
    """Backlog takes a task away from its holder, so only an unambiguous rest counts."""
    if _other_state(State.BACKLOG, tail, vocabulary, whole=True):
        return "it names several states"
    if first[0].isalnum() and first not in ("since", "by", "until", "for", "seit", "von"):
        return "it may mean more than that the work has not begun"
    if first == "for" and word in ("ready", "open"):
        return "it may mean more than that the work has not begun"
    return State.BACKLOG


def _with_reason(state: State, tail: list[Token], vocabulary: Vocabulary) -> State | str:
    """Blocked, failed, cancelled: the rest is the reason, unless it says that the work continues."""
    texts = [token.text for token in tail]
    if state is not State.BLOCKED and (texts[-1] == "?" or "retrying" in texts or _goes_on(texts)):
        return "it is not over"
    if _other_state(state, tail, vocabulary, whole=True) or any(
        one in ("now", "then", "jetzt") and (found := phrase_at(tail, n + 1, vocabulary)[0]) and found is not state
        for n, one in enumerate(texts)
    ):
        return "it names several states"
    if state is State.FAILED and texts[0][0].isalnum() and {"fixed", "resolved", "passed", "behoben"} & set(texts):
        return "it names several states"
    return state


def _goes_on(texts: list[str]) -> bool:
    return any(
        a in ("will", "wird", "to", "trying") and b in _RETRIED | {"try", "again", "retry"} for a, b in pairwise(texts)
    )


def _finished(state: State, text: str, tail: list[Token], vocabulary: Vocabulary) -> State | str:
    """Done or review: only if nothing in the rest contradicts it."""
    low = text.lower()
    review = REVIEW.search(low) if _REVIEWS.search(low) else None
    if review and not re.search(r"\b(?:no|not|without|after|kein|nach)\b[^,;.]*$", low[: review.start() + 1]):
        cut = len(text) - len(text.lstrip())
        offset = tail[0].start - cut
        inside = (offset + review.start(), offset + review.end())
        tail = [
            token for token in tail if not inside[0] <= token.start < inside[1] and token.text not in ("but", "aber")
        ]
        state = State.REVIEW
    if not tail:
        return state
    first = tail[0].text
    texts = [token.text for token in tail]
    marks = () if text.isascii() else (MARKS.get(word, State.DONE) for word in texts)
    is_no = texts[1:2] in (["no"], ["nein"]) and (len(texts) == 2 or texts[2] in CUTS)
    if is_no or any(mark is not State.DONE for mark in marks):
        return "what follows takes it back"
    if state is State.DONE and (first[0].isalpha() or first in "&+") and not _is_link(texts, vocabulary):
        return "it says what was done, not that all is"
    if state is State.REVIEW and first[0].isalpha() and first not in LINKS | REASONS | {"requested", "needed", "pr"}:
        return "it may name the thing to review"
    if _is_hedged(tail, texts, state) or _other_state(state, tail, vocabulary, whole=False):
        return "what follows takes it back"
    return state


def _is_link(texts: list[str], vocabulary: Vocabulary) -> bool:
    """Whether the words right after an end leave it unchanged: "in PR 142", "by peter", "and tested"."""
    first, after = texts[0], texts[1] if len(texts) > 1 else ""
    if first in ("and", "&", "+", "und"):
        return after.endswith(_DONE_TOO) or vocabulary.states.get(after) is State.DONE
    if first in ("without", "ohne"):
        return _is_harmless(texts[1:])
    if first in ("with", "mit"):
        return after in _HARMLESS_WITH or any(letter.isdigit() for letter in after)
    if first in ("in", "im"):
        return after not in ("part", "theory", "principle", "parts")
    if first == "by" and after in ("tomorrow", "next", "monday", "tuesday", "wednesday", "thursday", "friday", "end"):
        return False
    return first in LINKS or any(letter.isdigit() for letter in first) or vocabulary.states.get(first) is State.DONE


def _is_hedged(tail: list[Token], texts: list[str], state: State) -> bool:
    counts = state is State.DONE and not _NO_COUNT & set(texts)
    for at, word in enumerate(texts):
        before = texts[at - 1] if at else ","
        if word.isdecimal() or word in _NUMBERS:
            count = count_at(tail, at) if counts and before not in _BEFORE_NUMBERS else None
            if count and count[0]:
                return True
        if word not in _WATCHED and not word.endswith("n't"):  # most words
            continue
        starts = before in CUTS or before in ("and", "und", "but", "aber", "&", "i", "we", "it")
        ends = at + 1 == len(texts) or texts[at + 1] in CUTS
        if word == "?":
            return True
        if word in _HEDGES or (word.endswith("n't") and word[:-3] not in _PAST):
            if before in _NONE or before in _PAST or (word == "but" and before == "nothing"):
                continue
            return True
        if (
            word in _HEDGES_OF_A_CLAUSE
            and (starts or ends)
            and before not in _NONE
            and not _NONE & set(texts[max(0, at - 3) : at])
        ):
            return True
        if word in _HEDGES_AT_ITS_START and starts and not (word == "without" and _is_harmless(texts[at + 1 :])):
            return True
        if word in _HEDGES_AT_ITS_END and ends and not _NONE & set(texts[max(0, at - 3) : at]):
            return True
        if word in _GOOD_ENDS and ends and _NONE & set(texts[max(0, at - 3) : at]):  # "no tests pass"
            return True
        if word in _SECONDS and f"{before}-{word}" in _HEDGES_OF_TWO and (ends or before != "to"):
            return True
        if word in _FAULTS and before.strip("0").isdecimal() and (at < 2 or texts[at - 2] in CUTS | {"with", "mit"}):
            return True
        if word in ("waiting", "wartet") and at + 1 < len(texts) and texts[at + 1] in REASONS:
            return True
    return False


def _ends_a_clause(tail: list[Token], at: int, vocabulary: Vocabulary) -> bool:
    """Whether a short clause ends with work that is not over, from this token on: "done, frontend in progress"."""
    clause = [token.text for token in tail[max(0, at - 3) : at]]
    before = clause[-1] if clause else ""
    if not before or (at > 2 and CUTS.isdisjoint(clause)) or before in _OVER:
        return False
    other, behind, word = phrase_at(tail, at, vocabulary)
    is_over = other not in (State.IN_PROGRESS, State.BLOCKED, State.FAILED) or vocabulary.is_weak(word)
    return not is_over and not before.isdecimal() and (behind == len(tail) or tail[behind].text in CUTS)


def _is_harmless(texts: list[str]) -> bool:
    return bool(texts) and texts[0] in ("errors", "error", "problems", "issues", "any", "warnings", "trouble", "fehler")


def _other_state(state: State, tail: list[Token], vocabulary: Vocabulary, whole: bool) -> bool:
    """Whether a clause of the rest is another state, or ends with one; with `whole` only an entire clause."""
    first = vocabulary.first
    for at, token in enumerate(tail):
        if token.text not in first:
            continue
        starts = at == 0 or tail[at - 1].text in CUTS
        if not starts and not whole and _ends_a_clause(tail, at, vocabulary):
            return True
        if not starts or (at == 0 and whole):
            continue
        other, behind, word = phrase_at(tail, at, vocabulary)
        if other is None or other is state or (vocabulary.is_weak(word) and word not in ("working", "open")):
            continue
        after = tail[behind].text if behind < len(tail) else ","
        if after in CUTS or (not whole and after in REASONS) or after == "?":
            return True
    return False
