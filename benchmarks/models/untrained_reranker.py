"""A cross-encoder to time reranking with while no trained one is at hand: the embedding model's layers and a new head.

The head's numbers come from a fixed seed, so the model is the same in every run and on both sides; the order it gives
means nothing. `BOTHWAYS_RERANKER_MODEL` puts a trained one in its place.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bothways.core.errors import MissingExtraError
from bothways.core.settings import Settings
from bothways.models.files.resolve import onnx_file, resolve_model
from bothways.models.onnx.export import export_graph, quiet
from bothways.models.onnx.weights import INSTALL_TORCH, ensure_torch_weights

SEED = 20250101


def reranker_folder(chosen: Settings) -> Path:
    """Return the folder of the cross-encoder that both sides rerank with, making the untrained one where none is set.

    Its ONNX graph is made here too, so that no server does it while it is measured.
    """
    folder = _folder(chosen)
    if chosen.model_backend != "torch" and onnx_file(folder) is None:
        export_graph(folder, "cross_encoder", cache_dir=chosen.cache_dir)
    return folder


def _folder(chosen: Settings) -> Path:
    if chosen.reranker_model:
        return resolve_model(chosen.reranker_model, cache_dir=chosen.cache_dir, weights="torch")
    source = resolve_model(chosen.embedding_model, cache_dir=chosen.cache_dir, weights="torch")
    target = chosen.cache_dir / "models" / f"untrained-reranker-{source.name}-{SEED}"
    if not target.is_dir():
        ensure_torch_weights(source)
        _make(source, target)
    return target


def _make(source: Path, target: Path) -> None:
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError(f"An untrained reranker is made with: {INSTALL_TORCH}.") from error
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = AutoModelForSequenceClassification.from_pretrained(
            source, num_labels=1, dtype=torch.float32, local_files_only=True
        )
        model.save_pretrained(part)
        AutoTokenizer.from_pretrained(source, local_files_only=True).save_pretrained(part)
    part.rename(target)
