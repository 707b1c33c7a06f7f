"""The encoder that sentence-transformers runs: any model it knows, on the CPU or a GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bothways.core.datatypes import Vector
from bothways.core.errors import MissingExtraError, ModelError
from bothways.models.onnx.export import quiet
from bothways.models.onnx.weights import INSTALL_TORCH, ensure_torch_weights


class TorchEncoder:
    """A sentence-transformers model behind the `Encoder` protocol. Threads take turns, as torch is shared state."""

    def __init__(self, name: str, folder: Path, *, query_prompt: str, batch_size: int) -> None:
        self.name = name
        self._model = _load(folder)
        self._query_prompt = query_prompt
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self.dimension = int(self._model.get_embedding_dimension())

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of passages, shape (len(texts), dimension), in the order of `texts`."""
        return self._encode(texts, prompt="")

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of questions, the query prompt in front of each; same shape and order."""
        return self._encode(texts, prompt=self._query_prompt)

    def _encode(self, texts: Sequence[str], *, prompt: str) -> Vector:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        with self._lock:
            vectors = self._model.encode(
                list(texts),
                prompt=prompt,
                batch_size=self._batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, np.float32)


def _load(folder: Path) -> Any:  # noqa: ANN401 - sentence-transformers is untyped
    try:
        import sentence_transformers
    except ImportError as error:
        raise MissingExtraError(f"The backend torch needs: {INSTALL_TORCH}.") from error
    ensure_torch_weights(folder)
    try:
        with quiet():
            return sentence_transformers.SentenceTransformer(
                str(folder), local_files_only=True, model_kwargs={"dtype": "float32"}
            )
    except Exception as error:  # what a broken folder raises depends on the model's own code
        raise ModelError(f"The model {folder} cannot be loaded: {error}.") from error
