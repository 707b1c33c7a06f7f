"""The cross-encoder that the settings ask for, over sentence-transformers, an ONNX graph or HTTP: pairs to logits."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from bothways.core.errors import MissingExtraError, ModelError, SettingsError
from bothways.core.settings import Settings
from bothways.models.embed.encoder import TOKENS_A_TEXT
from bothways.models.files.folder import read_json
from bothways.models.files.resolve import onnx_file, resolve_model
from bothways.models.onnx.export import export_graph, quiet
from bothways.models.onnx.graph import Graph, open_graph
from bothways.models.onnx.quantize import quantize_graph
from bothways.models.onnx.tokens import Tokens
from bothways.models.onnx.weights import INSTALL_TORCH
from bothways.models.protocols import CrossEncoder
from bothways.models.rerank.remote import RemoteCrossEncoder, check_remote

log = structlog.get_logger(__name__)

BATCH_TOKENS = 256
"""Tokens of pairs that are scored at once: few enough for a layer's numbers to stay in a core's cache. Of 128 to 2,048
it took the least processor time (docs/decisions/search-speed.md)."""


def load_cross_encoder(settings: Settings) -> CrossEncoder | None:
    """Load the reranker, fetching it first where it is not on this machine; None if none is set.

    With `BOTHWAYS_RERANKER_URL` it is one behind an address, and nothing is loaded. Raise `ModelError` if it cannot
    be found or loaded, or does not give one score a pair; `MissingExtraError` if its backend is missing, and
    `SettingsError` as `check_reranker` does.
    """
    check_reranker(settings)
    if settings.reranker_url is not None:
        return _remote(settings)
    name, backend = settings.reranker_model, settings.model_backend
    if name is None:
        return None
    folder = resolve_model(name, cache_dir=settings.cache_dir, weights="torch" if backend == "torch" else "onnx")
    _check_one_score(folder)
    if backend == "torch":
        return TorchCrossEncoder(name, folder, batch_size=settings.embedding_batch_size)
    path = onnx_file(folder) or export_graph(folder, "cross_encoder", cache_dir=settings.cache_dir)
    path = _quantized(path, settings)
    graph = open_graph(path, backend=backend, outputs=["logits", "scores"])
    return OnnxCrossEncoder(
        name, folder, graph, max_batch_tokens=min(BATCH_TOKENS, settings.embedding_batch_size * TOKENS_A_TEXT)
    )


def _quantized(path: Path, settings: Settings) -> Path:
    """Return the int8 copy of a graph if the settings ask for it; with `auto`, the graph itself if none can be made."""
    if settings.reranker_precision == "fp32" or settings.model_backend != "onnx":
        return path
    try:
        return quantize_graph(path, cache_dir=settings.cache_dir)
    except ModelError as error:
        if settings.reranker_precision == "int8":
            raise
        log.warning("model.not_quantized", graph=str(path), reason=str(error))
        return path


def check_reranker(settings: Settings) -> None:
    """Refuse settings of the reranker that cannot go together, before anything is loaded; raise `SettingsError`."""
    if settings.reranker_url is not None:
        key = settings.reranker_api_key
        check_remote(
            settings.reranker_url,
            settings.reranker_protocol,
            settings.reranker_model,
            key.get_secret_value() if key else "",
        )
    elif settings.reranker_precision == "int8" and settings.model_backend != "onnx":
        raise SettingsError(
            f"BOTHWAYS_RERANKER_PRECISION=int8 needs BOTHWAYS_MODEL_BACKEND=onnx; {settings.model_backend} runs "
            "rerankers in fp32 alone."
        )


def _remote(settings: Settings) -> RemoteCrossEncoder:
    key = settings.reranker_api_key
    return RemoteCrossEncoder(
        settings.reranker_url or "",
        protocol=settings.reranker_protocol,
        model=settings.reranker_model,
        api_key=key.get_secret_value() if key else "",
    )


class _Limited:
    """What a local model says of itself (`LimitedReader`); one without a tokenizer.json has no limit of length."""

    def __init__(self, folder: Path, tokens: Tokens | None, *, at_once: int) -> None:
        self._limits = tokens
        self.at_once = at_once
        self.alpha = _measured_share(folder)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` stands, as (start, end) in characters."""
        return self._limits.spans(text) if self._limits else []

    @property
    def pair_tokens(self) -> int:
        """Tokens that question and passage may have together."""
        return self._limits.max_tokens - self._limits.special_tokens if self._limits else sys.maxsize


