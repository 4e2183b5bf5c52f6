"""Messages, checkpoints, results and runs: they read back as written, and what is wrong is named."""

from datetime import UTC, datetime, timedelta

import pytest

from claw_files.core.errors import InvalidFile
from claw_files.core.model import AgentId, Checkpoint, KeyText, Kind, Message, Result, Run, RunId, State, TaskId
from claw_files.formats import checkpoints, messages, runs

SENT = datetime(2026, 3, 7, 8, 45, tzinfo=UTC)
PETER, SAM = AgentId("peter"), AgentId("sam")
RESULT = "checkpoints/subagent-email-check.md"


def message(body: str = "TC-89: critical\n---\nx") -> Message:
    return Message(
        id="20260307T084500Z-tc-89.1",
        key=KeyText("tc-89.1"),
        kind=Kind.TASK,
        sender=SAM,
        to=PETER,
        body=body,
        task=TaskId("TC-89"),
        chain=(SAM,),
        attempt=1,
        generation=3,
        sent=SENT,
        sends=2,
        ack_by=SENT + timedelta(minutes=5),
        reply_to=SAM,
        critical=True,
        definition={"title": "a: b #c", "after": "TC-1\nTC-2"},
        channels={"file:announcements.md": "2026-03-07T08:45:00Z"},
    )


def test_a_message_has_the_agreed_form() -> None:
    plain = Message(
        id="m", key=KeyText("k"), kind=Kind.TASK, sender=SAM, to=PETER, task=TaskId("TC-89"), chain=(SAM,), body="b"
    )
    assert messages.render(plain).decode() == (
        "---\nid: m\nkey: k\nkind: task\nfrom: sam\nto: peter\ntask: TC-89\nchain: [sam]\n---\nb\n"
    )


def test_a_message_reads_back_as_written() -> None:
    assert messages.parse(messages.render(message()), "p") == message()
    assert b"task_definition:\n  title: " in messages.render(message())


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("id", "", "missing-key"),
        ("from", "", "missing-key"),
        ("key", "../x", "bad-value"),
        ("kind", "order", "bad-value"),
        ("sent", "10:00", "bad-value"),
        ("attempt", "x", "bad-value"),
        ("to", "[a]", "bad-value"),
        ("chain", "[../x]", "bad-value"),
        ("task_definition", "x", "bad-value"),
        ("ack_by", "in 5m", "bad-value"),
        ("task", "a/b", "bad-value"),
    ],
)
def test_a_message_with_a_wrong_key_names_it(key: str, value: str, problem: str) -> None:
    keys = {"id": "m", "key": "k", "kind": "task", "from": "sam", "to": "peter", key: value}
    raw = "---\n" + "".join(f"{name}: {text}\n" for name, text in keys.items()) + "---\nb\n"
    with pytest.raises(InvalidFile) as caught:
        messages.parse(raw.encode(), "inbox/peter/new/m.md")
    assert caught.value.problem == problem
    assert key in str(caught.value) and caught.value.line


def test_unknown_keys_of_a_message_are_no_error() -> None:
    raw = messages.render(message()).replace(b"kind: task\n", b"kind: task\nhandler: x\n")
    assert messages.parse(raw, "p") == message()


def test_forbidden_characters_are_escaped_in_a_body() -> None:
    read = messages.parse(messages.render(message("a\0b\rc\udcff\n\n")), "p")
    assert read.body == "a\\x00b\nc\\udcff"


def test_the_silent_words_are_known() -> None:
    assert all(
        map(messages.is_silent, ("NO_REPLY", " HEARTBEAT_OK\n", "`REPLY_SKIP`", "**announce_skip**", "NO_REPLY."))
    )
    assert not any(map(messages.is_silent, ("", "HEARTBEAT_OK all well", "no", "NO_REPLY NO_REPLY")))


def test_a_checkpoint_reads_back_as_written_and_belongs_to_whose_place_it_is_in() -> None:
    held = Checkpoint(agent=PETER, updated=SENT, completed=("a", "b: c, d"), in_progress=("e",), body="# Resume\n\nx")
    raw = checkpoints.render(held)
    assert checkpoints.parse(raw, "checkpoints/peter.md", PETER) == held
    assert checkpoints.parse(raw.replace(b"agent: peter", b"agent: iris"), "checkpoints/peter.md", PETER).agent == PETER
    assert checkpoints.parse(b"go on", "checkpoints/peter.md", PETER) == Checkpoint(agent=PETER, body="go on")


