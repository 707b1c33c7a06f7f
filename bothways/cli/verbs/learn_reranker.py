"""`bothways learn reranker` and `bothways learn ship`: a reranker of one's own, and the small form to give it on in."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from rich.progress import Progress

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.learn_sources import (
    BeirOption,
    CollectionsOption,
    GeneralOption,
    JudgementsOption,
    KeepOutOption,
    SplitOption,
    read_sources,
)
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.build import learn_reranker
from bothways.learning.reranker.data.build import Wanted
from bothways.learning.reranker.data.hard_negatives import Bounds
from bothways.learning.reranker.export import ship
from bothways.learning.reranker.state import TAUGHT, Loss, TrainingArguments

DEFAULTS, WANTED = TrainingArguments(base=""), Wanted()
LOSSES = [loss for loss in get_args(Loss) if loss not in TAUGHT]


def reranker(
    out_dir: Annotated[Path, typer.Option("--out", help="folder of the model; a new one unless --resume")],
    collections: CollectionsOption = None,
    beir: BeirOption = None,
    judgements: JudgementsOption = None,
    general: GeneralOption = None,
    split: SplitOption = "train",
    keep_out: KeepOutOption = None,
    base: Annotated[
        str | None, typer.Option(help="model or folder to begin with; else BOTHWAYS_EMBEDDING_MODEL")
    ] = None,
    epochs: Annotated[float, typer.Option(min=0.01, max=100)] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(min=1, max=1024, help="groups of a step")] = DEFAULTS.batch_size,
    learning_rate: Annotated[float, typer.Option(min=0)] = DEFAULTS.learning_rate,
    max_length: Annotated[
        int, typer.Option(min=16, max=8192, help="tokens of a pair, also when it serves")
    ] = DEFAULTS.max_length,
    negatives: Annotated[int, typer.Option(min=1, max=100, help="of each group")] = WANTED.negatives,
    margin: Annotated[
        float, typer.Option(min=0, max=2, help="share of the answer's cosine from which others may be answers")
    ] = WANTED.bounds.margin,
    margin_judged: Annotated[
        float, typer.Option(min=0, max=2, help="the same where people judged")
    ] = WANTED.bounds.margin_judged,
    titles: Annotated[float, typer.Option(min=0, max=1, help="share of groups with titles")] = WANTED.title_share,
    residual: Annotated[
        float | None,
        typer.Option(
            min=0, help="learn what the first stage lacks: its score, times this, beside the logits; else as --base did"
        ),
    ] = None,
    loss: Annotated[str, typer.Option(help=f"{' or '.join(LOSSES)}")] = DEFAULTS.loss,
    layers: Annotated[int | None, typer.Option(min=1, help="keep the lowest layers of the base alone")] = None,
    freeze_embeddings: Annotated[
        bool, typer.Option("--freeze-embeddings/--no-freeze-embeddings", help="train layers and head alone")
    ] = DEFAULTS.freeze_embeddings,
    patience: Annotated[int, typer.Option(min=1, help="measurements without a gain")] = DEFAULTS.patience,
    evaluations: Annotated[int, typer.Option(min=1, help="measurements in all")] = DEFAULTS.evaluations,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULTS.seed,
    general_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="of the groups, that --general questions give at most")
    ] = WANTED.general_share,
    max_groups: Annotated[int | None, typer.Option(min=2, help="questions that are drawn; people's first")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="end it then, with the best so far")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a training that was cut off")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a reranker on questions, judgments or clicks.

    Train a reranker: answers from questions, judgements or clicks, hard negatives from the search itself.
    """
    judged = [*(beir or []), *(general or [])]
    sources = read_sources(collections or [], judged, judgements or [], keep_out or [], split)
    wanted = Wanted(
        negatives=negatives,
        max_groups=max_groups,
        title_share=titles,
        seed=seed,
        general=tuple(one.name for one in sources.judged[len(beir or []) : len(judged)]),
        general_share=general_share,
        bounds=Bounds(margin=margin, margin_judged=margin_judged),
    )
    arguments = TrainingArguments(
        base=base or settings().embedding_model,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        loss=_loss(loss),
        layers=layers,
        freeze_embeddings=freeze_embeddings,
        seed=seed,
        residual=residual,
        patience=patience,
        evaluations=evaluations,
    )
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        mining, training = bar.add_task("mining", total=None), bar.add_task("training", total=None)

        def tell(step: int, of: int, logs: Mapping[str, Any]) -> None:
            bar.update(training, completed=step, total=of)
            if not err.is_terminal or f"eval_{MEASURE}" in logs:
                err.print(training_line(step, of, logs), markup=False)

        try:
            done = learn_reranker(
                settings(),
                sources,
                wanted,
                arguments,
                out_dir,
                command=shlex.join(["bothways", *sys.argv[1:]]),
                minutes=minutes,
                resume=resume,
                progress=lambda one, of: bar.update(mining, completed=one, total=of),
                tell=tell,
            )
        except KeyboardInterrupt:
            err.print("Add --resume to go on with what is in --out; without it a folder that is taken is refused.")
            raise
    if as_json:
        print_json(done.report)
    else:
        _show(done.report, out_dir)


def ship_reranker(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="folder that `bothways learn reranker` wrote")],
    out_dir: Annotated[Path, typer.Option("--out", help="new folder of the small form")],
    licences: Annotated[str, typer.Option(help="licences of the data, for the model card")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write a trained reranker in its small form.

    Write a trained reranker in the small form: layers in fp16, embeddings left to the packaged base model.
    """
    done = ship(model, out_dir, cache_dir=settings().cache_dir, licences=licences)
    if as_json:
        print_json(
            {
                "folder": str(done.folder),
                "bytes": done.bytes,
                "sha256": done.sha256,
                "pairs": done.pairs,
                "difference": done.difference,
            }
        )
    else:
        out.print(
            f"{done.folder}: {done.bytes / 1e6:.1f} MB, SHA-256 {done.sha256}; {done.pairs} pairs score the "
            f"same but for {done.difference:.2g}",
            markup=False,
        )


def _loss(name: str) -> Loss:
    for loss in LOSSES:
        if loss == name:
            return cast("Loss", loss)
    raise UsageError(f"--loss wants {' or '.join(LOSSES)}, not {name[:40]!r}.")


def training_line(step: int, of: int, logs: Mapping[str, Any]) -> str:
    """Say in one line how far a training is."""
    shown = {
        name.removeprefix("eval_"): logs[name]
        for name in ("loss", f"eval_{MEASURE}", "eval_mrr@10", "train_loss")
        if name in logs
    }
    return f"step {step} of {of}  " + "  ".join(f"{name} {value:.4f}" for name, value in shown.items())


def _show(report: Mapping[str, Any], out_dir: Path) -> None:
    groups = report["data"]["groups"]
    out.print(
        f"{groups['train']} groups, {report['steps']} of {report['planned_steps']} steps in "
        f"{report['seconds'] / 60:.1f} minutes; {MEASURE} of {groups['dev']} groups kept aside "
        f"{report['untrained'].get(MEASURE, 0):.4f} → {report['best'].get(MEASURE, 0):.4f}",
        markup=False,
    )
    err.print(
        f"The model is in {out_dir} (BOTHWAYS_RERANKER_MODEL={out_dir}). Whether it helps, say `bothways eval` and "
        "`bothways eval tune --params rerank.alpha`.",
        markup=False,
    )
