"""A stand-in for the call of an agent, so that the four graphs can be run without a model."""

import os


def ask(name: str, text: str) -> str:
    """What the agent answers; `AGENT_FAILS` is how a text begins that fails, `AGENT_SAYS` is an answer."""
    if (word := os.environ.get("AGENT_FAILS")) and text.startswith(word):
        raise RuntimeError(f"{name} cannot do this: {text[:40]}")
    return os.environ.get("AGENT_SAYS", f"{name} did: {text}\n")
