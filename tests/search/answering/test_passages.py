from __future__ import annotations

from bothways.core.results import Context, Hit, Neighbour
from bothways.models.llm.usage import estimate_tokens
from bothways.search.answering.passages import MOST_ABOUT, OVERHEAD, about, build_passages


def hit(doc, position=0, text=None, **more):
    return Hit(
        chunk_id=f"{doc}-{position}",
        score=1.0,
        doc_id=doc,
        position=position,
        title=more.pop("title", ""),
        text=text or f"{doc}第{position}段",
        **more,
    )


def beside(doc, position):
    return Neighbour(chunk_id=f"{doc}-{position}", doc_id=doc, position=position, title="", text=f"{doc}第{position}段")


def shape(passages):
    return [(passage.n, passage.chunk_id, passage.chunk_ids, passage.rank) for passage in passages]


def test_the_best_first_and_numbered():
    passages = build_passages([hit("b"), hit("a", 3)], max_tokens=1000)
    assert shape(passages) == [(1, "b-0", ("b-0",), 1), (2, "a-3", ("a-3",), 2)]
    assert passages[1].text == "a第3段"


def test_chunks_that_follow_each_other_are_one_passage_in_the_order_of_the_text():
    passages = build_passages([hit("a", 4), hit("b"), hit("a", 3), hit("a", 6)], max_tokens=1000)
    assert shape(passages) == [(1, "a-4", ("a-3", "a-4"), 1), (2, "b-0", ("b-0",), 2), (3, "a-6", ("a-6",), 4)]
    assert passages[0].text == "a第3段\na第4段"
    assert passages[0].hit.position == 4


def test_neighbours_of_the_document_are_merged_in_and_those_of_others_left_out():
    found = hit("a", 2, context=Context((beside("z", 0), beside("a", 1)), (beside("a", 3),)))
    (passage,) = build_passages([found], max_tokens=1000)
    assert passage.chunk_ids == ("a-1", "a-2", "a-3")
    assert passage.chunk_id == "a-2"


def test_the_budget_holds_hits_before_neighbours_and_shorter_ones_after_longer():
    long, short = "长" * 100, "短" * 10
    hits = [hit("a", 0, short, context=Context((), (beside("a", 1),))), hit("b", 0, long), hit("c", 0, "矮" * 10)]
    cost = OVERHEAD + estimate_tokens(short)
    assert cost == 30
    assert [passage.hit.doc_id for passage in build_passages(hits, max_tokens=60)] == ["a", "c"]
    everything = build_passages(hits, max_tokens=60 + OVERHEAD + 100 + OVERHEAD + estimate_tokens("a第1段"))
    assert [passage.chunk_ids for passage in everything] == [("a-0", "a-1"), ("b-0",), ("c-0",)]


def test_neighbours_of_a_hit_that_does_not_fit_stay_out():
    hits = [hit("a", 0, "短" * 10), hit("b", 0, "长" * 500, context=Context((), (beside("b", 1),)))]
    assert shape(build_passages(hits, max_tokens=100)) == [(1, "a-0", ("a-0",), 1)]


def test_the_best_hit_is_cut_where_it_is_too_long_for_all():
    (passage,) = build_passages([hit("a", 0, "长" * 500)], max_tokens=120)
    assert passage.text == "长" * 100
    (tiny,) = build_passages([hit("a", 0, "长" * 500, title="题" * 300)], max_tokens=100)
    assert tiny.text == "长"


def test_the_same_text_is_read_once():
    text = "同样的话，" * 20
    passages = build_passages([hit("a", 0, text), hit("b", 0, text), hit("c")], max_tokens=1000)
    assert shape(passages) == [(1, "a-0", ("a-0",), 1), (2, "c-0", ("c-0",), 3)]


def test_nothing_found_is_no_passage():
    assert build_passages([], max_tokens=1000) == []


def test_what_is_known_of_a_passage_is_one_short_line():
    known = about(hit("a", source="f.txt", metadata={"law": "民法典", "tags": ["x", "y\nz"]}))
    assert known == "f.txt | law=民法典 | tags=x, y z"
    assert len(about(hit("a", metadata={"long": "x" * 1000}))) == MOST_ABOUT
