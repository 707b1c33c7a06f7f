"""`bothways learn reranker` and `learn export`: train a reranker, and export it in a small form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.learn_arguments import (
    EpochsOption,
    MinutesOption,
    OutOption,
    QuestionsOption,
    ResumeOption,
    Settable,
    command_line,
    training_bars,
)
from bothways.cli.verbs.learn_sources import (
    BeirOption,
    CollectionsOption,
    ExcludeOption,
    GeneralOption,
    JudgmentsOption,
    SplitArguments,
    read_sources,
)
from bothways.core.settings import settings
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.build import learn_reranker
from bothways.learning.reranker.data.build import MiningOptions
from bothways.learning.reranker.export import export_reranker
from bothways.learning.training_arguments import RerankerArguments

DEFAULTS, MINING, SPLIT = RerankerArguments(base="", residual=None), MiningOptions(), SplitArguments()
SETTABLE = Settable(
    DEFAULTS,
    MINING,
    SPLIT,
    options=("base", "epochs", "max_groups", "general", "temperature", "hard_label"),
)


def reranker(
    out_dir: OutOption,
    collections: CollectionsOption = None,
    beir: BeirOption = None,
    judgments: JudgmentsOption = None,
    general: GeneralOption = None,
    exclude_queries: ExcludeOption = None,
    base: Annotated[
        str | None, typer.Option(help="model or folder to begin with; else BOTHWAYS_EMBEDDING_MODEL")
    ] = None,
    max_questions: QuestionsOption = None,
    epochs: EpochsOption = DEFAULTS.epochs,
    set_: Annotated[list[str] | None, SETTABLE.option()] = None,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a reranker on questions, judgments or clicks.

    Hard negatives come from the collection's own search.
    """
    beir, general = beir or [], general or []
    split = SETTABLE.apply(set_, SPLIT).split
    sources = read_sources(collections, [*beir, *general], judgments, exclude_queries, split)
    general_names = tuple(judged.name for judged in sources.judged[len(beir) : len(beir) + len(general)])
    arguments = SETTABLE.apply(set_, DEFAULTS, base=base or settings().embedding_model, epochs=epochs)
    with training_bars("mining", "training") as (mined, on_log):
        report = learn_reranker(
            settings(),
            sources,
            SETTABLE.apply(set_, MINING, max_groups=max_questions, general=general_names),
            arguments,
            out_dir,
            command=command_line(),
            minutes=minutes,
            resume=resume,
            progress=mined,
            on_log=on_log,
        )
    if as_json:
        print_json(report)
    else:
        _show(report, out_dir)


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="folder that `bothways learn reranker` wrote")],
    out_dir: Annotated[Path, typer.Option("--out", help="new folder of the small form")],
    licences: Annotated[str, typer.Option(help="licences of the data, for the model card")] = "",
    as_json: JsonOption = False,
) -> None:
    """Export a trained reranker in a small form.

    That is its layers in fp16, without the embeddings of the packaged base model.
    """
    done = export_reranker(model, out_dir, cache_dir=settings().cache_dir, licences=licences)
    if as_json:
        print_json({**asdict(done), "folder": str(done.folder)})
    else:
        out.print(
            f"{done.folder}: {done.bytes / 1e6:.1f} MB, SHA-256 {done.sha256}; the logits of {done.pairs} pairs differ "
            f"by at most {done.difference:.2g}",
            markup=False,
        )


def _show(report: Mapping[str, Any], out_dir: Path) -> None:
    groups = report["data"]["groups"]
    out.print(
        f"{groups['train']} groups, {report['steps']} of {report['planned_steps']} steps in "
        f"{report['seconds'] / 60:.1f} minutes; {MEASURE} of {groups['dev']} groups kept aside "
        f"{report['untrained'].get(MEASURE, 0):.4f} → {report['best'].get(MEASURE, 0):.4f}",
        markup=False,
    )
    err.print(
        f"The model is in {out_dir} (BOTHWAYS_RERANKER_MODEL={out_dir}). Measure whether searches get better with "
        "`bothways eval` and `bothways eval tune --params rerank.alpha`.",
        markup=False,
    )
