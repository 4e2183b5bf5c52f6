"""The deployer: puts online what was built, looks at it there, and says where it is."""

import os
import shutil
import sys

from claw import claw


def main() -> None:
    sys.stdin.read()
    if os.environ["CLAWFILES_KIND"] != "task":
        claw("inbox", "done", os.environ["CLAWFILES_MESSAGE_ID"])
        return
    task = claw("claim", os.environ["CLAWFILES_TASK"])["task"]
    os.makedirs("live", exist_ok=True)
    shutil.copyfile("build/pay.html", "live/pay.html.new")
    os.replace("live/pay.html.new", "live/pay.html")  # visitors see the old page or the new one
    with open("live/pay.html", encoding="utf-8") as file:
        if "<button>Pay</button>" not in file.read():
            claw("fail", task, "the page is online, and has no button")
            return
    claw("done", task, "online, and the button is there", "--output", "live/pay.html")


main()
