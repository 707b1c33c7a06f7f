"""Hard negatives: what the first stage takes for an answer, and is none.

The rankings of a search's legs and the passage that answers go in, some of the other passages come out, from every
leg by turns. What may be an answer too is left out: other judged answers, copies of the answer's text, and passages
that are about as near to the question as the answer is (Moreira et al. 2024, "NV-Retriever": negatives under a
share of the positive's score). Nearness is the cosine of question and passage's own text: the indexed questions of a
chunk would flatter it where the question is one of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz

from bothways.core.datatypes import Leg
from bothways.core.results import Hit
from bothways.learning.leakage import letters_of

Legs = Mapping[Leg, Sequence[Hit]]
"""What the legs of one search brought, each in its order."""

COPY = 95.0
"""Share of equal letters, in percent, from which a passage is a copy of another."""


@dataclass(slots=True)
class Negatives:
    """The negatives of one question, and how many passages were left out for which reason."""

    hits: list[Hit] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def choose_negatives(
    legs: Legs,
    positive: Hit,
    *,
    relevant: frozenset[str],
    number: int,
    depth: int,
    margin: float,
    rng: random.Random,
) -> Negatives:
    """Choose up to `number` negatives by `rng`, from each leg by turns, upper ranks more often (as 1 / √rank).

    `relevant` are ids of documents or chunks that are answers. `depth`: ranks of each leg that negatives come from.
    `margin`: the share of the answer's cosine from which a passage may be an answer itself. A copy of a passage that is
    chosen is not chosen again.
    """
    chosen = Negatives()
    cosines = {hit.chunk_id: cosine(hit) for hit in legs.get("text_sem", ())}
    # An answer that is not among the nearest is at most as near as the last of them.
    ceiling = margin * max(0.0, cosines.get(positive.chunk_id, min(cosines.values(), default=0.0)))
    allowed: dict[Leg, list[tuple[int, Hit]]] = {}
    seen: set[str] = set()
    said = letters_of(positive.text)
    for leg, hits in legs.items():
        allowed[leg] = []
        for rank, hit in enumerate(hits[:depth], start=1):
            reason = _why_not(hit, positive, said, relevant, cosines, ceiling)
            if reason is None:
                allowed[leg].append((rank, hit))
            elif hit.chunk_id not in seen:
                chosen.left_out[reason] += 1
            seen.add(hit.chunk_id)
    _take(chosen, allowed, number, rng)
    return chosen


def cosine(hit: Hit) -> float:
    """Return the cosine of a hit of the leg `text_sem`, whose score is (1 + cosine) / 2 (Elasticsearch's `cosine`)."""
    return 2 * hit.legs["text_sem"].score - 1 if "text_sem" in hit.legs else 2 * hit.score - 1


def _why_not(
    hit: Hit, positive: Hit, said: str, relevant: frozenset[str], cosines: Mapping[str, float], ceiling: float
) -> str | None:
    if hit.chunk_id == positive.chunk_id or hit.chunk_id in relevant or hit.doc_id in relevant:
        return "an answer"
    if fuzz.ratio(letters_of(hit.text), said, score_cutoff=COPY):
        return "a copy of the answer"
    return "too near" if cosines.get(hit.chunk_id, -1.0) >= ceiling else None


def _take(chosen: Negatives, allowed: dict[Leg, list[tuple[int, Hit]]], number: int, rng: random.Random) -> None:
    texts: set[str] = set()
    while len(chosen.hits) < number and any(allowed.values()):
        for hits in allowed.values():
            if not hits or len(chosen.hits) == number:
                continue
            at = rng.choices(range(len(hits)), weights=[rank**-0.5 for rank, _ in hits])[0]
            _, hit = hits.pop(at)
            if (text := letters_of(hit.text)) not in texts:
                texts.add(text)
                chosen.hits.append(hit)
