"""The researcher: looks at three ways to be paid, and leaves all it found, 20 KB of it, in its result file."""

import os
import sys

OFFERS = {"Ledgerly": 1.4, "Paywell": 0.9, "Coinbridge": 2.1}  # percent of each payment
TRIED = 110  # payments of each, in a test shop: the long part of the findings


def line(euros: int, percent: float, took_ms: int) -> str:
    return f"- payment of {euros}.00 EUR: {euros * percent / 100:.2f} EUR of fees, answered after {took_ms} ms"


def findings() -> str:
    best = min(OFFERS, key=lambda name: OFFERS[name])
    parts = [f"Take {best}: {OFFERS[best]} percent, the least of three\n\nuse: {best.lower()}\n"]
    for name, percent in OFFERS.items():
        rows = [line(n * 7, percent, 80 + n % 9) for n in range(1, TRIED + 1)]
        parts.append(f"## {name}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def main() -> None:
    sys.stdin.read()  # the question: a model would read it, this script knows
    label = os.environ["CLAWFILES_LABEL"]
    head = {"label": label, "run": os.environ["CLAWFILES_RUN"], "task": os.environ["CLAWFILES_TASK"], "status": "done"}
    path = os.path.join(os.environ["CLAWFILES_WORKSPACE"], "checkpoints", f"subagent-{label}.md")
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write("---\n" + "".join(f"{key}: {value}\n" for key, value in head.items()) + f"---\n{findings()}")
    os.replace(f"{path}.tmp", path)  # whole or not at all
    print("compared", ", ".join(OFFERS))


main()
