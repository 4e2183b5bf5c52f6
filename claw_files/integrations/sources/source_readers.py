"""What sources are read with: a command, a database, a pattern of files. Whatever is read is believed as little as a
stranger's. A reader yields records, and cursors that hold once the records before them are events.
"""

import glob
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from claw_files.config import Source
from claw_files.core.digest import digest
from claw_files.core.errors import ClawError
from claw_files.core.event import FILE_BYTES
from claw_files.core.text import safe
from claw_files.policy.source_rules import SourceCursor, SourceRecord, earlier, parse_line
from claw_files.system.libraries import need

MOST_RECORDS, MOST_BYTES = 100_000, 64 << 20  # that one poll looks at
_STABLE_SECONDS = 2.0

Records = Iterator[SourceRecord | SourceCursor]


def read(source: Source, cursor: Any, root: str, env: Mapping[str, str]) -> Records:
    """What is there behind the cursor (None: from the start). Raises ClawError with what is wrong, OSError."""
    if source.files:
        return _files(source, cursor, os.path.realpath(root))
    return _rows(source, cursor, env) if source.sql else _printed(source, cursor, env)


def _printed(source: Source, cursor: Any, env: Mapping[str, str]) -> Records:
    """What a command prints. What is left of one in the end, the run's supervisor ends."""
    given = cursor if isinstance(cursor, str) else "" if cursor is None else msgspec.json.encode(cursor).decode()
    reading, writing = os.pipe()
    actions, env = [(os.POSIX_SPAWN_DUP2, writing, 1)], {**env, "CLAWFILES_CURSOR": given}
    command = os.posix_spawnp(source.command[0], source.command, env, file_actions=actions)
    os.close(writing)
    with open(reading, "rb") as file:
        yield from _lines(file)
    if status := os.waitpid(command, 0)[1]:
        raise ClawError(f"its command ended with {os.waitstatus_to_exitcode(status)}")


def _lines(file: BinaryIO) -> Records:
    left_bytes, left = MOST_BYTES, MOST_RECORDS
    for line in iter(lambda: file.readline(FILE_BYTES + 1), b""):
        left_bytes, left = left_bytes - len(line), left - 1
        if len(line) > FILE_BYTES or min(left_bytes, left) < 0:
            limits = f"{FILE_BYTES:,} bytes a line, {MOST_BYTES:,} bytes and {MOST_RECORDS:,} lines a poll"
            raise ClawError(f"it printed more than is read: {limits}")
        if line.strip():
            yield parse_line(line.strip())


def _rows(source: Source, cursor: Any, env: Mapping[str, str]) -> Records:
    need(f"source {source.name}", "sql")
    import sqlalchemy as sa

    if not (url := env.get(source.url_env or "")):
        raise ClawError(f"{source.url_env} is not set where the heartbeat runs: put the address of the database there")
    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            kind = engine.dialect.name
            connection.exec_driver_sql("PRAGMA query_only = ON" if kind == "sqlite" else "SET TRANSACTION READ ONLY")
            if kind == "postgresql":  # a server does not notice that who asked was killed
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{source.limit.total_seconds():.0f}s'")
            yield from _pages(source, cursor, connection, sa.text(source.sql or ""))
    except ImportError as lacking:
        raise ClawError(f"the driver of its database is not installed: {lacking}") from None
    except sa.exc.SQLAlchemyError as wrong:  # in the database's words, which hold no address: SQLAlchemy's may
        said = getattr(wrong, "orig", None) or f"{type(wrong).__name__}; the address is in {source.url_env}"
        raise ClawError(f"its database: {safe(str(said).partition(chr(10))[0], 300)}") from None


def _pages(source: Source, cursor: Any, connection: Any, statement: Any) -> Records:
    """One page after the other, until there is no new one: else a `limit` within the overlap would never be left."""
    columns, wanted, seen, left = source.cursor, statement.compile().params, list[Any](), MOST_RECORDS
    if set(wanted) - {"at", *columns} or bool(columns) is not bool(wanted):
        raise ClawError("its sql has to use the columns of its cursor as :NAME, and no other names")
    if cursor and (not isinstance(cursor, list) or len(cursor) != len(columns)):
        raise ClawError("the cursor in its file has another number of columns; delete the file to begin anew")
    asked = [earlier(cursor[0], source.overlap), *cursor[1:]] if cursor else list(source.start)
    while asked not in seen:
        seen.append(asked)
        given = {"at": asked[:1] and asked[0], **dict(zip(columns, asked, strict=True))}
        values, options = {name: given[name] for name in wanted}, {"stream_results": True}
        for row in connection.execute(statement, values, execution_options=options).mappings():
            left -= 1
            raw = msgspec.json.encode({str(name): row[name] for name in row}, enc_hook=str)
            fields = msgspec.json.decode(raw)
            asked = [fields.get(column) for column in columns]
            if left < 0 or not all(isinstance(it, str | int | float) for it in asked):
                most = f"more than {MOST_RECORDS:,} rows a poll" if left < 0 else "rows without a value in its cursor"
                raise ClawError(f"it has {most}")
            yield SourceRecord(raw, fields)
            yield SourceCursor(asked or None)
    if asked != seen[-1]:
        raise ClawError(f"its rows are not in the order of its cursor ({', '.join(columns)})")


def _files(source: Source, cursor: Any, root: str) -> Records:
    """Files that have not changed for a moment. The cursor is what is there: what is gone is forgotten."""
    before, there = frozenset(map(str, cursor)) if isinstance(cursor, list) else frozenset(), list[str]()
    for path in _paths(source.files or "", root):
        if len(there) == MOST_RECORDS:
            raise ClawError(f"more than {MOST_RECORDS:,} files match its pattern; move away what was handled")
        full = os.path.join(root, path)
        try:
            found = os.lstat(full)
            # By the change time: it moves with each write, and nobody can set it.
            is_young = time.time() - found.st_ctime < _STABLE_SECONDS
            if is_young or not stat.S_ISREG(found.st_mode) or os.path.realpath(full) != os.path.normpath(full):
                continue
            key = f"{path} {found.st_size} {found.st_mtime_ns}" if source.by == "time" else _content(full)
        except OSError:  # gone, or not ours to read: the next poll looks again
            continue
        there.append(digest(os.fsencode(key), 16))
        if there[-1] not in before:
            fields = {"path": path, "size": found.st_size} if path.isprintable() else None
            yield SourceRecord(os.fsencode(path), fields, there[-1])
    yield SourceCursor(there)


def _paths(pattern: str, root: str) -> Iterator[str]:
    """The paths that match the pattern, from `root`. With `**`, links are not followed: they may lead in circles."""
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern, root_dir=root)
        return
    at = parts.index("**")
    head, tail = "/".join(parts[:at]), "/".join(parts[at + 1 :]) or "*"
    for top in glob.iglob(head, root_dir=root) if head else ("",):
        for folder, names, _ in os.walk(os.path.join(root, top)):
            names[:] = [name for name in names if not name.startswith(".")]
            inside = os.path.relpath(folder, root)
            yield from (os.path.normpath(os.path.join(inside, path)) for path in _paths(tail, folder))


def _content(path: str) -> str:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
