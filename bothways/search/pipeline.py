"""One search, top to bottom: parse, rewrite and encode the question, ask all legs at once, fuse, rerank, cut, show.

A stage that fails is left out and named in `degraded`, as long as another leg can answer.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog
from elasticsearch import Elasticsearch

from bothways.core.access.groups import ADMIN, Access
from bothways.core.analysis import Segmenter
from bothways.core.datatypes import Leg
from bothways.core.errors import (
    CollectionNotFoundError,
    ElasticsearchError,
    LLMError,
    MissingExtraError,
    ModelError,
    SettingsError,
)
from bothways.core.lazy import Lazy
from bothways.core.results import SearchResult
from bothways.models.protocols import CrossEncoder, Encoder
from bothways.search.options import LEGS, RERANKED, SEARCH_TIMEOUT_MS, SearchOptions
from bothways.search.present.facets import check_fields
from bothways.search.present.show import cut_page, show_page
from bothways.search.present.terms import Terms
from bothways.search.query.encode import QueryEncoder
from bothways.search.query.question import checked_query
from bothways.search.query.rewrite import Rewriter
from bothways.search.query.self_query.conditions import NOTHING, Understood, understand
from bothways.search.query.when_to_rewrite import ExpansionRule, decide
from bothways.search.rank.cited import cited_first, keep_cited_first
from bothways.search.rank.combine import fuse
from bothways.search.rank.duplicates import drop_copies
from bothways.search.rank.rerank import Reranker
from bothways.search.rank.rerank_stage import rerank_stage
from bothways.search.rank.rerankers import Rerankers, load_learnt, load_reranker
from bothways.search.retrieve.bodies import MAX_WORDS, WORDS_FROM
from bothways.search.retrieve.legs import ask_legs
from bothways.search.retrieve.msearch import reader
from bothways.search.retrieve.versions import Versions
from bothways.search.state import Clock, SearchState, timed
from bothways.search.view import CallerView

log = structlog.get_logger()

CANNOT_REWRITE = (LLMError, ModelError, MissingExtraError, SettingsError)
"""What is raised where a rewriter cannot be loaded, or has no answer in time."""


class Searcher:
    """Searches collections of one Elasticsearch. Thread-safe; models are loaded at their first use or by `warm_up`.

    `encoder`, `cross_encoder` and `rewriter` load these; the last two may return None where none is configured.
    `learnt_cross_encoder` loads the one in a folder.
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
        self._admin = CallerView(client, reader(client, timeout_ms=timeout_ms), ADMIN)
        self._view = self._admin
        self._views: dict[Access, CallerView] = {ADMIN: self._admin}
        self.segmenter = segmenter
        self.embedding_model = embedding_model
        self.expansion_rule = expansion_rule
        self.versions = Versions(self._admin.reader, embedding_model=embedding_model, analyzer=segmenter.name)
        self.rerankers = Rerankers(
            Lazy(partial(load_reranker, cross_encoder, cache_size=rerank_cache_size)),
            partial(load_learnt, learnt_cross_encoder, cache_size=rerank_cache_size),
        )
        self._encoder = QueryEncoder(encoder)
        self._rewriter = Lazy(rewriter)
        self._terms = Terms(self._admin.reader)

    def seen_by(self, access: Access) -> Searcher:
        """Return this searcher for one caller: its `client` finds only what the caller may see."""
        if access not in self._views:
            self._views[access] = CallerView(self._admin.client, self._admin.reader, access)
        seen = copy.copy(self)
        seen._view = self._views[access]
        return seen

    @property
    def client(self) -> Elasticsearch:
        """The client that reads as the caller may."""
        return self._view.client

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden from the caller."""
        return self._view.access.is_admin

    @property
    def encoder(self) -> Callable[[], Encoder]:
        """What loads the encoder; an indexing job of the same process uses the same one, instead of a second."""
        return self._encoder.load

    @property
    def reranker(self) -> Callable[[], Reranker | None]:
        """What loads the reranker of the settings; evaluation scores pairs with it, outside of searches."""
        return self.rerankers.usual

    def warm_up(self) -> None:
        """Load dictionary, encoder, reranker and rewriter now, so that the first search is as fast as the next."""
        self.segmenter.warm_up()
        self._encoder.load().encode_queries(["预热"])
        self.rerankers.warm_up()
        try:
            self._rewriter()
        except CANNOT_REWRITE as error:
            log.warning("rewrite_failed", reason=str(error))  # searches that need it say so, too

    def search(self, text: str, collection: str, options: SearchOptions) -> SearchResult:
        """Answer one question; raises `QueryError`, `CollectionNotFoundError`, `UnknownFieldError`, ..."""
        state = self._open(text, collection, options)
        state = self._parse(state)
        if options.rewrite_of_dense == "query2doc":
            state = self._rewrite(state)
        state = self._encode(state)
        state = self._retrieve(state)
        if options.rewrite_of_dense == "auto":
            state = self._expand(state)
        state = self._fuse(state)
        if options.strategy in RERANKED:
            state = self._rerank(state)
        state = self._show(state)
        return SearchResult(
            query_id=uuid.uuid4().hex,
            query=state.text,
            rewritten=state.query.rewritten,
            strategy=options.strategy,
            collection=collection,
            index=state.collection.index,
            hits=state.hits,
            legs=state.retrieved.legs,
            timings_ms=state.clock.timings(),
            degraded=list(state.degraded),
            offset=options.offset,
            total=state.total,
            facets=state.facets,
            self_query=state.understood.self_query,
            reranking=state.reranking,
            expansion=state.expansion,
        )

    def _open(self, text: str, name: str, options: SearchOptions) -> SearchState:
        """Check the question, open the collection, and write the question in the collection's script."""
        clock = Clock()
        query = checked_query(text, max_chars=options.max_query_chars)
        with clock.stage("open"):
            collection = self._view.open(name, self.versions)
            converted = self._view.scripts.written_for(collection.index, query.text)
            check_fields(options.facets, known=collection.metadata_fields)
        return SearchState(
            text=query.text,
            query=replace(query, text=converted),
            options=options,
            collection=collection,
            legs=LEGS[options.strategy],
            clock=clock,
        )

    @timed("self_query")
    def _parse(self, state: SearchState) -> SearchState:
        """Read names and numbers of the collection's metadata in the question."""
        if not state.options.self_query:
            return state
        try:
            vocabulary = self._view.vocabularies.of(state.collection)
        except ElasticsearchError as error:
            log.warning("self_query_failed", reason=str(error))
            return state.without("self_query")
        return replace(state, understood=understand(state.query.text, vocabulary))

    @timed("rewrite")
    def _rewrite(self, state: SearchState) -> SearchState:
        """Get a pseudo-document for the question; where none comes in time, the search goes on without it."""
        try:
            if (rewriter := self._rewriter()) is not None:
                deadline_s = state.options.rewrite_deadline_ms / 1000
                pseudo_doc = rewriter.rewrite(state.query.text, deadline_s=deadline_s)
                return replace(state, query=replace(state.query, rewritten=pseudo_doc))
        except CANNOT_REWRITE as error:
            log.warning("rewrite_failed", reason=str(error))
        return state.without("query2doc")

    @timed("encode")
    def _encode(self, state: SearchState) -> SearchState:
        """Cut the question into words, and encode it for the dense legs; without a working model BM25 answers alone."""
        dense: list[Leg] = [leg for leg in state.legs if leg != "bm25"]
        if len(dense) < len(state.legs) or state.options.highlight:
            state = replace(state, words=self.segmenter.words(state.query.text[:WORDS_FROM])[:MAX_WORDS])
        if not dense:
            return state
        try:
            return replace(state, vector=self._encoder.encode(state.query, state.options))
        except (ModelError, MissingExtraError) as error:
            if "bm25" not in state.legs:
                raise
            log.warning("encoder_failed", reason=str(error))
            return replace(state, legs=("bm25",)).without(*dense)

    @timed("retrieve")
    def _retrieve(self, state: SearchState) -> SearchState:
        """Ask all legs at once: within what the question cites, and then, unless it asks for nothing else, in all."""
        if state.understood.filters:
            state = self._ask(state, state.understood)
            cited = fuse(state.retrieved.legs, state.options)
            state = replace(state, cited=cited, understood=state.understood if cited else state.understood.relaxed())
        if state.understood.wants_all:
            state = self._ask(state, state.understood.unfiltered)
        return state.without(*state.retrieved.degraded)

    def _ask(self, state: SearchState, understood: Understood) -> SearchState:
        """Ask the version that was opened; where it was removed since, the one that is in use instead."""
        try:
            return replace(state, retrieved=ask_legs(self._view.reader, state, understood))
        except CollectionNotFoundError:
            self.versions.forget(state.collection.name)
        state = replace(state, collection=self._view.open(state.collection.name, self.versions))
        return replace(state, retrieved=ask_legs(self._view.reader, state, understood))

    def _expand(self, state: SearchState) -> SearchState:
        """Where the first pass looks weak, ask the dense legs again with a pseudo-document; else leave it as it is."""
        if state.vector is None or not state.understood.wants_all:
            return state
        first = state.retrieved
        expansion = decide(self.expansion_rule, state.query.text, first.legs, depth=state.options.depth)
        state = replace(state, expansion=expansion)
        if not expansion.wanted:
            return state
        rewritten = self._rewrite(state)
        if rewritten.query.rewritten is None:
            return rewritten
        dense = tuple(leg for leg in first.legs if leg != "bm25")
        try:
            second = self._ask_again(self._encode(replace(rewritten, legs=dense)))
        except (ModelError, ElasticsearchError, CollectionNotFoundError) as error:
            log.warning("second_pass_failed", reason=str(error))
            return state.without("query2doc")
        return replace(rewritten, retrieved=replace(first, legs={**first.legs, **second.retrieved.legs}))

    @timed("retrieve")
    def _ask_again(self, state: SearchState) -> SearchState:
        return replace(state, retrieved=ask_legs(self._view.reader, state, NOTHING))

    @timed("fuse")
    def _fuse(self, state: SearchState) -> SearchState:
        """Make one ranking of the legs, those hits first that the question cites; equal texts are shown once."""
        hits = cited_first(state.cited, fuse(state.retrieved.legs, state.options))
        return replace(state, hits=drop_copies(hits) if state.options.shows_once else hits)

    @timed("rerank")
    def _rerank(self, state: SearchState) -> SearchState:
        """Reorder the candidates by the collection's reranker; cited hits stay in front."""
        state = rerank_stage(state, self.rerankers.of(state.collection), access=self._view.access)
        return replace(state, hits=keep_cited_first(state.cited, state.hits))

    @timed("show")
    def _show(self, state: SearchState) -> SearchState:
        """Cut the page out and add what the options ask for."""
        return show_page(cut_page(state), self._view.reader, self._terms)
