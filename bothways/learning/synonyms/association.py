"""Which words of texts stand where questions use another: pairs in, associated terms out, strongest first.

Counted over chunks: in how many do the questions use a term that the text lacks, how many texts have the other term,
and in how many is it both. Twice through the collection: once for the terms, once for the pairs of those that count.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from pydantic import Field

from bothways.learning.arguments import Arguments
from bothways.learning.synonyms.counts import BoundedCounts
from bothways.learning.synonyms.pairs import Pair

MAX_TERMS = 500_000
MAX_PAIRS = 1_000_000
"""Terms and pairs that are counted at once: some hundred megabytes at most, however large the collection is."""

_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]{2,8}")
_LATIN = re.compile(r"[^\W\d_\u3400-\u9fff\uf900-\ufaff]{3,20}")
_NUMBER = re.compile(r"第?[〇零一二两三四五六七八九十百千万亿]+[条款项章节编]?")


class AssociationThresholds(Arguments):
    """Which pairs of terms are proposed."""

    min_chunks: int = Field(default=4, ge=2, description="chunks that a pair is seen in")
    max_share: float = Field(default=0.1, gt=0, le=1, description="share of the chunks that a term is seen in, at most")
    min_score: float = Field(default=0.5, ge=0, le=1, description="association of a pair (NPMI)")
    min_g2: float = Field(default=10.83, ge=0, description="log-likelihood ratio; 10.83: by chance once in a thousand")
    per_term: int = Field(default=2, ge=1, le=20, description="partners of one term")


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A term of questions and one of texts, with the chunks behind it.

    `together` of the `asked_in` chunks whose questions use `asked` where the text does not have `found`, which
    `found_in` of all `chunks` texts have. `score` is the normalised pointwise mutual information, 1 where the two
    never stand without each other and 0 where they are independent; `g2` the log-likelihood ratio.
    """

    asked: str
    found: str
    together: int
    asked_in: int
    found_in: int
    chunks: int

    @property
    def score(self) -> float:
        """NPMI (Bouma, Normalized (Pointwise) Mutual Information in Collocation Extraction, 2009)."""
        if self.together == self.chunks:
            return 0.0
        return math.log(self.together * self.chunks / (self.asked_in * self.found_in)) / -math.log(
            self.together / self.chunks
        )

    @property
    def g2(self) -> float:
        """Log-likelihood ratio (Dunning, Accurate Methods for the Statistics of Surprise and Coincidence, 1993)."""
        only_asked, only_found = self.asked_in - self.together, self.found_in - self.together
        neither = self.chunks - self.asked_in - only_found
        rows, columns = (self.asked_in, self.chunks - self.asked_in), (self.found_in, self.chunks - self.found_in)
        cells = _entropy(self.together, only_asked, only_found, neither)
        return 2 * (cells - _entropy(*rows) - _entropy(*columns) + _entropy(self.chunks))


def associate(
    pairs: Callable[[], Iterable[Pair]],
    thresholds: AssociationThresholds,
    *,
    stopwords: Set[str] = frozenset(),
    max_terms: int = MAX_TERMS,
    max_pairs: int = MAX_PAIRS,
) -> list[Association]:
    """Return the associated terms within the bounds, strongest first; `pairs` begins the stream anew each time."""
    chunks, asked_in, found_in = _count_terms(pairs(), stopwords, max_terms)
    most = thresholds.max_share * chunks
    asked = {term: times for term, times in asked_in.at_least(thresholds.min_chunks) if times <= most}
    found = {term: times for term, times in found_in.at_least(thresholds.min_chunks) if times <= most}
    together: BoundedCounts[tuple[str, str]] = BoundedCounts(max_pairs)
    for pair in pairs():
        texts = [term for term in pair.words if term in found]
        together.add((term, text) for term in pair.unmet if term in asked for text in texts)
    every = (
        Association(asked=term, found=text, together=times, asked_in=asked[term], found_in=found[text], chunks=chunks)
        for (term, text), times in together.at_least(thresholds.min_chunks)
    )
    strong = [pair for pair in every if pair.score >= thresholds.min_score and pair.g2 >= thresholds.min_g2]
    strong.sort(key=lambda pair: (-pair.score, -pair.together, pair.asked, pair.found))
    return list(_at_most(strong, thresholds.per_term))


def is_term(word: str) -> bool:
    """Return whether a word can be a synonym: two to eight Chinese characters or three to twenty letters, no number."""
    return bool(_CJK.fullmatch(word) or _LATIN.fullmatch(word)) and not _NUMBER.fullmatch(word)


def _count_terms(
    pairs: Iterable[Pair], stopwords: Set[str], limit: int
) -> tuple[int, BoundedCounts[str], BoundedCounts[str]]:
    chunks = 0
    asked_in: BoundedCounts[str] = BoundedCounts(limit)
    found_in: BoundedCounts[str] = BoundedCounts(limit)
    for pair in pairs:
        chunks += 1
        asked_in.add(word for word in pair.unmet if is_term(word) and word not in stopwords)
        found_in.add(word for word in pair.words if is_term(word) and word not in stopwords)
    return chunks, asked_in, found_in


def _at_most(associations: Iterable[Association], per_term: int) -> Iterator[Association]:
    seen: Counter[str] = Counter()
    for association in associations:
        seen[association.asked] += 1
        if seen[association.asked] <= per_term:
            yield association


def _entropy(*counts: int) -> float:
    """Sum of n ln n: the terms that Dunning's ratio is made of."""
    return sum(count * math.log(count) for count in counts if count > 0)
