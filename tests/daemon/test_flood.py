"""Very many files at once."""

import os
from pathlib import Path

from tests.daemon.conftest import AT_ONCE_SECONDS, Home


def test_ten_thousand_files_at_once_are_all_seen_and_nobody_waits_for_them(home: Home) -> None:
    task = home.new("iris")
    home.write("clawfiles.toml", home.read("clawfiles.toml") + '\n[daemon]\nrescan = "2s"\n')
    home.start()

    for number in range(10_000):
        fd = os.open(home.root / f"status/note-{number}.txt", os.O_CREAT | os.O_WRONLY)
        os.close(fd)
    home.write(f"status/{task.lower()}.md", f"{task}: DONE\n")

    home.until(lambda: home.lines() == 0, "what matters is acted on", AT_ONCE_SECONDS)
    scans = home.state.watch.rescans
    home.until(lambda: home.state.watch.rescans >= scans + 2, "two rescans later")
    late = sum(line["count"] for line in home.log("missed"))  # an event may come later than its rescan waits for it
    assert home.state.watch.faults.get("overflow") or late <= 5
    status = Path(f"/proc/{home.daemon.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 80 * 1024
