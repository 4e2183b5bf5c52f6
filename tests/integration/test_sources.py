"""Sources with real polls: each record one event, whatever the source says, and however often it is killed."""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.app.simulation import simulate
from claw_files.core.event import MOST_WAITING
from claw_files.testing.patience import until
from tests.support.office import TEAM, Office

MINUTE = timedelta(minutes=1)


def source(script: str, *more: str) -> str:
    """A source whose command is this Python script."""
    lines = ["[sources.orders]", 'every = "1m"', f"command = [{sys.executable!r}, '-S', '-c', '''{script}''']", *more]
    return "\n".join(lines)


@pytest.fixture
def offices(tmp_path: Path) -> Iterator[Any]:
    made = list[Office]()

    def make(config: str) -> Office:
        made.append(Office(tmp_path / f"sam{len(made)}", f"{TEAM}\n{config}\n"))
        return made[-1]

    yield make
    for office in made:
        office.stop()


def poll(office: Office, after: timedelta = timedelta(0)) -> list[str]:
    """A tick, and the end of the polls that it started; their names."""
    started = [it.key for it in office.tick(after).actions if it.act == "poll"]
    office.runs_end()
    return started


def events(office: Office) -> list[dict[str, Any]]:
    """Every event that was ever kept, in the order of its key."""
    paths = [path for box in ("new", "cur", "done", "failed") for path in (office.root / "events" / box).glob("*.json")]
    return sorted((json.loads(path.read_text()) for path in paths), key=lambda it: str(it["event"]["key"]))


def keys(office: Office) -> list[str]:
    return [it["event"]["key"] for it in events(office)]


def mark(office: Office, name: str = "orders") -> str:
    return office.read(f"sources/{name}.md")


PRINT = """
import json, os
at = int(os.environ["CLAWFILES_CURSOR"] or 0)
for id in range(at + 1, at + 4):
    print(json.dumps({"id": id, "sum": 10 * id}))
print(json.dumps({"cursor": at + 3}))
"""


def test_a_command_s_lines_become_events_and_its_cursor_is_where_the_next_poll_begins(offices: Any) -> None:
    office = offices(source(PRINT, 'type = "order"'))

    assert len(poll(office)) == 1
    assert keys(office) == ["1", "2", "3"]
    assert events(office)[0] == {
        "event": {"type": "order", "key": "1", "source": "source orders"},
        "fields": {"id": 1, "sum": 10},
    }
    assert poll(office, MINUTE / 2) == []
    poll(office, MINUTE)
    assert sorted(map(int, keys(office))) == [1, 2, 3, 4, 5, 6]
    assert mark(office).endswith("---\n6\n")


