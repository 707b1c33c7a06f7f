"""`bothways learn distill-encoder`: an encoder learns a teacher's scores without forgetting what it knew."""

from __future__ import annotations

from typing import Annotated

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
    read_dev,
    read_sources,
)
from bothways.core.settings import settings
from bothways.learning.encoder.distill import EncoderPlan, distill_encoder
from bothways.learning.encoder.report import measures_table
from bothways.learning.reranker.build import Sources
from bothways.learning.training_arguments import EncoderArguments

DEFAULTS = EncoderArguments(base="")
SETTABLE = Settable(DEFAULTS, options=("base", "teacher", "epochs"))


def distill(
    out_dir: OutOption,
    teacher: Annotated[
        str, typer.Option(help="`search`: the collection's own hybrid search; or an encoder or reranker")
    ] = DEFAULTS.teacher,
    base: Annotated[str | None, typer.Option(help="encoder to begin with; else BOTHWAYS_EMBEDDING_MODEL")] = None,
    collections: CollectionsOption = None,
    beir: BeirOption = None,
    judgments: JudgmentsOption = None,
    general: GeneralOption = None,
    exclude_queries: ExcludeOption = None,
    max_questions: QuestionsOption = None,
    epochs: EpochsOption = DEFAULTS.epochs,
    set_: Annotated[list[str] | None, SETTABLE.option()] = None,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train an encoder on the scores of a teacher.

    It keeps as much of what it learns as leaves searches in other texts (--general) nearly as good as before.
    """
    base = base or settings().embedding_model
    arguments = SETTABLE.apply(set_, DEFAULTS, base=base, teacher=teacher, epochs=epochs)
    plan = EncoderPlan(
        out=out_dir,
        domain=read_sources(collections, beir, judgments, exclude_queries),
        general=read_sources([], general, [], exclude_queries) if general else Sources(collections=[]),
        arguments=arguments if general else arguments.model_copy(update={"general_share": 0.0}),
        judged=(read_dev(beir, collections), read_dev(general, [])),
        max_questions=max_questions,
        minutes=minutes,
        resume=resume,
        command=command_line(),
    )
    with training_bars("questions", "training") as (asked, on_log):
        report = distill_encoder(
            settings(), plan, progress=asked, on_log=on_log, say=lambda text: err.print(text, markup=False)
        )
    if as_json:
        print_json(report)
    else:
        out.print(measures_table(report), markup=False)
        err.print(f"The encoder is in {out_dir}: BOTHWAYS_EMBEDDING_MODEL={out_dir}, and index with it.", markup=False)
