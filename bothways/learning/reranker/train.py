"""A cross-encoder is trained on groups, by sentence-transformers' CrossEncoderTrainer.

Groups and a base model go in; a model folder comes out, with a report. The best of what was measured on the groups kept
aside is what is saved. The same groups, arguments and machine give the same numbers, interrupted or not.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bothways.core.errors import MissingExtraError, ModelError, UsageError
from bothways.learning.precision import training_precision
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.blending import Blending, best_share
from bothways.learning.reranker.calibration import Calibration, fit
from bothways.learning.reranker.data.groups import Group
from bothways.learning.reranker.result import TrainingResult, measures_of, result_of
from bothways.learning.reranker.state import FOLDER, Training
from bothways.learning.reranker.student import keep_layers
from bothways.learning.training_arguments import TAUGHT, RerankerArguments
from bothways.models.files.folder import read_json
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.export import quiet
from bothways.models.onnx.weights import ensure_torch_weights, has_torch_weights

INSTALL_TRAIN = 'pip install "bothways[train]"'

OnLog = Callable[[int, int, Mapping[str, float]], None]
"""Called with the step, the steps in all, and what was measured."""


def check_extra() -> None:
    """Raise `MissingExtraError` where what trains is not installed."""
    try:
        import accelerate  # noqa: F401
        import datasets  # noqa: F401
        import sentence_transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"To train a reranker needs: {INSTALL_TRAIN}.") from error


def base_folder(name: str, *, cache_dir: Path) -> Path:
    """Return the folder of a base model with torch weights; raises `ModelError`."""
    folder = resolve_model(name, cache_dir=cache_dir, weights="torch")
    if not has_torch_weights(folder):
        ensure_torch_weights(folder)
    return folder


def residual_of(base: Path) -> float:
    """Return the weight of the first stage's score beside a base's logits when it was trained; 0 for none.

    It is `rerank_residual` in config.json, on the scale of the calibrated logits.
    """
    found = (read_json(base / "config.json") or {}).get("rerank_residual")
    return float(found) if isinstance(found, int | float) and found > 0 else 0.0


def train(
    groups: Sequence[Group],
    training: Training,
    out: Path,
    *,
    base: Path,
    minutes: float | None = None,
    on_log: OnLog = lambda _step, _of, _logs: None,
) -> TrainingResult:
    """Train and save the best model into `out`; goes on from the last checkpoint where there is one.

    Raises `KeyboardInterrupt` after Ctrl-C, when the checkpoint is written; `ModelError` where the base cannot be
    trained.
    """
    check_extra()
    from transformers import EarlyStoppingCallback, set_seed

    from bothways.learning.reranker.trainer import (
        GroupEvaluator,
        GroupLoss,
        GroupTrainer,
        LogCallback,
        Stop,
        leave_out_dropout,
        remove_printers,
    )
    from bothways.models.onnx.first_token import compute_first_token_only

    arguments = training.arguments
    residual = arguments.residual or 0.0
    model = _load(base, arguments, out / FOLDER / "start")
    compute_first_token_only(model.model)
    leave_out_dropout(model)
    dev = [group for group in groups if group.part == "dev"]
    trained_on = [group for group in groups if group.part == "train"]
    batches = math.ceil(len(trained_on) / arguments.batch_size)
    settings = _settings(arguments, out, steps=math.ceil(batches / arguments.accumulation * arguments.epochs))
    settings.gradient_accumulation_steps = arguments.accumulation
    begun = time.monotonic()
    with Stop(seconds=None if minutes is None else 60 * minutes) as stop, quiet():
        trainer = GroupTrainer(
            model=model,
            args=settings,
            train_dataset=_dataset(trained_on, taught=arguments.loss in TAUGHT, residual=residual),
            loss=GroupLoss(
                model, kind=arguments.loss, temperature=arguments.temperature, hard_label=arguments.hard_label
            ),
            evaluator=GroupEvaluator(dev, residual=residual),
            callbacks=[EarlyStoppingCallback(arguments.patience), stop, LogCallback(on_log)],
        )
        remove_printers(trainer)
        if not training.untrained:
            training.untrained = measures_of(trainer.evaluate())
            training.write(out)
        checkpoint = _last_checkpoint(out)
        set_seed(arguments.seed)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        training.sessions.append(
            {
                "from_step": int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0,
                "to_step": trainer.state.global_step,
                "seconds": round(time.monotonic() - begun, 1),
            }
        )
        training.write(out)
        if stop.interrupted:
            raise KeyboardInterrupt
        calibration, blending = _fit(model, dev, residual=residual)
        _save(model, out, max_length=arguments.max_length)
    return result_of(trainer, model, calibration=calibration, blending=blending, out_of_time=stop.out_of_time)


def _load(base: Path, arguments: RerankerArguments, start: Path) -> Any:  # noqa: ANN401 - torch is untyped here
    """Return the base as a cross-encoder; the head that it lacks is drawn by the seed."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, set_seed

    try:
        with quiet():
            config = AutoConfig.from_pretrained(base, num_labels=1, local_files_only=True)
            set_seed(arguments.seed)
            made = AutoModelForSequenceClassification.from_pretrained(
                base, config=config, dtype="float32", local_files_only=True
            )
            if arguments.layers is not None:
                keep_layers(made, arguments.layers, arguments.begin_with)
            shutil.rmtree(start, ignore_errors=True)
            made.save_pretrained(start)
            AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(start)
            kwargs = {"dtype": "float32"}
            if not torch.cuda.is_available():
                kwargs["attn_implementation"] = "eager"  # on CPUs its way back takes a fifth less than the fused one's
            model = CrossEncoder(str(start), local_files_only=True, model_kwargs=kwargs)
    except (ModelError, UsageError):
        raise
    except Exception as error:  # what a folder raises that is no such model depends on the model's own code
        raise ModelError(f"The model {base} cannot be trained as a cross-encoder: {error}.") from error
    finally:
        shutil.rmtree(start, ignore_errors=True)
    model.max_seq_length = arguments.max_length
    if arguments.freeze_embeddings:
        embeddings = getattr(model.model.base_model, "embeddings", None)
        if embeddings is None:
            raise ModelError(f"{base} has no embeddings that could be frozen: set freeze_embeddings=false.")
        embeddings.requires_grad_(False)
    return model


