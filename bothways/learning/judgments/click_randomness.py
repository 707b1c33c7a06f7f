"""Whether clicks are random, measured before anything is learnt from them.

Users read from the top, stop when they are content, and click some chunks of a rank more often than others. Random
clicks, those of a script or of an attacker, fall on all chunks of a rank alike, and on the last ranks as often as on
the first ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from bothways.learning.judgments.evidence import Evidence
from bothways.learning.judgments.propensity import accidental

SEEN = 5
"""Times that a pair of question and chunk was shown at a rank, for it to count there."""
CELLS = 30
"""Pairs, beyond one a rank, that are needed for a verdict."""
APART = 1.5
"""Dispersion above which clicks certainly distinguish chunks; random clicks give about 1."""
FLAT = 0.5
"""Clicks of the last ranks as a share of the best rank's, above which clicks do not distinguish ranks."""


@dataclass(frozen=True, slots=True)
class ClickRandomness:
    """How clicks fall: `dispersion` among the chunks of a rank, `flatness` from rank to rank; both are 1 by chance.

    The flatness is the click rate of the last ranks by that of the best one.
    """

    dispersion: float
    flatness: float

    @property
    def by_chance(self) -> bool:
        """Return whether they distinguish neither chunks nor ranks."""
        return self.dispersion < APART and self.flatness > FLAT

    def __str__(self) -> str:
        """Return the two numbers in words."""
        return (
            f"dispersion at equal ranks {self.dispersion:.2f} (chance alone gives 1), clicks at the last ranks "
            f"{self.flatness:.2f} for each at the best one (by chance: about 1)"
        )


def measure_randomness(evidence: Collection[Evidence]) -> ClickRandomness | None:
    """Look at how clicks fall; None where there are too few pairs to say.

    The dispersion is Pearson's chi-squared over the pairs shown at a rank, against the click rate of that rank, by its
    degrees of freedom. The last ranks are those by which accidental clicks are measured
    (bothways/learning/judgments/propensity.py).
    """
    cells = [(rank, seen, item.clicked[rank]) for item in evidence for rank, seen in item.seen.items() if seen >= SEEN]
    shown, clicked = Counter[int](), Counter[int]()
    for rank, seen, times in cells:
        shown[rank] += seen
        clicked[rank] += times
    rates = {rank: clicked[rank] / shown[rank] for rank in shown}
    cells_used = [(rank, seen, times) for rank, seen, times in cells if 0 < rates[rank] < 1]
    free = len(cells_used) - len({rank for rank, _, _ in cells_used})
    if free < CELLS:
        return None
    squares = sum(
        (times - seen * rates[rank]) ** 2 / (seen * rates[rank] * (1 - rates[rank])) for rank, seen, times in cells_used
    )
    return ClickRandomness(squares / free, accidental(evidence) / max(rates.values()))
