"""Milliseconds a search and nDCG@10: `hybrid` and `hybrid_rerank` over HTTP beside the others' pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.shared.judged import first_of_each, ndcg
from benchmarks.shared.measure import peak_rss_mb, percentile
from benchmarks.shared.plan import TOP_K, SearchPlan
from benchmarks.shared.report import Benchmark, Row, Target, row_of
from benchmarks.sides.run import run_bothways, run_theirs, served
from bothways.core.collections.collection import open_collection

OVERHEAD_MS = 8.0
"""At most so much may HTTP and our Python add, at the median, to the encoder and `_msearch` on their own."""
HYBRID_RATIO = 0.5
RERANK_RATIO = 0.35
"""Our p50 as a part of theirs, at most."""

ABOUT = """\
- All: the same chunks, pseudo-questions, vectors, models and node; one question after another, in processes of their
  own; {top_k} hits. Every question is asked once for its ranking, which also warms up; the first {timed} are then
  timed. They are of STARD's part `dev` (or the sample handbook's), which nothing was tuned on; none is in the index.
- Bothways: POST /api/v1/search to `bothways serve`, timed by an HTTP client. hybrid: three legs of {leg_k} hits in one
  _msearch, fused. hybrid_rerank: its first {candidates} candidates by a cross-encoder.
- Haystack: ElasticsearchBM25Retriever + SentenceTransformersTextEmbedder → ElasticsearchEmbeddingRetriever, {leg_k}
  hits each → DocumentJoiner(reciprocal_rank_fusion) [→ SentenceTransformersSimilarityRanker over {candidates}], called
  without HTTP, all else its defaults. Measured over the chunks alone and with the questions as Documents beside them;
  "Haystack" is the better of the two in each row, so they may be different ones.
- LangChain: ElasticsearchStore(DenseVectorStrategy(hybrid=True, rrf=False)) over the chunks, without HTTP: the hybrid
  strategy that a Basic licence allows. The store does not rerank.
