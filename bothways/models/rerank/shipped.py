"""Our own rerankers in the form in which they are shipped: layers and head in fp16, embeddings from the base model.

A small folder (`reranker.json`, `layers.safetensors`, a model card) goes in; a complete model folder in the cache comes
out, made of it and the packaged embedding model. So a reranker of 13 million trained numbers takes 26 MB instead of 96,
and comes with the package where no model hub is in reach. Its graph is made without torch.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from filelock import FileLock

from bothways.core.errors import ModelError
from bothways.core.machine.private_files import FILE, private_folder, whole_folder, write_json
from bothways.models.files.folder import read_json
from bothways.models.files.packaged import NAME as BASE
from bothways.models.files.packaged import fetch_packaged
from bothways.models.onnx.bert_graph import HEAD, PREFIX, layers_of, write_cross_encoder
from bothways.models.onnx.weights import ensure_torch_weights, has_torch_weights

log = structlog.get_logger(__name__)

NAME = "bothways/reranker-zh"
MANIFEST, LAYERS = "reranker.json", "layers.safetensors"
FORMAT = 1
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "special_tokens_map.json")
_FOLDER = Path(__file__).parent / "reranker_zh"


def is_shipped(folder: Path) -> bool:
    """Return whether a folder is a reranker in the form in which we ship them."""
    return (folder / MANIFEST).is_file()


def shipped_folder() -> Path:
    """Return the folder of the reranker that comes with the package; raise `ModelError` if it came without."""
    if not is_shipped(_FOLDER):
        raise ModelError(
            f"This installation of Bothways comes without the weights of {NAME}. `bothways learn reranker` trains one "
            "of your own; set BOTHWAYS_RERANKER_MODEL to its folder."
        )
    return _FOLDER


def assemble(folder: Path, *, cache_dir: Path, torch_weights: bool = False) -> Path:
    """Return the complete model folder of a shipped one, making it below `cache_dir` where it is not there yet.

    It has the ONNX graph; with `torch_weights` also those (and so the extra `torch` is needed). Raise `ModelError`
    where the checksum is wrong or the layers do not fit the base model.
    """
    manifest = _read_manifest(folder)
    target = cache_dir / "models" / f"{folder.name}-{manifest['sha256'][:16]}"
    if target.is_dir() and (has_torch_weights(target) or not torch_weights):
        return target
    base = fetch_packaged(cache_dir)
    try:
        with FileLock(target.with_name(f"{target.name}.lock"), mode=FILE):
            if not target.is_dir():
                log.info("model.assemble", folder=str(folder), target=str(target))
                _assemble_into(target, manifest, _read_layers(folder, manifest["sha256"]), base)
            if torch_weights and not has_torch_weights(target):
                _write_torch_weights(target, _read_layers(folder, manifest["sha256"]), base)
    except OSError as error:
        raise ModelError(f"The model {folder} cannot be put together in {target}: {error}.") from error
    return target


def write_shipped(
    folder: Path, weights: dict[str, npt.NDArray[np.float32]], config: dict[str, Any], *, max_tokens: int
) -> dict[str, Any]:
    """Write `layers.safetensors` and `reranker.json` into `folder`; gives what the latter says.

    `weights` are those of BertForSequenceClassification without its embeddings, `config` is its config.json.
    """
    from safetensors.numpy import save_file

    layers = layers_of(weights)
    with np.errstate(over="ignore"):  # looked for in the next line
        halves = {name: array.astype(np.float16) for name, array in weights.items()}
    if broken := [name for name, array in halves.items() if not np.isfinite(array).all()]:
        raise ModelError(f"{broken[0]} has numbers that fp16 cannot hold.")
    private_folder(folder, narrow=False)
    path = folder / LAYERS
    save_file(halves, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes for its owner alone
    manifest = {
        "format": FORMAT,
        "base": BASE,
        "layers": layers,
        "max_tokens": max_tokens,
        "config": config,
        "bytes": path.stat().st_size,
        "sha256": _digest(path),
    }
    write_json(folder / MANIFEST, manifest, indent=2)
    return manifest


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("base") != BASE:
        raise ModelError(f"{folder / MANIFEST} is not of format {FORMAT} on the base {BASE}: update Bothways.")
    if missing := {"sha256", "max_tokens", "config"} - manifest.keys():
        raise ModelError(f"{folder / MANIFEST} says nothing of {', '.join(sorted(missing))}.")
    return manifest


def _read_layers(folder: Path, sha256: str) -> dict[str, npt.NDArray[np.float32]]:
    from safetensors.numpy import load_file

    path = folder / LAYERS
    if not path.is_file() or _digest(path) != sha256:
        raise ModelError(f"{path} is not the file that {MANIFEST} names (SHA-256 {sha256}): get it again.")
    return {name: array.astype(np.float32) for name, array in load_file(path).items()}


def _assemble_into(
    target: Path, manifest: dict[str, Any], weights: dict[str, npt.NDArray[np.float32]], base: Path
) -> None:
    with whole_folder(target) as part:
        (part / "onnx").mkdir()
        write_cross_encoder(base / "onnx" / "model.onnx", weights, part / "onnx" / "model.onnx")
        for name in _TOKENIZER_FILES:
            shutil.copyfile(base / name, part / name)
        tokenizer = {**(read_json(base / "tokenizer_config.json") or {}), "model_max_length": manifest["max_tokens"]}
        write_json(part / "config.json", manifest["config"], indent=2)
        write_json(part / "tokenizer_config.json", tokenizer, indent=2)


def _write_torch_weights(target: Path, weights: dict[str, npt.NDArray[np.float32]], base: Path) -> None:
    from safetensors.numpy import load_file, save_file

    ensure_torch_weights(base)
    embeddings = {
        f"{PREFIX}{name}": array
        for name, array in load_file(base / "model.safetensors").items()
        if name.startswith("embeddings.")
    }
    part = target / ".model.safetensors"
    save_file(embeddings | weights, part, metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(target / "model.safetensors")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def without_embeddings(weights: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    """Keep what is shipped of a BertForSequenceClassification's weights: the layers and the head."""
    return {name: array for name, array in weights.items() if name in HEAD or name.startswith(f"{PREFIX}encoder.")}
