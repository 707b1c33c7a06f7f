from bothways.core.batches import batched


def test_batches_are_of_one_size_and_the_last_is_the_rest():
    assert list(batched("abcde", 2)) == [("a", "b"), ("c", "d"), ("e",)]
    assert list(batched([], 2)) == []


def test_items_are_taken_when_they_are_wanted():
    items = iter(range(10))
    assert next(batched(items, 3)) == (0, 1, 2)
    assert next(items) == 3
