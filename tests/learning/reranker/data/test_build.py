"""Questions to groups with a search that is made by hand."""

from __future__ import annotations

import pytest

from bothways.core.errors import UsageError
from bothways.core.results import Hit, LegScore
from bothways.learning.leakage import LeakageFilter
from bothways.learning.reranker.data.build import MORE_FOR_DEV, MiningOptions, Retrieved, make_groups
from bothways.learning.reranker.data.groups import Group, Question, answering, draw, part_of, read_groups, write_groups


class Reader:
    """A token a character."""

    at_once = 1
    pair_tokens = 40

    def spans(self, text):
        return [(at, at + 1) for at in range(len(text))]


def chunk(number, cosine=0.0):
    text = f"第{number}条规定了{chr(0x4E00 + 97 * number)}{chr(0x4E00 + 61 * number)}" * 2
    score = (1 + cosine) / 2
    return Hit(
        chunk_id=f"c{number}",
        score=score,
        doc_id=f"d{number}",
        title=f"题{number}",
        text=text,
        legs={"text_sem": LegScore(rank=1, score=score)},
    )


def asked(number, kind="questions", text=None):
    positive = chunk(number)
    key = f"{kind}/{number:04}"
    return Question(
        key=key,
        text=text or f"问题{number}" * 3,
        kind=kind,
        source=kind,
        collection="law",
        relevant=frozenset({positive.chunk_id}),
        positive=positive,
    )


def retrieve(one):
    number = int(one.positive.chunk_id[1:])
    others = [chunk(number + step, 0.5 - step / 100) for step in range(1, 30)]
    shares = {f"c{number + step}": 1.0 - step / 20 for step in range(11)}
    return Retrieved({"text_sem": [chunk(number, 0.9), *others]}, shares)


QUESTIONS = [asked(number) for number in range(200)]


def made(questions=QUESTIONS, leakage=(), **mining):
    return make_groups(questions, retrieve, Reader(), MiningOptions(**mining), leakage=LeakageFilter(leakage))


def test_groups_have_the_answer_first_and_so_many_negatives():
    groups, counts = made()
    assert counts.groups["train"] + counts.groups["dev"] == len(groups) == 200
    assert 8 <= counts.groups["dev"] <= 35  # a tenth of 200
    for group in groups:
        assert len(group.negatives) == 5 * (MORE_FOR_DEV if group.part == "dev" else 1)
        assert group.passages[0] == group.positive
        assert group.positive not in group.negatives


def test_titles_are_there_in_about_half_of_the_groups_and_all_or_none_of_a_group():
    groups, _ = made()
    titled = [group for group in groups if group.positive.startswith("题")]
    assert 70 < len(titled) < 130
    for group in groups:
        assert len({text.startswith("题") for text in group.passages}) == 1
    assert all(not group.positive.startswith("题") for group in made(title_share=0.0)[0])


def test_the_seed_gives_the_same_groups_whatever_the_order_of_the_questions():
    assert made(seed=3)[0] == made(reversed(QUESTIONS), seed=3)[0]
    assert made(seed=3)[0] != made(seed=4)[0]


def test_kept_out_questions_are_not_trained_on():
    groups, counts = made(leakage=["问题7问题7问题7？", "问题199问题199问题198"])
    assert {one.key for one in QUESTIONS} - {group.key for group in groups} >= {"questions/0007", "questions/0199"}
    assert counts.kept_out["questions: same"] == 1
    assert counts.kept_out["questions: near"] >= 1


def test_pseudo_questions_of_one_answer_stay_in_one_part():
    for number in range(20):
        parts = {part_of(asked(number, text=f"问题{wording}"), dev_share=0.5) for wording in range(5)}
        assert len(parts) == 1
    assert {part_of(asked(number), dev_share=0.5) for number in range(20)} == {"train", "dev"}


def test_all_answers_to_one_question_of_people_stay_in_one_part():
    for number in range(20):
        parts = {part_of(asked(answer, "judged", f"问题{number}"), dev_share=0.5) for answer in range(5)}
        assert len(parts) == 1
    assert {part_of(asked(1, "judged", f"问题{n}"), dev_share=0.5) for n in range(20)} == {"train", "dev"}


def test_people_come_first_where_not_all_fit():
    people = [asked(number, "judged") for number in range(30)]
    kinds = [one.kind for one in draw([*QUESTIONS, *people], at_most=50, seed=1)]
    assert (kinds.count("judged"), kinds.count("questions")) == (25, 25)
    kinds = [one.kind for one in draw([*QUESTIONS, *people], at_most=100, seed=1)]
    assert (kinds.count("judged"), kinds.count("questions")) == (30, 70)
    assert len(draw([*QUESTIONS[:3], *people], at_most=20, seed=1)) == 20


def test_of_general_questions_come_no_more_than_their_share():
    general = [asked(number, "judged") for number in range(100)]
    mining = {"seed": 1, "general": frozenset({"judged"}), "general_share": 0.1}
    kinds = [one.kind for one in draw([*QUESTIONS, *general], at_most=100, **mining)]
    assert (kinds.count("judged"), kinds.count("questions")) == (10, 90)
    kinds = [one.kind for one in draw([*QUESTIONS, *general], at_most=None, **mining)]
    assert (kinds.count("judged"), kinds.count("questions")) == (22, 200)
    assert len(draw([*QUESTIONS[:3], *general], at_most=100, **mining)) == 3  # a tenth of three is none


def test_what_people_asked_keeps_the_first_stages_shares_of_score():
    groups, _ = made([asked(number, "judged") for number in range(60)])
    for group in groups:
        number = int(group.key.split("/")[1])
        texts = {chunk(number + step).text: max(0.5, 1.0 - step / 20) for step in range(30)}
        mining = [texts[passage.split("\n")[-1]] for passage in group.passages]
        assert group.first == pytest.approx(mining)
        assert group.kind == "judged"


def test_of_a_pseudo_question_it_keeps_the_cosines():
    for group in made()[0]:
        number = int(group.key.split("/")[1])
        assert group.first[0] == pytest.approx(0.9)
        assert group.first[1:] == pytest.approx(
            [
                next(0.5 - step / 100 for step in range(1, 30) if chunk(number + step).text in text)
                for text in group.negatives
            ]
        )


def test_too_little_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match="some hundreds"):
        made(QUESTIONS[:1])


def test_the_chunk_that_shares_most_words_answers():
    first = Hit(chunk_id="a-0", score=0.0, position=0, text="总则")
    second = Hit(chunk_id="a-1", score=0.0, position=1, text="拖欠工资的责任")
    assert answering("老板拖欠工资", [second, first]) == second
    assert answering("别的", [second, first]) == first


def test_groups_on_disk(tmp_path):
    groups = [Group(key="k", query="问", positive="答", negatives=("非", "否"), source="law", part="dev")]
    write_groups(tmp_path / "groups.jsonl", groups)
    assert read_groups(tmp_path / "groups.jsonl") == groups
    (tmp_path / "broken.jsonl").write_text('{"key": 1}\n')
    with pytest.raises(UsageError, match=r"broken\.jsonl"):
        read_groups(tmp_path / "broken.jsonl")
