"""Channels of people: whether messages can arrive. Nothing is sent, and no address is shown."""

import os
from collections.abc import Iterator

from claw_files.config import Agent
from claw_files.config.channels import CAP_BYTES, FILE, are_local, named
from claw_files.core.errors import Refused
from claw_files.doctor.checks.setting import line_of
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import CONFIG, Survey
from claw_files.integrations.notify.addresses import addresses
from claw_files.integrations.notify.sending import service
from claw_files.system import libraries


def channels(s: Survey) -> Iterator[Finding]:
    """Problems that prevent notifications."""
    if s.settings is None or s.is_inner:
        return
    people = [agent for agent in s.settings.agents.values() if agent.channels]
    is_installed = all(are_local(person.channels) for person in people) or libraries.is_installed("notify")
    if not is_installed:
        yield Finding("notify-library", CONFIG)
    raw = s.tree.read(CONFIG).decode("utf-8", "replace") if people else ""
    for person in people:
        line = line_of(raw, person.name, "channels")
        for why in _wrong(s, person, is_installed):
            yield Finding("channel-unusable", CONFIG, line, why, "", person.name)


def given_up(s: Survey) -> Iterator[Finding]:
    """Posts that were abandoned because no channel accepted them."""
    posts = [node for node in s.folder("outbox/failed").nodes if node.kind == "file"]
    if posts:
        yield Finding("post-given-up", "outbox/failed", detail=f"{len(posts)} of them")


def _wrong(s: Survey, person: Agent, is_installed: bool) -> Iterator[str]:
    """The problem of each channel of the person, by its name."""
    for name, channel in named(person.channels).items():
        if channel.startswith(FILE):
            parts = channel.removeprefix(FILE).split("/")
            for node in filter(None, (s.tree.node("/".join(parts[:n])) for n in range(1, len(parts) + 1))):
                if node.kind != ("file" if node.path == channel.removeprefix(FILE) else "folder"):
                    yield f"{name}: {node.path} is a {node.kind}"
                elif node.kind == "file" and (node.links > 1 or node.size_bytes > CAP_BYTES):
                    yield f"{name} {'has a second name' if node.links > 1 else 'is too large'}"
            continue
        try:
            there = addresses(channel, s.tree.root, os.environ)
        except Refused as wrong:
            yield f"{name}: {wrong.message}"
            continue
        odd = [number for number, address in enumerate(there, 1) if is_installed and service(address) is None]
        yield from (f"{name}: apprise does not understand address {number} of {len(there)}" for number in odd)
