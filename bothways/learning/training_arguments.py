"""How models are trained: arguments with a description, a default and limits each, shared where they are equal."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bothways.learning.arguments import Arguments

Loss = Literal["listwise", "bce", "margin-mse", "kl"]
TAUGHT: frozenset[Loss] = frozenset({"margin-mse", "kl"})
"""Losses that learn a teacher's scores."""


class TrainingArguments(Arguments):
    """What every training is told."""

    base: str = Field(description="model or folder to begin with")
    epochs: float = Field(default=1.0, ge=0.01, le=100, description="times that every question is learnt")
    batch_size: int = Field(default=8, ge=1, le=4096, description="questions of a batch")
    accumulation: int = Field(default=1, ge=1, le=1024, description="batches of a step")
    learning_rate: float = Field(default=5e-5, ge=0, description="of the first steps; it falls to 0")
    max_length: int = Field(default=160, ge=16, le=8192, description="tokens that are read")
    freeze_embeddings: bool = Field(default=True, description="train the layers and leave the embeddings as they are")
    temperature: float = Field(default=1.0, ge=0.001, le=100, description="divides the scores if there is a teacher")
    hard_label: float = Field(default=0.0, ge=0, le=1, description="share of the loss that looks at the answer alone")
    seed: int = Field(default=42, ge=0, description="of all that is drawn")


class RerankerArguments(TrainingArguments):
    """How a reranker is trained, alone or by a teacher."""

    max_length: int = Field(default=160, ge=16, le=8192, description="tokens of question and passage, in use as well")
    loss: Loss = Field(default="listwise", description="listwise or bce; kl or margin-mse with a teacher")
    layers: int | None = Field(default=None, ge=1, description="layers to keep; unset: all of the base")
    begin_with: str = Field(default="lowest", description="layers to keep: lowest, spread, ends, or numbers as in 1,4")
    patience: int = Field(default=3, ge=1, description="measurements without a gain after which the training ends")
    evaluations: int = Field(default=8, ge=1, description="measurements in all, at even distances")
    residual: float | None = Field(
        default=0.0,
        ge=0,
        description="weight of the first stage's score beside the logits in training: the model learns the rest; "
        "unset: what the base was trained with",
    )


class EncoderArguments(TrainingArguments):
    """How an encoder learns from a teacher, and how it is measured."""

    teacher: str = Field(default="search", description="`search`: the collection's own hybrid search; or a model")
    batch_size: int = Field(default=16, ge=2, le=4096, description="questions of a batch")
    max_length: int = Field(default=192, ge=16, le=8192, description="tokens of a text in training")
    candidates: int = Field(default=4, ge=1, le=30, description="passages beside the answer")
    temperature: float = Field(default=0.02, ge=0.001, le=10, description="divides the encoder's cosines")
    teacher_temperature: float | None = Field(
        default=None, ge=0.001, le=100, description="divides the teacher's scores; unset: by its kind"
    )
    hard_label: float = Field(default=0.3, ge=0, le=1, description="share of the loss that looks at the answer alone")
    general_share: float = Field(
        default=0.25,
        ge=0,
        le=0.9,
        description="share of batches with --general questions, taught by the base itself",
    )
    cached: bool = Field(default=False, description="GradCache: large batches in little memory, a third slower")
    max_loss: float = Field(
        default=0.02, ge=0, le=1, description="relative nDCG@10 that may be lost on general questions held out"
    )
    bench_texts: int = Field(default=1000, ge=10, description="texts searched in while tuning")
    final_texts: int = Field(default=20_000, ge=10, description="texts searched in before and after")
    teacher_batch_size: int = Field(
        default=16, ge=1, le=4096, description="pairs that a reranker, as the teacher, reads at once"
    )
