"""The parts of an encoder's distillation that are torch themselves: the student, its loss, batches, the trainer.

Imported when it trains, since torch is an extra.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import SequentialSampler
from transformers import Trainer

from bothways.core.datatypes import Vector
from bothways.learning.encoder.data import QUESTION
from bothways.learning.precision import Precision
from bothways.learning.reranker.data.groups import Group
from bothways.models.onnx.first_token import compute_first_token_only

AT_ONCE = 16
"""Texts that are computed together: they are sorted by length, so that few share a long one's padding."""
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Student(torch.nn.Module):  # type: ignore[misc]
    """An encoder that is trained: tokens to normalised vectors, pooled by `cls` or `mean`; its loss on a batch.

    Without dropout: what it learns is a distribution already, and computed again (`cached`) it gives the same vectors.
    `cached` is GradCache (Gao et al. 2021): the loss's gradient at the vectors first, then text by text through the
    model, so that memory holds one chunk of texts and not the batch; a third more to compute.
    """

    def __init__(self, model: Any, *, mode: str, precision: Precision, cached: bool) -> None:  # noqa: ANN401 - untyped
        super().__init__()
        self.model = model
        self._mode, self._precision, self._cached = mode, precision, cached
        if mode == "cls":
            compute_first_token_only(model)

    def train(self, mode: bool = True) -> Student:
        """Stay without dropout, whatever is asked for."""
        self.training = mode
        self.model.eval()
        return self

    def encode(self, tokens: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the vectors of a chunk of texts, shape (texts, d)."""
        device = next(self.model.parameters()).device
        with torch.autocast(device.type, _AUTOCAST.get(self._precision), enabled=self._precision in _AUTOCAST):
            hidden = self.model(**{name: array.to(device) for name, array in tokens.items()}).last_hidden_state
        if self._mode == "cls":
            pooled = hidden[:, 0].float()
        else:
            weights = tokens["attention_mask"].to(device)[:, :, None].float()
            pooled = (hidden.float() * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1)

    def forward(
        self,
        chunks: Sequence[Any],
        order: Any,  # noqa: ANN401
        scores: Any,  # noqa: ANN401
        answers: Any,  # noqa: ANN401
        student_t: float,
        teacher_t: float,
        hard: float,
    ) -> dict[str, Any]:
        """Return the loss of a batch as `Collate` makes it."""

        def loss_of(vectors: Any) -> Any:  # noqa: ANN401
            with torch.autocast(vectors.device.type, enabled=False):  # bf16 rounds cosines too coarsely
                return distillation_loss(vectors[order], scores, answers, student_t, teacher_t, hard)

        if not (self._cached and torch.is_grad_enabled()):
            return {"loss": loss_of(torch.cat([self.encode(chunk) for chunk in chunks]))}
        with torch.no_grad():
            found = [self.encode(chunk) for chunk in chunks]
        vectors = torch.cat(found).requires_grad_()
        loss = loss_of(vectors)
        (gradients,) = torch.autograd.grad(loss, vectors)
        parts = gradients.split([len(one) for one in found])
        leaf = loss.detach().requires_grad_()
        leaf.register_hook(lambda scale: self._backward(chunks, parts, scale))
        return {"loss": leaf}

    def _backward(self, chunks: Sequence[Any], gradients: Sequence[Any], scale: Any) -> None:  # noqa: ANN401
        with torch.enable_grad():
            for chunk, gradient in zip(chunks, gradients, strict=True):
                (self.encode(chunk) * gradient * scale).sum().backward()


def distillation_loss(
    vectors: Any,  # noqa: ANN401
    scores: Any,  # noqa: ANN401
    answers: Any,  # noqa: ANN401
    student_t: float,
    teacher_t: float,
    hard: float,
) -> Any:  # noqa: ANN401
    """Return the mean over questions of the divergence of the student's distribution over all texts from the teacher's.

    `vectors`: of the questions, then of the texts. `scores`: the teacher's, shape (questions, texts), NaN where it gave
    none: there it expects nothing. `answers`: each question's, as the place of its text. `hard`: the share of the
    cross-entropy of the answer.
    """
    questions = len(scores)
    given = (vectors[:questions] @ vectors[questions:].T / student_t).log_softmax(1)
    target = (scores / teacher_t).nan_to_num(nan=-torch.inf).log_softmax(1)
    shares = target.exp()
    divergence = torch.where(shares > 0, shares * (target - given), 0.0).sum(1)
    right = -given.gather(1, answers[:, None])[:, 0]
    return ((1 - hard) * divergence + hard * right).mean()


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups that are learnt together; of the `general` ones the base itself is the teacher."""

    places: tuple[int, ...]
    general: bool


def schedule(
    domain: int, general: int, *, batch_size: int, epochs: float, general_share: float, seed: int
) -> list[Batch]:
    """Return all batches of a training in their order: every epoch another, general ones in between, by the seed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    batches: list[Batch] = []
    others: list[int] = []
    number = round(epochs * -(-domain // batch_size))
    while len(batches) < number:
        places = rng.sample(range(domain), domain)
        batches += [Batch(tuple(places[at : at + batch_size]), False) for at in range(0, domain, batch_size)]
    batches = batches[:number]
    for _ in range(round(len(batches) * general_share / (1 - general_share)) if general else 0):
        if len(others) < batch_size:
            others += rng.sample(range(general), general)
        batches.append(Batch(tuple(dict.fromkeys(others[:batch_size])), True))
        del others[:batch_size]
    rng.shuffle(batches)
    return batches


class Collate:
    """Batches to tensors. `vectors` are those of a teacher that is an encoder, by text; else groups have scores."""

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401
        domain: Sequence[Group],
        general: Sequence[Group],
        *,
        taught: Mapping[str, Vector] | None,
        base: Mapping[str, Vector],
        prompt: str,
        max_length: int,
        temperatures: tuple[float, float],
        hard_label: float,
    ) -> None:
        self._tokenizer, self._prompt, self._max_length = tokenizer, prompt, max_length
        self._domain, self._general = domain, general
        self._taught, self._base = taught, base
        self._student_t, self._teacher_t = temperatures
        self._hard_label = hard_label

    def __call__(self, batches: Sequence[Batch]) -> dict[str, Any]:
        """Return what `Student.forward` takes, of the one batch of a step."""
        (batch,) = batches
        groups = [(self._general if batch.general else self._domain)[place] for place in batch.places]
        texts = list(dict.fromkeys(text for group in groups for text in group.passages))
        columns = {text: place for place, text in enumerate(texts)}
        vectors = self._base if batch.general else self._taught
        if vectors is not None:
            of_texts = np.stack([vectors[text] for text in texts])
            scores = np.stack([vectors[QUESTION + group.query] for group in groups]) @ of_texts.T
        else:
            scores = np.full((len(groups), len(texts)), np.nan, np.float32)
            for row, group in enumerate(groups):
                for text, score in zip(group.passages, group.scores, strict=True):
                    scores[row, columns[text]] = score
        chunks, order = tokenized(
            self._tokenizer, [*(self._prompt + group.query for group in groups), *texts], max_length=self._max_length
        )
        return {
            "chunks": chunks,
            "order": order,
            "scores": torch.from_numpy(scores),
            "answers": torch.tensor([columns[group.positive] for group in groups]),
            "student_t": self._student_t,
            "teacher_t": self._student_t if batch.general else self._teacher_t,  # so that the base is at its own zero
            "hard": 0.0 if batch.general else self._hard_label,
        }


def tokenized(tokenizer: Any, texts: Sequence[str], *, max_length: int) -> tuple[list[Any], Any]:  # noqa: ANN401
    """Return chunks of texts of like length, and where in their order each of `texts` stands."""
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    chunks = [
        dict(
            tokenizer(
                [texts[place] for place in order[start : start + AT_ONCE]],
                padding=True,
                truncation=True,
                max_length=max_length,
                return_tensors="pt",
            )
        )
        for start in range(0, len(order), AT_ONCE)
    ]
    places = torch.empty(len(order), dtype=torch.long)
    places[torch.tensor(order)] = torch.arange(len(order))
    return chunks, places


def encode_texts(student: Student, tokenizer: Any, texts: Sequence[str], *, max_length: int) -> Vector:  # noqa: ANN401
    """Return the vectors of texts, in their order, as the student makes them now."""
    chunks, order = tokenized(tokenizer, texts, max_length=max_length)
    with torch.inference_mode():
        vectors = torch.cat([student.encode(chunk) for chunk in chunks])
        return np.asarray(vectors[order.to(vectors.device)].cpu().numpy(), np.float32)


class BatchTrainer(Trainer):  # type: ignore[misc]
    """transformers' trainer over batches that are made already, in their order; nothing is measured on the way."""

    def _get_train_sampler(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401
        return SequentialSampler(self.train_dataset)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:  # noqa: ANN401
        """Measure nothing: benches measure the model when it is made."""
        return {}
