"""Names of a person's channels. An address may contain a password, so a channel is never named by it.

A channel is `file:PATH`, a file in the workspace; an address of apprise, `SCHEME://...`; `env:NAME`, a variable that
holds such addresses; or `addresses:FILE`, a file of its owner alone with one on each line.
"""

from collections.abc import Sequence

FILE = "file:"
CAP_BYTES = 64 << 20  # of such a file


def named(channels: Sequence[str]) -> dict[str, str]:
    """The channels by name: a file by itself, all others by kind and place in the list, such as "tgram-2"."""
    return {name_of(channel, place): channel for place, channel in enumerate(channels, 1)}


def name_of(channel: str, place: int) -> str:
    """The channel's name in files, logs and errors, by its position in the list, counted from 1."""
    return channel if channel.startswith(FILE) else f"{channel.partition(':')[0].lower()}-{place}"


def are_local(channels: Sequence[str]) -> bool:
    """Whether all of them are files in the workspace."""
    return all(channel.startswith(FILE) for channel in channels)
