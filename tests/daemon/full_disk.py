"""`python -m tests.daemon.full_disk ROOT`: a daemon on a file system that is filled, and emptied again.

A process of its own, because the file system is seen by nobody else. ROOT is where it is mounted.
"""

import os
import sys
from pathlib import Path

from tests.daemon.conftest import Home


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def overwrite(path: Path, text: str) -> None:
    """Save in place, which needs no room."""
    with path.open("r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        file.write(text.encode().ljust(size, b"\n")[:size])


def main(root: Path) -> None:
    home = Home(root)
    try:
        task = home.new("iris")
        pid = home.start()
        fill(root / "ballast")

        overwrite(root / f"status/{task.lower()}.md", f"{task}: DONE\n")
        home.until(lambda: [line for line in home.log() if "No space left" in line["text"]], "it is told")
        assert home.lines() == 1, "nothing was done by halves"
        (root / "ballast").unlink()

        home.until(lambda: home.lines() == 0, "it goes on by itself")
        home.until(lambda: home.audit(action="close", task=task), "its close is journalled")
        assert (home.daemon.poll(), home.daemon.pid) == (None, pid)
        told = [line for line in home.log() if "No space left" in line["text"]]
        assert len(told) < 10, "once, not each second"
    finally:
        home.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
