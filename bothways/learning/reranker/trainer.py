"""The parts of a reranker's training that are torch themselves: the loss over groups, batches of one length, stopping.

Imported by `bothways.learning.reranker.train` when it trains, since torch is an extra.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

import torch
from sentence_transformers.base.evaluation.evaluator import BaseEvaluator
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.cross_encoder import CrossEncoderTrainer
from sentence_transformers.util import batch_to_device
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.data.first_stage import measure
from bothways.learning.reranker.data.groups import Group

POOL = 50
"""Batches whose groups are sorted by length together: enough that little is padded, few enough to stay mixed."""
PAIRS_AT_ONCE = 16
"""Pairs that are computed together: they are sorted by length, so that few of them share a long one's padding."""


class GroupLoss(torch.nn.Module):  # type: ignore[misc]
    """How far the answer of each group is from being first.

    `listwise`: the cross-entropy of the softmax over a group's logits (Cao et al. 2007, ListNet with the answer alone
    as the target; InfoNCE is the same). `bce`: the mean binary cross-entropy of a group's pairs. With a teacher's
    scores as labels: `margin-mse`, the squared difference of student's and teacher's margins between the answer and
    each other passage (Hofstätter et al. 2020), and `kl`, the divergence of the student's softmax over the group from
    the teacher's, both at one temperature, times its square (Hinton et al. 2015); `hard_label` is the share of
    `listwise` in either. All are the mean over groups, whatever their sizes.
    """

    def __init__(self, model: Any, *, kind: str, temperature: float = 1.0, hard_label: float = 0.0) -> None:  # noqa: ANN401 - sentence-transformers is untyped here
        super().__init__()
        self.model = model
        self._kind = kind
        self._temperature = temperature
        self._hard_label = hard_label

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Sequence[Any],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Any:  # noqa: ANN401
        """Return the loss of a batch: `inputs` are questions and their passages, the answer first.

        `labels` are 1 and 0 for each passage, or the teacher's scores. A third input are numbers beside the logits.
        """
        queries, passages, *beside = inputs
        pairs = [(query, text) for query, texts in zip(queries, passages, strict=True) for text in texts]
        logits = self._logits(pairs, prompt, task).split([len(texts) for texts in passages])
        if beside:
            logits = [one + one.new_tensor(numbers) for one, numbers in zip(logits, beside[0], strict=True)]
        losses = [self._of_group(one, label.to(one)) for one, label in zip(logits, labels, strict=True)]
        return torch.stack(losses).mean()

    def _of_group(self, logits: Any, labels: Any) -> Any:  # noqa: ANN401
        if self._kind == "bce":
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        if self._kind == "listwise":
            return torch.nn.functional.cross_entropy(logits, labels / labels.sum())
        hard = -torch.log_softmax(logits, 0)[0]  # the answer comes first
        return (1 - self._hard_label) * self._taught(logits, labels) + self._hard_label * hard

    def _taught(self, logits: Any, scores: Any) -> Any:  # noqa: ANN401
        if self._kind == "margin-mse":
            return torch.nn.functional.mse_loss(logits[0] - logits[1:], scores[0] - scores[1:])
        target, given = ((one / self._temperature).log_softmax(0) for one in (scores, logits))
        return self._temperature**2 * (target.exp() * (target - given)).sum()

    def _logits(self, pairs: Sequence[tuple[str, str]], prompt: str | None, task: str | None) -> Any:  # noqa: ANN401
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i][0]) - len(pairs[i][1]))
        found = []
        for start in range(0, len(order), PAIRS_AT_ONCE):
            chosen = [pairs[i] for i in order[start : start + PAIRS_AT_ONCE]]
            tokens = batch_to_device(self.model.preprocess(chosen, prompt=prompt, task=task), self.model.device)
            found.append(self.model(tokens)["scores"].view(-1).float())
        logits = torch.cat(found)
        places = torch.empty(len(order), dtype=torch.long, device=logits.device)
        places[torch.tensor(order, device=logits.device)] = torch.arange(len(order), device=logits.device)
        return logits[places]

    def get_config_dict(self) -> dict[str, Any]:
        """Return for a model card what the loss is."""
        return {"kind": self._kind, "temperature": self._temperature, "hard_label": self._hard_label}


