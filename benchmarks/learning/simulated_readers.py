"""Users whose taste is known, to test what is learnt from clicks: they read a ranking from the top and click by it.

The cascade with several clicks (Guo, Liu and Wang, Efficient Multiple-Click Models in Web Search, WSDM 2009), its
users as in Hofmann, Whiteson and de Rijke (A Probabilistic Method for Inferring Preferences from Clicks, CIKM 2011),
and a random one, as a poisoner or a bot would be. All chance comes from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bothways.core.results import SearchResult
from bothways.learning.feedback.rows import Row, event_row, query_row
from bothways.learning.feedback.wording import Wording
from bothways.schemas.names import Action

Acted = list[tuple[str, Action]]
"""What a user did, in order: chunk and action."""


class Reader(Protocol):
    """Whoever reads a ranking."""

    def react(self, shown: Sequence[str], relevant: Mapping[str, int], chance: np.random.Generator) -> Acted:
        """Return what this user does with a ranking of chunks, best first; `relevant` are the grades, 0 if missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeReader:
    """Reads from the top; clicks by relevance, and goes away content by relevance or tired at any hit.

    Probabilities, the first for irrelevant hits and the second for relevant ones: `click`; `content`: to stop after a
    click; `vote`: to vote after one, down or up. `patience`: to go on to the next hit.
    """

    click: tuple[float, float]
    content: tuple[float, float]
    vote: tuple[float, float] = (0.0, 0.0)
    patience: float = 0.85

    def react(self, shown: Sequence[str], relevant: Mapping[str, int], chance: np.random.Generator) -> Acted:
        """Return what this user does."""
        acted: Acted = []
        for chunk in shown:
            is_relevant = relevant.get(chunk, 0) > 0
            if chance.random() < self.click[is_relevant]:
                acted.append((chunk, "click"))
                if chance.random() < self.vote[is_relevant]:
                    acted.append((chunk, "up" if is_relevant else "down"))
                if chance.random() < self.content[is_relevant]:
                    break
            if chance.random() >= self.patience:
                break
        return acted


@dataclass(frozen=True, slots=True)
class RandomReader:
    """Clicks each hit with the probability `click`, whatever it is and wherever it stands."""

    click: float = 0.2

    def react(self, shown: Sequence[str], relevant: Mapping[str, int], chance: np.random.Generator) -> Acted:  # noqa: ARG002
        """Return what this user does."""
        return [(chunk, "click") for chunk in shown if chance.random() < self.click]


NAVIGATIONAL = CascadeReader(click=(0.05, 0.95), content=(0.2, 0.9))
"""Looks for one answer, and knows it."""
INFORMATIONAL = CascadeReader(click=(0.4, 0.9), content=(0.1, 0.5))
"""Looks around: opens much that is irrelevant."""

_READING_S = 5.0


def simulated_rows(
    result: SearchResult,
    reader: Reader,
    relevant: Mapping[str, int],
    chance: np.random.Generator,
    *,
    wording: Wording,
    now: float,
) -> list[Row]:
    """Return a search and what a reader did with its answer, as the API records them, at a time of one's choice.

    `relevant` are grades by chunk id, `now` is in seconds since 1970.
    """
    acted = reader.react([hit.chunk_id for hit in result.hits], relevant, chance)
    ranks = {hit.chunk_id: rank for rank, hit in enumerate(result.hits, result.offset + 1)}
    events = [
        event_row(
            result.query_id, chunk, action, shown=(result.collection, ranks[chunk]), now=now + _READING_S * number
        )
        for number, (chunk, action) in enumerate(acted, start=1)
    ]
    return [query_row(result, wording, filtered=False, now=now), *events]
