"""One search, top to bottom: a question is rewritten and encoded, all legs are asked at once, fused, reranked and cut.

A stage that fails is left out and named in `degraded`, as long as another leg can answer.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import structlog
from elasticsearch import Elasticsearch

from core.analysis import Segmenter
from core.collection import Collection
from core.datatypes import Hit, Leg, Query, SearchResult, Vector
from core.errors import (
    CollectionNotFoundError,
    ElasticsearchError,
    LLMError,
    MissingExtraError,
    ModelError,
    QueryError,
    SettingsError,
)
from core.models.protocols import CrossEncoder, Encoder
from core.once import Once
from core.valid_text import valid_text
from search.bodies import bm25_body, knn_body
from search.combine import fuse
from search.duplicates import drop_copies
from search.facets import check_fields, facets
from search.filters import filter_clauses
from search.options import LEGS, RERANKED, SearchOptions
from search.paging import cut, preference
from search.rerank import Reranker
from search.rerank_stage import above_threshold, load_reranker, rerank_stage, warm_up_reranker
from search.retrieve import Retrieved, retrieve
from search.rewrite import Rewriter
from search.selfquery import NOTHING, Understood, first, still_first, understand
from search.show import Shown, show
from search.terms import Terms
from search.versions import Versions
from search.vocabularies import Vocabularies
from search.weak import is_weak

log = structlog.get_logger()


class Searcher:
    """Searches collections of one Elasticsearch. Thread-safe; models are loaded at the first use or by `warm_up`.

    `encoder`, `cross_encoder` and `rewriter` are called once; the latter two may give None where none is configured.
    """

    def __init__(
        self,
        client: Elasticsearch,
        segmenter: Segmenter,
        encoder: Callable[[], Encoder],
        *,
        embedding_model: str,
        cross_encoder: Callable[[], CrossEncoder | None] = lambda: None,
        rerank_cache_size: int = 20_000,
        rewriter: Callable[[], Rewriter | None] = lambda: None,
    ) -> None:
        self.client = client
        self.segmenter = segmenter
        self.embedding_model = embedding_model
        self._encoder = Once(encoder)
        self._reranker = Once(partial(load_reranker, cross_encoder, cache_size=rerank_cache_size))
        self._rewriter = Once(rewriter)
        self._terms = Terms(client)
        self.versions = Versions(client, embedding_model=embedding_model, analyzer=segmenter.name)
        self.vocabularies = Vocabularies(client)

    @property
    def encoder(self) -> Callable[[], Encoder]:
        """What gives the encoder; an indexing job of the same process takes it too, instead of a second in memory."""
        return self._encoder

    @property
    def reranker(self) -> Callable[[], Reranker | None]:
        """What gives the reranker; evaluation scores pairs with it, outside of searches."""
        return self._reranker

    def warm_up(self) -> None:
        """Load dictionary, encoder and reranker now, so that the first search is as fast as the next."""
        self.segmenter.warm_up()
        self._encoder().encode_queries(["预热"])
        warm_up_reranker(self._reranker)

    def search(self, text: str, collection: str, options: SearchOptions) -> SearchResult:
        """Answer one question; raises `QueryError`, `CollectionNotFoundError`, `UnknownFieldError`, ..."""
        clock = _Clock()
        query = _query(text, options)
        degraded: list[str] = []
        with clock.stage("open"):
            opened = self.versions.open(collection)
            check_fields(options.facets, known=opened.metadata_fields)
        with clock.stage("self_query"):
            understood = self._understand(query, opened, degraded) if options.self_query else NOTHING
        rewrite = options.rewrite_of_dense
        if rewrite == "query2doc":
            with clock.stage("rewrite"):
                query = self._rewrite(query, options, degraded)
        legs = list(LEGS[options.strategy])
        with clock.stage("encode"):
            words = self.segmenter.words(query.text) if "bm25" in legs or options.highlight else []
            vector = self._vector(query, legs, options, degraded)
        with clock.stage("retrieve"):
            cited: list[Hit] = []
            if understood.filters:
                opened, retrieved = self._retrieve(
                    opened,
                    lambda version: _bodies(query, words, vector, legs, options, version, understood),
                    preference(query.text),
                )
                cited = fuse(retrieved.legs, options)
                understood = understood if cited else understood.relaxed()
            if understood.wants_all:
                opened, retrieved = self._retrieve(
                    opened,
                    lambda version: _bodies(query, words, vector, legs, options, version, understood.unfiltered),
                    preference(query.text),
                )
            degraded += retrieved.failed
        worth = rewrite == "auto" and understood.wants_all and vector is not None
        if worth and is_weak(retrieved.legs, depth=options.depth):
            query, retrieved = self._again(query, retrieved, opened, options, clock, degraded)
        with clock.stage("fuse"):
            hits = first(cited, fuse(retrieved.legs, options))
            hits = drop_copies(hits) if options.shows_once else hits
        reranking = None
        if options.strategy in RERANKED:
            with clock.stage("rerank"):
                hits, reranking = rerank_stage(self.reranker, query.text, hits, options, degraded)
                hits = still_first(cited, hits)
        with clock.stage("show"):
            every = above_threshold(hits, options, degraded)
            page = Shown(opened.index, query.text, words, _filters(options, opened))
            shown = show(self.client, self._terms, cut(every, options), page, options, degraded)
            counted = facets(every, options.facets, known=opened.metadata_fields, size=options.facet_size)
        return SearchResult(
            query_id=uuid.uuid4().hex,
            query=query,
            strategy=options.strategy,
            collection=collection,
            index=opened.index,
            hits=shown,
            legs=retrieved.legs,
            timings_ms=clock.done(),
            degraded=degraded,
            offset=options.offset,
            total=len(every),
            facets=counted,
            self_query=understood.told,
            reranking=reranking,
        )

    def _understand(self, query: Query, opened: Collection, degraded: list[str]) -> Understood:
        """Read names and numbers of the collection's metadata in the question; without them it is asked as it is."""
        try:
            return understand(query.text, self.vocabularies.of(opened))
        except ElasticsearchError as error:
            log.warning("self_query_failed", reason=str(error))
            degraded.append("self_query")
            return NOTHING

    def _retrieve(
        self, opened: Collection, bodies: Callable[[Collection], dict[Leg, dict[str, Any]]], copies: str
    ) -> tuple[Collection, Retrieved]:
        """Ask the version that was opened; where it was removed since, the one that is in use instead."""
        try:
            return opened, retrieve(self.client, bodies(opened), index=opened.index, preference=copies)
        except CollectionNotFoundError:
            self.versions.forget(opened.name)
        opened = self.versions.open(opened.name)
        return opened, retrieve(self.client, bodies(opened), index=opened.index, preference=copies)

    def _rewrite(self, query: Query, options: SearchOptions, degraded: list[str]) -> Query:
        """Ask for a pseudo-document; where none comes in time, the plain question is searched for."""
        try:
            rewriter = self._rewriter()
            if rewriter is not None:
                deadline_s = options.rewrite_deadline_ms / 1000
                return replace(query, rewritten=rewriter.rewrite(query.text, deadline_s=deadline_s))
        except (LLMError, ModelError, MissingExtraError, SettingsError) as error:
            log.warning("rewrite_failed", reason=str(error))
        degraded.append("query2doc")
        return query

    def _again(
        self,
        query: Query,
        first: Retrieved,
        opened: Collection,
        options: SearchOptions,
        clock: _Clock,
        degraded: list[str],
    ) -> tuple[Query, Retrieved]:
        """Ask the dense legs again, with a pseudo-document; whatever fails, the first pass is the answer."""
        with clock.stage("rewrite"):
            rewritten = self._rewrite(query, options, degraded)
        if rewritten.rewritten is None:
            return query, first
        legs: list[Leg] = [leg for leg in first.legs if leg != "bm25"]
        try:
            with clock.stage("encode"):
                vector = self._vector(rewritten, legs, options, degraded)
            with clock.stage("retrieve"):
                bodies = _bodies(rewritten, [], vector, legs, options, opened, NOTHING)
                second = retrieve(self.client, bodies, index=opened.index, preference=preference(query.text))
        except (ModelError, ElasticsearchError, CollectionNotFoundError) as error:
            log.warning("second_pass_failed", reason=str(error))
            degraded.append("query2doc")
            return query, first
        return rewritten, replace(second, legs={**first.legs, **second.legs})

    def _vector(self, query: Query, legs: list[Leg], options: SearchOptions, degraded: list[str]) -> Vector | None:
        """Encode the question, and its pseudo-document if any; without a working model the words have to do."""
        dense: list[Leg] = [leg for leg in legs if leg != "bm25"]
        if not dense:
            return None
        try:
            vector: Vector = self._encoder().encode_queries([query.text])[0]
            if query.rewritten is not None:
                pseudo_doc = self._encoder().encode_documents([query.rewritten])[0]
                vector = mix(vector, pseudo_doc, weight=options.weight_pseudo_doc)
        except (ModelError, MissingExtraError) as error:
            if "bm25" not in legs:
                raise
            log.warning("encoder_failed", reason=str(error))
            degraded += dense
            for leg in dense:
                legs.remove(leg)
            return None
        return vector


