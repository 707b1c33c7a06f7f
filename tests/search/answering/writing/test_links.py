"""What an answer may not lead to: addresses that no passage holds, in whatever form a chat client would draw them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.core.results import Hit
from bothways.search.answering.types import Passage
from bothways.search.answering.writing.links import Links, held_addresses, readable

HELD = frozenset(
    {"https://a.example/b", "http://docs.example/x?y=1&z=2", "www.held.example", "ftp://old.example/f", "<dependency>"}
)


def checked(text, *, size=1, held=HELD):
    links = Links(held)
    return "".join(links.feed(text[at : at + size]) for at in range(0, len(text), size)) + links.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![](http://evil/?q=1)", "[] (hxxp://evil/?q=1)"),
        ("![a b](<http://evil/?q=1>)", "[a b] (< hxxp://evil/?q=1>)"),
        ("[here](https://evil/x)", "[here] (hxxps://evil/x)"),
        ("[here](//evil/x)", "[here] (//evil/x)"),
        ("[here](/logout)", "[here] (/logout)"),
        ("[a][r]\n\n[r]: http://evil/x", "[a][r]\n\n[r] : hxxp://evil/x"),
        ("![a][r]", "[a][r]"),
        ("<http://evil/x>", "< hxxp://evil/x>"),
        ("<https://evil>", "< hxxps://evil>"),
        ("看 HTTP://EVIL/x", "看 HXXP://EVIL/x"),
        ("见http://evil/x。", "见hxxp://evil/x。"),
        ("xhttp://evil", "xhttp: //evil"),
        ("evil://x", "evil: //x"),
        ("www.evil.example/x", "www(.)evil.example/x"),
        ("<img src=x onerror=y>", "< img src=x onerror=y>"),
        ("<a href='x'>y</a>", "< a href='x'>y< /a>"),
        ("<script>1</script>", "< script>1< /script>"),
        ("<!-- x --> <?php", "< !-- x --> < ?php"),
        ("[x](data:text/html,1)", "[x] (data: text/html,1)"),
        ("[x](javascript:alert(1))", "[x] (javascript: alert(1))"),
        ("[x](&#104;ttp://evil)", "[x] (&#104;ttp: //evil)"),
        # What harms nobody stays.
        ("data: 三个; file: a.txt; http: yes", "data: 三个; file: a.txt; http: yes"),
        ("a < b, 3<4, x <- y, <3", "a < b, 3<4, x <- y, <3"),
        ("好![1] 好!", "好![1] 好!"),
        ("一<br>二<b>三</b><td>", "一<br>二<b>三</b><td>"),
        ("with www and w and http", "with www and w and http"),
        ("[1][2] [x] a[i] b", "[1][2] [x] a[i] b"),
        ("[1]：见", "[1]：见"),
        ("<dependency>x</dependency> <dependenci>", "<dependency>x< /dependency> < dependenci>"),
        ("12:30 a:b a:/b", "12:30 a:b a:/b"),
        # What a passage holds stays, to the letter.
        ("见 https://a.example/b。", "见 https://a.example/b。"),
        ("(https://a.example/b), https://a.example/b/!", "(https://a.example/b), https://a.example/b/!"),
        ("![p](https://a.example/b)", "![p](https://a.example/b)"),
        ("[p](https://a.example/b) <https://a.example/b>", "[p](https://a.example/b) <https://a.example/b>"),
        ("http://docs.example/x?y=1&z=2 ftp://old.example/f", "http://docs.example/x?y=1&z=2 ftp://old.example/f"),
        ("www.held.example, a.example", "www.held.example, a.example"),
        ("www.a.example/b", "www(.)a.example/b"),
        ("https://a.example/b了解", "https://a.example/b 了解"),
        # And nothing more than that.
        ("https://a.example/b?q=1", "hxxps://a.example/b?q=1"),
        ("https://a.example/", "hxxps://a.example/"),
        ("https://a.example/b/c", "hxxps://a.example/b/c"),
        ("![p](https://a.example/b?q=1)", "[p] (hxxps://a.example/b?q=1)"),
        ("[p](https://a.example/b机密)", "[p] (https://a.example/b 机密)"),
        ('[p](https://a.example/b "t")', '[p] (https://a.example/b "t")'),
        ("<https://a.example/b onclick=x>", "< https://a.example/b onclick=x>"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_what_no_passage_holds_leads_nowhere(text, shown, size):
    assert checked(text, size=size) == shown


LIVE = re.compile(r"\]\(|\]:|<[A-Za-z/!?]|https?://|(?<![\w.])www\.\w|!\[[^\]]*\]\(", re.IGNORECASE)


@given(
    st.lists(
        st.sampled_from(
            [
                "![",
                "[",
                "]",
                "(",
                ")",
                "<",
                ">",
                "!",
                ":",
                "//",
                "http",
                "https",
                "://",
                "www.",
                "a",
                " ",
                "\n",
                "1",
                "-",
            ]
        )
        | st.sampled_from(["https://a.example/b", "data:", "javascript:", "img", "br", "/", ".", "中", "W", "f", "d"]),
        max_size=30,
    ),
    st.integers(1, 9),
)
def test_pieces_make_no_difference_and_nothing_else_is_live(parts, size):
    text = "".join(parts)
    shown = checked(text, size=size)
    assert shown == checked(text, size=1000)
    left = shown.replace("https://a.example/b", "")
    for found in LIVE.finditer(left):
        # What is left of a held link, or a tag that only lays out.
        assert re.match(r"\]\(\)|<>|</?br ?/?>|!\[[^\]]*\]\(\)", left[found.start() :]), (text, shown)


def test_the_addresses_of_passages():
    hit = Hit(
        chunk_id="d-0",
        score=1.0,
        doc_id="d",
        position=0,
        title="题 http://title.example",
        text="",
        source="https://source.example/f.html",
        metadata={"url": "http://m.example/"},
    )
    text = (
        "<x.y> </x.y> <script> <img src=x> <a> <b c=d>见[此](https://a.example/b)和 <http://c.example/d>。"
        "www.e.example, http://f.example/维基了解 http:// x"
    )
    held = held_addresses([Passage(n=1, hit=hit, rank=1, chunk_id="d-0", chunk_ids=("d-0",), text=text)])
    assert {
        "http://title.example",
        "https://source.example/f.html",
        "http://m.example/",
        "https://a.example/b",
        "http://c.example/d",
        "www.e.example",
        "http://f.example/维基了解",
        "http://f.example/",
    } <= held
    assert {one for one in held if one.startswith("<")} == {"<x.y>", "</x.y>"}
    assert checked("[此](https://a.example/b) http://f.example/维基", held=held) == (
        "[此](https://a.example/b) http://f.example/ 维基"
    )


def test_characters_by_which_a_text_reads_otherwise_are_left_out():
    assert readable("d\u202ee\u2066f\U000e0041h") == "defh"
    assert readable("a\nb\tc 👩‍💻 நன்றி") == "a\nb\tc 👩‍💻 நன்றி"
