"""The last order of hits: a cross-encoder reads question and passage together, as many as its time allows.

Fused hits go in, best first, and come out reordered. Scores are cached, so the same question costs nothing the second
time. Hits that the time did not reach follow the scored ones, in the order in which they came.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from bothways.core.access.groups import ADMIN, Access
from bothways.core.errors import ModelError
from bothways.core.results import Hit
from bothways.core.text.passage import passage
from bothways.models.protocols import Blended, CrossEncoder, LimitedReader, TimedCrossEncoder
from bothways.search.rank.score_cache import ScoreCache
from bothways.search.rank.window import fitting_passage

WARM_UP = "预热" * 50
BATCH = 8
"""Passages scored between two looks at the clock, where time is short."""
CHARS_A_TOKEN = 4
"""In English; Chinese has one. An upper bound, for estimates."""
AMPLE = 0.5
"""Where all passages should need less than this share of the time, they are scored at once, which is faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The candidates' logits by chunk id, how many came from the cache, and why some are missing."""

    logits: Mapping[str, float]
    candidates: int
    cached: int
    reason: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every candidate was scored."""
        return len(self.logits) == self.candidates


class Reranker:
    """Scores candidates with a cross-encoder within a time limit. Thread-safe.

    `cache_size` scores are cached. `at_once` searches may compute at the same time: a local model uses all cores for
    one search, so many at once only slow each other down. A remote reranker has limits of its own.
    """

    def __init__(
        self,
        cross_encoder: CrossEncoder,
        *,
        cache_size: int = 20_000,
        at_once: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cross_encoder = cross_encoder
        self._cache = ScoreCache(cache_size)
        self._places = threading.BoundedSemaphore(at_once)
        self._clock = clock
        self._seconds = self._characters = 0.0

    @property
    def name(self) -> str:
        """The cross-encoder's name."""
        return self._cross_encoder.name

    @property
    def alpha(self) -> float:
        """The weight of its scores where no other is set: the one measured in training, else 1."""
        measured = self._cross_encoder.alpha if isinstance(self._cross_encoder, Blended) else None
        return 1.0 if measured is None else measured

    def reorder(self, hits: Sequence[Hit], logits: Mapping[str, float], *, alpha: float | None) -> list[Hit]:
        """Order hits as `rerank` does, with the reranker's own `alpha` where none is given."""
        return rerank(hits, logits, alpha=self.alpha if alpha is None else alpha)

    def warm_up(self) -> None:
        """Let a local model score once, so that the first search is as fast as the next."""
        if not self._characters and not isinstance(self._cross_encoder, TimedCrossEncoder):
            self.score(WARM_UP, [Hit(chunk_id="", score=0.0, text=WARM_UP)])

    def score(self, query: str, hits: Sequence[Hit], *, budget_s: float = math.inf, access: Access = ADMIN) -> Scores:
        """Score the hits in their order for `budget_s` seconds; raises `ModelError` if none could be scored.

        A batch that has begun is finished, so the time is exceeded by one batch at most; its duration is estimated from
        earlier ones. One hit is always scored, even if the estimate is too long. When a model fails after some scores,
        the rest stays unscored. Each `access` has its own cached scores.
        """
        end = self._clock() + budget_s
        passages = [passage(hit.title, hit.text) for hit in hits]
        cached_for = _cache_name(self.name, access)
        known = self._cache.get(cached_for, query, passages)
        logits = {hit.chunk_id: score for hit, score in zip(hits, known, strict=True) if score is not None}
        cached = len(logits)
        left = [at for at, score in enumerate(known) if score is None]
        reason: str | None = None
        try:
            while left:
                scores = self._next(query, [hits[at] for at in left], end, begun=len(logits) > cached)
                if not scores:
                    reason = "the time was over (BOTHWAYS_RERANK_BUDGET_MS)"
                    break
                now, left = left[: len(scores)], left[len(scores) :]
                logits.update({hits[at].chunk_id: score for at, score in zip(now, scores, strict=True)})
                self._cache.put(cached_for, query, [passages[at] for at in now], scores)
        except ModelError as error:
            if not logits:
                raise
            reason = str(error)
        return Scores(logits=logits, candidates=len(hits), cached=cached, reason=reason)

    def _next(self, query: str, hits: Sequence[Hit], end: float, *, begun: bool) -> list[float]:
        """Return the scores of the first few hits, or of all; none where the time is over."""
        model = self._cross_encoder
        if isinstance(model, TimedCrossEncoder):
            texts = [passage(hit.title, hit.text) for hit in hits]
            left_s = end - self._clock()
            if left_s <= 0:
                return []
            return model.score(query, texts) if math.isinf(end) else model.score_within(query, texts, timeout_s=left_s)
        wait = None if math.isinf(end) else max(0.0, end - self._clock())
        if not self._places.acquire(timeout=wait):
            return []
        try:
            return self._computed(query, hits, end - self._clock(), begun=begun)
        finally:
            self._places.release()

    def _computed(self, query: str, hits: Sequence[Hit], left_s: float, *, begun: bool) -> list[float]:
        model = self._cross_encoder
        affordable = self._affordable(query, hits, left_s)
        if not affordable and not begun and left_s > 0:
            affordable = 1  # the estimate may come from a bad moment, and only another score can correct it
        hits = hits[:affordable]
        if not hits:
            return []
        if isinstance(model, LimitedReader):
            texts = [fitting_passage(query, hit.title, hit.text, model) for hit in hits]
        else:
            texts = [passage(hit.title, hit.text) for hit in hits]
        started = self._clock()
        scores = model.score(query, texts)
        self._note(self._clock() - started, sum(len(query) + len(text) for text in texts))
        if not all(map(math.isfinite, scores)):
            raise ModelError(f"The reranker {self.name} gives scores that are no numbers.")
        return scores

    def _note(self, seconds: float, characters: int) -> None:
        """Update the pace: older measurements count half as much, and small batches less than large ones."""
        self._seconds = self._seconds / 2 + seconds
        self._characters = self._characters / 2 + characters

    def _affordable(self, query: str, hits: Sequence[Hit], left_s: float) -> int:
        """Return how many hits to score before the next look at the clock; 0 where there is no time for one."""
        if left_s <= 0:
            return 0
        if math.isinf(left_s):
            return len(hits)
        if not self._characters:
            return 1  # to see how fast it is
        pace, longest = self._seconds / self._characters, self._longest()
        costs = [pace * (len(query) + min(len(hit.title) + len(hit.text), longest)) for hit in hits]
        if sum(costs) <= AMPLE * left_s:
            return len(hits)
        return sum(spent <= left_s for spent in accumulate(costs[:BATCH]))

    def _longest(self) -> int:
        """Return roughly the most characters of a passage that are read; longer ones are trimmed."""
        model = self._cross_encoder
        return model.pair_tokens * CHARS_A_TOKEN if isinstance(model, LimitedReader) else sys.maxsize


