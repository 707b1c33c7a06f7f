"""The seams to everything that computes. Tests put deterministic fakes here; nothing else is ever faked."""

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
    """A cross-encoder of whose scores it was measured what share they should have beside the first stage's."""

    @property
    def alpha(self) -> float | None:
        """That share, from 0 to 1; None where nobody measured."""
        ...


@runtime_checkable
class TimedCrossEncoder(Protocol):
    """A cross-encoder that can be waited for no longer than one likes, such as one behind a network."""

    def score_within(self, query: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """As `CrossEncoder.score`; raise `ModelError` where the answer does not come in time."""
        ...
