"""Texts to padded batches of token ids, many at a time and sorted by length, so that little padding is computed.

Texts (or pairs of texts) go in; batches of int64 arrays come out, each with the places of its texts in the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import BertNormalizer

from bothways.core.errors import ModelError
from bothways.models.files.folder import USE_TORCH, read_json, read_max_tokens

Ids = npt.NDArray[np.int64]
Input: TypeAlias = str | tuple[str, str]

WINDOW = 4096
"""Inputs that are tokenised and sorted together: enough to fill batches of one length, few enough for memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs of similar length. `positions` are their places in the input; the arrays have shape (inputs, tokens)."""

    positions: Sequence[int]
    ids: Ids
    mask: Ids
    types: Ids


def plan(lengths: Sequence[int], *, max_tokens: int) -> Iterator[list[int]]:
    """Group the inputs into batches of at most `max_tokens` tokens with their padding, the longest first.

    A batch holds one input at least. Longest first, so that what does not fit into memory fails at once.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


class Tokens:
    """A model folder's own tokenizer, truncating at the model's length."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"The model {folder} has no tokenizer.json, which the ONNX backends need. {USE_TORCH}")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise ModelError(f"The tokenizer {path} cannot be loaded: {error}.") from error
        self._tokenizer.no_padding()
        self.max_tokens = read_max_tokens(folder)
        self._tokenizer.enable_truncation(self.max_tokens)
        _follow_configuration(self._tokenizer, read_json(folder / "tokenizer_config.json") or {})
        self._pad_id = int((read_json(folder / "config.json") or {}).get("pad_token_id") or 0)
        self._whole = Tokenizer.from_str(self._tokenizer.to_str())
        self._whole.no_truncation()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` each of its tokens stands, as (start, end) in characters; neither special ones nor cut."""
        return list(self._whole.encode(text, add_special_tokens=False).offsets)

    @property
    def special_tokens(self) -> int:
        """How many tokens the model wants around and between the two texts of a pair."""
        return int(self._tokenizer.num_special_tokens_to_add(is_pair=True))

    def batches(self, inputs: Sequence[Input], *, max_tokens: int) -> Iterator[Batch]:
        """Tokenise `inputs`, a window at a time, and yield them in batches as `plan` groups them."""
        for start in range(0, len(inputs), WINDOW):
            encodings = self._tokenizer.encode_batch_fast(list(inputs[start : start + WINDOW]))
            lengths = [len(encoding) for encoding in encodings]
            for batch in plan(lengths, max_tokens=max_tokens):
                yield self._pad([encodings[i] for i in batch], [start + i for i in batch])

    def _pad(self, encodings: Sequence[Encoding], positions: Sequence[int]) -> Batch:
        shape = (len(encodings), max(len(encoding) for encoding in encodings))
        ids = np.full(shape, self._pad_id, np.int64)
        mask, types = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            length = len(encoding)
            ids[row, :length] = encoding.ids
            mask[row, :length] = 1
            types[row, :length] = encoding.type_ids
        return Batch(positions=positions, ids=ids, mask=mask, types=types)


def _follow_configuration(tokenizer: Tokenizer, configuration: dict[str, Any]) -> None:
    """Let tokenizer_config.json win where the two files differ on case, as it does in transformers."""
    lowercase = configuration.get("do_lower_case")
    normalizer = tokenizer.normalizer
    if isinstance(normalizer, BertNormalizer) and isinstance(lowercase, bool):
        normalizer.lowercase = lowercase
