"""From a model's name to a folder on disk: a folder of the user, the hub's cache, the hub, or the packaged copy.

What is on disk is used without asking the network, so a warm start needs none and an index keeps the weights it was
built with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import structlog
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from bothways.core.errors import ModelError
from bothways.models.files.packaged import NAME as PACKAGED_NAME
from bothways.models.files.packaged import fetch_packaged, packaged_folder
from bothways.models.onnx.weights import has_torch_weights
from bothways.models.rerank.shipped import NAME as SHIPPED_NAME
from bothways.models.rerank.shipped import assemble, is_shipped, shipped_folder

log = structlog.get_logger(__name__)

Weights = Literal["onnx", "torch"]

ONNX_FILES = ("onnx/model.onnx", "model.onnx")
_SMALL_FILES = ["*.json", "*.txt", "*.model"]
_WEIGHT_PATTERNS = {
    "onnx": [*ONNX_FILES, "onnx/model.onnx_data", "model.onnx_data"],
    "torch": ["model*.safetensors", "pytorch_model*.bin", "*_Dense/*"],
}
_ETAG_TIMEOUT_S = 3.0


def onnx_file(folder: Path) -> Path | None:
    """Return the folder's ONNX graph, if it has one."""
    return next((folder / name for name in ONNX_FILES if (folder / name).is_file()), None)


def resolve_model(name_or_folder: str, *, cache_dir: Path, weights: Weights = "torch") -> Path:
    """Return the folder of a model, with its `weights` where there are any of that kind.

    A hub model that has no ONNX graph comes with its torch weights instead, to be exported from. A reranker of our own
    (`bothways.models.rerank.shipped`), by its name or its folder, is put together in the cache. The packaged default
    is looked for in the cache first; where ONNX is asked for, it goes before the hub, which has no graph of it. Raises
    `ModelError` that says everything that was tried.
    """
    if name_or_folder == SHIPPED_NAME or is_shipped(Path(name_or_folder).expanduser()):
        folder = shipped_folder() if name_or_folder == SHIPPED_NAME else Path(name_or_folder).expanduser().absolute()
        return assemble(folder, cache_dir=cache_dir, torch_weights=weights == "torch")
    if (folder := Path(name_or_folder).expanduser()).is_dir():
        return _checked(folder)
    if _is_path(name_or_folder):
        raise ModelError(
            f"There is no model folder {name_or_folder}. It has to hold config.json, tokenizer.json and weights "
            "(model.safetensors or onnx/model.onnx), as sentence-transformers saves them."
        )
    reasons = []
    for source in _sources(name_or_folder, cache_dir=cache_dir, weights=weights):
        try:
            return _checked(source())
        except (OSError, ValueError, HfHubHTTPError, ModelError) as error:
            reasons.append(str(error).strip().splitlines()[0].rstrip("."))
            log.debug("model.not_here", name=name_or_folder, reason=reasons[-1])
    raise ModelError(
        f"The model {name_or_folder} cannot be found: {'; '.join(dict.fromkeys(reasons))}. Give a folder as "
        f"sentence-transformers saves it, a name of the Hugging Face hub (HF_ENDPOINT sets a mirror), or "
        f"{PACKAGED_NAME}, which also comes from Maven Central; without a network, copy a filled cache here."
    )


def _sources(name: str, *, cache_dir: Path, weights: Weights) -> Iterator[Callable[[], Path]]:
    packaged = name == PACKAGED_NAME
    if packaged and packaged_folder(cache_dir).is_dir():
        yield lambda: packaged_folder(cache_dir)
    yield lambda: _from_hub(name, weights, local_files_only=True)
    if packaged and weights == "onnx":
        yield lambda: fetch_packaged(cache_dir)
    yield lambda: _from_hub(name, weights, local_files_only=False)
    if packaged and weights == "torch":
        yield lambda: fetch_packaged(cache_dir)


def _from_hub(name: str, weights: Weights, *, local_files_only: bool) -> Path:
    kinds: list[Weights] = ["onnx", "torch"] if weights == "onnx" else ["torch"]
    for kind in kinds:
        folder = Path(
            snapshot_download(
                name,
                allow_patterns=[*_SMALL_FILES, *_WEIGHT_PATTERNS[kind]],
                ignore_patterns=["openvino/*", "*.md"],
                etag_timeout=_ETAG_TIMEOUT_S,
                local_files_only=local_files_only,
            )
        )
        if onnx_file(folder) if kind == "onnx" else has_torch_weights(folder):
            return folder
    raise ModelError(f"{name} has no {weights} weights in the hub's {'cache' if local_files_only else 'files'}")


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a model folder: it has no config.json.")
    return folder.absolute()


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
