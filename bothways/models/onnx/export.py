"""A torch model to an ONNX graph, once, into the cache: for models of the hub or of the user that have no graph.

A model folder goes in, the path of a graph out; it is used only after it gave the same numbers as torch. Needs the
extra `torch`; what is exported runs without it from then on.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any, Literal

import numpy as np
import structlog
from filelock import FileLock

from bothways.core.datatypes import Vector
from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.machine.private_files import FILE, private_folder, whole_folder
from bothways.models.files.folder import USE_TORCH
from bothways.models.onnx.first_token import compute_first_token_only
from bothways.models.onnx.graph import open_graph
from bothways.models.onnx.tokens import Batch
from bothways.models.onnx.weights import INSTALL_TORCH

log = structlog.get_logger(__name__)

Task = Literal["encoder", "cross_encoder"]

OUTPUTS = {"encoder": "last_hidden_state", "cross_encoder": "logits"}
TOLERANCE = 1e-3
"""Largest difference of any number from torch's: a hidden state is of the order of 1, so cosines agree to 1e-5."""
_OPSET = 18
_VERSION = 1  # of this module's exports: another one makes those in the caches unused


def export_graph(folder: Path, task: Task, *, cache_dir: Path) -> Path:
    """Return the graph exported from `folder`, exporting it where that is not done yet or the weights have changed.

    Raise `MissingExtraError` without the extra `torch`, and `ModelError` if the model cannot be exported or its
    graph computes something else than torch does.
    """
    target = cache_dir / "models" / "exported" / f"{folder.name}-{_fingerprint(folder, task)}" / "model.onnx"
    if target.is_file():
        return target
    try:
        import onnxscript  # noqa: F401 - torch.onnx needs it, and says so late
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            f"The model {folder} has no ONNX graph, and to export one needs: {INSTALL_TORCH}."
        ) from error
    private_folder(target.parent.parent, narrow=False)
    with FileLock(target.parent.with_name(f"{target.parent.name}.lock"), mode=FILE):
        if not target.is_file():
            log.info("model.export", folder=str(folder), target=str(target))
            try:
                with quiet():
                    _export_into(target, folder, task, torch, transformers)
            except (ModelError, MissingExtraError):
                raise
            except Exception as error:  # torch's exporter raises what the model's code makes it raise
                reason = str(error).strip().partition("\n")[0]
                raise ModelError(f"The model {folder} cannot be exported to ONNX: {reason}. {USE_TORCH}") from error
    return target


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings and progress bars of torch and transformers off stderr while a model is loaded or exported."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    exporter = getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _fingerprint(folder: Path, task: Task) -> str:
    files = sorted(
        path for path in folder.iterdir() if path.suffix in {".safetensors", ".bin"} or path.name == "config.json"
    )
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((_VERSION, str(folder), task, facts)).encode()).hexdigest()[:16]


def _export_into(target: Path, folder: Path, task: Task, torch: Any, transformers: Any) -> None:  # noqa: ANN401
    kind = transformers.AutoModel if task == "encoder" else transformers.AutoModelForSequenceClassification
    model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    names = _input_names(model)
    wrapped = _wrap(model, names, OUTPUTS[task], torch)
    samples = [_sample(1, 5), _sample(3, 11)]
    with torch.no_grad():
        expected = [wrapped(*_tensors(sample, names, torch)).numpy() for sample in samples]
    if task == "cross_encoder":
        compute_first_token_only(model)
    with whole_folder(target.parent) as part:
        with torch.no_grad():
            _call_exporter(wrapped, names, _sample(2, 16), part / target.name, task, torch)
        for sample, vectors in zip(samples, expected, strict=True):
            _check(part / target.name, sample, vectors, task)


def _input_names(model: Any) -> list[str]:  # noqa: ANN401 - transformers is untyped here
    takes_types = "token_type_ids" in inspect.signature(model.forward).parameters
    with_types = takes_types and (getattr(model.config, "type_vocab_size", 0) or 0) > 1
    return ["input_ids", "attention_mask", *(["token_type_ids"] if with_types else [])]


def _wrap(model: Any, names: list[str], output: str, torch: Any) -> Any:  # noqa: ANN401
    class OneOutput(torch.nn.Module):  # type: ignore[misc]
        """The model as a function of its inputs in order, with one output: what an exporter can name."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:  # noqa: ANN401
            return getattr(self.model(**dict(zip(names, inputs, strict=True))), output)

    return OneOutput()


def _sample(rows: int, length: int) -> Batch:
    """Make a batch of made-up ids, the rows of different lengths: exporting needs shapes, not sense."""
    ids = np.arange(rows * length, dtype=np.int64).reshape(rows, length) % 30 + 5
    mask = (np.arange(length) < length - np.arange(rows)[:, np.newaxis]).astype(np.int64)
    return Batch(positions=range(rows), ids=ids * mask, mask=mask, types=np.zeros_like(ids))


def _tensors(batch: Batch, names: list[str], torch: Any) -> tuple[Any, ...]:  # noqa: ANN401
    arrays = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types}
    return tuple(torch.from_numpy(arrays[name]) for name in names)


def _call_exporter(model: Any, names: list[str], batch: Batch, path: Path, task: Task, torch: Any) -> None:  # noqa: ANN401
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        model,
        _tensors(batch, names, torch),
        path,
        input_names=names,
        output_names=[OUTPUTS[task]],
        dynamic_shapes=(tuple(axes for _ in names),),
        opset_version=_OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _check(path: Path, batch: Batch, expected: Vector, task: Task) -> None:
    got = open_graph(path, backend="onnx", outputs=[OUTPUTS[task]]).run(batch)
    if got.shape != expected.shape:
        raise ModelError(f"The ONNX export gives an array of shape {got.shape}, torch of {expected.shape}. {USE_TORCH}")
    kept = batch.mask.astype(bool) if task == "encoder" else slice(None)
    difference = float(np.abs(got - expected)[kept].max())
    if not difference <= TOLERANCE:
        raise ModelError(f"The ONNX export differs from torch by {difference:.2g}. {USE_TORCH}")
