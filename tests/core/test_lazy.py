from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bothways.core.errors import ModelError
from bothways.core.lazy import Lazy


def test_made_once_for_many_threads():
    made = []
    lazy = Lazy(lambda: made.append(1) or "value")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: lazy(), range(50))) == {"value"}
    assert made == [1]


def test_a_failure_is_remembered_for_a_while():
    now = [0.0]
    tries = []

    def make():
        tries.append(1)
        raise ModelError("no such model")

    lazy = Lazy(make, retry_after_s=10, clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(ModelError):
            lazy()
    assert len(tries) == 1
    now[0] = 11
    with pytest.raises(ModelError):
        lazy()
    assert len(tries) == 2
