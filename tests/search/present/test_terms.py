from __future__ import annotations

from bothways.search.present.terms import Term, Terms, plain_terms, read_graph


def token(word, position, start, end, length=1):
    row = {"token": word, "position": position, "start_offset": start, "end_offset": end}
    return row if length == 1 else row | {"positionLength": length}


def test_words_without_synonyms():
    tokens = [token("公司", 0, 0, 2), token("裁员", 1, 3, 5)]
    assert read_graph(tokens, "公司 裁员") == (Term(("公司",), "公司"), Term(("裁员",), "裁员"))


def test_a_word_and_its_synonyms_own_words_first():
    """`晕倒, 昏迷, 昏倒` before another word."""
    tokens = [token("昏迷", 0, 0, 2), token("昏倒", 0, 0, 2), token("晕倒", 0, 0, 2), token("路上", 1, 3, 5)]
    terms = read_graph(tokens, "晕倒 路上")
    assert terms[:2] == (Term(("晕倒",), "晕倒"), Term(("路上",), "路上"))
    assert set(terms[2:]) == {Term(("昏迷",), "晕倒"), Term(("昏倒",), "晕倒")}
    assert [term.is_synonym for term in terms] == [False, False, True, True]


def test_a_synonym_of_several_words_is_one_term():
    """`离职, 解除 劳动合同`: 离职 spans the two words of the other."""
    tokens = [
        token("解除", 0, 0, 2),
        token("离职", 0, 0, 2, length=2),
        token("劳动合同", 1, 0, 2),
        token("赔偿", 2, 3, 5),
    ]
    assert read_graph(tokens, "离职 赔偿") == (
        Term(("离职",), "离职"),
        Term(("赔偿",), "赔偿"),
        Term(("解除", "劳动合同"), "离职"),
    )


def test_several_words_with_one_synonym():
    tokens = [
        token("离职", 0, 0, 7, length=2),
        token("解除", 0, 0, 2),
        token("劳动合同", 1, 3, 7),
    ]
    assert read_graph(tokens, "解除 劳动合同") == (
        Term(("解除",), "解除"),
        Term(("劳动合同",), "劳动合同"),
        Term(("离职",), "解除 劳动合同"),
    )


def test_replaced_words_keep_what_was_asked():
    """`酒驾 => 醉酒 驾驶` side by side with `坐牢 => 监禁`: no path goes around the words of the first."""
    tokens = [token("醉驾", 0, 0, 2), token("监禁", 1, 3, 5)]
    assert read_graph(tokens, "酒驾 坐牢") == (
        Term(("酒驾",), "酒驾"),
        Term(("坐牢",), "坐牢"),
        Term(("醉驾",), "酒驾"),
        Term(("监禁",), "坐牢"),
    )


def test_offsets_are_utf_16():
    tokens = [token("😀a", 0, 0, 3), token("昏迷", 1, 4, 6), token("晕倒", 1, 4, 6)]
    assert Term(("昏迷",), "晕倒") in read_graph(tokens, "😀a 晕倒")


def test_a_synonym_that_is_asked_too_is_a_word_of_the_question():
    tokens = [token("昏迷", 0, 0, 2), token("晕倒", 0, 0, 2), token("昏迷", 1, 3, 5), token("晕倒", 1, 3, 5)]
    assert read_graph(tokens, "晕倒 昏迷") == (Term(("晕倒",), "晕倒"), Term(("昏迷",), "昏迷"))


def test_no_words():
    assert read_graph([], "") == ()
    assert plain_terms(["a", "b", "a"]) == (Term(("a",), "a"), Term(("b",), "b"))


class Counting:
    """Stands for a client: counts how often it is asked to analyse."""

    def __init__(self):
        self.asked = []
        self.indices = self

    def analyze(self, *, index, analyzer, text):
        self.asked.append((index, analyzer, text))
        return {"tokens": [token(text, 0, 0, len(text))]}


def test_an_answer_is_kept_for_a_while():
    now = [0.0]
    client = Counting()
    terms = Terms(client, ttl_s=60, clock=lambda: now[0])
    for _ in range(3):
        assert terms.of("law-v1", ["工资"]) == (Term(("工资",), "工资"),)
    assert client.asked == [("law-v1", "segmented_search", "工资")]
    terms.of("law-v2", ["工资"])
    now[0] = 61
    terms.of("law-v1", ["工资"])
    assert [index for index, _, _ in client.asked] == ["law-v1", "law-v2", "law-v1"]
    assert terms.of("law-v1", []) == ()
    assert len(client.asked) == 3


def test_what_is_kept_and_what_is_asked_is_bounded(monkeypatch):
    monkeypatch.setattr("bothways.search.present.terms.MOST_KEPT", 2)
    client = Counting()
    terms = Terms(client)
    for word in ("一", "二", "三", "三", "一"):
        terms.of("i", [word])
    assert [text for _, _, text in client.asked] == ["一", "二", "三", "一"]
    terms.of("i", ["词"] * 5000)
    assert len(client.asked[-1][2].split()) == 256