class GroupEvaluator(BaseEvaluator):  # type: ignore[misc]
    """Measures groups as `bothways.learning.reranker.data.first_stage.measure` does."""

    def __init__(self, groups: Sequence[Group], *, residual: float) -> None:
        super().__init__()
        self.primary_metric = MEASURE
        self._groups = groups
        self._residual = residual

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:  # noqa: ANN401
        """Return the measures by name."""
        return measure(self._groups, partial(logits_of, model), residual=self._residual)


def logits_of(model: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:  # noqa: ANN401
    """Return the logits of pairs of question and passage."""
    found = model.predict(list(pairs), batch_size=32, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    return [float(logit) for logit in found]


def leave_out_dropout(model: Any) -> None:  # noqa: ANN401
    """Let a model train without dropout: on CPUs it takes a third of the time, and one epoch repeats nothing.

    Liu et al. 2025, "Drop Dropout on Single-Epoch Language Model Pretraining".
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


class LengthBatchSampler(DefaultBatchSampler):  # type: ignore[misc]
    """Batches of groups of about one length, in another order every epoch; the same for a seed and an epoch."""

    def __init__(self, lengths: Sequence[int], **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(range(len(lengths)), **arguments)
        self._lengths = lengths

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.Generator().manual_seed(self.seed + self.epoch)
        shuffled = torch.randperm(len(self._lengths), generator=order).tolist()
        size = self.batch_size * POOL
        batches: list[list[int]] = []
        for start in range(0, len(shuffled), size):
            pool = sorted(shuffled[start : start + size], key=lambda i: self._lengths[i])
            batches += [pool[at : at + self.batch_size] for at in range(0, len(pool), self.batch_size)]
        for at in torch.randperm(len(batches), generator=order).tolist():
            yield batches[at]

    def __len__(self) -> int:
        size: int = self.batch_size
        return math.ceil(len(self._lengths) / size)


class GroupTrainer(CrossEncoderTrainer):  # type: ignore[misc]
    """sentence-transformers' trainer with batches of one length."""

    def get_batch_sampler(self, dataset: Any, **arguments: Any) -> Any:  # noqa: ANN401
        """Return the sampler of a dataset with the columns `query` and `passages`."""
        lengths = [
            max(len(text) for text in texts) + len(query)
            for query, texts in zip(dataset["query"], dataset["passages"], strict=True)
        ]
        return LengthBatchSampler(lengths, **arguments)

    def create_model_card(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Write none: ours is written by `bothways.learning.reranker.report`."""


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends a training with a checkpoint after Ctrl-C, or when its time is over; then its state is measured too."""

    def __init__(self, *, seconds: float | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.interrupted = False
        self.out_of_time = False

    def __enter__(self) -> Stop:
        try:
            self._before: Any = signal.signal(signal.SIGINT, self._interrupt)
        except ValueError:  # not the main thread: the caller has to end the training
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:  # a second Ctrl-C does not wait for the step
            signal.default_int_handler(number, frame)
        self.interrupted = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ANN401, ARG002
        """Ask for a checkpoint and the end where it is time."""
        self.out_of_time = self._deadline is not None and time.monotonic() > self._deadline
        if self.interrupted or self.out_of_time:
            control.should_save = control.should_training_stop = True
            control.should_evaluate = not self.interrupted
        return control


class LogCallback(TrainerCallback):  # type: ignore[misc]
    """Passes on what the trainer logs, losses and measures, as (step, steps in all, numbers)."""

    def __init__(self, on_log: Any) -> None:  # noqa: ANN401
        self._on_log = on_log

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401, ARG002
        """Pass on one line of the log."""
        self._on_log(state.global_step, state.max_steps, dict(logs or {}))


def remove_printers(trainer: Any) -> None:  # noqa: ANN401
    """Let a trainer print nothing itself: what it logs is passed on by `LogCallback`."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
