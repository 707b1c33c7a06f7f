"""A teacher of rerankers: question and passage in, one logit out, from models of two kinds.

`yes-no`: a causal language model that is asked whether the passage answers, in the words it was trained on; the logit
is that of "yes" less that of "no" as the next token, so its sigmoid is the probability of "yes" beside "no". The words
are those of Qwen3-Reranker (Zhang et al. 2025, "Qwen3 Embedding", and its model card). `classification`: a model with a
head of one logit, or of two, of which the second less the first counts. The kind is read from the model's config.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from bothways.client.role_tokens import break_role_tokens
from bothways.core.errors import ModelError, UsageError
from bothways.learning.arguments import Arguments
from bothways.learning.precision import training_precision
from bothways.models.files.folder import read_json
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.export import quiet
from bothways.models.onnx.weights import ensure_torch_weights, has_torch_weights

Kind = Literal["yes-no", "classification"]
DType = Literal["auto", "fp32", "fp16", "bf16"]

DEFAULT = "Qwen/Qwen3-Reranker-8B"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_SMALL = 1_000_000_000
"""Bytes of a file that is read to be told from others."""
_TORCH_NAMES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


class TeacherArguments(Arguments):
    """Which teacher, and how it reads."""

    name: str = Field(default=DEFAULT, description="model or folder that teaches")
    kind: Kind | None = Field(default=None, description="yes-no or classification; unset: as its config says")
    dtype: DType = Field(default="auto", description="auto, fp32, fp16 or bf16; auto: what the machine is fastest with")
    max_length: int = Field(default=512, ge=16, le=32_768, description="tokens of a pair, with the prompt around it")
    instruction: str = Field(default=INSTRUCTION, description="what a yes-no teacher is told to judge")
    batch_size: int = Field(default=16, ge=1, le=4096, description="pairs that it reads at once")


class Teacher:
    """A model that scores pairs, `batch_size` at a time, pairs of like length together."""

    def __init__(self, folder: Path, kind: Kind, arguments: TeacherArguments) -> None:
        import torch

        self.folder, self.kind = folder, kind
        self.precision = training_precision() if arguments.dtype == "auto" else arguments.dtype
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._torch = torch
        self._model, self._tokenizer = _load(folder, kind, getattr(torch, _TORCH_NAMES[self.precision]))
        self._model.to(self._device).eval()
        if kind == "yes-no":
            self._yes, self._no = (_token(self._tokenizer, word, folder) for word in ("yes", "no"))
            self._prefix, self._suffix = (
                self._tokenizer.encode(text, add_special_tokens=False) for text in (PREFIX, SUFFIX)
            )
        else:
            from bothways.models.onnx.first_token import compute_first_token_only

            compute_first_token_only(self._model)
        self._max_length, self._instruction = _room(self, arguments), arguments.instruction

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the words around a pair; 0 for a classification."""
        return len(self._prefix) + len(self._suffix) if self.kind == "yes-no" else 0

    def score(self, pairs: Sequence[tuple[str, str]], *, batch_size: int) -> list[float]:
        """Return one logit a pair, in the order of `pairs`; raises `ModelError` where one is no number."""
        logits = [0.0] * len(pairs)
        with self._torch.inference_mode():
            for places in _batches(pairs, batch_size):
                found = self._logits([pairs[place] for place in places])
                if not bool(self._torch.isfinite(found).all()):
                    raise ModelError(
                        f"The teacher {self.folder} returns logits that are no numbers: set teacher_dtype=fp32."
                    )
                for place, logit in zip(places, found.tolist(), strict=True):
                    logits[place] = logit
        return logits

    def _logits(self, pairs: Sequence[tuple[str, str]]) -> Any:  # noqa: ANN401 - torch is untyped here
        if self.kind == "classification":
            tokens = self._tokenizer(
                [query for query, _ in pairs],
                [text for _, text in pairs],
                padding=True,
                truncation="longest_first",
                max_length=self._max_length,
                return_tensors="pt",
            )
            logits = self._model(**tokens.to(self._device)).logits.float()
            return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
        last = self._model(**self._prompts(pairs), logits_to_keep=1).logits[:, -1].float()
        return last[:, self._yes] - last[:, self._no]

    def _prompts(self, pairs: Sequence[tuple[str, str]]) -> Any:  # noqa: ANN401
        """Return the prompts as token ids, padded on the left, so that the last place is the answer's in every row.

        What is too long loses from its end, before the suffix: the passage comes last.
        """
        start = f"<Instruct>: {self._instruction}"
        texts = [
            f"{start}\n<Query>: {break_role_tokens(query)}\n<Document>: {break_role_tokens(text)}"
            for query, text in pairs
        ]
        room = self._max_length - self.prompt_tokens
        bodies = self._tokenizer(texts, add_special_tokens=False, truncation=True, max_length=room)["input_ids"]
        rows = [[*self._prefix, *body, *self._suffix] for body in bodies]
        longest = max(map(len, rows))
        pad = self._tokenizer.pad_token_id or 0
        ids = self._torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=self._device)
        mask = self._torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=self._device)
        return {"input_ids": ids, "attention_mask": mask}


