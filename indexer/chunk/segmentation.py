"""Where the topic of a text changes, by a document-segmentation model: any transformers model that labels tokens.

Its labels are those of such models at large: every token is "O" (or the first label, where none is called so), but the
last one of a segment. Needs the extra `torch`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.settings import Settings
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.export import quiet
from bothways.models.onnx.weights import INSTALL_TORCH

_OTHER = "O"
_MAX_TOKENS = 512


class SegmentationModel:
    """A token-classification model: call it with a text's sentences, it gives those that end a segment.

    Raises `MissingExtraError` without the extra `torch`, `ModelError` where the model cannot be found, loaded or run.
    """

    def __init__(self, settings: Settings) -> None:
        self.name = settings.segmentation_model or ""
        self._label = _load(self.name, settings)

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Return the numbers of the sentences after which a segment ends, in order; the text's own end is none.

        A mark within a sentence counts for the end of a sentence that is nearest to it.
        """
        ends = list(accumulate(map(len, texts)))
        try:
            with quiet():
                marks = [int(group["end"]) for group in self._label("".join(texts))]
        except Exception as error:  # what a model raises at run time depends on its own code
            raise ModelError(f"The segmentation model {self.name} cannot be run: {error}.") from error
        return sorted({_nearest(ends, mark) for mark in marks} - {len(texts) - 1, -1})


def _nearest(ends: Sequence[int], mark: int) -> int:
    """Return the number of the sentence whose end is nearest to `mark`, the earlier of two; -1 is the text's start."""
    after = min(bisect_left(ends, mark), len(ends) - 1)
    before = ends[after - 1] if after else 0
    return after if ends[after] - mark < mark - before else after - 1


def _load(name: str, settings: Settings) -> Any:  # noqa: ANN401 - transformers is untyped
    try:
        import torch  # noqa: F401 - transformers asks for it late, and at length
        from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline
    except ImportError as error:
        raise MissingExtraError(f"A segmentation model needs: {INSTALL_TORCH}.") from error
    folder = resolve_model(name, cache_dir=settings.cache_dir, weights="torch")
    try:
        with quiet():
            model = AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True).eval()
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # what a broken folder raises depends on the model's own code
        raise ModelError(f"The segmentation model {folder} cannot be loaded: {error}.") from error
    limit = getattr(model.config, "max_position_embeddings", None) or _MAX_TOKENS
    tokenizer.model_max_length = min(tokenizer.model_max_length, limit, _MAX_TOKENS)
    labels = model.config.id2label
    return TokenClassificationPipeline(
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        stride=tokenizer.model_max_length // 4,
        ignore_labels=[_OTHER if _OTHER in labels.values() else labels[0]],
    )
