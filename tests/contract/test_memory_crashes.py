"""What services rely on when they place a crash: old or new, and the journal completed by `recover`."""

import pytest

from claw_files.testing import Crash, MemoryFiles


@pytest.mark.parametrize(("step", "content", "told_after"), [(1, b"old", 0), (2, b"old", 0), (3, b"new", 1)])
def test_a_crash_in_memory_leaves_old_or_new_and_recovery_tells_it_once(
    step: int, content: bytes, told_after: int
) -> None:
    files = MemoryFiles()
    files.commit("x.md", lambda data: b"old", None)
    files.crash_before(step)

    with pytest.raises(Crash):
        files.commit("x.md", lambda data: b"new", b"{}")

    assert files.read("x.md").data == content
    assert len(files.recover()) == told_after
    assert files.recover() == []
    assert len(files.names("audit")) == told_after


def test_after_its_last_step_a_commit_is_through() -> None:
    files = MemoryFiles()
    files.crash_before(4)

    files.commit("x.md", lambda data: b"new", b"{}")

    with pytest.raises(Crash):
        files.remove("x.md", b"{}")
    assert files.read("x.md").data == b"new"
