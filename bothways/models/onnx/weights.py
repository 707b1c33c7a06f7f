"""Torch weights out of an ONNX graph: what the packaged model needs before torch can run or train it.

A folder whose graph was exported by `torch.onnx` goes in; the same folder with a `model.safetensors` comes out. No
torch is needed for it: the export kept the parameters' names, and each matrix is known by the node that uses it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.machine.private_files import FILE

INSTALL_TORCH = 'pip install "bothways[torch]"'
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")


def has_torch_weights(folder: Path) -> bool:
    """Return whether torch can load the folder as it is."""
    return any((folder / name).is_file() for name in WEIGHT_FILES)


def ensure_torch_weights(folder: Path) -> None:
    """Write `model.safetensors` next to `onnx/model.onnx` where there are no torch weights yet.

    Raise `MissingExtraError` without the extra `torch`, `ModelError` if the graph is not a BERT's.
    """
    if has_torch_weights(folder):
        return
    try:
        import onnx
        from safetensors.numpy import save_file
    except ImportError as error:
        raise MissingExtraError(f"Torch weights need the extra torch: {INSTALL_TORCH}.") from error
    with FileLock(folder.with_name(f"{folder.name}.lock"), mode=FILE):
        if has_torch_weights(folder):
            return
        weights = _named_weights(onnx.load(folder / "onnx" / "model.onnx"), onnx.numpy_helper.to_array)
        if "embeddings.word_embeddings.weight" not in weights:
            raise ModelError(f"{folder} has an ONNX graph whose weights have no names: torch cannot use it.")
        part = folder / f".model.safetensors.{os.getpid()}"
        save_file(weights, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors writes for its owner alone
        part.replace(folder / "model.safetensors")


def _named_weights(model: Any, to_array: Any) -> dict[str, npt.NDArray[np.float32]]:  # noqa: ANN401 - onnx is untyped
    arrays = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    weights = {name: array for name, array in arrays.items() if not name.startswith("onnx::")}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            name = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            weights[f"{name}.weight"] = np.ascontiguousarray(arrays[node.input[1]].T)
    return weights
