from __future__ import annotations

import threading

from bothways.search.rank.score_cache import ScoreCache


def test_a_score_is_of_a_model_a_question_and_a_passage():
    cache = ScoreCache(10)
    cache.put("m", "q", ["a", "b"], [1.0, -2.0])
    assert cache.get("m", "q", ["b", "a", "c"]) == [-2.0, 1.0, None]
    assert cache.get("n", "q", ["a"]) == [None]
    assert cache.get("m", "r", ["a"]) == [None]
    assert cache.get("m", "qa", [""]) == [None]


def test_what_was_not_used_for_longest_makes_room():
    cache = ScoreCache(3)
    cache.put("m", "q", ["a", "b", "c"], [1.0, 2.0, 3.0])
    cache.get("m", "q", ["a"])
    cache.put("m", "q", ["d"], [4.0])
    assert cache.get("m", "q", ["a", "b", "c", "d"]) == [1.0, None, 3.0, 4.0]
    assert len(cache) == 3


def test_more_than_it_holds_and_nothing_at_all():
    small = ScoreCache(2)
    small.put("m", "q", ["a", "b", "c"], [1.0, 2.0, 3.0])
    assert small.get("m", "q", ["a", "b", "c"]) == [None, 2.0, 3.0]
    none = ScoreCache(0)
    none.put("m", "q", ["a"], [1.0])
    assert none.get("m", "q", ["a"]) == [None]
    assert len(none) == 0


def test_threads_share_it():
    cache = ScoreCache(50)
    wrong = []

    def use(n):
        for i in range(500):
            texts = [f"{(n * i + k) % 80}" for k in range(5)]
            cache.put("m", "q", texts, [float(text) for text in texts])
            wrong.extend(s for t, s in zip(texts, cache.get("m", "q", texts), strict=True) if s not in {None, float(t)})

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []
    assert len(cache) == 50
