"""What `bothways search` prints for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bothways.cli.shown import show
from bothways.core.results import (
    Context,
    Expansion,
    Facet,
    FacetValue,
    Hit,
    LegScore,
    MatchedWords,
    Neighbour,
    SearchResult,
)
from bothways.schemas import search as schemas

TOLD = MatchedWords(words=("昏倒", "怎么办"), synonyms={"丈夫": "老公"}, in_questions=("怎么办",), bigrams=("老公昏",))
HIT = Hit(
    chunk_id="a-1",
    score=0.0325,
    doc_id="a",
    position=1,
    title="甲法 第二条",
    text="丈夫昏倒的。\n第二段。",
    source="a.txt",
    legs={
        "bm25": LegScore(rank=1, score=7.125, words=TOLD),
        "questions": LegScore(rank=12, score=0.88, matched="老公昏倒怎么办"),
    },
    rrf=0.0325,
    cross_encoder=2.614,
    context=Context(
        before=(Neighbour(chunk_id="a-0", doc_id="a", position=0, title="甲法 第二条", text="前面。"),),
        after=(Neighbour(chunk_id="b-0", doc_id="b", position=0, title="甲法 第三条", text="后面。"),),
    ),
)


def result(*hits, **more):
    fields = {"total": len(hits), "degraded": []} | more
    return SearchResult(
        query_id="q",
        query="老公昏倒",
        strategy="hybrid",
        collection="c",
        index="bothways-c-v1",
        hits=[replace(hit, rank=rank) for rank, hit in enumerate(hits, fields.get("offset", 0) + 1)],
        legs={},
        timings_ms={"total": 12.4},
        **fields,
    )


@pytest.fixture
def printed(capsys):
    def run(result, *, explain=False):
        show(schemas.SearchResult.model_validate(result, context={"explain": explain}), explain=explain)
        return capsys.readouterr().out

    return run


def test_everything(printed):
    law = Facet((FacetValue("甲法", 2), FacetValue("乙法", 1)), others=3, missing=4)
    text = printed(result(HIT, offset=5, total=70, facets={"law": law, "year": Facet(())}), explain=True)
    assert (
        text
        == """\
6. 甲法 第二条  a.txt  0.0325
   ↑ 前面。
   丈夫昏倒的。
   第二段。
   ↓ 甲法 第三条: 后面。
   bm25      #1   7.125    words: 昏倒 丈夫 (for 老公); in its questions: 怎么办; characters: 老公昏
   questions #12  0.880    “老公昏倒怎么办”
   rrf            0.0325
   cross-encoder  2.61
law: 甲法 2, 乙法 1, 3 others, 4 without
year: –
6–6 of 70, hybrid on bothways-c-v1, 12 ms, go on with --offset 6
"""
    )


def test_highlights_instead_of_the_text(printed):
    hit = Hit(chunk_id="a-0", score=1, title="t", text="x", source="s", highlights=("a &lt;b&gt; <em>c&amp;d</em>。",))
    assert printed(result(hit)) == "1. t  s  1.0000\n   a <b> **c&d**。\n1–1 of 1, hybrid on bothways-c-v1, 12 ms\n"


def test_nothing_and_nothing_more(printed):
    nothing = printed(result(degraded=["rerank"]))
    assert nothing == "Nothing was found.\nhybrid on bothways-c-v1, 12 ms, without: rerank\n"
    assert printed(result(offset=20, total=12)).startswith("There are only 12 hits.\n")


def test_foreign_text_is_shown_as_it_is(printed):
    hit = Hit(chunk_id="a-0", score=1, title="[bold]t[/bold]", text="[red]\x1b[2J", source="s")
    assert printed(result(hit)).startswith("1. [bold]t[/bold]  s  1.0000\n   [red]\\x1b[2J\n")


def test_why_a_pseudo_document_was_wanted(printed):
    wanted = result(
        HIT, expansion=Expansion(wanted=True, rule="logistic", score=0.2514, signs={"gap_10": 0.0412, "length": 2.3})
    )
    line = "expansion wanted (rule logistic, score +0.251): gap_10 0.0412, length 2.3\n"
    assert line in printed(wanted, explain=True)
    assert "expansion" not in printed(wanted)
    unknown = result(HIT, expansion=Expansion(wanted=False, rule="built-in", score=None, signs={"length": 2.3}))
    assert "expansion not wanted (rule built-in, nothing to tell by): length 2.3\n" in printed(unknown, explain=True)
