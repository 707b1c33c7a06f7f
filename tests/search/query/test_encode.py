from __future__ import annotations

import threading
import time

import pytest

from bothways.core.errors import EncodingTimeoutError
from bothways.search.query.encode import Encoding


def test_what_is_encoded_in_time_is_given():
    assert Encoding().run(lambda: 42, timeout_ms=5000) == 42


def test_an_error_is_the_callers():
    def broken():
        raise ValueError("bad weights")

    with pytest.raises(ValueError, match="bad weights"):
        Encoding().run(broken, timeout_ms=5000)


def test_a_model_that_hangs_is_not_waited_for_and_never_holds_more_than_its_share():
    go, begun = threading.Event(), []

    def hang():
        begun.append(1)
        assert go.wait(10)

    encoding = Encoding(threads=2, waiting=1)
    for _ in range(2):
        with pytest.raises(EncodingTimeoutError, match="BOTHWAYS_ENCODE_TIMEOUT_MS"):
            encoding.run(hang, timeout_ms=20)
    started = time.monotonic()
    with pytest.raises(EncodingTimeoutError, match="within 20 ms"):
        encoding.run(hang, timeout_ms=20)  # waits for a thread, gives up, and is taken from the queue
    callers = [threading.Thread(target=lambda: encoding.run(lambda: None, timeout_ms=10_000))]
    callers[0].start()
    while encoding._free.acquire(blocking=False):  # until that caller has the last place
        encoding._free.release()
        time.sleep(0.001)
    with pytest.raises(EncodingTimeoutError, match="too many"):
        encoding.run(hang, timeout_ms=10_000)
    assert time.monotonic() - started < 5
    assert len(begun) == 2
    go.set()
    callers[0].join(5)
    assert encoding.run(lambda: "again", timeout_ms=5000) == "again"
