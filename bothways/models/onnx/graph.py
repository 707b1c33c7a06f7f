"""An ONNX file that can be run, by ONNX Runtime or by OpenVINO: named int64 arrays in, one float array out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import psutil

from bothways.core.datatypes import Vector
from bothways.core.errors import MissingExtraError, ModelError
from bothways.models.onnx.tokens import Batch

Feed = Mapping[str, npt.NDArray[np.int64]]
Backend = Literal["onnx", "openvino"]

KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A loaded model. Threads may share it; `turns` limits how many compute at the same time."""

    path: Path
    inputs: frozenset[str]
    compute: Callable[[Feed], Vector]
    turns: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(at_once()))

    def run(self, batch: Batch) -> Vector:
        """Return the graph's output for a batch; raise `ModelError` if the runtime fails."""
        feed = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types}
        try:
            with self.turns:
                return self.compute({name: array for name, array in feed.items() if name in self.inputs})
        except Exception as error:  # the runtimes raise classes of their C++ cores, without a common root
            raise ModelError(f"The model {self.path} failed on {batch.ids.shape[0]} texts: {error}.") from error


def open_graph(path: Path, *, backend: Backend, outputs: Sequence[str]) -> Graph:
    """Load the ONNX file and choose its output: the first of `outputs` that it has, else its only one.

    Raise `ModelError` if the file cannot be loaded or needs inputs other than a BERT's, `MissingExtraError` if OpenVINO
    is set and not installed.
    """
    load = _load_openvino if backend == "openvino" else _load_onnxruntime
    try:
        inputs, names, compute = load(path)
    except MissingExtraError:
        raise
    except Exception as error:  # as above
        raise ModelError(
            f"The model {path} cannot be loaded: {error}. Remove its folder, so that it is fetched again."
        ) from error
    if unknown := inputs - KNOWN_INPUTS:
        raise ModelError(f"The model {path} needs inputs that are not known here: {', '.join(sorted(unknown))}.")
    found = [name for name in outputs if name in names] or (names if len(names) == 1 else [])
    if not found:
        raise ModelError(f"The model {path} gives {', '.join(names)}; none of them is {' or '.join(outputs)}.")
    return Graph(path=path, inputs=inputs, compute=partial(compute, found[0]))


def cores() -> int:
    """Count the physical cores that this process may use, or the threads that `OMP_NUM_THREADS` grants it."""
    if (granted := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        return max(1, int(granted))
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))


def at_once() -> int:
    """Count the batches that a graph computes at the same time; others wait for their turn.

    A batch uses all cores already. More at once would only take the cores from each other
    (docs/decisions/search-speed.md).
    """
    return max(1, cores() // 2)


_Loaded = tuple[frozenset[str], list[str], Callable[[str, Feed], Vector]]
"""Names of the inputs, names of the outputs, and the computation of one output."""


def _load_onnxruntime(path: Path) -> _Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # errors are raised, and reported by the caller
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def compute(output: str, feed: Feed) -> Vector:
        result: Vector = session.run([output], feed)[0]
        return result

    inputs, outputs = ([node.name for node in nodes] for nodes in (session.get_inputs(), session.get_outputs()))
    return frozenset(inputs), outputs, compute


def _load_openvino(path: Path) -> _Loaded:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError('The backend openvino needs: pip install "bothways[openvino]".') from error
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
    core = openvino.Core()
    compiled: Any = core.compile_model(core.read_model(path), "CPU", hints)

    def compute(output: str, feed: Feed) -> Vector:
        request = compiled.create_infer_request()  # one a call: a request belongs to one thread
        request.infer(dict(feed))
        return np.array(request.get_tensor(output).data, np.float32)

    inputs, outputs = ([node.get_any_name() for node in nodes] for nodes in (compiled.inputs, compiled.outputs))
    return frozenset(inputs), outputs, compute
