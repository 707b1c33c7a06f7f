from __future__ import annotations

from bothways.learning.synonyms.counts import BoundedCounts


def test_below_the_limit_counts_are_exact():
    counts = BoundedCounts(3)
    counts.add("ab")
    counts.add("ac")
    assert (counts["a"], counts["b"], counts["z"], counts.missed) == (2, 1, 0, 0)
    assert counts.at_least(2) == [("a", 2)]


def test_the_rarest_are_forgotten_and_the_error_is_bounded():
    """100,000 things seen once never take the place of one that comes every time."""
    counts = BoundedCounts(10)
    for number in range(100_000):
        counts.add([number, "often"])
        assert len(counts.at_least(1)) <= 10
    assert 100_000 - counts.missed <= counts["often"] <= 100_000
    assert counts.missed < 100_000 / 9 + 1
