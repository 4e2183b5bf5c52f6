"""A source of a real PostgreSQL server, which is started for these tests and ends with them."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claw_files.testing.patience import until
from tests.integration.test_sources import MINUTE, events, mark, poll
from tests.support.office import TEAM, Office

psycopg = pytest.importorskip("psycopg")
BINARIES = max(glob.glob("/usr/lib/postgresql/*/bin"), default="")
pytestmark = pytest.mark.skipif(not BINARIES, reason="needs the package postgresql; tests/tools.sh installs it")
USER = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The folder of its socket; it listens on no port."""
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    if USER:
        shutil.chown(folder, USER)
    data = f"{folder}/data"
    subprocess.run(
        [f"{BINARIES}/initdb", "-D", data, "-A", "trust", "-U", "owner", "--no-sync", "-E", "UTF8", "--locale=C"],
        check=True, capture_output=True, user=USER, cwd="/", env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    with open(f"{folder}.log", "wb") as log:
        process = subprocess.Popen(
            [f"{BINARIES}/postgres", "-D", data, "-k", folder, "-h", "", "-F"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=USER, cwd="/", env={"TZ": "UTC"},
        )  # fmt: skip
    try:
        until(lambda: _answers(folder) or process.poll() is not None, "the server answers")
        assert process.poll() is None, Path(f"{folder}.log").read_text()
        yield folder
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)
        os.unlink(f"{folder}.log")


def _answers(folder: str) -> bool:
    try:
        psycopg.connect(host=folder, user="owner", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def shop(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("SHOP", f"postgresql+psycopg://owner:hunter2@/postgres?host={server}")
    with psycopg.connect(host=server, user="owner", dbname="postgres", autocommit=True) as base:
        base.execute("drop table if exists orders")
        base.execute("create table orders (id bigint primary key, updated_at timestamptz, total numeric, more jsonb)")
        base.execute("create or replace function take(bigint) returns void language sql as 'delete from orders'")
        yield base


SOURCE = """
[sources.orders]
every = "1m"
key = ["id", "updated_at"]
sql = "select * from orders where (updated_at, id) > (:at, :id) order by updated_at, id limit 7"
url_env = "SHOP"
cursor = ["updated_at", "id"]
start = ["2000-01-01", 0]
"""


@pytest.fixture
def offices(tmp_path: Path) -> Callable[[str], Office]:
    return lambda config: Office(tmp_path / "sam", f"{TEAM}\n{config}\n")


def put(base: Any, id: int, at: str) -> None:
    base.execute("insert into orders values (%s, %s, 12.50, '{\"a\": [1]}')"
                 " on conflict (id) do update set updated_at = excluded.updated_at", (id, at))  # fmt: skip


def test_rows_become_events_with_late_ones_and_changed_ones(offices: Callable[[str], Office], shop: Any) -> None:
    office = offices(SOURCE)
    for id in range(1, 31):
        put(shop, id, f"2026-03-07 10:00:{id:02}.123456+01")
    poll(office)
    assert len(events(office)) == 30, mark(office)
    first = next(it for it in events(office) if it["fields"]["id"] == 1)
    assert first["fields"]["total"] == "12.50" and first["fields"]["more"] == {"a": [1]}
    assert "2026-03-07T09:00:30.123456Z" in mark(office)

    put(shop, 31, "2026-03-07 09:52:00+01")  # committed late, inside the overlap
    put(shop, 5, "2026-03-07 10:02:00+01")  # changed
    poll(office, MINUTE)
    poll(office, MINUTE)
    assert len(events(office)) == 32


def test_a_transaction_that_commits_after_a_later_one_is_not_lost(
    offices: Callable[[str], Office], shop: Any, server: str
) -> None:
    office = offices(SOURCE)
    with psycopg.connect(host=server, user="owner", dbname="postgres") as slow:
        put(slow, 1, "2026-03-07 10:00:00+01")  # not committed yet
        put(shop, 2, "2026-03-07 10:00:01+01")
        poll(office)
        assert [it["fields"]["id"] for it in events(office)] == [2]
        slow.commit()
    poll(office, MINUTE)
    assert [it["fields"]["id"] for it in events(office)] == [1, 2]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("delete from orders where id > :id returning *", "syntax error"),
        (
            "with gone as (delete from orders where id > :id returning *) select * from gone",
            "must not contain data-modifying",
        ),
        ("select id, updated_at, take(:id) from orders", "cannot execute DELETE in a read-only transaction"),
        ("select *, pg_sleep(0) from no_table where id > :id", "does not exist"),
    ],
)
def test_nothing_is_written_and_what_is_wrong_is_said(
    offices: Callable[[str], Office], shop: Any, sql: str, said: str
) -> None:
    office = offices(SOURCE.replace(SOURCE.split('sql = "')[1].split('"\n')[0], sql))
    put(shop, 1, "2026-03-07 10:00:00+01")
    poll(office)
    assert said in mark(office)
    assert "hunter2" not in mark(office)
    assert shop.execute("select count(*) from orders").fetchone() == (1,)


def test_a_query_that_hangs_ends_at_its_limit_and_the_server_is_free_of_it(
    offices: Callable[[str], Office], shop: Any
) -> None:
    office = offices(SOURCE.replace("select *", "select *, pg_sleep(600)") + 'limit = "1s"\n')
    put(shop, 1, "2026-03-07 10:00:00+01")
    poll(office)
    assert "ended without a word" in mark(office)
    assert events(office) == []
    busy = "select count(*) from pg_stat_activity where state = 'active' and pid <> %s"
    until(lambda: shop.execute(busy, [shop.info.backend_pid]).fetchone() == (0,), "the query has ended", seconds=30)


def test_a_server_that_is_gone_is_named_without_its_password(
    offices: Callable[[str], Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", "postgresql+psycopg://owner:hunter2@127.0.0.1:1/postgres")
    office = offices(SOURCE)
    poll(office)
    assert "its database:" in mark(office) and "hunter2" not in mark(office)
