"""Chunks and vectors in any number, made out of real ones: what is measured with them needs no model and no language.

Texts are clauses of two real ones put together anew, so that words are as frequent, and texts as long, as in the real
ones; a vector lies between those of two real texts, with a little noise. (Noise alone would not do: vectors that differ
from real ones in all directions alike have no neighbourhood that a graph could find its way in.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.shared.corpus import Corpus
from bothways.core.analysis import Segmenter
from bothways.core.datatypes import Chunk, EmbeddedChunk, ExpandedChunk, Failure, Vector
from bothways.core.settings import Settings
from bothways.indexer.chunk import chunk, sentences
from bothways.indexer.doc2query.expand import expand
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.indexer.read import read

NOISE = 0.25
"""Length of the noise that is added to the mean of two unit vectors."""


class ReadySegmenter(Segmenter):
    """Remembers the words of clauses: made-up texts repeat them, and cutting them is not what is measured."""

    def __init__(self, cache_dir: Path) -> None:
        super().__init__(cache_dir=cache_dir)
        self._known: dict[str, str] = {}

    def segment(self, text: str) -> str:
        """Return the words of a text, cut clause by clause and each clause once."""
        return " ".join(self._clause(clause) for clause in clauses(text))

    def _clause(self, clause: str) -> str:
        if clause not in self._known:
            self._known[clause] = super().segment(clause)
        return self._known[clause]


def clauses(text: str) -> list[str]:
    """Cut a text at the ends of its sentences, of its lines and at its commas."""
    return [part for sentence in sentences(text) for part in sentence.replace("，", "，\n").split("\n") if part]


def real_chunks(corpus: Corpus, chosen: Settings) -> list[ExpandedChunk]:
    """Read the corpus with its recorded questions."""

    def ignore(_: Failure) -> None:
        """Leave out what cannot be read."""

    documents = read(corpus.documents, max_file_mb=chosen.max_file_mb, on_failure=ignore)
    chunks = chunk(documents, max_chars=chosen.chunk_max_chars)
    return list(expand(chunks, RecordedQuestions(corpus.questions), concurrency=1, on_failure=ignore))


def separate(expanded: Sequence[ExpandedChunk]) -> list[Chunk]:
    """Return the chunks, then each of their questions as a chunk of its own."""
    questions = (
        replace(each.chunk, chunk_id=f"{each.chunk.chunk_id}-q{number}", heading="", text=question)
        for each in expanded
        for number, question in enumerate(each.questions)
    )
    return list(chain((each.chunk for each in expanded), questions))


def varied(
    chunks: Sequence[Chunk], vectors: Vector, count: int, chance: np.random.Generator
) -> Iterator[tuple[Chunk, Vector]]:
    """Return `count` chunks with vectors: the given ones, then variations with half their clauses from another."""
    yield from zip(chunks[:count], vectors[:count], strict=True)
    for number in range(len(chunks), count):
        places = chance.integers(len(chunks), size=2)
        one, other = (chunks[place] for place in places)
        own, foreign = clauses(one.text), clauses(other.text)
        kept = [clause for clause in own if chance.random() < 0.5] or own[:1]
        text = "".join([*kept, *foreign[: max(1, len(own) - len(kept))]])
        yield (
            replace(one, chunk_id=f"varied-{number}", doc_id=f"varied-{number}", text=text),
            _between(vectors[places[:1]], vectors[places[1:]], chance)[0],
        )


def near(vectors: Vector, count: int, chance: np.random.Generator) -> Vector:
    """Return `count` unit vectors, shape (count, d), each between two of the given ones."""
    one, other = chance.integers(len(vectors), size=(2, count))
    return _between(vectors[one], vectors[other], chance)


def _between(one: Vector, other: Vector, chance: np.random.Generator) -> Vector:
    means = one + other
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    noisy = means + chance.standard_normal(means.shape, np.float32) * np.float32(NOISE / np.sqrt(means.shape[1]))
    result: Vector = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return result


def embedded(expanded: Sequence[ExpandedChunk], vectors: Vector, chance: np.random.Generator) -> list[EmbeddedChunk]:
    """Yield the chunks with made-up vectors near the given ones, for their questions, too."""
    return [
        EmbeddedChunk(
            each, near(vectors, 1, chance)[0], near(vectors, max(1, len(each.questions)), chance)[: len(each.questions)]
        )
        for each in expanded
    ]
