"""Groups of a collection and of judged queries, mined in a real Elasticsearch, and the command around it."""

from __future__ import annotations

import json

import pytest

from bothways.core.collections.collection import open_collection
from bothways.core.errors import UsageError
from bothways.learning.leakage import LeakageFilter
from bothways.learning.reranker.data.build import MiningOptions, make_groups, searching
from bothways.learning.reranker.data.groups import JudgedSet, judged_questions, pseudo_questions
from tests.learning.reranker.data.test_build import Reader

pytestmark = pytest.mark.elasticsearch

ARTICLES = {
    "a1": ("劳动法 第一条", "用人单位应当按月支付劳动者工资，不得拖欠。", ["老板拖欠工资怎么办", "工资能晚发吗"]),
    "a2": ("婚姻法 第二条", "夫妻应当互相忠实，互相尊重。", ["老公出轨了怎么办", "夫妻之间要忠实吗"]),
    "a3": ("物业条例 第三条", "物业服务人应当维护小区的基本秩序。", ["小区太乱物业不管", "物业要管什么"]),
    "a4": ("道路法 第四条", "机动车应当礼让行人，违者罚款。", ["开车不让行人罚多少", "要礼让行人吗"]),
}


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    rows = [{"_id": name, "title": title, "text": text} for name, (title, text, _) in ARTICLES.items()]
    (docs / "corpus.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return docs


@pytest.fixture
def opened(es, build, collection, folder):
    from bothways.indexer.doc2query.recorded_questions import RecordedQuestions

    path = folder.parent / "questions.jsonl"
    rows = [{"text": text, "questions": questions} for _, text, questions in ARTICLES.values()]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    build(folder, writer=RecordedQuestions(path))
    return open_collection(es[0], collection)


def test_pseudo_questions_come_with_their_chunks(es, opened, collection):
    found = {one.text: one.positive for one in pseudo_questions(es[0], opened.index, collection=collection)}
    assert len(found) == 8
    assert found["老公出轨了怎么办"].text == ARTICLES["a2"][1]


def test_groups_are_mined_from_the_collection(es, opened, collection, searcher):
    judged = JudgedSet(
        name="beir",
        collection=collection,
        queries=[("q1", "单位不发钱", frozenset({"a1"})), ("q2", "没有", frozenset({"zz"}))],
    )
    asked = [
        *pseudo_questions(es[0], opened.index, collection=collection),
        *judged_questions(es[0], opened.index, judged),
    ]
    assert [one.text for one in asked if one.kind == "judged"] == ["单位不发钱"], "a document that is not there"
    mining = MiningOptions(negatives=2, dev_share=0.5, title_share=1.0)
    groups, counts = make_groups(
        asked, searching(searcher, depth=10), Reader(), mining, leakage=LeakageFilter(["工资能晚发吗？"])
    )
    assert counts.kept_out == {f"{collection}: same": 1}
    texts = {f"{title}\n{text}" for title, text, _ in ARTICLES.values()}
    for group in groups:
        assert {group.positive, *group.negatives} <= texts
        assert group.positive not in group.negatives


def test_a_collection_without_questions_says_what_to_do(es, build, collection, folder):
    from bothways.learning.reranker.build import Sources, _asked

    build(folder)
    opened = {collection: open_collection(es[0], collection)}
    with pytest.raises(UsageError, match="has no questions to learn from"):
        list(_asked(es[0], Sources(collections=[collection]), opened))
