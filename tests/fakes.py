"""Deterministic stand-ins for what computes; nothing else is ever faked."""

from __future__ import annotations

import hashlib

import numpy as np

from bothways.core.errors import LLMError
from bothways.indexer.parts import Parts
from bothways.models.llm.usage import TokenUsage


class Clock:
    """Tells the time, in seconds since 1970, that a test sets: 2027-01-15 08:00:00 UTC until then."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now

    def pause(self, seconds):
        """Let time pass without waiting for it."""
        self.now += seconds


class HashEncoder:
    """Bag of characters hashed into `dimension` buckets: texts that share characters are near, on every machine."""

    def __init__(self, dimension=64, name="fake/hash"):
        self.dimension = dimension
        self.name = name
        self.batches = []

    def encode_documents(self, texts):
        self.batches.append(len(texts))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for character in text:
                bucket = hashlib.md5(character.encode()).digest()[0] % self.dimension
                vectors[row, bucket] += 1
            vectors[row, 0] += 1e-3
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    encode_queries = encode_documents


class OverlapCrossEncoder:
    """Scores a passage by the characters that it shares with the question."""

    name = "fake/overlap"

    def score(self, query, texts):
        return [float(len(set(query) & set(text))) for text in texts]


class FixedRewriter:
    """Gives every question the same pseudo-document, or raises what it is given; keeps the deadlines."""

    def __init__(self, answer):
        self.answer = answer
        self.deadlines = []

    def rewrite(self, question, *, deadline_s):
        self.deadlines.append(deadline_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FixedWriter:
    """Writes two questions a chunk, refuses what it is told to, and counts its calls."""

    generation = "fake/1"

    def __init__(self, refuse=(), error=LLMError):
        self.refuse = set(refuse)
        self.error = error
        self.calls = 0
        self.cache_hits = 0

    def has(self, chunk):
        return False

    usage = TokenUsage(0, 0)

    def estimate(self, chunk):
        return TokenUsage(len(chunk.text), 10)

    def close(self):
        pass

    def write(self, chunk):
        self.calls += 1
        if any(word in chunk.text for word in self.refuse):
            raise self.error("the model will not")
        return (f"问 {chunk.text[:6]}", f"怎么办 {chunk.text[-6:]}")


class DyingWriter(FixedWriter):
    """Has written to `after` chunks when it is interrupted, as by Ctrl-C, at the next text that holds `at`."""

    def __init__(self, after=0, at=""):
        super().__init__()
        self.after = after
        self.at = at

    def write(self, chunk):
        if self.calls >= self.after and self.at in chunk.text:
            raise KeyboardInterrupt
        return super().write(chunk)


def make_parts(es, segmenter, *, encoder=HashEncoder, embedding_model="fake/hash", **more):
    """Return what an indexing job works with: `es` is a client and its server, vectors come from `HashEncoder`."""
    client, server = es
    return Parts(
        client=client,
        server=server,
        segmenter=segmenter,
        encoder=encoder,
        embedding_model=embedding_model,
        **more,
    )
