"""Semantic chunks: cut where the sentences part, within bounds, and nothing encoded that need not be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from bothways.core.datatypes import Document
from bothways.indexer.chunk import chunk
from bothways.indexer.chunk import semantic as module
from bothways.indexer.chunk.cached import CachedBreakpoints
from bothways.indexer.chunk.semantic import Breakpoints, breakpoints_by_vectors, cut_semantic
from tests.fakes import HashEncoder


class TopicEncoder:
    """A sentence's vector is its first character's own axis: the same topic at distance 0, another at 1."""

    name = "fake/topics"
    dimension = 3

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        self.seen.extend(texts)
        return np.eye(3, dtype=np.float32)[["甲乙丙".index(text[0]) for text in texts]]

    encode_queries = encode_documents


def sentence(topic: str, length: int = 20) -> str:
    return topic * (length - 1) + "。"


def texts_of(*topics: str, length: int = 20, max_chars: int = 100) -> list[str]:
    document = Document(
        doc_id="id", title="题", blocks=("".join(sentence(topic, length) for topic in topics),), source="a.txt"
    )
    turns = partial(breakpoints_by_vectors, encoder=TopicEncoder(), percentile=75, window=1)
    return [piece.text for piece in cut_semantic(document, max_chars, turns)]


def test_a_text_is_cut_where_its_topic_changes() -> None:
    assert texts_of(*"甲甲甲乙乙丙丙丙丙") == [sentence("甲") * 3, sentence("乙") * 2, sentence("丙") * 4]


def test_a_stretch_that_is_too_long_is_cut_at_sentences_into_equal_parts() -> None:
    assert [len(text) for text in texts_of(*"甲甲甲甲甲甲甲甲乙乙乙")] == [80, 80, 60]


def test_a_short_stretch_joins_the_one_before_it_where_both_fit() -> None:
    assert texts_of(*"甲" * 8, *"乙", *"丙" * 8, length=10, max_chars=100) == [
        sentence("甲", 10) * 8 + sentence("乙", 10),
        sentence("丙", 10) * 8,
    ]


def test_a_text_without_any_turn_is_cut_like_any_other() -> None:
    assert [len(text) for text in texts_of(*"甲" * 8)] == [80, 80]


def test_two_sides_are_the_means_of_a_window() -> None:
    """甲|甲乙, 甲甲|乙甲, 甲乙|甲甲, 乙甲|甲丙, 甲甲|丙丙, 甲丙|丙: one odd sentence is not as far as a new topic."""
    topics = [sentence(topic) for topic in "甲甲乙甲甲丙丙"]
    shared = 1 - 1 / np.sqrt(2)
    distances = module._distances(topics, 0, TopicEncoder(), 2)
    assert distances == pytest.approx([shared, shared, shared, 1 / 2, 1, shared], abs=1e-6)
    assert breakpoints_by_vectors(topics, TopicEncoder(), percentile=75, window=1) == [1, 2, 4]
    assert breakpoints_by_vectors(topics, TopicEncoder(), percentile=75, window=2) == [4]


def test_distances_do_not_depend_on_how_many_sentences_are_encoded_at_once(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    texts = ["".join(map(chr, rng.integers(0x4E00, 0x4E40, 12))) for _ in range(50)]
    whole = breakpoints_by_vectors(texts, HashEncoder(), percentile=70, window=3)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    assert breakpoints_by_vectors(texts, HashEncoder(), percentile=70, window=3) == whole
    assert 0 < len(whole) < 15  # of 49 joints, 15 lie above the 70th percentile, and not all of them are peaks


def test_one_sentence_has_no_turn() -> None:
    assert breakpoints_by_vectors(["甲。"], TopicEncoder()) == []


def test_what_fits_is_not_encoded_and_loads_nothing() -> None:
    def no_encoder() -> TopicEncoder:
        raise AssertionError("loaded for a short text")

    [only] = chunk(
        [Document(doc_id="id", title="题", blocks=("甲。", "乙。"), source="a.txt")],
        "semantic",
        max_chars=100,
        encoder=no_encoder,
    )
    assert only.text == "甲。\n乙。"


def test_documents_are_encoded_one_at_a_time() -> None:
    encoder = TopicEncoder()
    documents = [Document(doc_id=topic, title="题", blocks=(sentence(topic) * 8,), source="a.txt") for topic in "甲乙"]
    next(chunk(iter(documents), "semantic", max_chars=100, encoder=lambda: encoder))
    assert {text[0] for text in encoder.seen} == {"甲"}


def test_a_segmentation_model_goes_before_the_vectors() -> None:
    def no_encoder() -> TopicEncoder:
        raise AssertionError("not needed")

    document = Document(doc_id="id", title="题", blocks=(sentence("甲") * 6,), source="a.txt")
    chunks = chunk([document], "semantic", max_chars=100, encoder=no_encoder, segmentation=lambda: lambda texts: [1])
    assert [len(c.text) for c in chunks] == [40, 80]


def test_without_encoder_and_model_it_is_refused() -> None:
    document = Document(doc_id="id", title="题", blocks=(sentence("甲") * 6,), source="a.txt")
    with pytest.raises(ValueError, match="need an encoder"):
        list(chunk([document], "semantic", max_chars=100))


def test_a_second_run_asks_no_model(tmp_path) -> None:
    loaded = 0

    def load() -> Breakpoints:
        nonlocal loaded
        loaded += 1
        return lambda texts: [len(texts) // 2]

    path = tmp_path / "turns.sqlite"
    for name, texts, expected, times in (
        ("a", ["甲。", "乙。"], [1], 1),
        ("a", ["甲。", "乙。"], [1], 1),
        ("a", ["甲。", "乙。", "丙。", "丁。"], [2], 2),
        ("b", ["甲。", "乙。"], [1], 3),
        ("a", ["甲。乙。"], [0], 4),
    ):
        assert CachedBreakpoints(load, name, path)(texts) == expected
        assert loaded == times
