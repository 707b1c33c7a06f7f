"""Which questions the first pass answers weakly: those of whose first ten hits none stands out.

For `rewrite: "auto"`, which asks the language model only then: expansion harms what is found well already (Weller et
al. 2023, "When do Generative Query and Document Expansions Fail?"). How the rule was found, and how little is known of
what it gains, is in docs/decisions/query-rewriting.md. bothways/search/query/when_to_rewrite.py has rules that are
learnt instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bothways.core.datatypes import Hit, Leg
from bothways.search.rank.combine import by_score
from bothways.search.rank.fuse import dense_mean

DEPTH = 10
WEIGHT_BM25 = 0.2
WEAK = 0.10
"""Below it lay 23 and 31 % of 1,003 lay questions (with and without pseudo-questions in the index)."""
WEAK_DENSE = 0.07
"""The same where only vectors are asked: 25 and 27 %."""


def is_weak(legs: Mapping[Leg, Sequence[Hit]], *, depth: int) -> bool:
    """Tell whether the first hit's score is near the tenth's, on the scale of `by_score` (0 to 1).

    `depth` is the number of hits that each leg was asked for. Where there are fewer than ten hits, as in a small
    collection or behind a filter, nothing can be told: not weak. Nor is it where no vectors were asked, or none
    answered: only they use a pseudo-document.
    """
    missing = weakness(legs, depth=depth)
    return missing is not None and missing > 0


def weakness(legs: Mapping[Leg, Sequence[Hit]], *, depth: int) -> float | None:
    """Give what the first hit lacks to stand out (above 0: it does not); None where nothing can be told."""
    bm25 = legs.get("bm25", ())
    dense = dense_mean(legs.get("text_sem", ()), legs.get("questions", ()))
    hits = by_score(bm25, dense, weight=WEIGHT_BM25, depth=depth)
    if not dense or len(hits) < DEPTH:
        return None
    return (WEAK if bm25 else WEAK_DENSE) - (hits[0].score - hits[DEPTH - 1].score)
