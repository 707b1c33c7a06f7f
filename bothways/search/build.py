"""From settings to a searcher: the one place where the read path's parts are chosen."""

from __future__ import annotations

from pathlib import Path

from bothways.core.analysis import load_segmenter
from bothways.core.elastic.client import Server
from bothways.core.settings import Settings
from bothways.models.embed.encoder import load_encoder
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.language_model import load_llm
from bothways.models.rerank.cross_encoder import check_reranker, load_cross_encoder
from bothways.node.connect import connect
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.query.rewrite import Query2Doc, RecordedRewrites, Rewriter
from bothways.search.query.when_to_rewrite import load_rule


def build_searcher(
    settings: Settings, *, rewrites: Path | None = None, rewriter: Rewriter | None = None
) -> tuple[Searcher, Server]:
    """Connect, and prepare a searcher whose models are loaded at their first use.

    `rewrites` is a file of recorded pseudo-documents, used instead of the language model; it is read here, so that a
    bad one is a `UsageError` at once. So is the rule of expansion. `rewriter` stands instead of both.
    """
    check_reranker(settings)
    recorded = RecordedRewrites(rewrites) if rewrites is not None else None
    rule = load_rule(settings)
    client, server = connect(settings)
    searcher = Searcher(
        client,
        load_segmenter(settings),
        lambda: load_encoder(settings),
        embedding_model=settings.embedding_model,
        cross_encoder=lambda: load_cross_encoder(settings),
        learnt_cross_encoder=lambda folder: load_cross_encoder(with_reranker(settings, folder)),
        rerank_cache_size=settings.rerank_cache_size,
        rewriter=lambda: rewriter or recorded or build_rewriter(settings),
        expansion_rule=rule,
        timeout_ms=settings.search_timeout_ms,
    )
    return searcher, server


def with_reranker(settings: Settings, folder: str) -> Settings:
    """Return the settings with another reranker: a folder of this machine."""
    return settings.model_copy(update={"reranker_model": folder, "reranker_url": None})


def build_rewriter(settings: Settings) -> Rewriter | None:
    """Return Query2Doc where a language model is set, else None."""
    llm = load_llm(settings)
    if llm is None:
        return None
    cache = AnswerCache(settings.cache_dir / "answers.sqlite")
    return Query2Doc(llm, cache, timeout_s=settings.llm_timeout_s, concurrency=settings.llm_concurrency)


def default_options(settings: Settings) -> SearchOptions:
    """Return the options that the settings ask for; a request puts its own on top."""
    return SearchOptions(
        leg_k=settings.leg_k,
        num_candidates=settings.num_candidates,
        rank_constant=settings.rank_constant,
        weight_bm25=settings.weight_bm25,
        weight_dense=settings.weight_dense,
        weight_questions=settings.weight_questions,
        weight_cjk=settings.weight_cjk,
        oversample=settings.oversample,
        fusion=settings.fusion,
        convex_weight=settings.convex_weight,
        leg_cutoff=settings.leg_cutoff,
        deduplicate=settings.deduplicate,
        rewrite_deadline_ms=settings.rewrite_deadline_ms,
        rerank_top_n=settings.rerank_top_n,
        rerank_budget_ms=settings.rerank_budget_ms,
        rerank_alpha=settings.rerank_alpha,
        rerank_min_score=settings.rerank_min_score,
        max_query_chars=settings.max_query_chars,
        self_query=settings.self_query,
        self_query_boost=settings.self_query_boost,
        search_timeout_ms=settings.search_timeout_ms,
        encode_timeout_ms=settings.encode_timeout_ms,
    )
