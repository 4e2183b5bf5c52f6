"""The meaning of a phrase for a task's state: the leading words, the state word, the rest.

"Done in PR 142" is done, "done, but 2 tests are red" is nothing that can be relied on, "done, waiting for review" is
review. Nothing here guesses: a phrase with a state word that the rest takes back is unclear, with a hint.
"""

import re
from enum import IntEnum
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import State, Value
from claw_files.formats.label_lines import STRUCK
from claw_files.formats.phrase_tails import (
    CUTS,
    LINKS,
    REASONS,
    REVIEW,
    Token,
    count_at,
    ended,
    phrase_at,
    tokens_of,
    word_set,
)
from claw_files.formats.vocabulary import MARKS, SHORTCODES, Vocabulary, squash

LIMIT: Final = 400  # letters of a phrase that are looked at
WORDS: Final = "backlog, in_progress, review, done, blocked, failed or cancelled"


class PhrasePlace(IntEnum):
    """How likely a phrase is a state, by its place."""

    LABEL = 0  # behind "Status:": whatever stands there is meant as one
    LINE = 1  # behind the task's id: a state, or a title
    TITLE = 2  # in a heading, or behind a time: only what cannot be meant otherwise


class StateStatement(Value, frozen=True):
    """A state with its rest; or, with `hint`, unclear words; or neither: no statement."""

    state: State | None = None
    rest: str = ""  # behind the state: "estimated done 11:00"
    hint: str = ""
    title: str = ""  # in front of the state, in a heading


NOTHING: Final = StateStatement()


_FILLERS: Final = word_set(
    "now currently still is are it its it's this task work job ticket issue already finally fully all everything has "
    "have been was marked set moved changed to as back again the my i am i'm we we're successfully completely 100 "
    "status ist jetzt alles bereits schon wieder aktuell derzeit momentan gerade vollständig komplett erfolgreich noch "
    "bin aufgabe steht auf wurde wurden zu"
)
_HEDGED_BEFORE: Final = word_set(
    "not almost nearly mostly partly partially partial half halfway part will would should could can may might must "
    "never no once when if until before after about maybe probably likely hopefully soon some most many few un but be "
    "unfinished incomplete undone unresolved nicht kein keine fast beinahe teilweise teils halb wird werden soll bald "
    "wohl vielleicht sobald wenn unfertig unerledigt"
)
_BEFORE: Final = word_set("was were wurde wurden")  # of what is over, where the state is no end
_GOING_ON: Final = (State.BACKLOG, State.IN_PROGRESS, State.REVIEW, State.BLOCKED)
_UNLIKE_A_TITLE: Final = word_set("done wip todo inprogress onhold inreview erledigt fertig inarbeit onit")

_LINK = pattern(r"!?\[([^\]\[]*)\]\([^()]*\)")
_TAG = pattern(r"</[a-z]{1,10}>|<[a-z]{1,10}(?:[ /][^<>]{0,100})?>(?=[^<>\n]*</|.*/>)|<br ?/?>")
_WAS = pattern(r"\((?:was|were|formerly|previously|before|war|zuvor|vorher)\b[^()]*\)", re.IGNORECASE)
_BOXES = pattern(r"\[([ xX])\][ \t]*([^\[\]]{1,40})")
_ING = pattern(r"[a-z]{2,20}ing")
_FIRST = pattern(r"[^\W_][\w']*")
_SPLIT = pattern(r"\s[-–—|]+\s|[(\[✅✔☑❌🚧]")


def cleaned(text: str) -> str:
    """The text without decoration: struck words, links' targets, tags, bold, surrounding quotes."""
    text = text[:LIMIT]
    if "~~" in text:
        text = STRUCK.sub("", text)
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    if "<" in text:
        text = _TAG.sub("", STRUCK.sub("", text))
    if "(" in text:
        text = _WAS.sub("", text)
    if ":" in text[:1]:
        for code, mark in SHORTCODES.items():
            text = text.replace(code, mark)
    return text.replace("**", "").replace("__", "").strip("*_`\"'„“”«» \t").strip()


