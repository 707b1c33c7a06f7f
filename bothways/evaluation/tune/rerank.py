"""The cross-encoder's logit of each candidate, computed once: shares in the score are then tried without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bothways.core.errors import ModelError, UsageError
from bothways.core.results import Hit
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.search.options import SearchOptions
from bothways.search.rank.rerank import Reranker


class Logits:
    """Logits by query and chunk. A pair is scored the first time that a combination makes it a candidate.

    Raise `UsageError` if there is no reranker.
    """

    def __init__(
        self, reranker: Reranker | None, queries: Sequence[JudgedQuery], progress: Callable[[str, int], None]
    ) -> None:
        if reranker is None:
            raise UsageError(
                "rerank.alpha needs a cross-encoder: set BOTHWAYS_RERANKER_MODEL or BOTHWAYS_RERANKER_URL."
            )
        self._reranker = reranker
        self._progress = progress
        self._questions = {query.query_id: query.text for query in queries}
        self._logits: dict[str, dict[str, float]] = {}
        self._texts: dict[str, tuple[str, str]] = {}

    def remember(self, rankings: Iterable[Sequence[Hit]]) -> None:
        """Keep title and text of each hit, once a chunk."""
        for ranking in rankings:
            for hit in ranking:
                self._texts[hit.chunk_id] = (hit.title, hit.text)

    def reranked(self, query_id: str, hits: Sequence[Hit], options: SearchOptions) -> list[Hit]:
        """Return the hits in the order of a search with these options and without a time limit."""
        candidates = hits[: options.rerank_top_n]
        known = self._logits.get(query_id)
        if known is None:
            known = self._logits[query_id] = {}
            self._progress("reranking", len(self._questions))
        missing = [
            replace(hit, title=title, text=text)
            for hit in candidates
            if hit.chunk_id not in known
            for title, text in [self._texts[hit.chunk_id]]
        ]
        if missing:
            scores = self._reranker.score(self._questions[query_id], missing)
            if not scores.complete:
                raise ModelError(f"The cross-encoder left {len(missing) - len(scores.logits)} out: {scores.reason}")
            known.update(scores.logits)
        logits = {hit.chunk_id: known[hit.chunk_id] for hit in candidates}
        return self._reranker.reorder(hits, logits, alpha=options.rerank_alpha)
