"""A float graph to one with 8-bit weights, once, into the cache: dynamic quantisation by ONNX Runtime's own tools.

Only the matrix products are quantised, one scale a column; activations are quantised while it runs.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from bothways.core.errors import ModelError
from bothways.models.onnx.derived import derived_graph
from bothways.models.onnx.graph import open_graph
from bothways.models.onnx.tokens import Batch

_NAME = "model.int8.onnx"  # another way of quantising gets another name, so that copies in the caches are unused


def quantize_graph(path: Path, *, cache_dir: Path) -> Path:
    """Return the int8 copy of the graph at `path`; it is made at the first call, and again after the graph changed.

    Raise `ModelError` if the graph cannot be quantised, or its copy does not give one finite number a pair.
    """
    try:
        return derived_graph(path, _NAME, _write_quantized, cache_dir=cache_dir)
    except ModelError:
        raise
    except Exception as error:  # the quantiser raises whatever a graph it does not know makes it raise
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"The graph {path} cannot be quantised to int8: {reason}. Set BOTHWAYS_RERANKER_PRECISION=fp32."
        ) from error


def _write_quantized(path: Path, copy: Path) -> None:
    import onnx  # here: only the first start needs it
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel("ERROR")  # onnxruntime.quantization advises on the root logger
    try:
        model = onnx.load(path)
        del model.graph.value_info[:]  # shapes that the exporter noted, and the quantiser's own check refuses
        quantize_dynamic(
            model,
            copy,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # for products of unknown type
        )
    finally:
        root.setLevel(level)
    _check(copy, path)


def _check(made: Path, original: Path) -> None:
    """Let both compute made-up pairs: the copy has to give as many numbers, all finite.

    How near they are is measured on real pairs (docs/decisions/reranking.md); random ids would say nothing about it.
    """
    ids = (np.arange(22, dtype=np.int64).reshape(2, 11) % 30) + 5
    batch = Batch(positions=(0, 1), ids=ids, mask=np.ones_like(ids), types=np.zeros_like(ids))
    got, expected = (
        open_graph(one, backend="onnx", outputs=["logits", "scores"]).run(batch) for one in (made, original)
    )
    if got.shape != expected.shape or not np.isfinite(got).all():
        raise ModelError(
            f"The int8 copy of {original} gives an array of shape {got.shape} for {expected.shape}, or numbers that "
            "are not finite. Set BOTHWAYS_RERANKER_PRECISION=fp32."
        )