@lru_cache(512)  # a file of 90,000 equal lines must not cost 90,000 readings
def read(text: str, vocabulary: Vocabulary, place: PhrasePlace = PhrasePlace.LABEL) -> StateStatement:
    """The meaning of the phrase."""
    text = cleaned(text)
    if place is PhrasePlace.TITLE and not _may_speak(text, vocabulary):  # most titles
        return NOTHING
    if (
        text[:3] != "[ ]"
        and (state := vocabulary.state(text))
        and (place is not PhrasePlace.TITLE or not vocabulary.is_weak(squash(text)))
    ):
        return StateStatement(state=state)
    if place is PhrasePlace.TITLE:
        return _in_title(text, vocabulary)
    if "[" in text and (boxes := _BOXES.findall(text)) and (len(boxes) > 1 or text[0] == "["):
        ticked = [word for box, word in boxes if box != " "]  # a form with a box for each state
        if not ticked:
            return NOTHING
        return read(ticked[0], vocabulary) if len(ticked) == 1 else StateStatement(hint=hint("it names several states"))
    tokens = tokens_of(text)
    at, is_hedged, mark = _lead(tokens, vocabulary)
    state, behind, word = phrase_at(tokens, at, vocabulary)
    if state is None:
        return _without_state(text, tokens, at, mark, is_hedged, vocabulary, place)
    phrase = text[tokens[at].start : tokens[behind - 1].end]
    tail = tokens[behind:]
    is_title = place is PhrasePlace.LINE and _begins_a_title(phrase, word, state, tail, vocabulary)
    if is_title and not (at and tokens[at - 1].text == "be"):
        return NOTHING
    if (
        is_hedged
        or (state is State.DONE and mark is State.FAILED)
        or (state in _GOING_ON and _BEFORE & {token.text for token in tokens[:at]})
    ):
        return StateStatement(hint=hint(MORE_OR_LESS))
    if word in ("ready", "waiting") and (known := vocabulary.near("".join(it.text for it in tokens[at : at + 3]))):
        return StateStatement(hint=vocabulary.suggestion(known))
    left = ended(state, word, text[tokens[behind - 1].end :], tail, vocabulary)
    if not isinstance(left, State):
        return StateStatement(hint=hint(left))
    rest = text if word.startswith(("wait", "wart", "await")) else text[tokens[behind - 1].end :]
    return StateStatement(state=left, rest=rest.strip(" \t,;.|–—-:→*_`\"'"))


MORE_OR_LESS: Final = "it says more or less than a state"
NO_STATE: Final = f'it names no state; write "Status: " with one of {WORDS}'


def hint(why: str) -> str:
    """Why the words are unclear, and what to write."""
    return f'{why}; write "Status: " with one of {WORDS}, and the rest on a separate line'


def _lead(tokens: list[Token], vocabulary: Vocabulary) -> tuple[int, bool, State | None]:
    """The position of the state word, whether the words before it negate it, and a mark among them."""
    at, is_hedged, mark = 0, False, None
    while at < min(len(tokens), 10):
        word = tokens[at].text
        leads = word in _FILLERS or word in _HEDGED_BEFORE or word.endswith("n't")
        if leads and word in vocabulary.first:  # "won't fix", "to be reviewed"
            state, behind, _ = phrase_at(tokens, at, vocabulary)
            if behind > at + 1 and (word != "not" or state is State.BACKLOG):
                break
        if word in MARKS:
            mark = mark or MARKS[word]
        elif word in _FILLERS or not word[0].isalnum():
            if word == "?":
                is_hedged = True
        elif word in _HEDGED_BEFORE or word.endswith("n't"):
            is_hedged = True
        elif count := count_at(tokens, at):
            is_hedged = is_hedged or count[0]
            at = count[1] - 1
        else:
            break
        at += 1
    return at, is_hedged, mark


def _without_state(
    text: str,
    tokens: list[Token],
    at: int,
    mark: State | None,
    is_hedged: bool,
    vocabulary: Vocabulary,
    place: PhrasePlace,
) -> StateStatement:
    """A place for a state without a state word: only a mark, a misspelling, "all tests done", or other words."""
    if at >= len(tokens):
        if mark and not is_hedged:
            return StateStatement(state=mark)
        return StateStatement(hint=hint("it names no state")) if is_hedged else NOTHING
    if known := _misspelt(tokens, at, vocabulary, place):
        return StateStatement(hint=vocabulary.suggestion(known))
    found = {n: phrase_at(tokens, n, vocabulary)[0] for n in range(at + 1, min(at + 5, len(tokens)))}
    later = next((n for n, it in found.items() if it is State.REVIEW), next(filter(found.get, found), None))
    if later is not None and not is_hedged:
        before = {token.text for token in tokens[:later]}
        state, behind, word = phrase_at(tokens, later, vocabulary)
        assert state is not None
        whole = before & {"all", "alle", "everything", "alles"} and state is State.DONE
        if (whole or (state is State.REVIEW and "pr" in before)) and not before & _HEDGED_BEFORE:
            left = ended(state, word, text[tokens[behind - 1].end :], tokens[behind:], vocabulary)
            if isinstance(left, State):
                return StateStatement(state=left, rest=text[tokens[behind - 1].end :].strip(" \t,;.|–—-:"))
    if place is PhrasePlace.LINE:
        is_said = (is_hedged and later is not None) or _ING.fullmatch(tokens[at].text) is not None
        is_said = is_said or (later is not None and REVIEW.search(text.lower()) is not None)
        return StateStatement(hint=hint("it names no state")) if is_said and text[:1] != "`" else NOTHING
    return StateStatement(hint=hint("it names no state"))


def _misspelt(tokens: list[Token], at: int, vocabulary: Vocabulary, place: PhrasePlace) -> str | None:
    word = ""
    for behind in range(at, min(at + 3, len(tokens))):
        if not tokens[behind].text[0].isalpha():
            break
        word += tokens[behind].text
        after = tokens[behind + 1].text if behind + 1 < len(tokens) else ","
        ends = after in CUTS or after in MARKS or place is PhrasePlace.LABEL
        known = vocabulary.near(word) if ends or after in LINKS | REASONS else None
        if known and (ends or not vocabulary.is_weak(known)):  # "Opens on a click" is a title
            return known
    return None


