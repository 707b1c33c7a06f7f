"""From settings to a searcher: the one place where the read path's parts are chosen."""

from __future__ import annotations

from core.analysis import load_segmenter
from core.elastic import Server, connect
from core.models.cross_encoder import load_cross_encoder
from core.models.encoder import load_encoder
from core.settings import Settings
from search.pipeline import Searcher, SearchOptions


def build_searcher(settings: Settings) -> tuple[Searcher, Server]:
    """Connect, and prepare a searcher whose models are loaded at their first use."""
    client, server = connect(settings)
    searcher = Searcher(
        client,
        load_segmenter(settings),
        lambda: load_encoder(settings),
        embedding_model=settings.embedding_model,
        cross_encoder=lambda: load_cross_encoder(settings),
    )
    return searcher, server


def default_options(settings: Settings) -> SearchOptions:
    """Give the options that the settings ask for; a request puts its own on top."""
    return SearchOptions(
        leg_k=settings.leg_k,
        num_candidates=settings.num_candidates,
        rank_constant=settings.rank_constant,
        weight_bm25=settings.weight_bm25,
        weight_dense=settings.weight_dense,
        rerank_top_n=settings.rerank_top_n,
        max_query_chars=settings.max_query_chars,
    )
