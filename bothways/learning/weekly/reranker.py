"""The step of the reranker: the one in use is trained on for an epoch by what people chose, and meets the gate."""

from __future__ import annotations

from functools import partial
from typing import Any

from bothways.core.collections.collection import Collection, open_collection
from bothways.core.errors import MissingExtraError, UsageError
from bothways.core.lazy import Lazy
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.learning.judgments.files import documents_of, query_id
from bothways.learning.judgments.judge import Judgment
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.build import Sources, learn_reranker
from bothways.learning.reranker.data.build import MiningOptions
from bothways.learning.reranker.data.groups import JudgedSet, pseudo_questions
from bothways.learning.reranker.train import base_folder
from bothways.learning.training_arguments import RerankerArguments
from bothways.learning.weekly.gate import Decision, gate
from bothways.learning.weekly.parts import Run, Step
from bothways.learning.weekly.promotion import promote_reranker
from bothways.models.onnx.tokens import Tokens
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.search.build import with_reranker
from bothways.search.options import RERANKED
from bothways.search.pinned import pinned
from bothways.search.rank.rerankers import load_reranker

LEARNING_RATE = 2e-5
"""Gentler than a training from the start: it is to learn something more, and to forget nothing."""


def learn_to_rerank(run: Run) -> Step:
    """Fine-tune the collection's reranker where there is enough to learn from, and promote it if nothing gets worse."""
    live = open_collection(run.client, run.collection)
    chosen = _chosen(run)
    details: dict[str, Any] = {"questions_with_an_answer": len(chosen), "wanted": run.options.limits.min_positives}
    base = live.reranker or run.settings.reranker_model
    why = _why_not(run, live, base, len(chosen))
    step = partial(Step, name="reranker", details=details)
    if why or base is None:
        return step(state="skipped", reason=why)
    details["base"] = base
    if run.options.dry_run:
        return step(state="planned", reason=f"{base} would be trained on by {len(chosen)} questions")
    folder = (run.folder / "reranker").resolve()
    try:
        run.progress("training the reranker")
        report = _train(run, live, base, chosen)
    except (UsageError, MissingExtraError) as error:
        return step(state="skipped", reason=str(error))
    groups = report["data"]["groups"]
    details |= {"folder": str(folder), "groups": groups, "untrained": report["untrained"].get(MEASURE)}
    details["trained"] = report["best"].get(MEASURE)
    run.progress("measuring the new reranker")
    decision = _measure(run, live, str(folder))
    details["gate"] = decision.as_dict()
    if not decision.accepted:
        return step(state="refused", reason=f"{'; '.join(decision.reasons)}. It stays in {folder}, not in use")
    promote_reranker(run.client, run.collection, str(folder), measured_on=live.index, record=run.record)
    return step(state="promoted", reason=f"searches in {run.collection} are reranked by {folder}")


def _why_not(run: Run, live: Collection, base: str | None, questions: int) -> str:
    if run.options.search.strategy not in RERANKED:
        return f"the strategy that is served, {run.options.search.strategy}, does not rerank"
    if run.settings.reranker_url is not None and not live.reranker:
        return "the reranker in use is behind an address, and cannot be trained from here"
    if base is None:
        return "no reranker is in use (BOTHWAYS_RERANKER_MODEL)"
    if questions < run.options.limits.min_positives:
        return f"{questions} questions have a certain answer, {run.options.limits.min_positives} are needed"
    return ""


def _chosen(run: Run) -> list[tuple[str, str, frozenset[str]]]:
    """Return the questions to learn from as (id, text, documents that answer), in the order of their ids."""
    by_query: dict[str, list[Judgment]] = {}
    for one in run.parts.learn:
        if one.text is not None:
            by_query.setdefault(one.query, []).append(one)
    found = []
    for query, own in by_query.items():
        answers = frozenset(document for document, relevance in documents_of(own).items() if relevance > 0)
        if answers:
            found.append((query_id(query), own[0].text or "", answers))
    return sorted(found)


def _train(run: Run, live: Collection, base: str, chosen: list[tuple[str, str, frozenset[str]]]) -> dict[str, Any]:
    """Train one epoch, on what people chose and as many pseudo-questions, which keep what was known alive."""
    kept_out: list[JudgedQuery] = [*run.parts.held_out, *(run.options.regression or ())]
    has_questions = next(pseudo_questions(run.client, live.index, collection=run.collection), None) is not None
    longest = Tokens(base_folder(base, cache_dir=run.settings.cache_dir)).max_tokens
    arguments = RerankerArguments(base=base, epochs=1.0, learning_rate=LEARNING_RATE, residual=None)
    return learn_reranker(
        run.settings,
        Sources(
            collections=[run.collection] if has_questions else [],
            judged=[JudgedSet(name="clicks", collection=run.collection, queries=chosen, kind="clicks")],
            keep_out=[query.text for query in kept_out],
            fingerprints={},
        ),
        MiningOptions(max_groups=2 * len(chosen)),
        arguments.model_copy(update={"max_length": min(arguments.max_length, longest)}),
        run.folder / "reranker",
        command=f"bothways learn run --collection {run.collection}",
        minutes=run.options.minutes,
    )


def _measure(run: Run, live: Collection, folder: str) -> Decision:
    trained = with_reranker(run.settings, folder)
    reranker = Lazy(lambda: load_reranker(lambda: load_cross_encoder(trained), cache_size=0))
    return gate(
        (pinned(run.searcher, live), live),
        (pinned(run.searcher, live, reranker=reranker), live),
        held_out=run.parts.held_out,
        regression=run.options.regression,
        options=run.options.search,
        demands=run.options.demands,
    )
