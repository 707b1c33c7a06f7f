from __future__ import annotations

from bothways.evaluation.judged.gold import GoldDocument, relevance_of


def test_judgements_keep_what_is_not_in_the_index():
    gold = [
        GoldDocument(doc_id="d1", relevance=2, in_index=True, title="题"),
        GoldDocument(doc_id="d2", relevance=1, in_index=False),
    ]
    assert relevance_of(gold) == {"d1": 2, "d2": 1}
    assert relevance_of([]) == {}