def load_teacher(arguments: TeacherArguments, *, cache_dir: Path) -> Teacher:
    """Load a teacher by name or folder; raises `ModelError` where it cannot be had or is of neither kind."""
    folder = teacher_folder(arguments.name, cache_dir=cache_dir)
    return Teacher(folder, arguments.kind or kind_of(folder), arguments)


def teacher_folder(name: str, *, cache_dir: Path) -> Path:
    """Return the folder of a model with torch weights; raises `ModelError`."""
    folder = resolve_model(name, cache_dir=cache_dir, weights="torch")
    if not has_torch_weights(folder):
        ensure_torch_weights(folder)
    return folder


def kind_of(folder: Path) -> Kind:
    """Read from a model's config which kind of teacher it is; raises `ModelError` where it is neither."""
    config: dict[str, Any] = read_json(folder / "config.json") or {}
    architectures = config.get("architectures") or []
    if any("ForCausalLM" in name for name in architectures):
        return "yes-no"
    if any("ForSequenceClassification" in name for name in architectures):
        return "classification"
    raise ModelError(
        f"The model {folder} is {', '.join(architectures) or 'of no known kind'}, no teacher of rerankers: that is a "
        "causal language model asked for yes or no, or a ForSequenceClassification with one or two logits. Say which "
        f"by teacher_kind ({', '.join(get_args(Kind))}) where its config does not."
    )


def can_serve(name: str, kind: Kind, *, cache_dir: Path) -> bool:
    """Return whether searches could be reranked with a teacher: a classification of one logit that is within reach."""
    from transformers import AutoConfig

    if kind != "classification":
        return False
    try:
        folder = teacher_folder(name, cache_dir=cache_dir)
    except ModelError:
        return False
    return int(AutoConfig.from_pretrained(folder, local_files_only=True).num_labels) == 1


def fingerprint(folder: Path) -> str:
    """Tell a model from others by its config and weights; of large files by their names and sizes alone."""
    files = sorted(
        path for path in folder.iterdir() if path.suffix in {".safetensors", ".bin"} or path.name == "config.json"
    )
    facts = [
        (path.name, size, _digest(path) if size < _SMALL else "") for path in files for size in [path.stat().st_size]
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _load(folder: Path, kind: Kind, dtype: Any) -> tuple[Any, Any]:  # noqa: ANN401
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    made = AutoModelForCausalLM if kind == "yes-no" else AutoModelForSequenceClassification
    try:
        with quiet():
            model = made.from_pretrained(folder, dtype=dtype, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # what a folder raises that is no such model depends on the model's own code
        raise ModelError(f"The model {folder} cannot be loaded as a teacher ({kind}): {error}.") from error
    if kind == "classification" and model.config.num_labels not in {1, 2}:
        raise ModelError(f"The model {folder} has {model.config.num_labels} logits; a teacher has one or two.")
    return model, tokenizer


def _token(tokenizer: Any, word: str, folder: Path) -> int:  # noqa: ANN401
    token = tokenizer.convert_tokens_to_ids(word)
    if token is None or token == tokenizer.unk_token_id:
        raise ModelError(f"The tokenizer of {folder} has no token {word!r}: it is no yes-no teacher.")
    return int(token)


def _room(teacher: Teacher, arguments: TeacherArguments) -> int:
    if arguments.max_length < teacher.prompt_tokens + 32:
        raise UsageError(
            f"teacher_max_length={arguments.max_length}: the teacher's prompt alone has {teacher.prompt_tokens} "
            "tokens, and question and passage want some too."
        )
    return arguments.max_length


def _batches(pairs: Sequence[tuple[str, str]], size: int) -> Iterator[list[int]]:
    """Return the places of pairs in batches, the longest first, so that what does not fit into memory fails at once."""
    order = sorted(range(len(pairs)), key=lambda place: -len(pairs[place][0]) - len(pairs[place][1]))
    for start in range(0, len(order), size):
        yield order[start : start + size]