class OnnxCrossEncoder(_Limited):
    """Pairs to logits through a graph of one output a pair. Threads may share it."""

    def __init__(self, name: str, folder: Path, graph: Graph, *, max_batch_tokens: int) -> None:
        self.name = name
        self._graph = graph
        self._tokens = Tokens(folder)
        super().__init__(folder, self._tokens, at_once=2)  # one computes on all cores while the other begins or ends
        self._max_batch_tokens = max_batch_tokens

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Raw logits, one a text, in the order of `texts`; a pair that is too long loses from its longer side."""
        scores = np.empty(len(texts), np.float32)
        for batch in self._tokens.batches([(query, text) for text in texts], max_tokens=self._max_batch_tokens):
            logits = self._graph.run(batch)
            if logits.size != len(batch.positions):
                raise ModelError(f"The model {self._graph.path} gives logits of shape {logits.shape}, not one a pair.")
            scores[batch.positions] = logits.reshape(-1)
        return [float(score) for score in scores]


class TorchCrossEncoder(_Limited):
    """A sentence-transformers CrossEncoder behind the protocol. Threads take turns, as torch is shared state."""

    def __init__(self, name: str, folder: Path, *, batch_size: int) -> None:
        self.name = name
        self._model, self._identity = _load(folder)
        super().__init__(folder, Tokens(folder) if (folder / "tokenizer.json").is_file() else None, at_once=1)
        self._batch_size = batch_size
        self._lock = threading.Lock()

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Raw logits, one a text, in the order of `texts`."""
        if not texts:
            return []
        with self._lock:
            logits = self._model.predict(
                [(query, text) for text in texts],
                batch_size=self._batch_size,
                activation_fn=self._identity,
                show_progress_bar=False,
            )
        return [float(score) for score in np.asarray(logits, np.float32).reshape(-1)]


def _check_one_score(folder: Path) -> None:
    config: dict[str, Any] = read_json(folder / "config.json") or {}
    labels = len(config.get("id2label") or {}) or config.get("num_labels")
    architectures = config.get("architectures") or []
    if not any("ForSequenceClassification" in name for name in architectures) or labels not in {1, None}:
        raise ModelError(
            f"The model {folder} is {', '.join(architectures) or 'of no known kind'} with {labels or 'no'} label(s); a "
            "reranker has to be a cross-encoder (ForSequenceClassification) with one."
        )


def _measured_share(folder: Path) -> float | None:
    """Read what `bothways learn reranker` found to be the share of its scores (`rerank_alpha` in config.json)."""
    share = (read_json(folder / "config.json") or {}).get("rerank_alpha")
    if share is None:
        return None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ModelError(f"{folder / 'config.json'}: rerank_alpha is a number from 0 to 1, not {str(share)[:40]!r}.")
    return float(share)


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        import sentence_transformers
        import torch
    except ImportError as error:
        raise MissingExtraError(f"The backend torch needs: {INSTALL_TORCH}.") from error
    try:
        with quiet():
            model = sentence_transformers.CrossEncoder(
                str(folder), local_files_only=True, model_kwargs={"dtype": "float32"}
            )
    except Exception as error:  # what a broken folder raises depends on the model's own code
        raise ModelError(f"The model {folder} cannot be loaded: {error}.") from error
    return model, torch.nn.Identity()
