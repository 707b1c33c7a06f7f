"""Vectors belong to their texts, whatever the order in which texts are encoded."""

import threading

import numpy as np
import pytest

from bothways.core.datatypes import Chunk, ExpandedChunk
from bothways.indexer.embed import SLICE, _embed_window, embed
from tests.fakes import HashEncoder


def expanded(number, questions=()):
    text = f"第 {number} 条" + "长" * (number * 7 % 50)
    return ExpandedChunk(
        Chunk(chunk_id=f"d-{number}", doc_id="d", position=number, title="题", heading="", text=text, source="s"),
        tuple(questions),
    )


def test_every_text_gets_its_own_vector():
    chunks = [expanded(n, [f"问题 {n} {i}" + "啊" * (n % 9) for i in range(n % 4)]) for n in range(300)]
    encoder = HashEncoder()
    found = list(embed(iter(chunks), encoder, window=128))
    assert [item.expanded for item in found] == chunks
    for item in found:
        np.testing.assert_array_equal(item.vector, encoder.encode_documents([item.expanded.chunk.indexed_text])[0])
        np.testing.assert_array_equal(
            item.question_vectors, encoder.encode_documents(list(item.expanded.questions)).reshape(-1, 64)
        )
        assert item.vector.dtype == np.float32


def test_the_encoder_gets_texts_of_like_length_a_slice_at_a_time():
    calls = []

    class Noting(HashEncoder):
        def encode_documents(self, texts):
            calls.append([len(text) for text in texts])
            return super().encode_documents(texts)

    list(embed((expanded(n) for n in range(2 * SLICE + 10)), Noting(), window=1000))
    assert [len(lengths) for lengths in calls] == [SLICE, SLICE, 10]
    flat = [length for lengths in calls for length in lengths]
    assert flat == sorted(flat, reverse=True)


def test_an_encoder_that_fails_fails_the_job_with_its_own_error():
    class Broken(HashEncoder):
        def encode_documents(self, texts):
            raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        list(embed([expanded(1)], Broken()))


def test_a_run_that_is_cut_off_does_not_encode_the_rest():
    stop = threading.Event()

    class Cut(HashEncoder):
        def encode_documents(self, texts):
            stop.set()
            return super().encode_documents(texts)

    encoder = Cut()
    assert _embed_window([expanded(n) for n in range(5 * SLICE)], encoder, stop) == []
    assert encoder.batches == [SLICE]
