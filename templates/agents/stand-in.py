"""Plays an agent without a model, to try a workflow before models are paid for: replace it in clawfiles.toml.

It reads its message as a model would, writes the files that it asks for, with a few lines each, and ends with the
first word that it may end with. `stand-in.json` changes that: {"triage": "bug", "read-2": "crash"} lets the step
`triage` answer "bug" and the second item of `read` fail; "answer-p2" is one pass of a loop alone.
"""

import json
import os
import re
import sys

os.chdir(os.environ.get("CLAWFILES_WORKSPACE", "."))
message = sys.stdin.read()
task, label = os.environ["CLAWFILES_TASK"], os.environ.get("CLAWFILES_LABEL")
told = {}
if os.path.exists("stand-in.json"):
    with open("stand-in.json") as file:
        told = json.load(file)
names = (f"{task.lower()}/", re.sub(r"-p[0-9]+$", "", task.lower()) + "/")
steps = (name for name in sorted(told, key=len, reverse=True) if any(it.endswith(f"-{name}/") for it in names))
word = told.get(next(steps, ""), "")
if word == "crash":
    sys.exit(f"stand-in.json lets {task} crash")

request = message.partition("[end of task")[0]
files = re.search(r"^> Write into the workspace: (.+)\. Without that", request, re.MULTILINE)
for path in re.findall(r"`([^`]+)`", files[1] if files else ""):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    lines = [f"the {what} line that the stand-in wrote for {task}" for what in ("first", "second", "third")]
    with open(path, "w") as file:
        file.write("print('ok')\n" if path.endswith(".py") else "\n".join(lines) + "\n")

words = re.search(r"^> End it with one of these words: (.+?)\. ", request, re.MULTILINE)
word = word or (words[1].split(", ")[0] if words else "")
answer = f"answer: {word}\n" if word else ""
if label:  # a worker writes its result
    run, agent = os.environ["CLAWFILES_RUN"], os.environ["CLAWFILES_AGENT"]
    with open(f"checkpoints/subagent-{label}.md", "w") as file:
        file.write(f"---\nlabel: {label}\nrun: {run}\ntask: {task}\nagent: {agent}\nstatus: done\n{answer}---\n")
        file.write(f"The stand-in did {task}.\n")
else:  # any other agent writes into the file of its task
    path = f"status/{task.lower()}.md"
    with open(path) as file:
        text = file.read().replace("---\n", f"---\n{answer}", 1)
    with open(path, "w") as file:
        file.write(f"{text.rstrip()}\n\nThe stand-in did {task}.\n\nStatus: DONE\n")
