"""Short digests of contents: the same for the same bytes."""

try:  # hashlib loads OpenSSL, which takes longer than all that we hash
    from _blake2 import blake2b
except ImportError:  # another Python than CPython
    from hashlib import blake2b


def digest(data: bytes, size_bytes: int = 8, key: bytes = b"") -> str:
    """BLAKE2b of the data, in hexadecimal digits; with a key, a MAC."""
    return str(blake2b(data, digest_size=size_bytes, key=key).hexdigest())
