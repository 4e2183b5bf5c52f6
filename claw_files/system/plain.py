"""Writing a file that is nobody's but ours and holds nothing that could be lost."""

import os

from claw_files.system.noise import token


def replace_file(path: str, data: bytes) -> None:
    """Put `data` where `path` (absolute) is, whole or not at all; readable for everybody. Raises OSError."""
    part = f"{path}.{token(4)}.tmp"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError:
        os.unlink(part)
        raise