def mix(question: Vector, pseudo_doc: Vector, *, weight: float) -> Vector:
    """Give the weighted mean of two vectors, L2-normalised: `weight` 0 is the question alone, 1 the pseudo-document.

    The question stays in: a pseudo-document may be about something else (docs/decisions/rewriting.md).
    """
    mean = (1 - weight) * question + weight * pseudo_doc
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 1e-6 else question


def _query(text: str, options: SearchOptions) -> Query:
    stripped = valid_text(text).replace("\x00", " ").strip()
    if not stripped:
        raise QueryError("The query is empty: ask something.")
    if len(stripped) > options.max_query_chars:
        raise QueryError(
            f"The query has {len(stripped)} characters, {options.max_query_chars} are the most "
            "(BOTHWAYS_MAX_QUERY_CHARS)."
        )
    return Query(stripped)


def _bodies(
    query: Query,
    words: Sequence[str],
    vector: Vector | None,
    legs: Sequence[Leg],
    options: SearchOptions,
    collection: Collection,
    understood: Understood,
) -> dict[Leg, dict[str, Any]]:
    filters = [*_filters(options, collection), *understood.filters]
    k = options.depth
    bodies: dict[Leg, dict[str, Any]] = {}
    for leg in legs:
        if leg == "bm25":
            bodies[leg] = bm25_body(
                words,
                query.text,
                k=k,
                filters=filters,
                boosts=understood.boosts,
                boost=options.self_query_boost,
                all_filtered=bool(understood.filters),
                weight_cjk=options.weight_cjk,
            )
        elif vector is not None:
            bodies[leg] = knn_body(
                vector,
                field="text_sem" if leg == "text_sem" else "questions.text_sem",
                k=k,
                num_candidates=options.num_candidates,
                oversample=options.oversample,
                filters=filters,
                matched=options.explain and leg == "questions",
            )
    return bodies


def _filters(options: SearchOptions, collection: Collection) -> list[dict[str, Any]]:
    """Give what every hit and every neighbour that is shown has to match."""
    return filter_clauses(options.filters, fields=collection.metadata_fields, ranges=collection.range_fields)


class _Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._stages = dict.fromkeys(("rewrite", "encode", "retrieve", "fuse", "rerank"), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._stages[name] = self._stages.get(name, 0.0) + 1000 * (time.perf_counter() - start)

    def done(self) -> dict[str, float]:
        self._stages["total"] = 1000 * (time.perf_counter() - self._start)
        return {name: round(ms, 2) for name, ms in self._stages.items()}
