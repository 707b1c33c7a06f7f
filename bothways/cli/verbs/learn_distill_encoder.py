"""`bothways learn distill-encoder`: an encoder that learns to see as its teacher does, without forgetting the rest."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.learn_reranker import training_line
from bothways.cli.verbs.learn_sources import (
    BeirOption,
    CollectionsOption,
    GeneralOption,
    JudgementsOption,
    KeepOutOption,
    read_sources,
    read_split,
)
from bothways.core.settings import settings
from bothways.learning.encoder.distill import EncoderPlan, distill_encoder
from bothways.learning.encoder.report import measures_table
from bothways.learning.encoder.train import EncoderArguments
from bothways.learning.reranker.build import Sources

DEFAULTS, NO_PLAN = (
    EncoderArguments(base=""),
    EncoderPlan(
        out=Path(), domain=Sources(collections=[]), general=Sources(collections=[]), arguments=EncoderArguments(base="")
    ),
)


def distill(
    out_dir: Annotated[Path, typer.Option("--out", help="folder of the encoder; a new one unless --resume")],
    teacher: Annotated[
        str, typer.Option(help="`search`: the collection's own hybrid search; or an encoder or reranker")
    ] = DEFAULTS.teacher,
    student: Annotated[str | None, typer.Option(help="encoder to begin with; else BOTHWAYS_EMBEDDING_MODEL")] = None,
    collections: CollectionsOption = None,
    beir: BeirOption = None,
    judgements: JudgementsOption = None,
    general: GeneralOption = None,
    keep_out: KeepOutOption = None,
    max_questions: Annotated[int | None, typer.Option(min=2, help="questions that are drawn; people's first")] = None,
    candidates: Annotated[int, typer.Option(min=1, max=30, help="beside the answer")] = DEFAULTS.candidates,
    epochs: Annotated[float, typer.Option(min=0.01, max=100)] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(min=2, max=4096, help="questions of a batch")] = DEFAULTS.batch_size,
    accumulate: Annotated[int, typer.Option(min=1, max=1024, help="batches of a step")] = DEFAULTS.accumulation,
    cached: Annotated[bool, typer.Option("--cached", help="GradCache: large batches in little memory")] = False,
    learning_rate: Annotated[float, typer.Option(min=0)] = DEFAULTS.learning_rate,
    max_length: Annotated[int, typer.Option(min=16, max=8192, help="tokens in training")] = DEFAULTS.max_length,
    temperature: Annotated[float, typer.Option(min=0.001, max=10, help="of its cosines")] = DEFAULTS.temperature,
    teacher_temperature: Annotated[
        float | None, typer.Option(min=0.001, max=100, help="of the teacher's scores; else by its kind")
    ] = None,
    teacher_batch_size: Annotated[int, typer.Option(min=1, max=4096, help="pairs that a reranker reads at once")] = 16,
    hard_label: Annotated[
        float, typer.Option(min=0, max=1, help="share of the loss that knows the answer alone")
    ] = DEFAULTS.hard_label,
    general_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="of the batches, in which the base teaches --general questions")
    ] = DEFAULTS.general_share,
    max_loss: Annotated[
        float, typer.Option(min=0, max=1, help="relative nDCG@10 that may be lost on general questions held out")
    ] = NO_PLAN.max_loss,
    bench_texts: Annotated[
        int, typer.Option(min=10, help="texts of the benches that choose how far to go")
    ] = NO_PLAN.bench_texts,
    final_texts: Annotated[
        int, typer.Option(min=10, help="texts of the benches of before and after")
    ] = NO_PLAN.final_texts,
    freeze_embeddings: Annotated[
        bool, typer.Option("--freeze-embeddings/--no-freeze-embeddings", help="train the layers alone")
    ] = DEFAULTS.freeze_embeddings,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULTS.seed,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="end the training then")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what was cut off")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train an encoder on the scores of a teacher.

    Distil an encoder: a teacher's scores of candidates, and how much of it to keep; before and after are told.
    """
    kept_out = keep_out or []
    plan = EncoderPlan(
        out=out_dir,
        domain=read_sources(collections or [], beir or [], judgements or [], kept_out, "train"),
        general=read_sources([], general, [], kept_out, "train") if general else Sources(collections=[]),
        arguments=EncoderArguments(
            base=student or settings().embedding_model,
            teacher=teacher,
            epochs=epochs,
            batch_size=batch_size,
            accumulation=accumulate,
            learning_rate=learning_rate,
            max_length=max_length,
            candidates=candidates,
            temperature=temperature,
            teacher_temperature=teacher_temperature,
            hard_label=hard_label,
            general_share=general_share if general else 0.0,
            freeze_embeddings=freeze_embeddings,
            cached=cached,
            seed=seed,
        ),
        judged=(read_split(beir or [], collections or [], "dev"), read_split(general or [], [], "dev")),
        max_questions=max_questions,
        max_loss=max_loss,
        bench_texts=bench_texts,
        final_texts=final_texts,
        teacher_batch_size=teacher_batch_size,
        minutes=minutes,
        resume=resume,
        command=shlex.join(["bothways", *sys.argv[1:]]),
    )
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        asking, training = bar.add_task("questions", total=None), bar.add_task("training", total=None)

        def tell(step: int, of: int, logs: Mapping[str, Any]) -> None:
            bar.update(training, completed=step, total=of)
            if not err.is_terminal:
                err.print(training_line(step, of, logs), markup=False)

        try:
            report = distill_encoder(
                settings(),
                plan,
                progress=lambda done, of: bar.update(asking, completed=done, total=of),
                tell=tell,
                say=lambda text: err.print(text, markup=False),
            )
        except KeyboardInterrupt:
            err.print("Add --resume to go on with what is in --out.")
            raise
    if as_json:
        print_json(report)
    else:
        out.print("\n".join(measures_table(report)), markup=False)
        err.print(f"The encoder is in {out_dir}: BOTHWAYS_EMBEDDING_MODEL={out_dir}, and index with it.", markup=False)
