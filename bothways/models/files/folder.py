"""What a model folder says about itself, read without torch: how to pool, how long, which prompt.

A folder as sentence-transformers (or transformers) saves it goes in; a frozen `Pooling`, numbers and strings come out.
What our ONNX path cannot do the same way is refused here, rather than done differently.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bothways.core.errors import ModelError

MODES = {
    "cls": "cls",
    "mean": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
}
USE_TORCH = "Set BOTHWAYS_MODEL_BACKEND=torch, which runs every sentence-transformers model."


@dataclass(frozen=True, slots=True)
class Pooling:
    """How the vectors of a text's tokens become one: the first token's (`cls`), or the mean of all."""

    mode: Literal["cls", "mean"]


def read_json(path: Path) -> Any:  # noqa: ANN401 - it is whatever the file holds
    """Return a JSON file's content, None if there is no such file; raise `ModelError` if it is broken."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The model's file {path} cannot be read: {error}.") from error


def read_pooling(folder: Path) -> Pooling:
    """Read from modules.json how to pool; a folder without one is pooled by mean, as sentence-transformers does.

    Whether a Normalize module follows makes no difference, since all our vectors are normalised. Raise `ModelError`
    for any other module and any other way of pooling.
    """
    modules = read_json(folder / "modules.json")
    if modules is None:
        return Pooling("mean")
    kinds = [(module["type"].rpartition(".")[2], folder / module["path"]) for module in modules]
    unknown = [kind for kind, _ in kinds if kind not in {"Transformer", "Pooling", "Normalize"}]
    pooling = [path for kind, path in kinds if kind == "Pooling"]
    if unknown or len(pooling) != 1:
        raise ModelError(
            f"The model {folder} is made of {', '.join(kind for kind, _ in kinds)}; the ONNX backends know "
            f"Transformer, Pooling, Normalize. {USE_TORCH}"
        )
    return Pooling(_pooling_mode(read_json(pooling[0] / "config.json") or {}, folder))


def _pooling_mode(config: dict[str, Any], folder: Path) -> Literal["cls", "mean"]:
    modes = config.get("pooling_mode") or [
        k for k, on in config.items() if k.startswith("pooling_mode_") and on is True
    ]
    modes = [modes] if isinstance(modes, str) else list(modes)
    known = MODES.get(modes[0]) if len(modes) == 1 else None
    if known is None or config.get("include_prompt") is False:
        raise ModelError(
            f"The model {folder} pools by {', '.join(modes) or 'nothing'}{_without_prompt(config)}; the ONNX backends "
            f"know cls and mean. {USE_TORCH}"
        )
    return "cls" if known == "cls" else "mean"


def _without_prompt(config: dict[str, Any]) -> str:
    return " without its prompt" if config.get("include_prompt") is False else ""


def read_query_prompt(folder: Path) -> str:
    """Read the prompt that the model's makers put in front of queries; "" if there is none."""
    config = read_json(folder / "config_sentence_transformers.json") or {}
    return str((config.get("prompts") or {}).get("query") or "")


def read_max_tokens(folder: Path) -> int:
    """Read how many tokens the model takes, special ones included: the smallest of what its files say, else 512."""
    config = read_json(folder / "config.json") or {}
    positions = config.get("max_position_embeddings")
    if positions and config.get("model_type") in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= (config.get("pad_token_id") or 0) + 1  # their positions start after the padding's id
    limits = [
        positions,
        (read_json(folder / "sentence_bert_config.json") or {}).get("max_seq_length"),
        (read_json(folder / "tokenizer_config.json") or {}).get("model_max_length"),
    ]
    return min((int(limit) for limit in limits if limit), default=512)
