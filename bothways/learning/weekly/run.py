"""One weekly run, top to bottom: feedback becomes judgments, judgments become questions and a reranker, or nothing.

What is learnt goes live only through the gate (bothways/learning/weekly/gate.py). Every run leaves a report, also one
that fails; what one step cannot do does not keep the others from theirs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from bothways.core.collections.collection import open_collection
from bothways.core.elastic.client import Server
from bothways.core.errors import BothwaysError, SynonymsError, UsageError
from bothways.core.settings import Settings
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.judgments.build import judgments_from
from bothways.learning.judgments.files import write_judgments
from bothways.learning.judgments.holdout import split
from bothways.learning.synonyms.association import AssociationThresholds
from bothways.learning.synonyms.build import mine_synonyms
from bothways.learning.synonyms.proposal import write_proposal
from bothways.learning.weekly.parts import Progress, Run, RunOptions, State, Step, StepName
from bothways.learning.weekly.questions.step import learn_questions, require_llm
from bothways.learning.weekly.report import report_of, write_run
from bothways.learning.weekly.reranker import learn_to_rerank
from bothways.models.llm.language_model import LanguageModel
from bothways.search.pipeline import Searcher

log = structlog.get_logger()

FROM_FEEDBACK: tuple[StepName, ...] = ("questions", "reranker")


def learn_round(
    settings: Settings,
    searcher: Searcher,
    server: Server,
    collection: str,
    options: RunOptions,
    out: Path,
    *,
    llm: LanguageModel | None,
    now: float | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Do one run and give its report, which is in `out` as well, unless it is dry: then nothing is written.

    Raises `CollectionNotFoundError`, `IncompatibleCollectionError`, `UsageError` and `ElasticsearchError` before
    anything is begun; what fails in a step is told in its report.
    """
    opened = open_collection(searcher.client, collection)
    opened.require(embedding_model=settings.embedding_model, analyzer=searcher.segmenter.name)
    require_llm(llm, options.steps)
    if options.regression is None and not options.dry_run:
        log.info("no_regression_set", collection=collection, meaning="held-out judgments alone decide")
    run_id = _new_id(collection)
    folder = out / "runs" / run_id
    progress("reading feedback")
    outcome = judgments_from(FeedbackStore(searcher.client), collection, options.thresholds, days=options.days, now=now)
    run = Run(
        run_id=run_id,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        collection=collection,
        folder=folder,
        settings=settings,
        searcher=searcher,
        server=server,
        options=options,
        outcome=outcome,
        parts=split(outcome.judged.judgments, share=options.limits.held_out),
        llm=llm,
        progress=progress,
    )
    if not options.dry_run:
        write_judgments(outcome, folder / "judgments")
    steps: list[Step] = []
    ended = "interrupted"
    try:
        for name in options.steps:
            steps.append(_step(name, run))  # noqa: PERF401 – those before an interruption are reported
        ended = "done"
    finally:
        report = report_of(run, steps, ended=ended)
        if not options.dry_run:
            write_run(out, folder, report)
    return report


def _step(name: StepName, run: Run) -> Step:
    if name in FROM_FEEDBACK and (why := _nothing_to_learn(run)) is not None:
        state, reason = why
        return Step(name=name, state=state, reason=reason)
    try:
        return _STEPS[name](run)
    except BothwaysError as error:
        log.debug("step_failed", step=name, reason=str(error))
        return Step(name=name, state="failed", reason=str(error))


def _nothing_to_learn(run: Run) -> tuple[State, str] | None:
    """Return why feedback teaches nothing now: there is too little of it, or its clicks fall by chance."""
    outcome = run.outcome
    if not any(one.verdict != "undecided" for one in outcome.judged.judgments):
        why = (
            f"nothing to learn from: {outcome.tally.searches} searches, {outcome.tally.sessions} of them reacted to, "
            "and no answer or non-answer that is certain"
        )
        return "nothing", why
    if run.options.check_clicks and outcome.click_randomness is not None and outcome.click_randomness.by_chance:
        why = f"the clicks look like those of a script, and nothing is learnt from them: {outcome.click_randomness}"
        return "refused", why
    return None


def _learn_synonyms(run: Run) -> Step:
    """Propose synonyms for a person to review; nothing is in force by that."""
    if run.options.dry_run:
        return Step(name="synonyms", state="planned", reason="a proposal of synonyms would be written")
    run.progress("mining synonyms")
    path = run.folder / "synonyms.txt"
    try:
        mined = mine_synonyms(run.settings, run.collection, AssociationThresholds(), check=run.llm is not None)
        write_proposal(path, mined.candidates, collection=run.collection)
    except (SynonymsError, UsageError) as error:
        return Step(name="synonyms", state="skipped", reason=str(error))
    details = {"file": str(path), "candidates": len(mined.candidates), "refused": len(mined.refused)}
    why = f"{len(mined.candidates)} candidates are in {path}; apply what is right with `bothways synonyms apply`"
    return Step(name="synonyms", state="proposed", reason=why, details=details)


_STEPS: dict[StepName, Callable[[Run], Step]] = {
    "questions": learn_questions,
    "reranker": learn_to_rerank,
    "synonyms": _learn_synonyms,
}


def _new_id(collection: str) -> str:
    return f"{collection}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
