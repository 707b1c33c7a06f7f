"""Do clicks tell chunks apart at all? The check of feedback that stands before everything that is learnt from it.

Users who look for something click some chunks often and others hardly ever, at the same rank. Clicks by chance, of a
script or of somebody who poisons the record, fall on all chunks of a rank alike, whatever the rank is worth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from learning.evidence import Evidence

SEEN = 5
"""Times that a pair of question and chunk was shown at a rank, for it to count there."""
CELLS = 30
"""Pairs that are needed for a verdict."""
APART = 1.5
"""Chance alone gives about 1."""


def dispersion(evidence: Collection[Evidence]) -> float | None:
    """Give the dispersion of clicks among the pairs of a rank: about 1 by chance, more where chunks differ.

    Pearson's chi-squared over the pairs shown at a rank, against the click rate of that rank, by its degrees of
    freedom. None where there are too few pairs to say.
    """
    cells = [(rank, seen, one.clicked[rank]) for one in evidence for rank, seen in one.seen.items() if seen >= SEEN]
    shown, clicked = Counter[int](), Counter[int]()
    for rank, seen, times in cells:
        shown[rank] += seen
        clicked[rank] += times
    rates = {rank: clicked[rank] / shown[rank] for rank in shown}
    told = [(rank, seen, times) for rank, seen, times in cells if 0 < rates[rank] < 1]
    free = len(told) - len({rank for rank, _, _ in told})
    if free < CELLS:
        return None
    squares = sum(
        (times - seen * rates[rank]) ** 2 / (seen * rates[rank] * (1 - rates[rank])) for rank, seen, times in told
    )
    return squares / free
