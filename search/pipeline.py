"""One search, top to bottom: a question is rewritten and encoded, all legs are asked at once, fused, reranked and cut.

A stage that fails is left out and named in `degraded`, as long as another leg can answer.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import structlog
from elasticsearch import Elasticsearch

from core.access import ADMIN, Access, GuardedClient, as_seen, guarded
from core.analysis import Segmenter
from core.collection import Collection, open_collection
from core.datatypes import Hit, Leg, Query, SearchResult, Vector
from core.errors import (
    CollectionNotFoundError,
    IncompatibleCollectionError,
    LLMError,
    MissingExtraError,
    ModelError,
    QueryError,
    SettingsError,
)
from core.models.protocols import CrossEncoder, Encoder
from core.once import Once
from core.valid_text import valid_text
from search.bodies import MAX_WORDS, VECTOR_FIELDS, WORDS_FROM, bm25_body, filter_clauses, knn_body
from search.encode import Encoding
from search.fuse import dense_mean, rrf, union
from search.highlight import highlight
from search.options import LEGS, RERANKED, REWRITTEN, SEARCH_TIMEOUT_MS, SearchOptions
from search.rerank import rerank
from search.retrieve import Retrieved, reader, retrieve_from
from search.rewrite import Rewriter
from search.script import Scripts
from search.versions import Versions

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
        rewriter: Callable[[], Rewriter | None] = lambda: None,
        timeout_ms: float = SEARCH_TIMEOUT_MS,
    ) -> None:
        self.client = client
        self._reader = reader(client, timeout_ms=timeout_ms)
        self.segmenter = segmenter
        self.embedding_model = embedding_model
        self._encoder = Once(encoder)
        self._encoding = Encoding()
        self._cross_encoder = Once(cross_encoder)
        self._rewriter = Once(rewriter)
        self.versions = Versions(self._reader, embedding_model=embedding_model, analyzer=segmenter.name)
        self._for_callers: dict[Access, Searcher] = {ADMIN: self}
        self._learn_from(self._reader)

    def seen_by(self, access: Access) -> Searcher:
        """Give this searcher as one caller has it: its `client` brings nothing but what the caller may see."""
        if access not in self._for_callers:
            seen = copy.copy(self)
            seen.client = guarded(self.client, access)
            seen._reader = guarded(self._reader, access)
            seen._learn_from(seen._reader)
            self._for_callers[access] = seen
        return self._for_callers[access]

    @property
    def encoder(self) -> Callable[[], Encoder]:
        """What gives the encoder; an indexing job of the same process takes it too, instead of a second in memory."""
        return self._encoder

    def _learn_from(self, reader: Elasticsearch) -> None:
        """Prepare what is learnt from the documents themselves: each caller's own, since it tells of them."""
        self._scripts = Scripts(reader)

    @property
    def sees_all(self) -> bool:
        """Whether nothing is kept from the one who asks."""
        return not isinstance(self.client, GuardedClient)

    def warm_up(self) -> None:
        """Load dictionary and encoder now, so that the first search is as fast as the next."""
        self.segmenter.warm_up()
        self._encoder().encode_queries(["预热"])

    def search(self, text: str, collection: str, options: SearchOptions) -> SearchResult:
        """Answer one question; raises `QueryError`, `CollectionNotFoundError`, `UnknownFieldError`, ..."""
        clock = _Clock()
        query = _query(text, options)
        degraded: list[str] = []
        with clock.stage("open"):
            opened = self._open(collection)
            asked, query = query, replace(query, text=self._scripts.written_for(opened.index, query.text))
        if options.strategy in REWRITTEN:
            with clock.stage("rewrite"):
                query = self._rewrite(query, options, degraded)
        legs = list(LEGS[options.strategy])
        with clock.stage("encode"):
            words = (
                self.segmenter.words(query.text[:WORDS_FROM])[:MAX_WORDS] if "bm25" in legs or options.highlight else []
            )
            vector = self._vector(query, legs, options, degraded)
        with clock.stage("retrieve"):
            opened, retrieved = self._retrieve(
                opened, lambda version: _bodies(query, words, vector, legs, options, version), options
            )
            degraded += retrieved.degraded
        with clock.stage("fuse"):
            hits = fuse(retrieved.legs, options)
        if options.strategy in RERANKED:
            with clock.stage("rerank"):
                hits = self._rerank(query, hits, options, degraded)
        return SearchResult(
            query_id=uuid.uuid4().hex,
            query=replace(query, text=asked.text),
            strategy=options.strategy,
            collection=collection,
            index=opened.index,
            hits=_finish(hits, words, options),
            legs=retrieved.legs,
            timings_ms=clock.done(),
            degraded=degraded,
        )

    def _open(self, collection: str) -> Collection:
        try:
            return as_seen(self.versions.open(collection), self._reader)
        except IncompatibleCollectionError:
            as_seen(open_collection(self._reader, collection), self._reader)  # who sees nothing in it learns nothing
            raise

    def _retrieve(
        self, opened: Collection, bodies: Callable[[Collection], dict[Leg, dict[str, Any]]], options: SearchOptions
    ) -> tuple[Collection, Retrieved]:
        """Ask the version that was opened; where it was removed since, the one that is in use instead."""
        try:
            return opened, self._ask(opened, bodies(opened), options)
        except CollectionNotFoundError:
            self.versions.forget(opened.name)
        opened = self._open(opened.name)
        return opened, self._ask(opened, bodies(opened), options)

    def _ask(self, opened: Collection, bodies: dict[Leg, dict[str, Any]], options: SearchOptions) -> Retrieved:
        return retrieve_from(self._reader, opened, bodies, timeout_ms=options.search_timeout_ms)

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

    def _vector(self, query: Query, legs: list[Leg], options: SearchOptions, degraded: list[str]) -> Vector | None:
        """Encode the question, and its pseudo-document if any; without a working model the words have to do."""
        dense: list[Leg] = [leg for leg in legs if leg != "bm25"]
        if not dense:
            return None
        try:
            encoder = self._encoder()  # loading it takes as long as it takes
            vector = self._encoding.run(lambda: _encoded(encoder, query, options), timeout_ms=options.encode_timeout_ms)
        except (ModelError, MissingExtraError) as error:
            if "bm25" not in legs:
                raise
            log.warning("encoder_failed", reason=str(error))
            degraded += dense
            for leg in dense:
                legs.remove(leg)
            return None
        return vector

    def _rerank(self, query: Query, hits: list[Hit], options: SearchOptions, degraded: list[str]) -> list[Hit]:
        try:
            cross_encoder = self._cross_encoder()
            if cross_encoder is not None:
                return rerank(query.text, hits, cross_encoder, top_n=max(options.rerank_top_n, options.top_k))
        except (ModelError, MissingExtraError) as error:
            log.warning("rerank_failed", reason=str(error))
        degraded.append("rerank")
        return hits