def test_the_heartbeat_waits_for_no_poll_and_starts_none_beside_it(offices: Any, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    office = offices(source(f"print(open({str(fifo)!r}).read())") + "\n[limits]\nruns = 1")

    assert [it.act for it in office.tick().actions] == ["poll"]
    assert [it.act for it in office.tick(MINUTE).actions] == []
    assert office.app().snapshots.waits() == ()
    fifo.write_text('{"id": 1}')
    office.runs_end()
    assert keys(office) == ["1"]


KILLED = """
import json, os, signal, time
for id in range(150):
    print(json.dumps({"id": f"{id:03}"}), flush=True)
new = os.path.join(os.environ["CLAWFILES_WORKSPACE"], "events", "new")
if not os.path.exists("killed"):
    while sum(name.endswith(".json") for name in os.listdir(new)) < 100:
        time.sleep(0.01)
    open("killed", "w").close()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
print(json.dumps({"cursor": 150}))
"""


def test_a_poll_that_is_killed_between_events_and_cursor_is_repeated_and_each_record_counts_once(offices: Any) -> None:
    office = offices(source(KILLED))
    (office.root / "events" / "new").mkdir(parents=True)

    poll(office)
    assert len(keys(office)) == 100  # durable before the cursor, of which nothing is known
    assert "failures: 1" in mark(office) and mark(office).endswith("---\n")

    assert poll(office, MINUTE) == []  # it has failed once: a longer pause
    assert len(poll(office, MINUTE)) == 1
    assert keys(office) == [f"{id:03}" for id in range(150)]
    assert mark(office).endswith("---\n150\n")


READ_AND_KILLED = """
import json, os, signal, time
at = int(os.environ["CLAWFILES_CURSOR"] or 0)
for id in range(at + 1, at + 51):
    print(json.dumps({"id": id}))
print(json.dumps({"cursor": at + 50}), flush=True)
if not os.path.exists("killed"):
    asleep = 0
    while asleep < 20:  # it has read all, and waits for more
        state = open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        time.sleep(0.01)
    open("killed", "w").close()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
"""


def test_a_poll_that_is_killed_after_it_has_read_and_before_anything_is_durable_loses_nothing(offices: Any) -> None:
    office = offices(source(READ_AND_KILLED))

    poll(office)
    assert keys(office) == [] and mark(office).endswith("---\n")

    poll(office, 2 * MINUTE)
    assert sorted(map(int, keys(office))) == list(range(1, 51))


def test_what_cannot_be_kept_moves_no_cursor(offices: Any) -> None:
    office = offices(source(PRINT))
    office.write("events/new", "in the way")
    office.app().heartbeat.tick()
    office.runs_end()
    assert "failures: 1" in mark(office) and mark(office).endswith("---\n")


def test_a_source_that_fails_is_polled_less_often_and_the_monitor_hears_of_it_once(offices: Any) -> None:
    office = offices(
        source('print(1 / 0 if not __import__("os").path.exists("good") else "{}".format(chr(123)+chr(125)))')
    )
    polls = []
    for minute in range(64):
        polls += [minute] * len(poll(office, MINUTE if minute else timedelta(0)))
    assert polls[:6] == [0, 2, 6, 14, 30, 62]
    polls.append(62 + 60 * len(poll(office, 59 * MINUTE) + poll(office, MINUTE)))
    assert polls[6:] == [122]
    told = [name for name in office.box("sentry") if name.startswith("source.orders")]
    assert len(told) == 1
    text = office.message("sentry", told[0])
    assert "has failed 3 times since 2026-03-07T08:45:00Z" in text and "its command ended with 1" in text
    assert "failures: 7" in mark(office)

    office.write("good", "")
    for after in (60, *[1] * 12):
        poll(office, after * MINUTE)
    assert "failures" not in mark(office)
    assert len([it for it in office.names("runs") if it.startswith("source.orders.")]) <= 12


LIES = [  # what it prints, what is said of it, the keys of its events
    ("print(chr(123))", None, []),
    ('print("no")', None, []),
    ("print([1])", None, []),
    (
        "print(chr(34) + chr(0xdc80) + chr(34)) if 0 else __import__('sys').stdout.buffer.write(b'\\\\xff\\\\n')",
        None,
        [],
    ),
    ("print('{\"id\": null}'); print('{\"id\": 2}')", None, ["2"]),
    ('print(\'{"no": 1}\'); print(\'{"id": true}\'); print(\'{"id": 1.5}\'); print(\'{"id": ""}\')', None, []),
    ('print(\'{"id": "\' + "x" * 501 + \'"}\')', None, []),
    ("print('{\"id\": 1}'); print('{\"cursor\": 9}'); raise SystemExit(3)", "ended with 3", ["1"]),
    ('print(\'{"cursor": "\' + "x" * 5000 + \'"}\')', None, []),
    ('print("x" * (1 << 21))', "more than is read", []),
    ("[print(i) for i in range(150)]", "over 100 of its records", []),
    ("[print(chr(10) * 100001)]", "more than is read", []),
    ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with -11", []),
]


@pytest.mark.parametrize("lie", range(len(LIES)))
def test_what_a_source_says_wrongly_is_named_and_never_believed(offices: Any, lie: int) -> None:
    script, said, wanted = LIES[lie]
    office = offices(source(script))

    poll(office)

    assert keys(office) == wanted
    assert "9" not in mark(office).rpartition("---")[2]
    if said:
        assert said in mark(office)
    else:
        assert "failures" not in mark(office)
        reasons = [it for it in office.names("events/failed") if it.endswith(".refused.reason")]
        assert reasons and all("source orders" in office.read(f"events/failed/{it}") for it in reasons)
        listed = [it for it in office.app().events.listed("failed", 100) if it["id"].endswith(".refused")]
        assert listed and {it["type"] for it in listed} == {""}  # a record that is none has no type


def test_a_source_that_hangs_is_ended_at_its_limit_and_that_is_told(offices: Any) -> None:
    office = offices(source("import time; print('{\"id\": 1}', flush=True); time.sleep(600)", 'limit = "1s"'))
    poll(office)
    for _ in range(9):
        poll(office, MINUTE)
    told = [name for name in office.box("sentry") if name.startswith("source.orders")]
    assert len(told) == 1
    assert "ended without a word" in office.message("sentry", told[0])


def test_while_too_many_events_wait_no_source_is_polled(offices: Any) -> None:
    office = offices(source(PRINT))
    folder = office.root / "events" / "new"
    folder.mkdir(parents=True)
    for number in range(MOST_WAITING):
        (folder / f"{number:016x}.x.json").touch()
    assert poll(office) == []


def test_a_poll_that_meets_a_full_house_keeps_its_cursor_and_has_not_failed(offices: Any) -> None:
    office = offices(
        source(
            f'import os\nfor n in range({MOST_WAITING}): open(f"events/new/{{n:016x}}.x.json", "w").close()\n{PRINT}'
        )
    )
    (office.root / "events" / "new").mkdir(parents=True)
    poll(office)
    assert "failures" not in mark(office) and mark(office).endswith("---\n")


def test_a_mark_that_cannot_be_read_is_not_written_over(offices: Any) -> None:
    office = offices(source(PRINT))
    broken = "---\npolled: never\n---\n6\n"
    office.write("sources/orders.md", broken)
    assert "sources/orders.md" in office.app().heartbeat.tick().problems[0]
    assert mark(office) == broken

    office.write("sources/orders.md", "---\nfailures: 0\n---\nnot json\n")
    poll(office)
    assert keys(office) == [] and "its cursor: JSON is malformed" in mark(office)
    assert mark(office).endswith("---\nnot json\n")


MIDWAY = """
import json
print(json.dumps({"id": 1}))
print(json.dumps({"cursor": 1}))
print(json.dumps({"id": 2}))
"""


def test_a_cursor_holds_for_the_records_before_it(offices: Any) -> None:
    office = offices(source(MIDWAY))
    poll(office)
    assert keys(office) == ["1", "2"] and mark(office).endswith("---\n1\n")


def test_the_command_sees_the_variables_that_it_was_given_and_no_others(
    offices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "t")
    monkeypatch.setenv("OTHER", "o")
    script = 'import json, os; print(json.dumps({"id": os.environ.get("API_TOKEN", "") + os.environ.get("OTHER", "")}))'
    office = offices(source(script, 'env = ["API_TOKEN"]'))
    poll(office)
    assert keys(office) == ["t"]


# --- files


def settle(path: Path) -> None:
    """Wait until a file has not changed for two seconds."""
    until(lambda: time.time() - path.stat().st_ctime > 2.0, "the file is old enough")


def test_a_file_is_an_event_once_it_has_stopped_changing(offices: Any) -> None:
    office = offices('[sources.drop]\nevery = "1m"\nfiles = "drop/*.pdf"')
    office.write("drop/a.pdf", "one")
    office.write("drop/b.txt", "no")
    office.write("secret.pdf", "no")
    os.symlink("../secret.pdf", office.root / "drop" / "link.pdf")
    os.mkfifo(office.root / "drop" / "fifo.pdf")
    (office.root / "drop" / "folder.pdf").mkdir()
    poll(office)
    assert keys(office) == []
    settle(office.root / "drop/a.pdf")
    poll(office, MINUTE)
    assert [it["fields"] for it in events(office)] == [{"path": "drop/a.pdf", "size": 3}]
    poll(office, MINUTE)
    assert len(events(office)) == 1
    office.write("drop/a.pdf", "another")
    settle(office.root / "drop/a.pdf")
    poll(office, MINUTE)
    assert sorted(it["fields"]["size"] for it in events(office)) == [3, 7]


def test_by_content_a_copy_is_no_new_file(offices: Any) -> None:
    office = offices('[sources.drop]\nevery = "1m"\nfiles = "drop/*"\nby = "content"')
    office.write("drop/a", "one")
    office.write("drop/b", "one")
    office.write("drop/c", "two")
    office.write(f"drop/{os.fsdecode(bytes([255]))}", "three")
    settle(office.root / "drop" / os.fsdecode(b"\xff"))
    poll(office)
    assert sorted(it["fields"]["path"] for it in events(office)) in (["drop/a", "drop/c"], ["drop/b", "drop/c"])
    assert len([it for it in office.names("events/failed") if it.endswith(".refused")]) == 1


# --- SQLite


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    monkeypatch.setenv("SHOP", f"sqlite:///{tmp_path}/shop.db")
    base = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    base.execute("create table orders (id integer primary key, updated_at text, note text)")
    return base


SQL = """
[sources.orders]
every = "1m"
key = ["id", "updated_at"]
sql = "select * from orders where (updated_at, id) > (:at, :id) order by updated_at, id limit 7"
url_env = "SHOP"
cursor = ["updated_at", "id"]
start = ["", 0]
"""


def put(base: sqlite3.Connection, *rows: tuple[int, str]) -> None:
    base.executemany("insert or replace into orders values (?, ?, 'x')", rows)


def test_rows_become_events_and_late_ones_inside_the_overlap_too(offices: Any, shop: sqlite3.Connection) -> None:
    office = offices(SQL)
    put(shop, *((id, f"2026-03-07 10:00:{id:02}") for id in range(1, 31)))
    poll(office)
    assert len(events(office)) == 30  # five pages
    put(
        shop,
        (31, "2026-03-07 09:55:00"),
        (32, "2026-03-07 10:01:00"),
        (33, "2026-03-07 09:00:00"),
        (5, "2026-03-07 10:02:00"),
    )
    poll(office, MINUTE)
    found = {(it["fields"]["id"], it["fields"]["updated_at"]) for it in events(office)}
    assert len(found) == len(events(office)) == 33
    assert (31, "2026-03-07 09:55:00") in found and (33, "2026-03-07 09:00:00") not in found  # committed too late
    assert mark(office).endswith('["2026-03-07 10:02:00",5]\n')
    poll(office, MINUTE)
    assert len(events(office)) == 33


BAD_SQL = [  # sql, what is said
    ("delete from orders where (updated_at, id) > (:at, :id) returning id, updated_at", "write a readonly database"),
    ("select * from orders where id > :other", "no other names"),
    ("select * from orders", "use the columns of its cursor"),
    ("select note from orders where (updated_at, id) > (:at, :id)", "without a value in its cursor"),
    ("select id, null as updated_at from orders where :at || :id is not null", "without a value in its cursor"),
    ("select * from no_table where :at || :id is not null", "no such table"),
    ("selec :at :id", "syntax error"),
    ("with recursive n(id) as (select 1 union all select id + 1 from n) select 1 as id, 'a' as updated_at from n"
     " where :at is not null", "more than 100,000 rows"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD_SQL)))
