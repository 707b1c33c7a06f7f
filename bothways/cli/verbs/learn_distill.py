"""`bothways learn distill-reranker`: a large reranker's judgment in a small one, in four steps."""

from __future__ import annotations

from collections.abc import Mapping
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
    JudgmentsOption,
    SplitArguments,
    read_dev,
    read_sources,
)
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.learning.distill.reranker import STEPS, Plan, Step, Watch, distill_reranker
from bothways.learning.distill.teacher import TeacherArguments
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.build import Sources
from bothways.learning.reranker.data.build import MiningOptions
from bothways.learning.training_arguments import RerankerArguments

STUDENT = RerankerArguments(base="BAAI/bge-reranker-v2-m3", loss="kl")
# The teacher tells answers among the candidates itself, so that none is left out as one.
MINING, TEACHER, SPLIT = MiningOptions(margin=2, margin_judged=2), TeacherArguments(), SplitArguments()
SETTABLE = Settable(
    STUDENT,
    MINING,
    SPLIT,
    options=("base", "epochs", "max_groups", "general", "general_share", "teacher_name"),
    teacher=TEACHER,
)


def distill(
    out_dir: OutOption,
    teacher: Annotated[str, typer.Option(help="model or folder that teaches")] = TEACHER.name,
    base: Annotated[str, typer.Option(help="model or folder that the student begins as")] = STUDENT.base,
    collections: CollectionsOption = None,
    beir: BeirOption = None,
    judgments: JudgmentsOption = None,
    exclude_queries: ExcludeOption = None,
    groups: Annotated[
        Path | None, typer.Option(help="folder of `bothways learn reranker`: take its groups instead of mining")
    ] = None,
    steps: Annotated[str, typer.Option(help="steps to run")] = ",".join(STEPS),
    max_questions: QuestionsOption = None,
    epochs: EpochsOption = STUDENT.epochs,
    set_: Annotated[list[str] | None, SETTABLE.option()] = None,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a smaller reranker on the scores of a larger one.

    The teacher scores candidates from the search, the student learns the scores, and both are measured.
    """
    chosen, split = read_steps(steps), SETTABLE.apply(set_, SPLIT).split
    sources = Sources(collections=[])
    if "logits" in chosen and groups is None:
        sources = read_sources(collections, beir, judgments, exclude_queries, split)
    plan = Plan(
        out=out_dir,
        steps=chosen,
        sources=sources,
        mining=SETTABLE.apply(set_, MINING, max_groups=max_questions),
        teacher=SETTABLE.apply(set_, TEACHER, name=teacher),
        training=SETTABLE.apply(set_, STUDENT, base=base, epochs=epochs),
        groups=groups,
        judged=read_dev(beir, collections) if "evaluate" in chosen and split == "train" else [],
        minutes=minutes,
        resume=resume,
        command=command_line(),
    )
    with training_bars("mining", "teacher", "training") as (mined, scored, on_log):
        done = distill_reranker(settings(), plan, Watch(mined, scored, on_log))
    if as_json:
        print_json(done)
    else:
        _show(done, out_dir)


def read_steps(steps: str) -> list[Step]:
    """Return the named steps; raise `UsageError` for another name, or none."""
    named = [word.strip() for word in steps.split(",") if word.strip()]
    if not named or not set(named) <= set(STEPS):
        raise UsageError(f"--steps wants some of {', '.join(STEPS)}, not {steps[:40]!r}.")
    return [step for step in STEPS if step in named]


def _show(done: Mapping[str, Mapping[str, Any]], out_dir: Path) -> None:
    if "logits" in done:
        report = done["logits"]
        out.print(
            f"{report['pairs']} pairs of {report['groups']} groups scored ({report['shards_written']} new shards)"
        )
    if "triplets" in done:
        report = done["triplets"]
        out.print(f"{report['triplets']} triplets; the teacher ranks the answer first in {report['answer_first']:.0%}")
    if "train" in done:
        report = done["train"]
        out.print(
            f"{report['steps']} steps in {report['seconds'] / 60:.1f} minutes; {MEASURE} of groups kept aside "
            f"{report['untrained'].get(MEASURE, 0):.4f} → {report['best'].get(MEASURE, 0):.4f}"
        )
        err.print(f"The student is in {out_dir} (BOTHWAYS_RERANKER_MODEL={out_dir}).", markup=False)
    if "evaluate" in done:
        page = out_dir / "distillation" / "evaluation.md"
        out.print(page.read_text("utf-8"), markup=False)
        err.print(f"This is in {page} as well.", markup=False)