def fuse(legs: Mapping[Leg, Sequence[Hit]], options: SearchOptions) -> list[Hit]:
    """Make one ranking of the legs, as the strategy says."""
    bm25, text, questions = (legs.get(leg, ()) for leg in ("bm25", "text_sem", "questions"))
    match options.strategy:
        case "bm25":
            return list(bm25)
        case "dense" | "dense_q2d":
            return list(text)
        case "questions":
            return list(questions)
        case "dedup":
            return union([bm25, text, questions])
        case "hybrid" | "hybrid_rerank" | "hybrid_q2d" | "hybrid_q2d_rerank":
            weights = (options.weight_bm25, options.weight_dense)
            return rrf(
                [bm25, dense_mean(text, questions, weight=options.weight_questions)],
                weights=weights,
                rank_constant=options.rank_constant,
            )


def mix(question: Vector, pseudo_doc: Vector, *, weight: float) -> Vector:
    """Give the weighted mean of two vectors, L2-normalised: `weight` 0 is the question alone, 1 the pseudo-document.

    The question stays in: a pseudo-document may be about something else (docs/decisions/rewriting.md).
    """
    mean = (1 - weight) * question + weight * pseudo_doc
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 1e-6 else question


def _encoded(encoder: Encoder, query: Query, options: SearchOptions) -> Vector:
    vector: Vector = encoder.encode_queries([query.text])[0]
    if query.rewritten is None:
        return vector
    pseudo_doc: Vector = encoder.encode_documents([query.rewritten])[0]
    return mix(vector, pseudo_doc, weight=options.weight_pseudo_doc)


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
) -> dict[Leg, dict[str, Any]]:
    filters = filter_clauses(options.filters, fields=collection.metadata_fields)
    k = max(options.leg_k, options.top_k)
    bodies: dict[Leg, dict[str, Any]] = {}
    for leg in legs:
        if leg == "bm25":
            bodies[leg] = bm25_body(words, query.text, k=k, filters=filters)
        elif vector is not None:
            bodies[leg] = knn_body(
                vector,
                field=VECTOR_FIELDS[leg],
                k=k,
                num_candidates=options.num_candidates,
                filters=filters,
                matched=options.explain and leg == "questions",
            )
    return bodies


def _finish(hits: Sequence[Hit], words: Sequence[str], options: SearchOptions) -> list[Hit]:
    kept = [hit for hit in hits if options.min_score is None or hit.score >= options.min_score][: options.top_k]
    if options.highlight:
        kept = [replace(hit, highlights=highlight(hit.text, words)) for hit in kept]
    return kept


class _Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._stages = dict.fromkeys(("rewrite", "encode", "retrieve", "fuse", "rerank"), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._stages[name] = 1000 * (time.perf_counter() - start)

    def done(self) -> dict[str, float]:
        self._stages["total"] = 1000 * (time.perf_counter() - self._start)
        return {name: round(ms, 2) for name, ms in self._stages.items()}