def test_a_query_that_is_wrong_is_named_and_nothing_is_written(
    offices: Any, shop: sqlite3.Connection, number: int
) -> None:
    sql, said = BAD_SQL[number]
    office = offices(SQL.replace(SQL.split('sql = "')[1].split('"\n')[0], sql))
    put(shop, (1, "2026-03-07 10:00:00"))
    poll(office)
    assert said in mark(office)
    assert shop.execute("select count(*) from orders").fetchone() == (1,)


def test_an_address_that_is_wrong_is_not_shown(offices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("", "nonsense-hunter2", "nodb://u:hunter2@h/x", "postgresql+nodriver://u:hunter2@h/x"):
        monkeypatch.setenv("SHOP", url)
        office = offices(SQL)
        poll(office)
        assert "failures: 1" in mark(office)
        told = "".join(path.read_text() for path in office.root.rglob("*") if path.is_file() and path.suffix != ".toml")
        assert "hunter2" not in told
        assert ("SHOP is not set where the heartbeat runs" in mark(office)) is (url == "")


def test_a_simulation_polls_nothing(offices: Any) -> None:
    office = offices(source(PRINT))
    before = office.tree()
    assert simulate(office.app(), office.clock.now() + timedelta(hours=1)).ticks == ()
    assert office.tree() == before


def test_links_that_lead_in_circles_hide_no_file(offices: Any) -> None:
    office = offices('[sources.drop]\nevery = "1m"\nlimit = "9s"\nfiles = "drop/**/*.pdf"')
    for path in ("drop/a.pdf", "drop/in/deep/b.pdf", "drop/.hidden/c.pdf", "else/d.pdf"):
        office.write(path, "one")
    for link in ("x", "y"):
        os.symlink(".", office.root / "drop/in" / link)
    os.symlink("../else", office.root / "drop/else")
    settle(office.root / "else/d.pdf")
    poll(office)
    assert sorted(it["fields"]["path"] for it in events(office)) == ["drop/a.pdf", "drop/in/deep/b.pdf"]
    assert "failures" not in mark(office, "drop")


@pytest.mark.parametrize("cursor", ["1", "true", "[[1]]", "[{}]", '{"a": 1}', "[" * 3000, "9" * 5000])
def test_a_cursor_that_was_changed_is_named_or_reads_everything_again(offices: Any, cursor: str) -> None:
    office = offices('[sources.drop]\nevery = "1m"\nfiles = "drop/*"')
    office.write("drop/a", "one")
    office.write("sources/drop.md", f"---\nfailures: 1\n---\n{cursor}\n")
    settle(office.root / "drop/a")
    poll(office)
    assert "its cursor: " in mark(office, "drop") or len(events(office)) == 1
