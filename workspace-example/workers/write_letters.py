"""Worker "support": does the steps of workflows/refunds.md. A model would read what to do; this script knows it."""

import csv
import os
import re
import sys
import time
from collections import Counter

import result

THINKING_SECONDS = 0.5  # stands for the model call of a real agent


def find() -> str:
    """The customers who stand twice in the list with one order, one a line."""
    with open("data/charges.csv", encoding="utf-8") as file:
        charges = [(row["customer"], row["address"], row["order"]) for row in csv.DictReader(file)]
    return "".join(f"{name}, {address}, {order}\n" for (name, address, order), n in Counter(charges).items() if n > 1)


def letter(asked: str) -> str:
    found = re.search(r"Write to “(.*?), (.*?), (.*?)”", asked)
    assert found
    name, address, order = found.groups()
    if not address:
        sys.exit(f"{name} has no address")
    return f"To {address}\n\nDear {name}, order {order} was charged twice. You get the second charge back today.\n"


def main() -> None:
    os.chdir(os.environ["CLAWFILES_WORKSPACE"])
    asked = sys.stdin.read()
    promised = re.search(r"Write into the workspace: `(.*?)`", asked)
    assert promised
    step = os.environ["CLAWFILES_TASK"].split("-")[2]
    time.sleep(THINKING_SECONDS)
    made = {"FIND": find, "LETTER": lambda: letter(asked), "SEND": lambda: "two letters, by mail\n"}[step]()
    with open(promised[1], "w", encoding="utf-8") as file:
        file.write(made)
    result.write(made, outputs=[])


main()
