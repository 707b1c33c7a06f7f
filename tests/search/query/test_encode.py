from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bothways.core.errors import EncodingTimeoutError
from bothways.core.results import Query
from bothways.search.options import SearchOptions
from bothways.search.query.encode import QueryEncoder, mix

EAST = np.array([1, 0], dtype=np.float32)
NORTH = np.array([0, 1], dtype=np.float32)


@pytest.mark.parametrize(
    ("weight", "mean"),
    [(0, [1, 0]), (0.5, [0.7071068, 0.7071068]), (0.25, [3 / 10**0.5, 1 / 10**0.5]), (1, [0, 1])],
)
def test_question_and_pseudo_document_make_one_vector_of_length_one(weight, mean):
    vector = mix(EAST, NORTH, weight=weight)
    assert vector == pytest.approx(mean)
    assert vector.dtype == np.float32


def test_vectors_that_cancel_each_other_leave_the_question():
    assert mix(EAST, -EAST, weight=0.5) is EAST


class FakeEncoder:
    """Encodes by calling a function without arguments."""

    def __init__(self, encode=lambda: EAST):
        self.encode = encode

    def encode_queries(self, texts):
        return [self.encode() for _ in texts]

    def encode_documents(self, texts):
        return [NORTH for _ in texts]


def encode(encoder, query=Query("问"), *, timeout_ms=5000.0):  # noqa: B008
    return encoder.encode(query, SearchOptions(encode_timeout_ms=timeout_ms, weight_pseudo_doc=0.5))


def test_a_question_is_mixed_with_its_pseudo_document():
    encoder = QueryEncoder(FakeEncoder)
    assert encode(encoder) is EAST
    assert encode(encoder, Query("问", rewritten="答")) == pytest.approx([0.7071068, 0.7071068])


def test_an_error_reaches_the_caller():
    def broken():
        raise ValueError("bad weights")

    with pytest.raises(ValueError, match="bad weights"):
        encode(QueryEncoder(lambda: FakeEncoder(broken)))


def test_a_model_that_hangs_is_not_waited_for_and_never_holds_more_than_its_share():
    go, begun, hangs = threading.Event(), [], [True]

    def model():
        if hangs[0]:
            begun.append(1)
            assert go.wait(10)
        return EAST

    encoder = QueryEncoder(lambda: FakeEncoder(model), threads=2, waiting=1)
    for _ in range(2):
        with pytest.raises(EncodingTimeoutError, match="did not encode"):
            encode(encoder, timeout_ms=20)
    started = time.monotonic()
    with pytest.raises(EncodingTimeoutError, match="within 20 ms"):
        encode(encoder, timeout_ms=20)  # waits for a thread, gives up, and is taken from the queue
    hangs[0] = False
    waiting = threading.Thread(target=lambda: encode(encoder, timeout_ms=10_000))
    waiting.start()
    while encoder._free.acquire(blocking=False):  # until that caller has the last place
        encoder._free.release()
        time.sleep(0.001)
    with pytest.raises(EncodingTimeoutError, match="too many"):
        encode(encoder, timeout_ms=10_000)
    assert time.monotonic() - started < 5
    assert len(begun) == 2
    go.set()
    waiting.join(5)
    assert encode(encoder) is EAST
