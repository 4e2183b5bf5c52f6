"""`heartbeat --check` for cron and scripts: 1 as long as something is to be done or not understood."""


def test_something_unclear_keeps_the_check_at_1_until_it_is_clear(desk) -> None:
    task = desk.task("look at it")
    desk.ok("claim", task, by="peter")
    path = desk.root / "status/tc-1.md"
    assert desk("heartbeat", "--check").status == 0

    path.write_text(path.read_text() + "\nStatus: In Progess\n")
    found = desk("heartbeat", "--check")
    assert found.status == 1 and "unclear files: 1" in found.out

    path.write_text(path.read_text().replace("Progess", "Progress"))
    desk.ok("heartbeat")
    assert desk("heartbeat", "--check").status == 0


def test_a_message_says_how_to_write_back(desk) -> None:
    desk.ok("send", "peter", "Can you review routes.ts?", by="sam")

    out = desk.ok("inbox", by="peter").out

    assert "Can you review routes.ts?" in out and "data" not in out
    assert 'reply with: clawfiles send sam "TEXT"' in out


def test_a_heartbeat_that_stopped_does_not_say_that_there_is_nothing_to_do(desk) -> None:
    desk.task("look at it", "--to", "peter")
    (desk.root / "status").rename(desk.root / "away")

    answer = desk("heartbeat")

    assert (answer.status, answer.out) == (6, "nothing was done; ledger lines: 1\n")
    assert "status/ is missing" in answer.err
