"""Do clicks tell anything? The look at feedback that stands before everything that is learnt from it.

Users who look for something read from the top and go away content, and click some chunks of a rank more often than
others. Clicks by chance, of a script or of somebody who poisons the record, do neither: they fall on all chunks of a
rank alike, and on the last ranks as often as on any.
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
"""Dispersion from which chunks are told apart for certain; chance alone gives about 1."""
FLAT = 0.5
"""Share of the best rank's clicks that the last ranks have, from which ranks are not told apart."""


@dataclass(frozen=True, slots=True)
class ClickRandomness:
    """How clicks fall: `dispersion` among the chunks of a rank, `flatness` from rank to rank; both are 1 by chance.

    The flatness is the click rate of the last ranks by that of the best one.
    """

    dispersion: float
    flatness: float

    @property
    def by_chance(self) -> bool:
        """Return whether they tell neither chunks nor ranks apart."""
        return self.dispersion < APART and self.flatness > FLAT

    def __str__(self) -> str:
        """Say it in numbers."""
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
