"""Protocols of all that computes. Tests put deterministic fakes here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from bothways.core.datatypes import Vector

Generate = Callable[[str], str]
"""A language model: a prompt in, its answer out; raises `LLMError`."""


class Encoder(Protocol):
    """Texts to vectors. All vectors are L2-normalised float32, so that a dot product is the cosine."""

    @property
    def name(self) -> str:
        """The model's name as set, kept in the index's `_meta`."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of passages, shape (len(texts), dimension), in the order of `texts`."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of questions (with the model's query prompt, if it has one), same shape and order."""
        ...


class CrossEncoder(Protocol):
    """Pairs to relevance."""

    @property
    def name(self) -> str:
        """The model's name or folder as set."""
        ...

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Raw logits, one a text, in the order of `texts`; higher is more relevant."""
        ...


@runtime_checkable
class LimitedReader(Protocol):
    """A cross-encoder on this machine: how much of a passage it reads, how many searches it serves at once."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` stands, as (start, end) in characters; the text is not cut."""
        ...

    @property
    def pair_tokens(self) -> int:
        """Tokens that question and passage may have together."""
        ...

    @property
    def at_once(self) -> int:
        """Calls that may compute at the same time; more would only take the cores from each other."""
        ...


@runtime_checkable
class Blended(Protocol):
    """A cross-encoder with a measured share of its scores in the final ones, beside the first stage's."""

    @property
    def alpha(self) -> float | None:
        """That share, from 0 to 1; None if it was not measured."""
        ...


@runtime_checkable
class TimedCrossEncoder(Protocol):
    """A cross-encoder with a deadline, such as one behind a network."""

    def score_within(self, query: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """Return as `CrossEncoder.score`; raise `ModelError` if the answer is late."""
        ...
