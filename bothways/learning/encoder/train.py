"""An encoder is trained to see as its teacher does, mixed with its former self, and saved as it came.

Groups with scores and a base folder go in; weights on disk come out. The same groups, arguments and machine give the
same weights, interrupted or not.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bothways.core.datatypes import Vector
from bothways.core.errors import ModelError, UsageError
from bothways.learning.precision import training_precision
from bothways.learning.reranker.data.groups import Group
from bothways.learning.reranker.train import OnLog
from bothways.learning.training_arguments import EncoderArguments
from bothways.models.files.folder import read_pooling, read_query_prompt
from bothways.models.onnx.export import export_graph, quiet
from bothways.models.onnx.weights import WEIGHT_FILES

WEIGHTS = "model.safetensors"
_NOT_COPIED = shutil.ignore_patterns(
    *WEIGHT_FILES, "onnx", "openvino", "*.onnx", "*.onnx_data", "README.md", ".*", "*.lock", "training", "distillation"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a training did: steps, losses by step, the seconds of this session, whether its time ended it."""

    steps: int
    planned: int
    losses: Sequence[tuple[int, float]]
    seconds: float
    out_of_time: bool
    precision: str


def load_student(base: Path, arguments: EncoderArguments) -> tuple[Any, Any]:
    """Return the base as a student, and its tokenizer; raises `ModelError` where it cannot be trained."""
    from transformers import AutoModel, AutoTokenizer, set_seed

    from bothways.learning.encoder.trainer import Student

    mode = read_pooling(base).mode
    try:
        with quiet():
            set_seed(arguments.seed)  # a pooler that the base lacks is drawn, and never used
            model = AutoModel.from_pretrained(base, dtype="float32", local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    except Exception as error:  # what a folder raises that is no such model depends on the model's own code
        raise ModelError(f"The model {base} cannot be trained as an encoder: {error}.") from error
    if arguments.freeze_embeddings:
        embeddings = getattr(model, "embeddings", None)
        if embeddings is None:
            raise ModelError(f"{base} has no embeddings that could be frozen: set freeze_embeddings=false.")
        embeddings.requires_grad_(False)
    return Student(model, mode=mode, precision=training_precision(), cached=arguments.cached), tokenizer


def train_encoder(
    student: Any,  # noqa: ANN401 - a torch module
    tokenizer: Any,  # noqa: ANN401
    domain: Sequence[Group],
    general: Sequence[Group],
    arguments: EncoderArguments,
    work: Path,
    *,
    taught: Mapping[str, Vector] | None,
    base_vectors: Mapping[str, Vector],
    prompt: str,
    minutes: float | None = None,
    on_log: OnLog = lambda _step, _of, _logs: None,
) -> TrainingResult:
    """Train the student in place; goes on from the last checkpoint in `work` where there is one.

    `taught` are a teacher's vectors by text, None where groups have scores; `base_vectors` those of general texts.
    Raises `KeyboardInterrupt` after Ctrl-C, when the checkpoint is written.
    """
    import torch
    from transformers import TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    from bothways.learning.encoder.trainer import BatchTrainer, Collate, schedule
    from bothways.learning.reranker.trainer import LogCallback, Stop, remove_printers

    batches = schedule(
        len(domain),
        len(general),
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        general_share=arguments.general_share,
        seed=arguments.seed,
    )
    if not batches:
        raise UsageError(f"{len(domain)} questions make no batch in {arguments.epochs:g} epochs: name more.")
    steps = math.ceil(len(batches) / arguments.accumulation)
    on_gpu, precision = torch.cuda.is_available(), training_precision()
    every = max(1, steps // 8)
    settings = TrainingArguments(
        output_dir=str(work / "checkpoints"),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=arguments.accumulation,
        learning_rate=arguments.learning_rate,
        warmup_steps=0.1,
        weight_decay=0.01,
        seed=arguments.seed,
        use_cpu=not on_gpu,
        fp16=precision == "fp16",  # scales the loss; bf16 needs no more than the student does itself
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,
        logging_steps=max(1, every // 4),
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    settings._n_gpu = min(1, settings.n_gpu)  # a batch is one question's row beside the others': it is not divided
    collate = Collate(
        tokenizer,
        domain,
        general,
        taught=taught,
        base=base_vectors,
        prompt=prompt,
        max_length=arguments.max_length,
        temperatures=(arguments.temperature, arguments.teacher_temperature or arguments.temperature),
        hard_label=arguments.hard_label,
    )
    begun = time.monotonic()
    with Stop(seconds=None if minutes is None else 60 * minutes) as stop, quiet():
        trainer = BatchTrainer(
            model=student,
            args=settings,
            train_dataset=batches,
            data_collator=collate,
            callbacks=[stop, LogCallback(on_log)],
        )
        remove_printers(trainer)
        checkpoints = work / "checkpoints"
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
        if stop.interrupted:
            raise KeyboardInterrupt
    return TrainingResult(
        steps=trainer.state.global_step,
        planned=trainer.state.max_steps,
        losses=[(row["step"], round(row["loss"], 4)) for row in trainer.state.log_history if "loss" in row],
        seconds=round(time.monotonic() - begun, 1),
        out_of_time=stop.out_of_time,
        precision=precision,
    )


def weights_of(student: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a copy of the student's weights."""
    return {name: array.detach().clone() for name, array in student.model.state_dict().items()}


def interpolate(student: Any, base: Mapping[str, Any], learnt: Mapping[str, Any], share: float) -> None:  # noqa: ANN401
    """Set the student's weights between the base's (0) and the learnt (1): WiSE-FT (Wortsman et al. 2022)."""
    student.model.load_state_dict(
        {
            name: array + share * (learnt[name] - array) if array.is_floating_point() else array
            for name, array in base.items()
        }
    )


def save_encoder(student: Any, base: Path, out: Path) -> None:  # noqa: ANN401
    """Write the student into `out` as its base lies in its folder: tokenizer, pooling and prompts are the base's."""
    shutil.copytree(base, out, ignore=_NOT_COPIED, dirs_exist_ok=True)
    shutil.rmtree(out / "onnx", ignore_errors=True)  # of an earlier run
    config = (base / "config.json").read_bytes()
    with quiet():
        student.model.save_pretrained(out)
    (out / "config.json").write_bytes(config)
    (out / WEIGHTS).chmod(0o644)  # safetensors writes for its owner alone


def add_graph(out: Path, *, cache_dir: Path) -> None:
    """Put the model's ONNX graph beside its weights, so that the folder serves where there is no torch."""
    graph = export_graph(out, "encoder", cache_dir=cache_dir)
    (out / "onnx").mkdir(exist_ok=True)
    shutil.copyfile(graph, out / "onnx" / "model.onnx")


def query_prompt(base: Path, setting: str | None) -> str:
    """Return what stands in front of questions: as set, else as the base's makers say."""
    return read_query_prompt(base) if setting is None else setting
