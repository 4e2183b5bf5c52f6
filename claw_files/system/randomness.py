"""The one source of randomness: for unique names, and fences that cannot be guessed."""

import os


def token(size_bytes: int) -> str:
    """Random hexadecimal digits, two for each byte; straight from the kernel, because `secrets` takes 3 ms to load."""
    return os.urandom(size_bytes).hex()