def _settings(arguments: RerankerArguments, out: Path, *, steps: int) -> Any:  # noqa: ANN401
    import torch
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    every = max(1, steps // arguments.evaluations)
    on_gpu = torch.cuda.is_available()
    precision = training_precision()
    return CrossEncoderTrainingArguments(
        output_dir=str(out / FOLDER / "checkpoints"),
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        warmup_steps=0.1,
        weight_decay=0.01,
        seed=arguments.seed,
        use_cpu=not on_gpu,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        logging_steps=max(1, every // 5),
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{MEASURE}",
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=on_gpu,
    )


def _dataset(groups: Sequence[Group], *, taught: bool, residual: float) -> Any:  # noqa: ANN401
    from datasets import Dataset

    columns: dict[str, list[Any]] = {
        "query": [group.query for group in groups],
        "passages": [group.passages for group in groups],
        "label": [list(group.scores) if taught else [1.0] + [0.0] * len(group.negatives) for group in groups],
    }
    if residual:
        columns["first"] = [[residual * score for score in group.first] for group in groups]
    return Dataset.from_dict(columns)


def _last_checkpoint(out: Path) -> Path | None:
    from transformers.trainer_utils import get_last_checkpoint

    folder = out / FOLDER / "checkpoints"
    found = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    return Path(found) if found else None


def _fit(
    model: Any,  # noqa: ANN401
    groups: Sequence[Group],
    *,
    residual: float,
) -> tuple[Calibration | None, Blending | None]:
    """Make sigmoid(logit) a probability and choose its share beside the first stage, by the groups kept aside.

    None where the head is no layer that can be calibrated, or too few people's questions are among the groups.
    """
    import torch

    from bothways.learning.reranker.trainer import logits_of

    logits = logits_of(model, [(group.query, text) for group in groups for text in group.passages])
    heads = [one for one in model.modules() if isinstance(one, torch.nn.Linear) and one.out_features == 1]
    calibration = None
    if heads and heads[-1].bias is not None:
        calibration = fit(logits, [at == 0 for group in groups for at in range(len(group.passages))])
    if calibration is not None:
        with torch.no_grad():
            heads[-1].weight.mul_(calibration.scale)
            heads[-1].bias.mul_(calibration.scale).add_(calibration.offset)
        logits = [calibration.scale * logit + calibration.offset for logit in logits]
    rest = iter(logits)
    blending = best_share(groups, [[next(rest) for _ in group.passages] for group in groups])
    model.model.config.rerank_residual = round(residual * (calibration.scale if calibration else 1.0), 4)
    if blending is not None:
        model.model.config.rerank_alpha = blending.alpha
    return calibration, blending


def _save(model: Any, out: Path, *, max_length: int) -> None:  # noqa: ANN401
    """Save the model as transformers does, so that every backend reads it, with the length it was trained for."""
    model.tokenizer.model_max_length = max_length
    model.model.save_pretrained(out)
    model.tokenizer.save_pretrained(out)