- The cross-encoder is {reranker}: the same file on both sides.
- Added by HTTP + our Python: the HTTP client's time less the encoder alone and the official client's `_msearch` alone
  (same query, same bodies, right after it, in the client's process). Below it the same by the server's own
  `timings_ms` (less encode and retrieve, which hold some of our Python: jieba, bodies, hits). Both have to be met."""

UNTRAINED = "untrained (the embedding model's layers, a head of a fixed seed), so only its time means anything"


def run_searching(
    plan: SearchPlan, client: Elasticsearch, counts: Mapping[str, int], say: Callable[[str], None]
) -> Benchmark:
    """Search on all sides."""
    say("searching: Bothways …")
    job = {
        "collection": plan.collection,
        "queries": plan.judged.texts,
        "timed": plan.timed,
        "passes": plan.passes,
        "rerank_passes": 1,
        "top_k": TOP_K,
    }
    with served(plan.server_environment()) as server:
        ours = run_bothways("search", {**job, "port": server.port})
        ours["peak_rss_mb"] = peak_rss_mb(server.pid)
    theirs: dict[str, dict[str, Any]] = {}
    for name, module, questions, rerank in (
        ("haystack", "haystack_search", False, False),
        ("haystack_questions", "haystack_search", True, False),
        ("haystack_rerank", "haystack_search", False, True),
        ("langchain", "langchain", False, False),
    ):
        say(f"searching: {name} …")
        its = plan.job(module.partition("_")[0], questions=questions)
        its |= {"rerank": rerank, "passes": 1 if rerank else plan.passes}
        its |= {"queries": plan.judged.texts[: plan.timed]} if rerank else {}
        theirs[name] = run_theirs(module, "search", its, plan.settings)
    collection = open_collection(client, plan.collection)

    def quality(rankings: Mapping[str, Sequence[str]]) -> float:
        distinct = {query: first_of_each(found) for query, found in rankings.items()}
        return ndcg(client, collection, plan.judged.queries, distinct)

    values = {"bothways": quality(ours["rankings"]["hybrid"])}
    values |= {name: quality(side["rankings"]) for name, side in theirs.items() if name != "haystack_rerank"}
    about = ABOUT.format(
        top_k=TOP_K,
        timed=plan.timed,
        leg_k=plan.settings.leg_k,
        candidates=plan.settings.rerank_top_n,
        reranker=plan.settings.reranker_model or UNTRAINED,
    )
    facts = {**counts, "judged": len(plan.judged.queries), "timed": plan.timed, "corpus": plan.judged.name}
    return compare(ours, theirs, values, about=about, facts=facts)


def compare(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Mapping[str, Any]],
    quality: Mapping[str, float],
    *,
    about: str,
    facts: Mapping[str, Any],
) -> Benchmark:
    """Put the timings of single searches, the memory and the quality into one table."""
    plain, beside, ranked = theirs["haystack"], theirs["haystack_questions"], theirs["haystack_rerank"]
    langchain = theirs["langchain"]
    rows: list[Row] = []
    for percent in (50, 95):
        mine = percentile(ours["ms"]["hybrid"], percent)
        other = min(percentile(side["ms"], percent) for side in (plain, beside))
        target = (
            Target(name="hybrid p50, part of Haystack's", value=mine / other, at_most=HYBRID_RATIO)
            if percent == 50
            else None
        )
        third = percentile(langchain["ms"], percent)
        rows.append(
            Row(
                name=f"hybrid p{percent}, ms",
                bothways=mine,
                other=other,
                ratio=other / mine,
                target=target,
                third=third,
            )
        )
    for percent in (50, 95):
        mine, other = (percentile(ms, percent) for ms in (ours["ms"]["hybrid_rerank"], ranked["ms"]))
        name = "hybrid_rerank p50, part of Haystack's"
        target = Target(name=name, value=mine / other, at_most=RERANK_RATIO) if percent == 50 else None
        rows.append(
            Row(name=f"hybrid_rerank p{percent}, ms", bothways=mine, other=other, ratio=other / mine, target=target)
        )
    best = max(quality["haystack"], quality["haystack_questions"])
    not_lower = Target(name="hybrid nDCG@10 less Haystack's", value=quality["bothways"] - best, at_least=0.0)
    ratio = quality["bothways"] / best if best else None
    rows.append(
        Row(
            name="hybrid nDCG@10",
            bothways=quality["bothways"],
            other=best,
            ratio=ratio,
            target=not_lower,
            third=quality["langchain"],
        )
    )
    peaks = (ours["peak_rss_mb"], ranked["peak_rss_mb"], langchain["peak_rss_mb"])
    rows.append(replace(row_of("peak RSS, MB (with the reranker, but LangChain)", *peaks[:2]), third=peaks[2]))
    rows.append(Row(name="hybrid_rerank, cut short", bothways=ours["cut_short"]))
    parts = ours["parts"]
    http, told = [added_ms(row) for row in parts], [added_by_server(row) for row in parts]
    by_client = Target(name="HTTP + our Python, p50 ms", value=percentile(http, 50), at_most=OVERHEAD_MS)
    by_server = Target(name="HTTP + our Python by timings_ms, p50 ms", value=percentile(told, 50), at_most=OVERHEAD_MS)
    alone = {"encoder": "encoder_alone", "_msearch": "msearch_alone", "_msearch, the node's own clock": "took"}
    rows += [
        Row(name=f"  {label} alone, p50", bothways=percentile([row[key] for row in parts], 50))
        for label, key in alone.items()
    ]
    rows.append(Row(name="  added by HTTP + our Python, p50", bothways=by_client.value, target=by_client))
    rows.append(Row(name="  the same by timings_ms, p50", bothways=by_server.value, target=by_server))
    detail = {
        name: {"p50_ms": percentile(side["ms"], 50), "ndcg@10": quality.get(name), "peak_rss_mb": side["peak_rss_mb"]}
        for name, side in theirs.items()
    }
    raw = {
        "bothways": {"ms": ours["ms"], "parts": list(parts)},
        **{name: {"ms": side["ms"]} for name, side in theirs.items()},
    }
    return Benchmark(
        name="searching", about=about, rows=tuple(rows), facts={**facts, "others": detail}, raw=raw, third="LangChain"
    )


def added_ms(row: Mapping[str, float]) -> float:
    """Return what one search took beyond the encoder alone and `_msearch` alone."""
    return row["http"] - row["encoder_alone"] - row["msearch_alone"]


def added_by_server(row: Mapping[str, float]) -> float:
    """Return what one search took beyond what the server itself counts as encoding and retrieving."""
    return row["http"] - row["server_encode"] - row["server_retrieve"]
