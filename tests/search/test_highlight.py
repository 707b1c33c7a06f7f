from __future__ import annotations

from search.highlight import highlight


def test_marks_the_words_in_their_sentence():
    text = "合同成立。当事人一方违约的，应当承担违约责任。其他。"
    assert highlight(text, ["违约", "责任", "的"]) == (
        "当事人一方<em>违约</em>的，应当承担<em>违约</em><em>责任</em>。",
    )


def test_escapes_the_text():
    assert highlight("<b>bold</b> refund", ["refund"]) == ("&lt;b&gt;bold&lt;/b&gt; <em>refund</em>",)


def test_nothing_to_mark():
    assert highlight("abc", []) == ()
    assert highlight("abc", ["x", "的"]) == ()


def test_words_are_text_and_not_patterns():
    assert highlight("a.b axb", ["a.b"]) == ("<em>a.b</em> axb",)