def _cache_name(model: str, access: Access) -> str:
    return model if access.groups is None else f"{model} for {sorted(access.groups)}"


def rerank(hits: Sequence[Hit], logits: Mapping[str, float], *, alpha: float = 1.0) -> list[Hit]:
    """Order hits by the cross-encoder's logits, which are by chunk id; `hits` come best first.

    A scored hit's score is alpha · sigmoid(logit) + (1 - alpha) · first, from 0 to 1, where `first` is its score of
    the first stage as a share of the best hit's. `cross_encoder` is the logit. The others follow in their order, with
    (1 - alpha) · first as score, but never above a scored hit. So scores only fall, and a threshold cuts the list at
    one place. Ties keep their order.
    """
    best = max((hit.score for hit in hits), default=0.0)
    scored: list[Hit] = []
    others: list[Hit] = []
    for hit in hits:
        first = max(0.0, hit.score / best) if best > 0 else 0.0
        if (logit := logits.get(hit.chunk_id)) is None:
            others.append(replace(hit, score=(1 - alpha) * first))
        else:
            scored.append(replace(hit, score=blended(logit, first, alpha=alpha), cross_encoder=logit))
    scored.sort(key=lambda hit: (-hit.score, -(hit.cross_encoder or 0.0) * (alpha > 0)))  # sigmoids may be equal
    ceiling = scored[-1].score if scored else 1.0
    return scored + [replace(hit, score=min(hit.score, ceiling)) for hit in others]


def blended(logit: float, first: float, *, alpha: float) -> float:
    """Return the weighted mean of a logit, as 0..1, and the first stage's score as a share of the best hit's."""
    return alpha * sigmoid(logit) + (1 - alpha) * first


def sigmoid(logit: float) -> float:
    """Return a logit as 0..1, without overflow."""
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
