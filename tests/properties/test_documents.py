"""Whatever people write: edits touch their own lines only, what is written reads back, only our errors are raised.

Each property runs with 100 examples, and with 10,000 under the mark `slow`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from claw_files.core import instants
from claw_files.core import text as words
from claw_files.core.errors import BadId, BadValue, ClawError, InvalidFile
from claw_files.core.model import (
    AgentId,
    Checkpoint,
    Entry,
    KeyText,
    Kind,
    Message,
    Need,
    Run,
    RunId,
    State,
    Task,
    TaskId,
    Verb,
)
from claw_files.formats import (
    checkpoints,
    definitions,
    frontmatter,
    frontmatter_edits,
    ledger,
    messages,
    reports,
    runs,
    status,
    vocabulary,
)
from tests.proofs import often

BERLIN = ZoneInfo("Europe/Berlin")
SAVED = datetime(2026, 3, 7, 8, 50, tzinfo=BERLIN)
PATH = "status/tc-1.md"

Check = Callable[..., None]
PROPERTIES: dict[str, tuple[Check, dict[str, Any]]] = {}


def holds(**strategies: Any) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        PROPERTIES[check.__name__] = check, strategies
        return check

    return register


def prove(name: str, examples: int) -> None:
    check, strategies = PROPERTIES[name]
    relaxed = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    relaxed(given(**strategies)(check))()


# --- what people write -----------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\x85\u2028\u2029"), max_size=30)
LINE = TEXT.map(lambda text: text.replace("\n", " "))
WORD = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(
    lambda it: not it.startswith(("con", "prn", "nul", "aux"))
)
AGENT = WORD.map(words.agent_id)
TASK = st.integers(1, 99_999).map(lambda number: TaskId(f"TC-{number}"))
MOMENT = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, microsecond=0))
RAW_VALUE = st.sampled_from(
    [
        " plain",
        ' "dq #x"',
        " 'it''s'",
        " 12",
        "",
        " ",
        "   # only a comment",
        " 22:30",
        " [a, b]",
        " {a: 1, b: [c]}",
        " x  # tail",
        " |\n  line1\n\n  # line2",
        " >-\n  fold\n  ed",
        " |+\n  keep\n\n",
        "\n  - x\n  - y  # c",
        "\n- x\n-\n- z",
        "\n  a: 1\n  b: [2]",
        "\n  # inner\n  a:\n    - b",
        ' "esc \\u00e9"',
        " é ü",
        " http://x/y?z=1#frag",
        " [a,\n  b]  # f",
        "\n  later  # c",
        " a\n  b",
    ]
)
GAP = st.sampled_from(["", "", "", "\n", "# c\n", "  # indented\n", "\n# d\n\n"])
ITEMS = st.lists(st.tuples(GAP, RAW_VALUE), min_size=1, max_size=7)
NEW_VALUE = st.one_of(
    st.none(), LINE, st.lists(LINE, max_size=3), st.dictionaries(WORD, LINE, min_size=1, max_size=3), st.just("a\nb")
)
BODY = st.lists(
    st.one_of(
        LINE, st.sampled_from(["Status: DONE", "---", "```", "<!--", "-->", "ETA: 11:00", "# TC-1: x", "TC-1: wip"])
    ),
    max_size=6,
).map("\n".join)


def written(items: list[tuple[str, str]], body: str, crlf: bool, bom: bool) -> bytes:
    keys = "".join(f"{gap}k{number}:{value}\n" for number, (gap, value) in enumerate(items))
    text = f"---\n{keys}---\n{body}"
    return (b"\xef\xbb\xbf" if bom else b"") + (text.replace("\n", "\r\n") if crlf else text).encode()


# --- front matter ----------------------------------------------------------------------------------------------------


@holds(items=ITEMS, which=st.integers(0, 7), value=NEW_VALUE, body=BODY, crlf=st.booleans(), bom=st.booleans())
def an_edit_changes_the_lines_of_its_key_only(
    items: list[tuple[str, str]], which: int, value: Any, body: str, crlf: bool, bom: bool
) -> None:
    raw, key = written(items, body, crlf, bom), f"k{which}"
    before = frontmatter.parse(raw, PATH)
    if value is None and set(before.meta) == {key}:
        return  # the last key: refused, and tested elsewhere
    try:
        after = frontmatter_edits.edit(raw, {key: value}, PATH)
    except InvalidFile as error:  # what stood behind a removed key would become the text of a block scalar above it
        assert (error.problem, value) == ("cannot-edit", None) and (b"|" in raw or b">-" in raw)
        return
    wanted = {name: it for name, it in {**before.meta, key: value}.items() if it is not None}
    assert frontmatter.parse(after, PATH).meta == wanted
    same = 0
    while same < min(len(raw), len(after)) and raw[same] == after[same]:
        same += 1
    end = 0
    while end < min(len(raw), len(after)) - same and raw[-1 - end] == after[-1 - end]:
        end += 1
    touched = raw[same : len(raw) - end].decode("utf-8", "replace")
    # What was replaced begins in the key's own lines and holds no line of another key.
    assert not any(f"\nk{other}:" in touched for other in range(8) if other != which)
    for gap, _ in items:  # comments between keys survive; an indented one may be the text of a block scalar above it
        assert gap.startswith(" ") or gap.strip().encode() in after


@holds(first=NEW_VALUE, second=NEW_VALUE, items=ITEMS)
def an_edit_and_its_reverse_keep_every_value(first: Any, second: Any, items: list[tuple[str, str]]) -> None:
    raw = written(items, "body", False, False)
    once = frontmatter_edits.edit(raw, {"new": first, "k0": second or "x"}, PATH)
    back = frontmatter_edits.edit(once, {"new": None, "k0": frontmatter.parse(raw, PATH).meta["k0"]}, PATH)
    assert frontmatter.parse(back, PATH).meta == frontmatter.parse(raw, PATH).meta
    assert frontmatter.parse(back, PATH).body == "body"


@holds(
    raw=st.one_of(
        st.binary(max_size=200), TEXT.map(str.encode), st.binary(max_size=80).map(lambda it: b"---\n" + it + b"\n---\n")
    )
)
def bytes_of_any_kind_are_read_or_refused(raw: bytes) -> None:
    for read in (
        lambda: frontmatter.parse(raw, PATH),
        lambda: frontmatter_edits.edit(raw, {"status": "done"}, PATH),
        lambda: status.parse(raw, PATH, SAVED, BERLIN),
        lambda: status.append(raw, "note", PATH),
        lambda: reports.parse(raw, "status/peter.md", AgentId("peter"), SAVED, BERLIN),
        lambda: messages.parse(raw, PATH),
        lambda: checkpoints.parse_result(raw, "checkpoints/subagent-x.md"),
        lambda: runs.parse(raw, PATH),
    ):
        try:
            read()
        except InvalidFile as error:
            assert error.problem and error.reason
    assert isinstance(ledger.entries(raw, SAVED, BERLIN, "TC", lambda _: True), tuple)


# --- status files ----------------------------------------------------------------------------------------------------

TASKS = st.builds(
    Task,
    id=st.just(TaskId("TC-1")),
    title=LINE.map(lambda text: " ".join(text.split())).filter(
        lambda text: text.lower() not in ("", "~", "-", "none", "null", "n/a")
    ),
    state=st.sampled_from(State),
    assignee=st.none() | AGENT,
    followers=st.lists(AGENT, max_size=3).map(tuple),
    estimate=st.none() | st.integers(1, 10**8).map(lambda n: timedelta(seconds=n)),
    after=st.lists(TASK, max_size=3).map(tuple),
    outputs=st.lists(LINE.map(str.strip).filter(bool), max_size=3).map(tuple),
    attempt=st.integers(1, 99),
    generation=st.integers(0, 99),
    lease=st.none() | MOMENT,
    eta=st.none() | MOMENT,
    need=st.none() | st.builds(Need, agent=AGENT, question=WORD),
)


@holds(task=TASKS)
def a_new_status_file_reads_back_as_its_task(task: Task) -> None:
    raw = status.edit(None, None, task, PATH)
    assert status.parse(raw, PATH, SAVED, BERLIN) == replace(task, recorded=task.state, state_line=4)


@holds(task=TASKS, body=BODY, crlf=st.booleans())
def an_edit_of_a_status_file_arrives_and_leaves_the_body_alone(task: Task, body: str, crlf: bool) -> None:
    raw = (b"\xef\xbb\xbf# mine\n" + body.encode()).replace(b"\n", b"\r\n" if crlf else b"\n")
    before = status.parse(raw, PATH, SAVED, BERLIN)
    after = status.edit(raw, before, replace(task, recorded=task.state, outputs=before.outputs), PATH)
    assert after.endswith(raw.removeprefix(b"\xef\xbb\xbf"))
    read = status.parse(after, PATH, SAVED, BERLIN)
    assert (read.state, read.recorded, read.title, read.need) == (task.state, task.state, task.title, task.need)
    if task.eta:
        assert read.eta == task.eta
    assert status.edit(after, read, read, PATH) == after


@holds(task=TASKS)
def a_lost_definition_is_restored(task: Task) -> None:
    carried = messages.parse(
        messages.render(
            Message(
                id="m",
                key=KeyText("k"),
                kind=Kind.TASK,
                sender=AgentId("a"),
                to=AgentId("b"),
                definition=status.definition(task),
            )
        ),
        PATH,
    )
    restored = status.restore(Task(id=task.id), carried.definition)
    assert (restored.title, restored.after, restored.estimate) == (task.title, task.after, task.estimate)
    assert restored.outputs == task.outputs


DEFINED = st.builds(
    lambda task, **terms: replace(task, **terms),
    TASKS,
    title=LINE.map(lambda text: " ".join(text.split())),
    requested_by=st.none() | AGENT,
    type=st.none() | WORD,
    created=st.none() | MOMENT,
    label=st.none() | WORD,
    cwd=st.none() | WORD,
)


@holds(task=DEFINED, text=BODY)
def a_definition_reads_back(task: Task, text: str) -> None:
    defined = definitions.of(task, text)

    assert definitions.parse(definitions.render(defined), "definitions/tc-1.md") == defined
    assert definitions.of(defined.task, defined.text) == defined
    assert {key: getattr(defined.task, key) for key in definitions.KEYS} == {
        key: getattr(task, key) for key in definitions.KEYS
    }
    assert defined.text == text.rstrip("\n")


@holds(task=TASKS, text=BODY)
def a_status_file_as_we_write_it_redefines_nothing(task: Task, text: str) -> None:
    task = replace(task, outputs=(), state=State.BACKLOG)
    raw = status.edit(None, None, task, PATH)
    raw = status.append(raw, text, PATH) if text else raw
    defined = definitions.of(task, text)

    assert definitions.redefined(defined, status.parse(raw, PATH, SAVED, BERLIN), raw, PATH) == defined


@holds(task=DEFINED, front=st.booleans(), body=BODY)
def a_definition_binds_whatever_the_status_file_says(task: Task, front: bool, body: str) -> None:
    raw = ("---\ntype: other\nafter: [TC-9]\noutputs: [x]\nrecorded: done\n---\n" if front else "") + f"x\n{body}"
    bound = definitions.bind(status.parse(raw.encode(), PATH, SAVED, BERLIN), definitions.of(task, ""))

    kept = [key for key in definitions.KEYS if key != "outputs"]
    assert [getattr(bound, key) for key in kept] == [getattr(task, key) for key in kept]
    assert set(bound.outputs) >= set(task.outputs)
    if front and task.type != "other":
        assert any(said.startswith("type ") for said in bound.overruled)


@holds(body=BODY, note=BODY)
def a_note_never_changes_what_the_file_says(body: str, note: str) -> None:
    raw = b"---\nstatus: in_progress\nrecorded: in_progress\n---\n" + body.encode()
    noted = status.append(raw, note, PATH)
    assert noted.startswith(raw)
    said, before = status.parse(noted, PATH, SAVED, BERLIN), status.parse(raw, PATH, SAVED, BERLIN)
    assert said == replace(before, title=said.title)  # a note may bring the first heading


# --- the ledger ------------------------------------------------------------------------------------------------------

ENTRIES = st.builds(
    Entry,
    task=TASK,
    agent=AGENT.filter(lambda name: vocabulary.state(name) is None and not name.endswith("-")),
    spawner=st.none() | AGENT.filter(lambda name: not name.endswith("-")),
    verb=st.sampled_from(Verb),
    at=st.none() | MOMENT,
    ticked=st.booleans(),
)
LAYOUT = (
    "## Delegations",
    "## Delegations",
    "# H",
    "```",
    "~~~",
    "<!--",
    "-->",
    "- TC-1 -> peter, check 10:00",
    "",
    "",
)


@holds(entry=ENTRIES)
def a_ledger_line_reads_back_as_its_entry(entry: Entry) -> None:
    entry = replace(entry, verb=entry.verb if entry.at else Verb.CHECK)
    line = ledger.render(entry, BERLIN)
    assert ledger.entries(line.encode(), SAVED, BERLIN, "TC", lambda _: False) == (replace(entry, line=line),)


NEWLINE = st.sampled_from(["\n", "\n", "\r\n", "\r\r\n"])


@holds(
    lines=st.lists(st.tuples(st.sampled_from(LAYOUT) | LINE, NEWLINE), max_size=8),
    end=st.sampled_from(["", "x", "## Delegations", "\r"]),
    bom=st.booleans(),
    junk=st.binary(max_size=3),
    turns=st.lists(ENTRIES, min_size=1, max_size=6, unique_by=lambda it: it.task),
    order=st.randoms(use_true_random=False),
)
def adding_and_removing_lines_gives_every_byte_back(
    lines: list[tuple[str, str]], end: str, bom: bool, junk: bytes, turns: list[Entry], order: Any
) -> None:
    raw = (b"\xef\xbb\xbf" if bom else b"") + "".join(map("".join, lines)).encode() + end.encode() + junk
    if not raw.decode("utf-8", "surrogateescape").strip("\ufeff").strip() or any(
        entry.task.encode() in raw for entry in turns
    ):
        return  # an empty file keeps its heading; a line of the same task is another test
    now = raw
    for entry in turns:
        added = ledger.add(now, entry, BERLIN)
        assert ledger.render(entry, BERLIN).encode() in added
        same = next((n for n, (one, other) in enumerate(zip(now, added, strict=False)) if one != other), len(now))
        assert added.endswith(now[same:])
        now = added
    order.shuffle(turns)
    for entry in turns:
        now = ledger.replace(now, replace(entry, line=ledger.render(entry, BERLIN)), None, BERLIN)
    assert now == raw


PIECES = st.tuples(
    st.sampled_from(["", "- ", "* [ ] ", "1. [/] ", "  - [x] ", "- [!] "]),
    st.sampled_from(["TC-1", "**TC-1**", "[TC-1](status/tc-1.md)", "[[tc-1|Pay]]", "`tc-1`", "TC-1:"]),
    st.sampled_from(
        [" delegated to peter", " → @Peter", " -> **iris**", " assigned to peter for sam", " delegated to [[iris]]"]
    ),
    st.sampled_from([", check at ", " (check ", "; wait until ", ", prüfen um "]),
    st.sampled_from(
        ["10:00", "3pm", "tomorrow 9am", "Monday 9:00", "7. März 2026", "in 2 hours", "2026-03-07 10:00", "noonish"]
    ),
    st.sampled_from(["", ")", " – he is slow", " <!-- key: 11:00 -->", ", see PR #12", "  ", " ~~or Monday~~", "\t"]),
)


@holds(pieces=PIECES, at=MOMENT, verb=st.sampled_from(Verb), agent=st.sampled_from(["peter", "iris", "bob"]))
def an_edit_of_a_ledger_line_touches_only_what_changes(
    pieces: tuple[str, ...], at: datetime, verb: Verb, agent: str
) -> None:
    line = "".join(pieces)
    (old,) = ledger.entries(line.encode(), SAVED, BERLIN, "TC", lambda _: False)
    for new, parts in (
        (replace(old, at=at, dated=True), {4}),
        (replace(old, agent=AgentId(agent)), {2}),
        (replace(old, at=at, dated=True, verb=verb), {3, 4}),
        (replace(old, ticked=not old.ticked), {0}),
    ):
        edited = ledger.replace(line.encode(), old, new, BERLIN).decode()
        (read,) = ledger.entries(edited.encode(), SAVED, BERLIN, "TC", lambda _: False)
        wanted = replace(new, at=old.at, verb=old.verb) if old.unread else new
        assert (read.agent, read.at, read.verb, read.ticked) == (wanted.agent, wanted.at, wanted.verb, wanted.ticked)
        first, last = min(parts), max(parts)
        assert edited.startswith("".join(pieces[:first])) and edited.endswith("".join(pieces[last + 1 :]))
        assert len(edited) >= len("".join(pieces[:first]) + "".join(pieces[last + 1 :]))


@holds(
    text=st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "TC-1",
                "check",
                "at",
                "until",
                "10:00",
                "25:00",
                "~~",
                "[",
                "]",
                "[-",
                "(",
                ",",
                "peter",
                "Monday",
                "or",
                "-",
                "in",
                "2",
                "h",
            ]
        ),
        max_size=14,
    ).map(" ".join)
)
def any_line_of_a_ledger_is_read(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    for entry in ledger.entries(raw, SAVED, BERLIN, "TC", lambda _: True, agents={"peter"}):
        it = entry.unclear
        assert it is None or (it.line and it.hint and len(it.text) <= 200)
        later = replace(entry, at=datetime(2027, 1, 1, tzinfo=UTC), dated=True)
        after = ledger.replace(raw, entry, later, BERLIN, agents={"peter"})
        assert after == raw if entry.unread else b"2027-01-01" in after


# --- records and words -----------------------------------------------------------------------------------------------

PLAIN = LINE.map(str.strip).filter(lambda text: text.lower() not in ("", "~", "-", "none", "null", "n/a"))
TAIL = BODY.map(lambda text: text.rstrip("\n"))


@holds(body=TAIL, chain=st.lists(AGENT, max_size=3), sent=MOMENT, definition=st.dictionaries(WORD, LINE, max_size=3))
def a_message_reads_back(body: str, chain: list[AgentId], sent: datetime, definition: dict[str, str]) -> None:
    message = Message(
        id="m-1",
        key=KeyText("tc-1.1"),
        kind=Kind.TASK,
        sender=AgentId("sam"),
        to=AgentId("peter"),
        body=body,
        chain=tuple(chain),
        sent=sent,
        definition=definition,
    )
    assert messages.parse(messages.render(message), PATH) == message


@holds(command=st.lists(LINE, max_size=4), reason=PLAIN, tail=TAIL, code=st.integers(-64, 255))
def a_run_reads_back(command: list[str], reason: str, tail: str, code: int) -> None:
    run = Run(
        id=RunId("a"), agent=AgentId("p"), key=KeyText("k"), command=tuple(command), reason=reason, tail=tail, exit=code
    )
    assert runs.parse(runs.render(run), PATH) == run


@holds(done=st.lists(LINE, max_size=4), updated=MOMENT, body=TAIL)
def a_checkpoint_reads_back(done: list[str], updated: datetime, body: str) -> None:
    held = Checkpoint(agent=AgentId("peter"), completed=tuple(done), updated=updated, body=body)
    assert checkpoints.parse(checkpoints.render(held), PATH, AgentId("peter")) == held


@holds(
    at=MOMENT,
    zone=st.sampled_from(
        ["Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu", "Pacific/Apia"]
    ),
)
def a_time_reads_back_in_every_zone(at: datetime, zone: str) -> None:
    tz = ZoneInfo(zone)
    assert instants.instant(words.render_local(at, tz), SAVED, tz) == at
    assert instants.instant(words.render_instant(at), SAVED, tz) == at


@holds(
    reference=MOMENT,
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe"]),
)
def a_bare_time_comes_within_a_day_and_never_before_the_hour(
    reference: datetime, hour: int, minute: int, zone: str
) -> None:
    at = instants.instant(f"{hour}:{minute:02}", reference, ZoneInfo(zone))
    assert timedelta(hours=-1) < at - reference <= timedelta(hours=24)


@holds(text=st.text(max_size=60), limit=st.integers(1, 80))
def safe_text_is_visible_and_bounded(text: str, limit: int) -> None:
    shown = words.safe(text, limit)
    shown.encode()
    assert "\n" not in shown and "\x1b" not in shown and len(shown) <= limit * 10 + 1
    assert words.safe(shown, 10_000) == shown


@holds(text=st.text(max_size=60))
def words_answer_or_refuse(text: str) -> None:
    for read in (
        words.task_id,
        words.agent_id,
        words.duration,
        words.rank,
        vocabulary.state,
        lambda it: instants.instant(it, SAVED, BERLIN),
    ):
        try:
            read(text)
        except (BadId, BadValue) as error:
            assert isinstance(error, ClawError) and str(error)


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_of_the_formats_holds(name: str) -> None:
    prove(name, 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_of_the_formats_holds_ten_thousand_times(name: str) -> None:
    prove(name, often(10_000))


LEDGER_LINES = st.sampled_from(
    [
        "- TC-1 delegated to peter, check at 10:00",
        "TC-10 wait until 11:00",
        "- [x] **tc-1** -> Peter (check 2026-03-07 10:00)",
        "about TC-1, nothing is awaited",
        "```",
        "<!--",
        "-->",
        "<!-- TC-1 delegated to iris, check at 09:00 -->",
        "\ufeff- TC-1 delegated to peter, check at 10:00",
        "- TC-2 delegated to peter for sam, check at 10:00 \N{LATIN CAPITAL LETTER I WITH DOT ABOVE} TC-1",
        "",
    ]
)


@given(st.lists(LEDGER_LINES, max_size=20), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["TC-1", "TC-2", "TC-10"]))
def test_looking_for_one_task_finds_the_entries_that_a_whole_reading_finds(
    lines: list[str], newline: str, task: str
) -> None:
    raw = newline.join(lines).encode()
    whole = ledger.entries(raw, SAVED, BERLIN, "TC", lambda _: False)

    assert ledger.entries(raw, SAVED, BERLIN, "TC", lambda _: False, TaskId(task)) == tuple(
        entry for entry in whole if entry.task == task
    )
