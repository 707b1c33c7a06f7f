"""Mining on pairs that are made by hand, so that every count is known."""

from __future__ import annotations

import math

import pytest

from bothways.core.errors import LLMError, LLMUnavailableError, SynonymsError
from bothways.core.synonyms import Rule, parse_rules
from bothways.learning.synonyms.association import Association, AssociationThresholds, associate, is_term
from bothways.learning.synonyms.candidates import Candidate, Example, with_examples
from bothways.learning.synonyms.judge import Judge, described, parse_verdict
from bothways.learning.synonyms.mine import mine
from bothways.learning.synonyms.pairs import Pair
from bothways.learning.synonyms.proposal import proposal_lines, write_proposal
from bothways.models.llm.answer_cache import AnswerCache

LOOSE = AssociationThresholds(min_chunks=2, max_share=1.0, min_score=0.0, min_g2=0.0)


def pair(words, *questions, title="题", text="文"):
    return Pair(
        words=frozenset(words.split()),
        questions=tuple((q.replace(" ", ""), frozenset(q.split())) for q in questions),
        title=title,
        text=text,
    )


HUSBAND = pair("丈夫 应当 扶养", "老公 不给 生活费", title="第一条", text="丈夫应当扶养")
WAGES = pair("用人单位 应当 支付 工资", "老板 拖欠 工资", title="第二条")
PAIRS = [HUSBAND, HUSBAND, HUSBAND, WAGES, WAGES, pair("合同 成立", "合同 算数")]


def test_unmet_words_are_those_of_questions_that_the_text_lacks():
    assert WAGES.unmet == {"老板", "拖欠"}


def test_association_by_hand():
    """6 chunks: 3 ask for 老公 and say 丈夫, none has one without the other; 应当 stands in 5."""
    found = {(one.asked, one.found): one for one in associate(lambda: PAIRS, LOOSE)}
    assert found["老公", "丈夫"] == Association(
        asked="老公", found="丈夫", together=3, asked_in=3, found_in=3, chunks=6
    )
    assert found["老公", "丈夫"].score == pytest.approx(1.0)
    assert found["老公", "丈夫"].g2 == pytest.approx(2 * 6 * math.log(2))
    with_always = Association(asked="老公", found="应当", together=3, asked_in=3, found_in=5, chunks=6)
    assert with_always.score == pytest.approx(math.log(3 * 6 / (3 * 5)) / math.log(6 / 3))
    assert ("老板", "工资") in found
    assert ("合同", "成立") not in found, "the text has 合同 itself"


def test_independent_terms_score_nothing():
    independent = Association(asked="甲甲", found="乙乙", together=1, asked_in=2, found_in=2, chunks=4)
    assert independent.score == pytest.approx(0)
    assert independent.g2 == pytest.approx(0)


def test_bounds():
    def found(**thresholds):
        return {
            (one.asked, one.found) for one in associate(lambda: PAIRS, AssociationThresholds(**{**kept, **thresholds}))
        }

    kept = {"min_chunks": 2, "max_share": 1.0, "min_score": 0.0, "min_g2": 0.0}
    assert ("老板", "工资") in found()
    assert ("老板", "工资") not in found(min_chunks=3)
    assert not any(text == "应当" for _, text in found(max_share=0.5)), "应当 stands in 5 of 6 texts"
    assert ("老公", "应当") not in found(min_score=0.5)
    assert found(min_g2=8) == {("老公", "丈夫"), ("老公", "扶养")} | {
        (asked, text) for asked in ("不给", "生活费") for text in ("丈夫", "扶养")
    }
    assert len([one for one in found(per_term=1) if one[0] == "老公"]) == 1


def test_stop_words_and_memory():
    assert "丈夫" not in {one.found for one in associate(lambda: PAIRS, LOOSE, stopwords={"丈夫"})}
    assert associate(lambda: PAIRS, LOOSE, max_pairs=1) == [], "nothing is told that was not counted"


@pytest.mark.parametrize("word", ["老公", "解除劳动合同", "lawyer"])
def test_terms(word):
    assert is_term(word)


@pytest.mark.parametrize(
    "word", ["我", "a", "17", "第一百九十一条", "七条", "二百六十四", "2万元", "中华人民共和国民法典"]
)
def test_no_terms(word):
    assert not is_term(word)


def test_examples_have_both_terms_and_the_stream_is_left_when_all_are_found():
    association = Association(asked="老公", found="丈夫", together=3, asked_in=3, found_in=3, chunks=6)

    def stream():
        yield WAGES
        yield HUSBAND
        yield HUSBAND
        pytest.fail("read on")

    (candidate,) = with_examples([association], stream())
    assert candidate.examples == (Example("老公不给生活费", "第一条", "丈夫应当扶养"),) * 2


