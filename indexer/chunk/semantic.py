"""Semantic chunks: cut where the topic changes, as the vectors of the sentences or a segmentation model say.

What fits is one chunk and costs nothing. Of a longer text, the stretches between two breakpoints are the chunks: short
ones join a neighbour, and one that is too long is cut at its sentences like any other text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bothways.core.datatypes import Document
from bothways.indexer.chunk.atoms import Atom, assemble, join, sentence_atoms, tidy
from bothways.indexer.chunk.piece import Piece
from bothways.models.protocols import Encoder

Breakpoints = Callable[[Sequence[str]], Sequence[int]]
"""The sentences of a text, in order and with white space, to the numbers of those after which the topic changes."""

PERCENTILE = 75.0
WINDOW = 2
_SHORT = 5
_AT_ONCE = 512
_DECIMALS = 6  # of a distance: what lies behind them depends on the machine and the batch


def cut_semantic(document: Document, max_chars: int, breakpoints: Breakpoints) -> Iterator[Piece]:
    """Cut a document at its breakpoints, into pieces of a fifth of `max_chars` to `max_chars` characters if it can."""
    blocks = tidy(document.blocks)
    whole = "\n".join(blocks).strip()
    if len(whole) <= max_chars:
        yield from [Piece(whole)] if whole else []
        return
    atoms = [atom for block in blocks for atom in sentence_atoms(block, max_chars)]
    cuts = [0, *(last + 1 for last in breakpoints([atom.text for atom in atoms])), len(atoms)]
    stretches = [atoms[start:end] for start, end in pairwise(cuts) if start < end]
    for stretch in _joined(stretches, max_chars):
        yield from map(Piece, assemble(stretch, max_chars))


def breakpoints_by_vectors(
    texts: Sequence[str], encoder: Encoder, *, percentile: float = PERCENTILE, window: int = WINDOW
) -> list[int]:
    """Return the joints of a text whose two sides are furthest apart: peaks from a percentile of all its joints on.

    A side is the mean of the vectors of up to `window` sentences, and how far two sides are apart is 1 - cosine. A
    change of topic shows in all the windows that reach over it; of those joints the highest is the breakpoint.
    """
    if len(texts) < 2:
        return []
    distances = np.concatenate(
        [_distances(texts, start, encoder, window) for start in range(0, len(texts) - 1, _AT_ONCE)]
    )
    far = (distances >= np.percentile(distances, percentile)) & (distances > distances.min())
    above = np.flatnonzero(far).tolist()
    return [
        joint for joint in above if distances[joint] >= distances[max(0, joint - window + 1) : joint + window].max()
    ]


def _distances(texts: Sequence[str], start: int, encoder: Encoder, window: int) -> npt.NDArray[np.float64]:
    """Distances of the joints from `start` on, at most `_AT_ONCE`: a book's vectors are never in memory together."""
    first, joints = max(0, start - window + 1), range(start, min(start + _AT_ONCE, len(texts) - 1))
    vectors = encoder.encode_documents(texts[first : joints.stop + window]).astype(np.float64)
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0)])
    cuts = np.asarray(joints) - first + 1
    left = sums[cuts] - sums[np.maximum(cuts - window, 0)]
    right = sums[np.minimum(cuts + window, len(vectors))] - sums[cuts]
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines = np.einsum("ij,ij->i", left, right) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return np.asarray(np.round(1 - cosines, _DECIMALS), np.float64)


def _joined(stretches: Sequence[Sequence[Atom]], max_chars: int) -> list[list[Atom]]:
    """Join what is shorter than a fifth of `max_chars` with its neighbour, where the two fit into one chunk."""
    joined: list[list[Atom]] = []
    for stretch in stretches:
        both = [*joined[-1], *stretch] if joined else []
        short = joined and min(len(join(joined[-1])), len(join(stretch))) * _SHORT < max_chars
        if short and len(join(both)) <= max_chars:
            joined[-1] = both
        else:
            joined.append(list(stretch))
    return joined
