"""Shapes in which agents and people write their files, and how editors and systems vary each: always the same set.

Nothing here is anybody's file. `TASKS` are status files for TC-7, `LEDGERS` are what else stands in a HEARTBEAT.md.
"""

from collections.abc import Callable, Iterator

# Front matter without its fences; the first line that begins with `|` is the body.
TASKS = [
    "title: Fix the login\nstatus: backlog\n|Body.\n",
    "id: TC-7\ntitle: Fix the login\nstatus: todo\nassignee: peter\npriority: high\n|# TC-7: Login\n\n- [ ] a\n",
    "status: Backlog\n|",
    "title: 'single # quoted'\nstatus: open  # keep\n|\n\n\nText after blank lines.\n",
    'title: "double: quoted"   # keep\nstatus: "open"\n|text\n',
    "title: plain with # no comment? yes one\nstatus: open\n|x\n",
    "# keep: on top\ntitle: t\n\n# keep: in the middle\n\nstatus: open\n# keep: at the end\n|x\n",
    "title: t\nstatus:   open\npriority:\tp2\n|x\n",
    "title: t\nstatus: open\ntags:\n- a\n- b\n# keep\npriority: low\n|x\n",
    "title: t\nstatus: open\ntags:\n    - a\n    - b  # keep\npriority: low\n|x\n",
    "title: t\nassignee: [peter]\nlabels: [a, b]\n|x\n",
    "title: t\ntags: [a,\n  b,   # keep\n  c]\nstatus: open\n|x\n",
    "title: t\nx: {a: 1,\n    b: 2}\nstatus: open\n|x\n",
    "title: t\ncontact:\n  name: Peter\n  mail: p@example.org\n  # keep\nstatus: open\n|x\n",
    "title: t\nhistory:\n  - at: 2026-03-01\n    by: iris\n  - at: 2026-03-02\n    by: sam\nstatus: open\n|x\n",
    "title: t\ntext: |\n  one\n    two\n  # three\n\n  four\nstatus: open\n|x\n",
    "title: t\ntext: |+\n  one\n\n\nstatus: open\n|x\n",
    "title: t\ntext: |-  # keep\n  one\nstatus: open\n|x\n",
    "title: t\ntext: >\n  folded\n  text\n\n  more\nstatus: open\n|x\n",
    "title: t\ntext: |2\n    indented\n  less\nstatus: open\n|x\n",
    'title: t\ntext: "over\n  two lines"\nstatus: open\n|x\n',
    "title: t\ntext: plain over\n  two lines\nstatus: open\n|x\n",
    "title: t\nstatus: open\nlast: |\n  block at the end\n|x\n",
    "title: t\nstatus: open\nlast:\n  - list at the end\n|x\n",
    "title: t\nstatus:\npriority:   # keep\n|x\n",
    "Title: t\nSTATUS: open\nPriority: High\n|x\n",
    "'title': t\n\"status\": open\n|x\n",
    "title: t\nstate: open\nowner: '@peter'\nestimated: 11:00\n|x\n",
    "title: Größe ändern – „schnell“\nstatus: open\nzuständig: Jörg Weiß\n|Übergabe\n",
    "title: 修复登录 🚑\nstatus: open\n负责人: 小王\n|内容。全角：冒号\n",
    "title: إصلاح تسجيل الدخول\nstatus: open\n|النص هنا\n",
    "title: t\nstatus: open\nwhen: 2026-03-07T10:00:00.000Z\nday: 2026-03-07\ntime: 10:00:00\nzone: +01:00\n|x\n",
    "title: t\nstatus: open\nn: 007\nhex: 0x1F\noct: 0o17\nbig: 1_000\nnan: .nan\ninf: -.inf\n|x\n",
    "title: t\nstatus: open\nurl: https://example.org/?a=1&b=2#top\nmail: <a@example.org>\nwin: C:\\x\n|x\n",
    "title: t\nstatus: open\nglob: '*.md'\npercent: 50%\nmoney: 10 €\nmath: a < b > c\nat: '@x'\n|x\n",
    "title: t\nstatus: open\naliases: ['[[A]]', \"[[B|b]]\"]\nlink: '[[C]]'\n|[[D]] #tag ^block-id\n",
    "layout: page\ntitle:  two spaces\nstatus: open\nheader:\n  image: /a.png\n  teaser:\n|{% raw %}{{ x }}\n",
    "title: t\nstatus: open\nafter: []\nfollowers: [iris]\noutputs: []\n|\ttab\n\n    code\n\n1. a\n1. b\n",
    "title: t\nstatus: blocked\nreason: waits for iris\nneed: iris - which region?\n|Needs: iris - which region?\n",
    "title: t\nstatus: in_progress\nassignee: peter\n|Started.\n\nETA: 11:00\n",
    'title: t\nstatus: done\nassignee: peter\nsummary: all good\noutputs: ["PR #1"]\n|Status: DONE\n',
    "title: t\nstatus: open\n|```\n---\nstatus: done\n---\n```\n\nStatus in prose.\n\n<!-- Status: DONE -->\n",
    "title: t\nstatus: open\n|---\n\nA rule first, then a list:\n\n---\n- a\n---\n",
    "title: t\nstatus: open\n|| a | b |\n|---|---|\n| `x` | \\| |\n\n[^1]: note\n",
    "title: t\nstatus: open\nempty_map: {}\nempty_list: []\nnothing: ''\nspace: ' '\n|x\n",
    "title: t\nstatus: open\nvery_long_key_that_some_tool_writes_on_its_own: 1\n" + f"long: {'word ' * 200}\n|x\n",
    "title: t\nstatus: open\ncreated: 2026-03-07T08:45:00Z\nrecorded: backlog\nsaid: done\n|Status: DONE\n",
    "title: t\nstatus: in_progress\nrecorded: wip\nowner: peter\ngeneration: 3\nheard:\n  eta: 11:00\n|ETA: 11:00\n",
]
LEDGERS = [
    "",
    "# Ledger\n",
    "# Ledger\n\n## Delegations\n",
    "# Ledger\n\n## Delegations\n\n## Later\n\ntext\n",
    "## Delegations\n\nsome words under the heading\n\n## Later\n",
    "## Delegations\n\n- a bullet that is no entry\n- [ ] a box\n\n\n\n# End\n",
    "# Ledger\n## DELEGATIONS:\n## Notes\n",
    "text only, no heading\n",
    "- [ ] mail\n- [ ] calendar\n\t- [x] tab below\n",
    "| a | b |\n|---|---|\n| TC-90 | peter, check at 10:00 |\n\n## Delegations\n",
    "```\n## Delegations\n- TC-90 delegated to peter, check at 10:00\n```\n",
    "~~~markdown\n## Delegations\n~~~\n\n## Delegations\n\n> quote\n",
    "<!-- ## Delegations -->\n# L\n",
    "<!--\n## Delegations\n-->\n\n## Delegations\n<!-- end -->\n",
    "---\nkind: ledger\nowner: sam\n---\n# L\n\n## Delegations\n",
    "1. first\n2. second\n   continued\n\n   ```\n   ## Delegations\n   ```\n3. third\n",
    "# Übergaben – „offen“\n\n任务：没有\n\nשלום\n\n## Delegations\n\n🟢 ok\n",
    "We delegated TC-90 to peter, and TC-91 waits until 11:00.\n\nTC-92 is done. TC-93: done. TC-94 -> done\n",
    "# A\n\n## Delegations\n\n## Delegations\n\n# A\n",
    "## Delegations   \n\t\n   \n* * *\n",
    "Delegations\n-----------\n\nEarlier:\n\n> - TC-90 delegated to peter, check at 10:00\n",
]


def _no_end(text: str) -> str:
    return text.rstrip("\n")


def _spaced(text: str) -> str:
    """Trailing spaces behind each line of the body, as some editors leave them."""
    front, fence, body = text.rpartition("\n---\n") if text.startswith("---\n") else ("", "", text)
    return front + fence + body.replace("\n", "  \n")


VARIATIONS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "from Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "from Notepad": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
    "without end": lambda text: _no_end(text).encode(),
    "with spaces": lambda text: _spaced(text).encode(),
}


def tasks() -> Iterator[tuple[str, bytes]]:
    """Every shape of a status file in every variation, with a name for it."""
    for number, shape in enumerate(TASKS, 1):
        front, _, body = shape.partition("\n|")
        for name, vary in VARIATIONS.items():
            yield f"shape {number} {name}", vary(f"---\n{front}\n---\n{body}")


def ledgers() -> Iterator[tuple[str, bytes]]:
    """Every shape of a ledger in every variation, with a name for it."""
    for number, shape in enumerate(LEDGERS, 1):
        for name, vary in VARIATIONS.items():
            yield f"shape {number} {name}", vary(shape)
