"""Monthly archives next to live files, `audit/2026-10.zip`. `docs/explanation/retention.md`."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from claw_files.core.errors import CannotRead, ClawError, NotFound
from claw_files.core.lazy_regex import pattern
from claw_files.core.text import FILE_BYTES
from claw_files.system.files import Content, Files, Stamp
from claw_files.system.paths import JOURNAL_BYTES, split

MOST_NAMES_BYTES = 8 << 20  # of the table of names of one archive
MONTH = pattern(r"[0-9]{4}-[0-9]{2}(?![0-9])")
ARCHIVE = pattern(r"[0-9]{4}-[0-9]{2}(?:\.[0-9]{1,4})?\.zip")
_FOLDERS = pattern(
    r"(audit|briefs|conflicts|quarantine|runs|outbox/sent|events/done|checkpoints/old|wakes/tasks|wakes|flows"
    r"|(?:definitions|status)/archive|inbox/[^/]+/(?:done|bodies))/(.+)",
    re.DOTALL,
)


class Archive:
    """One archive in memory. It may be hostile: sizes are limited, and no name leads out of its folder."""

    def __init__(self, raw: bytes, path: str) -> None:
        """Raises CannotRead (problem "bad-archive")."""
        import zipfile

        self._path, end = path, raw[-22:]
        if end[:4] != b"PK\5\6" or int.from_bytes(end[12:16], "little") > MOST_NAMES_BYTES:
            raise self._bad("it is not an archive of clawfiles")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
        except Exception as error:  # zipfile raises nearly anything for malformed bytes
            raise self._bad(error) from error

    def _bad(self, why: object) -> CannotRead:
        return CannotRead(self._path, "bad-archive", f"{why}; move it away")

    def names(self) -> list[str]:
        """The paths in the archive, relative to its folder. Raises CannotRead for one that leads out."""
        for name in self._zip.NameToInfo:
            split(name)
        return list(self._zip.NameToInfo)

    def read(self, name: str, cap_bytes: int) -> Content | None:
        """The content of the name, at most `cap_bytes`; None without one. Raises CannotRead."""
        info = self._zip.NameToInfo.get(name)
        if info is None:
            return None
        try:
            if info.compress_type not in (0, 8):  # neither stored nor deflated: packed in a way of its own
                raise ValueError("it is packed in another way")
            with self._zip.open(info) as file:
                data = file.read(cap_bytes + 1)
            mtime_ns = int(datetime(*info.date_time, tzinfo=UTC).timestamp()) * 10**9
        except Exception as error:  # as above
            raise self._bad(f"{name} in it: {error}") from error
        if len(data) > cap_bytes:
            raise self._bad(f"{name} in it is too large")
        return Content(data=data, stamp=Stamp(size_bytes=len(data), inode=0, mtime_ns=mtime_ns))


def added(raw: bytes | None, members: dict[str, Content]) -> bytes:
    """The archive with more files; existing ones stay byte for byte."""
    import zipfile

    out = io.BytesIO(raw or b"")
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            at = max(content.stamp.mtime, datetime(1980, 1, 1, tzinfo=UTC))  # the format knows no earlier time
            info = zipfile.ZipInfo(name, at.timetuple()[:6])
            info.external_attr = 0o600 << 16
            archive.writestr(info, content.data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def archived(files: Files, path: str, cap_bytes: int) -> Content | None:
    """The content in the newest archive with the path; None without one. Damaged archives are skipped."""
    if found := _FOLDERS.fullmatch(path):
        month = MONTH.match(found[2])
        for one in _of(files, found[1], month[0] if month else "", month and month[0]):
            with suppress(CannotRead):
                if content := one.read(found[2], cap_bytes):
                    return content
    return None


class ArchivedFiles:
    """Implements the archive part of `Files`, on `read_live`, `names` and `archives`."""

    def read(self: Files, path: str, cap_bytes: int = FILE_BYTES) -> Content:
        try:
            return self.read_live(path, cap_bytes)
        except NotFound:
            if found := archived(self, path, cap_bytes):
                return found
            raise

    def all_names(self: Files, folder: str, since: str = "") -> list[str]:
        found = set(self.names(folder))
        for one in _of(self, folder, since, None):
            with suppress(CannotRead):
                found |= {name.partition("/")[0] for name in one.names()}
        return sorted(found)


def opened(files: Files, path: str) -> Archive:
    """The archive at the path. Raises NotFound, CannotRead."""
    return Archive(files.read_live(path, JOURNAL_BYTES).data, path)


def _of(files: Files, folder: str, since: str, month: str | None) -> Iterator[Archive]:
    """The archives of a folder that can be read, the newest first."""
    with suppress(ClawError):
        for name in sorted(files.archives(folder), key=lambda name: (name[:7], int(name[8:-4] or 0)), reverse=True):
            if name[:7] >= since and month in (None, name[:7]):
                with suppress(ClawError):
                    yield opened(files, f"{folder}/{name}")
