"""State words, as data: English and German are built in, `[words]` in clawfiles.toml adds more."""

from functools import lru_cache
from typing import Final

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, State

Words = tuple[tuple[str, tuple[str, ...]], ...]  # states, each with more words for it; a tuple, so that it is hashable

_BUILT_IN: Final = {
    State.BACKLOG: "backlog, todo, open, new, ready, pending, queued, planned, not started, not yet started, reopened, "
    "ready to start, ready for development, "
    "offen, noch offen, neu, geplant, nicht begonnen, noch nicht begonnen, zu erledigen, wieder offen",
    State.IN_PROGRESS: "in progress, wip, work in progress, progress, started, working, active, doing, ongoing, "
    "running, underway, under way, claimed, acknowledged, resumed, in development, in work, on it, unblocked, "
    "in arbeit, in bearbeitung, in umsetzung, begonnen, angefangen, gestartet, läuft, wird bearbeitet, bin dran",
    State.REVIEW: "review, in review, in code review, reviewing, ready for review, ready to review, needs review, "
    "needs a review, under review, awaiting review, pending review, review pending, waiting for review, "
    "waiting on review, waiting for code review, to be reviewed, for review, up for review, "
    "bereit zur prüfung, bereit zur abnahme, bereit zum review, "
    "zur prüfung, in prüfung, zur abnahme, in abnahme, zum review, im review, wartet auf prüfung, "
    "wartet auf review, wartet auf abnahme, zu prüfen",
    State.DONE: "done, complete, completed, finished, closed, resolved, fixed, shipped, merged, delivered, succeeded, "
    "successful, success, "
    "erledigt, fertig, fertiggestellt, abgeschlossen, beendet, behoben, gelöst, geschlossen",
    State.BLOCKED: "blocked, stuck, waiting, awaiting, on hold, paused, halted, "
    "blockiert, wartet, warte, warten, wartend, pausiert, angehalten, zurückgestellt, steckt fest",
    State.FAILED: "failed, fail, failure, error, errored, crashed, unsuccessful, fehlgeschlagen, gescheitert, fehler, "
    "abgestürzt",
    State.DEAD: "dead, dead letter",
    State.CANCELLED: "cancelled, canceled, abandoned, dropped, obsolete, won't fix, wont fix, won't do, wont do, "
    "aborted, duplicate, not planned, withdrawn, "
    "abgebrochen, verworfen, storniert, zurückgezogen, hinfällig, obsolet",
}
MARKS: Final = {
    **dict.fromkeys("✅✔☑✓", State.DONE),
    **dict.fromkeys("❌✗✖", State.FAILED),
    **dict.fromkeys("🚧🔄", State.IN_PROGRESS),
}
MARKS_OF_FAILURE: Final = frozenset("❌✗✖")
SHORTCODES: Final = {
    ":white_check_mark:": "✅", ":heavy_check_mark:": "✅", ":x:": "❌", ":construction:": "🚧",
}  # fmt: skip
# Adjectives and verbs with which a title may begin as well ("Failed logins are not counted"), and states that are
# too common in prose to contradict another one.
_WEAK: Final = (
    " started new ready active running planned claimed resumed open closed doing working acknowledged reopened "
    "progress fixed shipped dead dropped error errored failure fail resolved complete review reviewing success "
    "successful duplicate offen neu geplant fehler begonnen gestartet läuft warten merged delivered "
)
_BETWEEN = pattern(r"[\W_]+")
LONGEST: Final = 5  # words in one phrase


def squash(text: str) -> str:
    """The letters and digits of a text, in lower case: "In-Progress" and "in progress" are one."""
    if not text.isascii():
        from unicodedata import normalize

        text = normalize("NFC", text)
    return _BETWEEN.sub("", text.lower())


class Vocabulary:
    """The state words, and the agents (None: any name may be an agent's)."""

    def __init__(self, words: Words = (), agents: frozenset[AgentId] | None = None) -> None:
        self.agents = agents
        self.states = {squash(word): state for state, text in _BUILT_IN.items() for word in text.split(",")}
        self.states |= {squash(word): State(state) for state, more in words for word in more}
        self._more = tuple(word for _, more in words for word in more)
        spelled = [one for text in (*_BUILT_IN.values(), *self._more) for one in text.lower().split(",")]
        long = (one for one in spelled if len(squash(one)) > (5 if " " in one.strip() else 3))
        self._near = tuple(dict.fromkeys(map(squash, long)))  # "on it" has too many neighbours
        spelled += [_BETWEEN.sub(" ", one) for one in self._more]
        self.first = frozenset(one.split()[0] for one in spelled if one.strip())  # words with which a phrase begins

    def state(self, text: str) -> State | None:
        """The state that the whole text names, or None; a mark alone ("✅") counts, beside a word the word does."""
        if len(text) > 48 or "?" in text:
            return None
        if word := squash(text):
            found = self.states.get(word)
            is_both = found is State.DONE and not text.isascii() and not MARKS_OF_FAILURE.isdisjoint(text)
            return None if is_both else found
        return next((MARKS[letter] for letter in text if letter in MARKS), None)

    def is_weak(self, word: str) -> bool:
        """Whether the squashed phrase also has other meanings in prose and titles."""
        return f" {word} " in _WEAK

    def near(self, word: str) -> str | None:
        """The known squashed phrase that differs from the word by one letter, or by two swapped letters.

        Only for words of four letters or more.
        """
        if not 4 <= len(word) <= 24 or word in self.states:
            return None
        return next((known for known in self._near if _differs_by_one(word, known)), None)

    def suggestion(self, word: str) -> str:
        """What to write instead, if the known squashed phrase was probably meant."""
        spelled = (one.strip() for text in (*_BUILT_IN.values(), *self._more) for one in text.split(","))
        meant = next((one for one in spelled if squash(one) == word), word)
        return f'did you mean "{meant}"? write "Status: {self.states[word].value}"'


def _differs_by_one(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if len(one) != len(other):
        long, short = (one, other) if len(one) > len(other) else (other, one)
        return long[at + 1 :] == short[at:]
    changed = one[at : at + 2] == other[at : at + 2][::-1]
    return one[at + 1 :] == other[at + 1 :] or (changed and one[at + 2 :] == other[at + 2 :])


BUILT_IN: Final = Vocabulary()


def state(text: str) -> State | None:
    """The state that the whole text names in the words that are built in, or None."""
    return BUILT_IN.state(text)


@lru_cache(8)
def vocabulary(words: Words, agents: frozenset[AgentId] | None = None) -> Vocabulary:
    """The words that are built in and these, with the names of the agents; the same object for the same arguments."""
    return Vocabulary(words, agents)


def problems(words: Words) -> list[tuple[str, str]]:
    """The problems of words that a person adds, as (their state, a sentence)."""
    found, seen = list[tuple[str, str]](), dict(BUILT_IN.states)
    for state_, more in words:
        for word in more:
            known = seen.setdefault(squash(word), State(state_))
            if not squash(word) or len(word.split()) > LONGEST or len(word) > 48:
                found.append((state_, f"{word[:60]!r} is not one to {LONGEST} words with a letter in them"))
            elif known != state_:
                found.append((state_, f"{word[:60]!r} means {known} already"))
    return found
