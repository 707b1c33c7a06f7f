"""`bothways learn distill-reranker`: a large reranker's judgement in a small one, in four steps."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args

import typer
from rich.progress import Progress

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.learn_reranker import training_line
from bothways.cli.verbs.learn_sources import (
    BeirOption,
    CollectionsOption,
    JudgementsOption,
    KeepOutOption,
    SplitOption,
    read_sources,
    read_split,
)
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.learning.distill.reranker import STEPS, Plan, Step, Watch, distill_reranker
from bothways.learning.distill.teacher import DType, Kind, TeacherArguments
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.build import Sources
from bothways.learning.reranker.data.build import Wanted
from bothways.learning.reranker.data.hard_negatives import Bounds
from bothways.learning.reranker.state import TAUGHT, Loss, TrainingArguments
from bothways.learning.reranker.student import NAMED

TRAINING, WANTED, TEACHER = TrainingArguments(base=""), Wanted(), TeacherArguments()
STUDENT = "BAAI/bge-reranker-v2-m3"
T = TypeVar("T", bound=str)


def distill(
    out_dir: Annotated[Path, typer.Option("--out", help="folder of the student; a new one unless it is gone on with")],
    steps: Annotated[str, typer.Option(help="which of logits, triplets, train, evaluate to run")] = ",".join(STEPS),
    teacher: Annotated[str, typer.Option(help="model or folder that teaches")] = TEACHER.name,
    student: Annotated[str, typer.Option(help="model or folder that the student begins as")] = STUDENT,
    collections: CollectionsOption = None,
    beir: BeirOption = None,
    judgements: JudgementsOption = None,
    split: SplitOption = "train",
    keep_out: KeepOutOption = None,
    groups: Annotated[
        Path | None, typer.Option(help="folder of `bothways learn reranker` whose groups are taken; nothing is mined")
    ] = None,
    search_by: Annotated[
        list[str] | None,
        typer.Option(help="FOLDER@COLLECTION: judged queries whose dev split the step evaluate searches; repeatable"),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="layers of the student; else all of --student")] = None,
    begin_with: Annotated[
        str, typer.Option(help=f"layers of --student to begin with: {', '.join(NAMED)}, or numbers as in 1,4")
    ] = TRAINING.begin_with,
    loss: Annotated[str, typer.Option(help=" or ".join(sorted(TAUGHT)))] = "kl",
    temperature: Annotated[float, typer.Option(min=0.01, max=100, help="of the loss kl")] = TRAINING.temperature,
    hard_label: Annotated[
        float, typer.Option(min=0, max=1, help="share of the loss that knows the answer alone")
    ] = TRAINING.hard_label,
    teacher_kind: Annotated[
        str | None, typer.Option(help=f"{' or '.join(get_args(Kind))}; else as its config says")
    ] = None,
    dtype: Annotated[str, typer.Option(help=f"of the teacher: {', '.join(get_args(DType))}")] = TEACHER.dtype,
    teacher_batch_size: Annotated[int, typer.Option(min=1, max=4096, help="pairs that the teacher reads at once")] = 16,
    teacher_max_length: Annotated[
        int, typer.Option(min=16, max=32_768, help="tokens of a pair for the teacher, its prompt with them")
    ] = TEACHER.max_length,
    instruction: Annotated[str, typer.Option(help="what a yes-no teacher is told to judge")] = TEACHER.instruction,
    negatives: Annotated[int, typer.Option(min=1, max=100, help="candidates beside the answer")] = WANTED.negatives,
    max_groups: Annotated[int | None, typer.Option(min=2, help="questions that are drawn; people's first")] = None,
    epochs: Annotated[float, typer.Option(min=0.01, max=100)] = TRAINING.epochs,
    batch_size: Annotated[int, typer.Option(min=1, max=1024, help="groups of a batch")] = TRAINING.batch_size,
    accumulate: Annotated[int, typer.Option(min=1, max=1024, help="batches of a step")] = TRAINING.accumulation,
    learning_rate: Annotated[float, typer.Option(min=0)] = TRAINING.learning_rate,
    max_length: Annotated[
        int, typer.Option(min=16, max=8192, help="tokens of a pair, also when it serves")
    ] = TRAINING.max_length,
    freeze_embeddings: Annotated[
        bool, typer.Option("--freeze-embeddings/--no-freeze-embeddings", help="train layers and head alone")
    ] = TRAINING.freeze_embeddings,
    patience: Annotated[int, typer.Option(min=1, help="measurements without a gain")] = TRAINING.patience,
    evaluations: Annotated[int, typer.Option(min=1, help="measurements in all")] = TRAINING.evaluations,
    seed: Annotated[int, typer.Option(min=0)] = TRAINING.seed,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="end the training then, with the best so far")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what was cut off")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a smaller reranker on the scores of a larger one.

    Distil a reranker: a teacher's logits of mined candidates, then a smaller student that learns them.
    """
    chosen = read_steps(steps)
    sources = Sources(collections=[])
    if "logits" in chosen and groups is None:
        sources = read_sources(collections or [], beir or [], judgements or [], keep_out or [], split)
    plan = Plan(
        out=out_dir,
        steps=chosen,
        sources=sources,
        wanted=Wanted(negatives=negatives, max_groups=max_groups, seed=seed, bounds=Bounds(margin=2, margin_judged=2)),
        teacher=TeacherArguments(
            name=teacher,
            kind=None if teacher_kind is None else one_of("--teacher-kind", teacher_kind, get_args(Kind)),
            dtype=one_of("--dtype", dtype, get_args(DType)),
            max_length=teacher_max_length,
            instruction=instruction,
        ),
        training=TrainingArguments(
            base=student,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_length=max_length,
            loss=cast("Loss", one_of("--loss", loss, sorted(TAUGHT))),
            layers=layers,
            begin_with=begin_with,
            freeze_embeddings=freeze_embeddings,
            seed=seed,
            patience=patience,
            evaluations=evaluations,
            accumulation=accumulate,
            temperature=temperature,
            hard_label=hard_label,
        ),
        batch_size=teacher_batch_size,
        groups=groups,
        judged=read_split(search_by or [], collections or [], "dev") if "evaluate" in chosen else [],
        minutes=minutes,
        resume=resume,
        command=shlex.join(["bothways", *sys.argv[1:]]),
    )
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        try:
            done = distill_reranker(settings(), plan, watching(bar))
        except KeyboardInterrupt:
            err.print("Add --resume to go on with what is in --out, or name the --steps that are left.")
            raise
    if as_json:
        print_json(done)
    else:
        _show(done, out_dir)