def _begins_a_title(phrase: str, word: str, state: State, tail: list[Token], vocabulary: Vocabulary) -> bool:
    """Whether a phrase behind the task's id is the beginning of its title: "TC-1: Failed logins are not counted"."""
    if not tail or (phrase.isupper() and len(phrase) > 1) or word in _UNLIKE_A_TITLE or " " in phrase:
        return False
    after = tail[0].text
    if not after[0].isalnum():
        return False
    return after not in LINKS | REASONS if state is not State.BACKLOG else after not in ("by", "since", "until")


# --- headings and log lines ------------------------------------------------------------------------------------------


def _in_title(text: str, vocabulary: Vocabulary) -> StateStatement:
    """A state at the beginning or end of a heading or a log line, if it cannot be part of a title."""
    cuts = list(_SPLIT.finditer(text))[:8]
    if said := _standing(text, vocabulary):
        return said
    for cut in reversed(cuts):
        behind = text[cut.start() :].lstrip(" -–—|([").rstrip(" )]")
        word = squash(behind)
        is_strong = not vocabulary.is_weak(word) or behind.isupper()
        said = _standing(behind, vocabulary) if is_strong else None
        if said:
            return replace(said, title=text[: cut.start()].strip(" -–—|([:"))
    return NOTHING


def _may_speak(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a title can contain a state at all: it begins with a state word, or has a separator."""
    found = _FIRST.match(text)
    if not found or _SPLIT.search(text):
        return True
    first = found[0].lower()
    return first in vocabulary.first or first in _FILLERS or first in _HEDGED_BEFORE or text.isupper()


def _standing(text: str, vocabulary: Vocabulary) -> StateStatement | None:
    """The state with which the text begins: the whole text, in capitals, or before a dash, comma or bracket."""
    if (state := vocabulary.state(text)) and (not vocabulary.is_weak(squash(text)) or text.isupper()):
        return StateStatement(state=state)
    tokens = tokens_of(text)
    at, is_hedged, mark = _lead(tokens, vocabulary)
    state, behind, word = phrase_at(tokens, at, vocabulary)
    if state is None:
        known = _misspelt(tokens, at, vocabulary, PhrasePlace.LINE) if text.isupper() and len(tokens) < 4 else None
        return StateStatement(hint=vocabulary.suggestion(known)) if known else None
    phrase = text[tokens[at].start : tokens[behind - 1].end]
    if is_hedged:
        return StateStatement(hint=hint(MORE_OR_LESS)) if behind == len(tokens) else None
    after = tokens[behind].text if behind < len(tokens) else ""
    loud = phrase.isupper() and len(phrase) > 2 and word not in ("error", "new", "open", "failure", "fixed")
    calm = after in ("-", "–", "—", "(", ",", ".", "!", "") and state is not State.FAILED and state is not State.BACKLOG
    linked = word in _UNLIKE_A_TITLE and after in LINKS
    if not (
        loud or mark or ((calm or linked) and not vocabulary.is_weak(word)) or (not after and state is State.FAILED)
    ):
        return None
    left = ended(state, word, text[tokens[behind - 1].end :], tokens[behind:], vocabulary)
    if not isinstance(left, State):
        return StateStatement(hint=hint(left)) if loud or mark else None
    return StateStatement(state=left, rest=text[tokens[behind - 1].end :].strip(" \t,;.|–—-:)("))


# --- a line that stands alone --------------------------------------------------------------------------------------


def bare(line: str) -> str:
    """The line without bullet, bold and quotes."""
    return line.strip().removeprefix("- ").removeprefix("* ").strip("*_`\"' ")


def may_stand_alone(bare: str, vocabulary: Vocabulary) -> bool:
    """Whether a bare line may be a state: it begins with a mark or a state word."""
    return not bare[0].isalnum() or re.split(r"[^\w']", bare, maxsplit=1)[0].lower() in vocabulary.first


def is_loud(line: str, bare: str, is_only: bool) -> bool:
    """Whether a line alone is meant as a state: the only one, in capitals, bold, or with a mark."""
    word = re.match(r"\W*([^\W_]+)", bare)
    return (
        is_only or bool(word and word[1].isupper()) or "**" in line or not bare[0].isascii() or squash(bare) == "done"
    )


def of_mark(mark: State) -> StateStatement:
    """A mark in front of a title: unclear, because it may mean something else."""
    return StateStatement(hint=f'the mark may mean more than the title; write "Status: {mark.value}"')


def of_box(box: str) -> StateStatement:
    """The meaning of a box in front of the task."""
    if box in "xX":
        return StateStatement(state=State.DONE)
    if box == "/":
        return StateStatement(state=State.IN_PROGRESS)
    return StateStatement(hint=f'the box [{box}] names no state; write "Status: done" or another state')
