"""A float graph to one with 8-bit weights, once, into the cache: dynamic quantisation by ONNX Runtime's own tools.

The path of a graph goes in, the path of its int8 copy comes out: beside the graph where that was exported into the
cache, else in a folder of its own there, so that a user's or the hub's folder stays as it is. Only the matrix products
are quantised, one scale a column; activations are quantised while it runs.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import structlog
from filelock import FileLock

from bothways.core.errors import ModelError
from bothways.core.machine.private_files import FILE, private_folder
from bothways.models.onnx.graph import Graph, open_graph
from bothways.models.onnx.tokens import Batch

log = structlog.get_logger(__name__)

_NAME = "model.int8.onnx"  # another way of quantising gets another name, so that copies in the caches are unused


def quantize_graph(path: Path, *, cache_dir: Path) -> Path:
    """Give the int8 copy of the graph at `path`, making it where it is not there yet or the graph has changed.

    Raises `ModelError` where the graph cannot be quantised or its copy gives something else than one finite number a
    pair.
    """
    target = _target(path, cache_dir / "models" / "exported")
    if target.is_file():
        return target
    import onnx  # here: only the first time needs it
    from onnxruntime.quantization import QuantType, quantize_dynamic

    private_folder(target.parent, narrow=False)
    with FileLock(target.with_name(f".{target.name}.lock"), mode=FILE):
        if target.is_file():
            return target
        log.info("model.quantize", graph=str(path), target=str(target))
        part = target.with_name(f".{target.name}.{os.getpid()}")
        root = logging.getLogger()
        level = root.level
        root.setLevel("ERROR")  # onnxruntime.quantization advises on the root logger
        try:
            model = onnx.load(path)
            del model.graph.value_info[:]  # shapes that the exporter noted, and the quantiser's own check refuses
            quantize_dynamic(
                model,
                part,
                op_types_to_quantize=["MatMul", "Gemm"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # for products of unknown type
            )
            _check(part, path)
            part.replace(target)
        except ModelError:
            raise
        except Exception as error:  # the quantiser raises whatever a graph it does not know makes it raise
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"The graph {path} cannot be quantised to int8: {reason}. Set BOTHWAYS_RERANKER_PRECISION=fp32."
            ) from error
        finally:
            root.setLevel(level)
            part.unlink(missing_ok=True)
    return target


def _target(path: Path, exported: Path) -> Path:
    if path.is_relative_to(exported):
        return path.with_name(_NAME)  # its folder is named after the weights that it was made of
    stat = path.stat()
    facts = repr((str(path), stat.st_size, stat.st_mtime_ns))
    folder = path.parent.parent if path.parent.name == "onnx" else path.parent
    return exported / f"{folder.name}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}" / _NAME


def _check(made: Path, original: Path) -> None:
    """Let both compute made-up pairs: the copy has to give as many numbers, all finite.

    How near they are is measured on real pairs (docs/decisions/reranking.md); random ids would say nothing about it.
    """
    ids = (np.arange(22, dtype=np.int64).reshape(2, 11) % 30) + 5
    batch = Batch(positions=(0, 1), ids=ids, mask=np.ones_like(ids), types=np.zeros_like(ids))
    graphs: list[Graph] = [open_graph(one, backend="onnx", outputs=["logits", "scores"]) for one in (made, original)]
    got, expected = (graph.run(batch) for graph in graphs)
    if got.shape != expected.shape or not np.isfinite(got).all():
        raise ModelError(
            f"The int8 copy of {original} gives an array of shape {got.shape} for {expected.shape}, or numbers that "
            "are not finite. Set BOTHWAYS_RERANKER_PRECISION=fp32."
        )
