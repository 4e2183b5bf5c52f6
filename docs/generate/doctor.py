"""`docs/reference/doctor.md`, made from the table of codes."""

from claw_files.doctor.codes import GROUPS, Code

_HEAD = """# What the doctor finds

This page is generated from the program. `clawfiles doctor` changes nothing: it prints two lines for each finding, the
problem and what to do, and exits 1 if it found something. `clawfiles doctor --repair` fixes the findings marked in the
last column, prints what it did, and lists the rest. It deletes no file of yours and never guesses: an ambiguous problem
is only reported.

With `--json` it prints one document: `findings` (a list of `code`, `file`, `line`, `meaning`, `do`, `repairable`),
`repaired` (a list of `code`, `file`, `did`), and `notices` (sentences, also shown on a terminal; they are
not findings).

Backup files of editors (`x~`, `#x#`, `4913`) and names that begin with a dot are ignored.

`clawfiles doctor --prove-claims [N]` tests your disk instead: [details](../explanation/proof.md#on-your-own-disk).
"""


def page() -> str:
    """The reference page, whole."""
    parts = [_HEAD]
    for title, rows in GROUPS:
        parts.append(f"## {title}\n\n| code | what it means | what to do | repaired |\n|---|---|---|---|\n")
        parts[-1] += "".join(f"| `{c.code}` | {c.means} | {_shown(c.do)} | {_mark(c)} |\n" for c in rows)
    return "\n".join(parts)


def _shown(do: str) -> str:
    return do.replace("{task}", "TASK").replace("{agent}", "NAME")


def _mark(code: Code) -> str:
    return "yes" if code.repairable else ""