def read_steps(steps: str) -> list[Step]:
    """Read the names of steps; raises `UsageError` for another name, or none."""
    named = [word.strip() for word in steps.split(",") if word.strip()]
    if not named:
        raise UsageError(f"--steps wants some of {', '.join(STEPS)}.")
    return [one_of("--steps", word, STEPS) for word in named]


def one_of(option: str, word: str, allowed: Any) -> Any:  # noqa: ANN401 - one of a Literal's words
    """Give the word back where it is allowed; raises `UsageError` with those that are."""
    if word not in allowed:
        raise UsageError(f"{option} wants {', '.join(allowed)}, not {word[:40]!r}.")
    return word


def watching(bar: Progress) -> Watch:
    """Show mining, teacher and training as three bars; without a terminal, as lines."""
    mining, teaching, training = (bar.add_task(name, total=None) for name in ("mining", "teacher", "training"))

    def taught(done: int, of: int) -> None:
        bar.update(teaching, completed=done, total=of)
        if not err.is_terminal:
            err.print(f"teacher {done} of {of} groups", markup=False)

    def trained(step: int, of: int, logs: Mapping[str, Any]) -> None:
        bar.update(training, completed=step, total=of)
        if not err.is_terminal or f"eval_{MEASURE}" in logs:
            err.print(training_line(step, of, logs), markup=False)

    return Watch(lambda done, of: bar.update(mining, completed=done, total=of), taught, trained)


def _show(done: Mapping[str, Mapping[str, Any]], out_dir: Path) -> None:
    if "logits" in done:
        said = done["logits"]
        out.print(f"{said['pairs']} pairs of {said['groups']} groups scored ({said['shards_written']} new shards)")
    if "triplets" in done:
        said = done["triplets"]
        out.print(f"{said['triplets']} triplets; the teacher has the answer first in {said['answer_first']:.0%}")
    if "train" in done:
        said = done["train"]
        out.print(
            f"{said['steps']} steps in {said['seconds'] / 60:.1f} minutes; {MEASURE} of groups kept aside "
            f"{said['untrained'].get(MEASURE, 0):.4f} → {said['best'].get(MEASURE, 0):.4f}"
        )
        err.print(f"The student is in {out_dir} (BOTHWAYS_RERANKER_MODEL={out_dir}).", markup=False)
    if "evaluate" in done:
        out.print(f"See {out_dir}/distillation/evaluation.md", markup=False)
        out.print((out_dir / "distillation" / "evaluation.md").read_text("utf-8"), markup=False)
