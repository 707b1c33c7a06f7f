from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.learning.simulated_readers import INFORMATIONAL, NAVIGATIONAL, RandomReader
from bothways.learning.judgments.click_randomness import CELLS, measure_randomness
from bothways.learning.judgments.evidence import Evidence
from tests.learning.simulated import World


def shown(seen, clicked):
    return Evidence(doc_id="d", seen=Counter(seen), clicked=Counter(clicked))


def test_by_hand():
    # At rank 1 forty pairs were shown 10 times, half of them clicked 8 times and half 2: rate .5, variance 2.5.
    # At rank 2 the same pairs were clicked once in 10 times.
    pairs = [shown({1: 10, 2: 10}, {1: times, 2: 1}) for times in [8] * 20 + [2] * 20]
    found = measure_randomness(pairs)
    assert found.dispersion == pytest.approx(40 * 9 / 2.5 / 78)
    assert found.flatness == pytest.approx(0.1 / 0.5)
    assert not found.by_chance


def test_ranks_are_compared_with_themselves():
    # What stands first is always clicked more; that tells nothing of the chunks.
    pairs = [shown({1: 10}, {1: 5}) for _ in range(40)] + [shown({2: 10}, {2: 1}) for _ in range(40)]
    assert measure_randomness(pairs).dispersion == 0


def test_too_few_pairs_say_nothing():
    assert measure_randomness([]) is None
    assert measure_randomness([shown({1: 10}, {1: 5})] * CELLS) is None, "one rank takes one degree of freedom"
    assert measure_randomness([shown({1: 4}, {1: 2})] * 100) is None, "shown too rarely"
    assert measure_randomness([shown({1: 10}, {})] * 100) is None, "never clicked at that rank"


@pytest.mark.parametrize("spread", [0.0, 2.0])
@pytest.mark.parametrize("click", [0.2, 0.4])
def test_random_clicks_are_by_chance(click, spread):
    assert measure_randomness(
        World(readers=[RandomReader(click)], shares=[1.0], spread=spread, searches=30).ledger().evidence.values()
    ).by_chance


@pytest.mark.parametrize("spread", [0.0, 2.0])
@pytest.mark.parametrize(
    ("readers", "shares"),
    [([NAVIGATIONAL], [1.0]), ([INFORMATIONAL], [1.0]), ([NAVIGATIONAL, RandomReader(0.2)], [0.8, 0.2])],
)
def test_those_of_users_are_not(readers, shares, spread):
    assert not measure_randomness(
        World(readers=readers, shares=shares, spread=spread, searches=30).ledger().evidence.values()
    ).by_chance