def test_a_result_reads_back_as_written() -> None:
    for status, partial in ((State.DONE, False), (State.FAILED, False), (State.FAILED, True)):
        left = Result(
            label="email-check",
            status=status,
            partial=partial,
            run=RunId("tc-1.1-s1"),
            task=TaskId("TC-1"),
            agent=PETER,
            completed=SENT,
            outputs=("./a", "PR #1, b"),
            usage={"input": "12", "cost": "0.01"},
            body="# Findings",
        )
        assert checkpoints.parse_result(checkpoints.render_result(left), RESULT) == left


@pytest.mark.parametrize(
    ("text", "status", "partial"),
    [
        ("---\nstatus: done\n---\n", State.DONE, False),
        ("---\nstatus: COMPLETED\n---\n", State.DONE, False),
        ("---\nstatus: partial\n---\n", State.FAILED, True),
        ("---\nstatus: in progress\n---\n", State.FAILED, True),
        ("---\nstatus: failed\n---\n", State.FAILED, False),
        ("# Mail\nStatus: DONE\n", State.DONE, False),
        ("# Mail\n\n2 important\n\n**DONE**\n", State.DONE, False),
        ("all read\n\nFailed.", State.FAILED, False),
        ("2 important mails, 14 newsletters", State.FAILED, True),
        ("what I have done so far", State.FAILED, True),
    ],
)
def test_a_result_counts_as_done_only_if_it_says_so(text: str, status: State, partial: bool) -> None:
    found = checkpoints.parse_result(text.encode(), RESULT)
    assert (found.label, found.status, found.partial) == ("email-check", status, partial)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("Größe geprüft\n\nStatus: erledigt\n".encode("latin-1"), State.DONE),
        ("\ufeffGeprüft\nDONE\n".encode("utf-16-le"), State.DONE),
        ("Geprüft\nDONE\n".encode("utf-16-be"), State.DONE),
        ("---\nstatus: done\n---\nok\n".encode("utf-16"), State.DONE),
        (b"\xef\xbb\xbfStatus: Done in PR 142\r\n", State.DONE),
        (b"Status: done, but 2 tests are red\n", State.FAILED),
    ],
)
def test_a_result_is_read_in_the_encodings_that_programs_write(raw: bytes, status: State) -> None:
    assert checkpoints.parse_result(raw, RESULT).status is status


@pytest.mark.parametrize(
    ("raw", "problem"), [(b"", "empty"), (b" \n", "empty"), (b"\x7fELF\0\x01\x02\xff\0", "encoding")]
)
def test_a_result_that_is_empty_or_no_text_names_why(raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        checkpoints.parse_result(raw, RESULT)
    assert caught.value.problem == problem


def test_a_result_whose_status_is_none_is_refused() -> None:
    with pytest.raises(InvalidFile) as caught:
        checkpoints.parse_result(b"---\nstatus: banana\n---\n", RESULT)
    assert (caught.value.problem, caught.value.line) == ("bad-value", 2)


def test_a_run_reads_back_as_written() -> None:
    run = Run(
        id=RunId("tc-89.1-s1"),
        agent=PETER,
        key=KeyText("tc-89.1"),
        task=TaskId("TC-89"),
        generation=3,
        epoch="7",
        command=("claude", "-p", "a: b, 'c'", ""),
        pid=4,
        start_id="boot:12",
        started=SENT,
        timeout=timedelta(minutes=30),
        ended=SENT,
        exit=-9,
        reason="timed out",
        tail="x\n\x1b[2Jy",
    )
    assert runs.parse(runs.render(run), "runs/tc-89.1-s1/run.md") == run


def test_a_run_without_its_key_is_refused() -> None:
    with pytest.raises(InvalidFile) as caught:
        runs.parse(b"---\nrun: a\nagent: peter\n---\n", "runs/a/run.md")
    assert caught.value.problem == "missing-key"
