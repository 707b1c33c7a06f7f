"""One search, top to bottom: a question is rewritten and encoded, all legs are asked at once, fused, reranked and cut.

A stage that fails is left out and named in `degraded`, as long as another leg can answer.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from elasticsearch import Elasticsearch

from bothways.core.access import ADMIN, Access, GuardedClient, guarded
from bothways.core.analysis import Segmenter
from bothways.core.collections.collection import Collection, open_collection
from bothways.core.collections.visibility import as_seen, require_known
from bothways.core.datatypes import Hit, Leg, Query, SearchResult, Vector
from bothways.core.errors import (
    CollectionNotFoundError,
    ElasticsearchError,
    IncompatibleCollectionError,
    LLMError,
    MissingExtraError,
    ModelError,
    SettingsError,
)
from bothways.core.lazy import Lazy
from bothways.models.protocols import CrossEncoder, Encoder
from bothways.search.options import LEGS, RERANKED, SEARCH_TIMEOUT_MS, SearchOptions
from bothways.search.present.facets import check_fields, facets
from bothways.search.present.show import Shown, show
from bothways.search.present.terms import Terms
from bothways.search.query.asking import bodies_of, checked_query, encoded, filters_of
from bothways.search.query.encode import Encoding
from bothways.search.query.rewrite import Rewriter
from bothways.search.query.script import Scripts
from bothways.search.query.self_query.conditions import NOTHING, Understood, first, still_first, understand
from bothways.search.query.self_query.vocabularies import Vocabularies
from bothways.search.query.when_to_rewrite import ExpansionRule, decide
from bothways.search.rank.combine import fuse
from bothways.search.rank.duplicates import drop_copies
from bothways.search.rank.rerank import Reranker
from bothways.search.rank.rerank_stage import above_threshold, load_reranker, rerank_stage, warm_up_reranker
from bothways.search.rank.rerankers import Rerankers, load_learnt
from bothways.search.retrieve.bodies import MAX_WORDS, WORDS_FROM
from bothways.search.retrieve.msearch import Retrieved, reader, retrieve_from
from bothways.search.retrieve.paging import cut, preference
from bothways.search.retrieve.restricted_scores import for_caller
from bothways.search.retrieve.versions import Versions

log = structlog.get_logger()

CANNOT_REWRITE = (LLMError, ModelError, MissingExtraError, SettingsError)
"""What a rewriter raises that cannot be made, or has no answer in time."""


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
        learnt_cross_encoder: Callable[[str], CrossEncoder | None] = lambda _: None,
        rerank_cache_size: int = 20_000,
        rewriter: Callable[[], Rewriter | None] = lambda: None,
        expansion_rule: ExpansionRule | None = None,
        timeout_ms: float = SEARCH_TIMEOUT_MS,
    ) -> None:
        self.client = client
        self._reader = reader(client, timeout_ms=timeout_ms)
        self.segmenter = segmenter
        self.embedding_model = embedding_model
        self._encoder = Lazy(encoder)
        self._encoding = Encoding()
        self._reranker = Lazy(partial(load_reranker, cross_encoder, cache_size=rerank_cache_size))
        learnt = partial(load_learnt, learnt_cross_encoder, cache_size=rerank_cache_size)
        self.rerankers = Rerankers(self._reranker, learnt)
        self._rewriter = Lazy(rewriter)
        self.expansion_rule = expansion_rule
        self._terms = Terms(self._reader)
        self.versions = Versions(self._reader, embedding_model=embedding_model, analyzer=segmenter.name)
        self._whose = ADMIN
        self._for_callers: dict[Access, Searcher] = {ADMIN: self}
        self._learn_from(self._reader)

    def seen_by(self, access: Access) -> Searcher:
        """Give this searcher as one caller has it: its `client` brings nothing but what the caller may see."""
        if access not in self._for_callers:
            seen = copy.copy(self)
            seen.client = guarded(self.client, access)
            seen._reader = guarded(self._reader, access)
            seen._whose = access
            seen._learn_from(seen._reader)
            self._for_callers[access] = seen
        return self._for_callers[access]

    @property
    def encoder(self) -> Callable[[], Encoder]:
        """What gives the encoder; an indexing job of the same process takes it too, instead of a second in memory."""
        return self._encoder

    @property
    def reranker(self) -> Callable[[], Reranker | None]:
        """What gives the reranker; evaluation scores pairs with it, outside of searches."""
        return self._reranker

    def _learn_from(self, reader: Elasticsearch) -> None:
        """Prepare what is learnt from the documents themselves: each caller's own, since it tells of them."""
        self._scripts = Scripts(reader)
        self.vocabularies = Vocabularies(reader)

    @property
    def sees_all(self) -> bool:
        """Whether nothing is kept from the one who asks."""
        return not isinstance(self.client, GuardedClient)

    def warm_up(self) -> None:
        """Load dictionary, encoder, reranker and rewriter now, so that the first search is as fast as the next."""
        self.segmenter.warm_up()
        self._encoder().encode_queries(["预热"])
        warm_up_reranker(self._reranker)
        try:
            self._rewriter()
        except CANNOT_REWRITE as error:
            log.warning("rewrite_failed", reason=str(error))  # searches that want it say so, too

    def search(self, text: str, collection: str, options: SearchOptions) -> SearchResult:
        """Answer one question; raises `QueryError`, `CollectionNotFoundError`, `UnknownFieldError`, ..."""
        clock = _Clock()
        query = checked_query(text, options)
        degraded: list[str] = []
        with clock.stage("open"):
            opened = self._open(collection)
            asked, query = query, replace(query, text=self._scripts.written_for(opened.index, query.text))
            check_fields(options.facets, known=opened.metadata_fields)
        with clock.stage("self_query"):
            understood = self._understand(query, opened, degraded) if options.self_query else NOTHING
        rewrite = options.rewrite_of_dense
        if rewrite == "query2doc":
            with clock.stage("rewrite"):
                query = self._rewrite(query, options, degraded)
        legs = list(LEGS[options.strategy])
        with clock.stage("encode"):
            words = (
                self.segmenter.words(query.text[:WORDS_FROM])[:MAX_WORDS] if "bm25" in legs or options.highlight else []
            )
            vector = self._vector(query, legs, options, degraded)
        with clock.stage("retrieve"):
            cited: list[Hit] = []
            if understood.filters:
                opened, retrieved = self._retrieve(
                    opened,
                    lambda version: bodies_of(query, words, vector, legs, options, version, understood),
                    query,
                    options,
                )
                cited = fuse(retrieved.legs, options)
                understood = understood if cited else understood.relaxed()
            if understood.wants_all:
                opened, retrieved = self._retrieve(
                    opened,
                    lambda version: bodies_of(query, words, vector, legs, options, version, understood.unfiltered),
                    query,
                    options,
                )
            degraded += retrieved.degraded
        expansion = None
        if rewrite == "auto" and understood.wants_all and vector is not None:
            expansion = decide(self.expansion_rule, query.text, retrieved.legs, depth=options.depth)
        if expansion is not None and expansion.wanted:
            query, retrieved = self._again(query, retrieved, opened, options, clock, degraded)
        with clock.stage("fuse"):
            hits = first(cited, fuse(retrieved.legs, options))
            hits = drop_copies(hits) if options.shows_once else hits
        reranking = None
        if options.strategy in RERANKED:
            with clock.stage("rerank"):
                load = self.rerankers.of(opened)
                hits, reranking = rerank_stage(load, query.text, hits, options, degraded, whose=self._whose)
                hits = still_first(cited, hits)
        with clock.stage("show"):
            every = above_threshold(hits, options, degraded)
            page = Shown(index=opened.index, query=query.text, words=words, filters=filters_of(options, opened))
            shown = show(self._reader, self._terms, cut(every, options), page, options, degraded)
            counted = facets(every, options.facets, known=opened.metadata_fields, size=options.facet_size)
        return SearchResult(
            query_id=uuid.uuid4().hex,
            query=replace(query, text=asked.text),
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
            expansion=expansion,
        )

    def _open(self, collection: str) -> Collection:
        require_known(self._reader, collection)
        try:
            return as_seen(self.versions.open(collection), self._reader)
        except IncompatibleCollectionError:
            as_seen(open_collection(self._reader, collection), self._reader)  # who sees nothing in it learns nothing
            raise

    def _understand(self, query: Query, opened: Collection, degraded: list[str]) -> Understood:
        """Read names and numbers of the collection's metadata in the question; without them it is asked as it is."""
        try:
            return understand(query.text, self.vocabularies.of(opened))
        except ElasticsearchError as error:
            log.warning("self_query_failed", reason=str(error))
            degraded.append("self_query")
            return NOTHING

    def _retrieve(
        self,
        opened: Collection,
        bodies: Callable[[Collection], dict[Leg, dict[str, Any]]],
        query: Query,
        options: SearchOptions,
    ) -> tuple[Collection, Retrieved]:
        """Ask the version that was opened; where it was removed since, the one that is in use instead."""
        try:
            return opened, self._ask(opened, bodies(opened), query, options)
        except CollectionNotFoundError:
            self.versions.forget(opened.name)
        opened = self._open(opened.name)
        return opened, self._ask(opened, bodies(opened), query, options)

    def _ask(
        self, opened: Collection, bodies: dict[Leg, dict[str, Any]], query: Query, options: SearchOptions
    ) -> Retrieved:
        copies = preference(query.text)
        found = retrieve_from(self._reader, opened, bodies, timeout_ms=options.search_timeout_ms, preference=copies)
        return for_caller(found, opened)

    def _rewrite(self, query: Query, options: SearchOptions, degraded: list[str]) -> Query:
        """Ask for a pseudo-document; where none comes in time, the plain question is searched for."""
        try:
            rewriter = self._rewriter()
            if rewriter is not None:
                deadline_s = options.rewrite_deadline_ms / 1000
                return replace(query, rewritten=rewriter.rewrite(query.text, deadline_s=deadline_s))
        except CANNOT_REWRITE as error:
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
                bodies = bodies_of(rewritten, [], vector, legs, options, opened, NOTHING)
                second = self._ask(opened, bodies, query, options)
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
            encoder = self._encoder()  # loading it takes as long as it takes
            vector = self._encoding.run(lambda: encoded(encoder, query, options), timeout_ms=options.encode_timeout_ms)
        except (ModelError, MissingExtraError) as error:
            if "bm25" not in legs:
                raise
            log.warning("encoder_failed", reason=str(error))
            degraded += dense
            for leg in dense:
                legs.remove(leg)
            return None
        return vector


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
