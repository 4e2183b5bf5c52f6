"""The coder: reads the findings where the task says that they are, and builds the page from them."""

import os
import re
import sys

from claw import claw


def main() -> None:
    message = sys.stdin.read()
    if os.environ["CLAWFILES_KIND"] != "task":  # a word from somebody: read, and finished
        claw("inbox", "done", os.environ["CLAWFILES_MESSAGE_ID"])
        return
    task = claw("claim", os.environ["CLAWFILES_TASK"])["task"]
    named = re.search(r"Findings: (checkpoints/[\w.-]+\.md)", message)
    if not named:
        claw("block", task, "the task does not say where the findings are")
        return
    with open(named[1], encoding="utf-8") as file:
        found = file.read()
    used = re.search(r"^use: (\w+)$", found, re.MULTILINE)
    if not used:
        claw("fail", task, f"{named[1]} does not say what to use")
        return
    claw("progress", task, f"{len(found.encode())} bytes of findings read, building with {used[1]}", "--eta", "+1m")
    os.makedirs("build", exist_ok=True)
    with open("build/pay.html", "w", encoding="utf-8") as file:
        file.write(f'<form action="https://{used[1]}.example/pay"><button>Pay</button></form>\n')
    claw("done", task, f"the page pays with {used[1]}", "--output", "build/pay.html")


main()