def test_mine_leaves_out_what_is_known_and_what_is_cut_otherwise(segmenter):
    asked = []

    def pairs(texts):
        asked.append(texts)
        return PAIRS

    def mined(**options):
        return mine(pairs, segmenter, LOOSE, **options)

    everything = mined()
    assert ("老公", "丈夫") in {(one.asked, one.found) for one in everything.candidates}
    assert asked == [False, False, True], "texts are read once"
    assert everything.known == 0

    without = mined(known=[Rule(("丈夫", "老公"))])
    assert ("老公", "丈夫") not in {(one.asked, one.found) for one in without.candidates}
    assert without.known == 1

    broken = pair("丈夫", "老公不 给")
    assert mine(lambda texts: [broken] * 3 + [WAGES], segmenter, LOOSE).candidates == [], "jieba cuts 老公 | 不"
    assert len(mined(at_most=2).candidates) == 2


class Says:
    """A language model with one answer a term, which counts what it is asked."""

    name = "fake/model"
    address = ""
    usage = None

    def __init__(self, answers):
        self.answers = answers
        self.prompts = []

    def generate(self, prompt, *, json_schema=None, timeout_s=None):
        self.prompts.append(prompt)
        answer = next(answer for term, answer in self.answers.items() if f"B: {term}\n" in prompt)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        pass


def candidate(found, asked="老公"):
    example = Example("老公不给生活费", "第一条", f"{found}应当扶养")
    return Candidate(Association(asked=asked, found=found, together=3, asked_in=3, found_in=3, chunks=6), (example,))


def test_the_language_model_decides_once_and_what_it_cannot_say_stays_open(tmp_path):
    terms = {
        "丈夫": '{"synonyms": true}',
        "扶养": "否",
        "工资": LLMUnavailableError("down"),
        "应当": "也许吧",
    }
    llm = Says(terms)
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        first = list(Judge(llm, cache, concurrency=2).judge([candidate(term) for term in terms]))
        assert [one.verdict for one in first] == [True, False, None, None]
        again = Judge(llm, cache)
        assert [one.verdict for one in again.judge([candidate("丈夫"), candidate("扶养")])] == [True, False]
        assert (again.calls, again.cache_hits, len(llm.prompts)) == (0, 2, 4)
    assert "老公不给生活费" in llm.prompts[0], "an example is shown"


def test_mine_with_a_model_tells_the_refusals(tmp_path, segmenter):
    llm = Says(
        {"丈夫": "是", "扶养": "no", "应当": "no", "工资": LLMError("no answer"), "支付": "no", "用人单位": "no"}
    )
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        mined = mine(lambda _: PAIRS, segmenter, LOOSE, judge=Judge(llm, cache), at_most=100)
    assert {one.verdict for one in mined.candidates} == {True, None}
    assert {one.found for one in mined.candidates} == {"丈夫", "工资"}
    assert mined.refusal_rate == len(mined.refused) / mined.judged
    assert (mined.unjudged, mined.trouble) == (2, "no answer")


def test_terms_cannot_speak_to_the_model():
    prompt_part = described(candidate("丈夫"))
    assert prompt_part.splitlines() == ["A: 老公", "B: 丈夫", "Q: 老公不给生活费", "T: 第一条 丈夫应当扶养"]


@pytest.mark.parametrize(("answer", "verdict"), [('{"synonyms": false}', False), ("Yes.", True), ("不是", False)])
def test_verdicts(answer, verdict):
    assert parse_verdict(answer) is verdict


@pytest.mark.parametrize("answer", ["", "[]", "[" * 100_000, '{"synonyms": "maybe"}', "noted", "是否同义难说"])
def test_no_verdict(answer):
    with pytest.raises(LLMError, match="yes or no"):
        parse_verdict(answer)


def test_a_proposal_is_off_until_a_person_switches_it_on(tmp_path, segmenter):
    path = tmp_path / "deep" / "proposal.txt"
    evil = Candidate(
        Association(asked="老公", found="丈夫", together=3, asked_in=3, found_in=3, chunks=6),
        (Example("问\u2028甲, 乙\n丙 => 丁", "题\r目", ""),),
    )
    write_proposal(path, [evil, candidate("扶养")], collection="law")
    text = path.read_text(encoding="utf-8")
    assert parse_rules(text, segmenter) == []
    assert "##   问 甲, 乙 丙 => 丁 → 题 目\n# 老公 => 老公, 丈夫\n" in text
    assert "of 3 chunks asked for with 老公, 3 say 丈夫; 3 of 6 texts do" in text
    switched_on = text.replace("# 老公 => 老公, 丈夫", "老公 => 老公, 丈夫")
    assert parse_rules(switched_on, segmenter) == [Rule(("老公",), ("老公", "丈夫"))]
    with pytest.raises(SynonymsError, match="name another file"):
        write_proposal(path, [], collection="law")


def test_accept_above(tmp_path, segmenter):
    strong, weak = (
        candidate("丈夫"),
        Candidate(Association(asked="老公", found="应当", together=3, asked_in=3, found_in=5, chunks=6)),
    )
    lines = "\n".join(proposal_lines([strong, weak], "law", 0.9, tmp_path / "p.txt"))
    assert [str(rule) for rule in parse_rules(lines, segmenter)] == ["老公 => 老公, 丈夫"]
