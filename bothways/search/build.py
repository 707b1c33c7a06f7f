"""From settings to a searcher: the parts of the read path are chosen here."""

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
from bothways.search.pipeline import Searcher
from bothways.search.query.rewrite import Query2Doc, RecordedRewrites, Rewriter
from bothways.search.query.when_to_rewrite import load_rule


def build_searcher(
    settings: Settings, *, rewrites: Path | None = None, rewriter: Rewriter | None = None
) -> tuple[Searcher, Server]:
    """Connect, and return a searcher whose models are loaded at their first use.

    `rewrites` is a file of recorded pseudo-documents, used instead of the language model. It is read here, and so is
    the rule of expansion, so that a bad file is an error at once. `rewriter` replaces both.
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
    """Return the settings with another reranker, a folder of this machine."""
    return settings.model_copy(update={"reranker_model": folder, "reranker_url": None})


def build_rewriter(settings: Settings) -> Rewriter | None:
    """Return Query2Doc where a language model is set, else None."""
    llm = load_llm(settings)
    if llm is None:
        return None
    cache = AnswerCache(settings.cache_dir / "answers.sqlite")
    return Query2Doc(llm, cache, timeout_s=settings.llm_timeout_s, concurrency=settings.llm_concurrency)
