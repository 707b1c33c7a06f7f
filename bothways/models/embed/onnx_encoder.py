"""The encoder that needs no torch: `tokenizers`, an ONNX graph, and pooling as the model's folder says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bothways.core.datatypes import Vector
from bothways.core.errors import ModelError
from bothways.models.files.folder import Pooling, read_json
from bothways.models.onnx.graph import Graph
from bothways.models.onnx.tokens import Batch, Tokens

TOKEN_VECTORS = ("last_hidden_state", "token_embeddings")


class OnnxEncoder:
    """Texts to vectors through a graph that gives one vector a token. Threads may share it."""

    def __init__(
        self, name: str, folder: Path, graph: Graph, pooling: Pooling, *, query_prompt: str, max_batch_tokens: int
    ) -> None:
        self.name = name
        self._graph = graph
        self._tokens = Tokens(folder)
        self._pooling = pooling
        self._query_prompt = query_prompt
        self._max_batch_tokens = max_batch_tokens
        self.dimension = self._check(folder)

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of passages, shape (len(texts), dimension), in the order of `texts`."""
        distinct = list(dict.fromkeys(texts))
        vectors = np.empty((len(distinct), self.dimension), np.float32)
        for batch in self._tokens.batches(distinct, max_tokens=self._max_batch_tokens):
            vectors[batch.positions] = pool(self._graph.run(batch), batch, self._pooling)
        if len(distinct) == len(texts):
            return vectors
        places = {text: place for place, text in enumerate(distinct)}
        return vectors[[places[text] for text in texts]]

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of questions, the query prompt in front of each; same shape and order."""
        return self.encode_documents([self._query_prompt + text for text in texts])

    def _check(self, folder: Path) -> int:
        """Encode a text once, which also warms the graph up, and say how long a vector is."""
        batch = next(self._tokens.batches(["问"], max_tokens=self._max_batch_tokens))
        vectors = self._graph.run(batch)
        lengths = {1, batch.ids.shape[1]} if self._pooling.mode == "cls" else {batch.ids.shape[1]}
        expected = (read_json(folder / "config.json") or {}).get("hidden_size")
        shapes = [(1, length, expected or vectors.shape[-1]) for length in lengths]
        if vectors.shape not in shapes:
            raise ModelError(
                f"The model {self._graph.path} gives an array of shape {vectors.shape} for "
                f"{batch.ids.shape[1]} tokens; expected is one vector a token, of {expected or 'any'} numbers."
            )
        return int(vectors.shape[2])


def pool(tokens: Vector, batch: Batch, pooling: Pooling) -> Vector:
    """Make one L2-normalised vector a text out of its tokens' vectors, shape (texts, tokens, d); padding counts not.

    For `cls` the first token's vectors are enough, shape (texts, 1, d).
    """
    if pooling.mode == "cls":
        pooled = tokens[:, 0]
    else:
        weights = batch.mask[:, :, np.newaxis].astype(np.float32)
        pooled = (tokens * weights).sum(axis=1) / weights.sum(axis=1)
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    result: Vector = pooled / np.maximum(norms, 1e-12)
    return result
