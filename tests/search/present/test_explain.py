from __future__ import annotations

from bothways.core.results import MatchedWords
from bothways.search.present.explain import matched_words, shared_runs
from bothways.search.present.terms import Term

SOURCE = {
    "heading": "《民法典》 第一千零五条",
    "text": "负有法定救助义务的组织应当及时施救。",
    "text_kw": "民法典 第一千零五条 负有 法定 救助 义务 的 组织 应当 及时 施救",
    "questions": [
        {"text": "有人晕倒没人救", "text_kw": "有人 晕倒 没人救"},
        {"text": "见死不救", "text_kw": "见死不救"},
    ],
}


def own(word):
    return Term((word,), word)


def test_words_synonyms_and_what_only_questions_have():
    terms = [own("晕倒"), own("救助"), own("赔偿"), Term(("施救",), "抢救"), Term(("没人救",), "不救")]
    assert matched_words(SOURCE, terms, "晕倒 救助") == MatchedWords(
        words=("晕倒", "救助"), synonyms={"施救": "抢救", "没人救": "不救"}, in_questions=("晕倒", "没人救")
    )


def test_words_are_whole_and_stand_side_by_side():
    terms = [own("助"), own("救"), Term(("救助", "义务"), "救人"), Term(("救助", "组织"), "救人")]
    assert matched_words(SOURCE, terms, "x").synonyms == {"救助 义务": "救人"}
    assert matched_words(SOURCE, terms, "x").words == ()


def test_runs_of_characters_besides():
    assert matched_words(SOURCE, [own("救助")], "不救助义务呢").bigrams == ("不救助义务",)
    assert matched_words(SOURCE, [own("救助"), own("义务")], "救助，义务").bigrams == ()


def test_shared_runs():
    texts = ["甲乙丙", "丙丁。戊己"]
    assert shared_runs("甲乙丙丁", texts) == ("甲乙丙丁",)
    assert shared_runs("丁戊 己", texts) == ()
    assert shared_runs("乙丙，戊己", texts, without=["戊己"]) == ("乙丙",)


def test_a_chunk_without_questions():
    bare = {"text": "工资", "text_kw": "工资"}
    assert matched_words(bare, [own("工资")], "工资") == MatchedWords(words=("工资",))
