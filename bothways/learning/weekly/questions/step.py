"""The step of the questions: chunks that users found hard, or by mistake, get new ones, in a version of their own.

Top to bottom: what to do, the language model, the candidate, the gate, the alias. The model is asked before anything is
locked or written; a run that is cut off anywhere leaves what is live as it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from bothways.core.collections.collection import Collection, open_collection
from bothways.core.collections.lease import alone_on
from bothways.core.elastic.counting import count
from bothways.core.elastic.lease import Lease
from bothways.core.errors import UsageError
from bothways.indexer.versions.rollback import list_versions
from bothways.learning.leakage import LeakageFilter
from bothways.learning.weekly.gate import Decision, gate
from bothways.learning.weekly.history import History, used_pairs
from bothways.learning.weekly.parts import Run, Step
from bothways.learning.weekly.promotion import promote_index, refuse
from bothways.learning.weekly.questions.candidate import Candidate, Tools, build_candidate, candidates_of, read_chunks
from bothways.learning.weekly.questions.rewriting import HintedWriter, Known, Rewriting, rewrite
from bothways.learning.weekly.questions.worklist import Task, Worklist, make_worklist
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.language_model import LanguageModel
from bothways.models.llm.usage import Prices, TokenUsage
from bothways.search.pinned import pinned


def learn_questions(run: Run) -> Step:
    """Write new questions where users say that they are needed, and promote them if searches get no worse."""
    live = open_collection(run.client, run.collection)
    chunks = count(run.client, live.index)[1]
    at_most = math.ceil(run.options.limits.max_share * chunks)
    used = used_pairs(History(run.client).of(run.collection), live=live.index)
    work = make_worklist(run.parts.learn, used=used, at_most=at_most)
    details = _about(work, chunks, at_most)
    outcome = partial(Step, name="questions", details=details)
    if not work.tasks:
        return outcome(state="nothing", reason=_nothing(work, at_most))
    if run.llm is None:
        why = f"{len(work.tasks)} chunks need new questions, and no language model is set (BOTHWAYS_LLM_BASE_URL)"
        return outcome(state="skipped", reason=why)
    if unfinished := _unfinished_rebuild(run, live):
        why = f"a rebuild was begun and is not finished ({unfinished}): finish it with `bothways index`, then run again"
        return outcome(state="skipped", reason=why)
    known = read_chunks(run.client, live.index, [task.chunk_id for task in work.tasks])
    with AnswerCache(run.settings.cache_dir / "answers.sqlite") as cache:
        writer = _writer(run, run.llm, cache)
        if run.options.dry_run:
            return _plan(run, work, known, writer, details)
        rewriting = rewrite(
            work.tasks,
            known,
            writer,
            concurrency=run.settings.llm_concurrency,
            progress=lambda done, of: run.progress(f"new questions: {done} of {of} chunks"),
        )
    details |= _rewritten(run, rewriting)
    if not rewriting.done:
        return outcome(state="nothing", reason="no chunk got a question that is not a copy of what users asked")
    with alone_on(run.client, run.collection) as lease:
        return _decide(run, rewriting, chunks, details, lease)


def _decide(run: Run, rewriting: Rewriting, chunks: int, details: dict[str, Any], lease: Lease) -> Step:
    """Make the candidate, measure it, and let it go live or keep it out."""
    live = open_collection(run.client, run.collection)
    tools = Tools(client=run.client, server=run.server, segmenter=run.searcher.segmenter, encoder=run.searcher.encoder)
    run.progress("copying the live version")
    candidate = build_candidate(tools, live, rewriting.done, lease=lease)
    run.progress("measuring the candidate")
    decision = gate(
        (pinned(run.searcher, live), live),
        (pinned(run.searcher, candidate.collection), candidate.collection),
        held_out=run.parts.held_out,
        regression=run.options.regression,
        options=run.options.search,
        demands=run.options.demands,
    )
    details |= _measured(candidate, live, decision, chunks)
    if decision.accepted:
        promote_index(run.client, live, candidate.collection, changed=candidate.changed, record=run.record, lease=lease)
        why = f"{candidate.collection.index} is live, with new questions for {len(candidate.changed)} chunks"
        return Step(name="questions", state="promoted", reason=why, details=details)
    refuse(run.client, candidate.collection, decision.reasons, remove=run.options.remove_refused)
    kept = "was removed" if run.options.remove_refused else "is kept until the next run, not in use"
    why = f"{'; '.join(decision.reasons)}. {candidate.collection.index} {kept}; {live.index} stays live"
    return Step(name="questions", state="refused", reason=why, details=details)


def _writer(run: Run, llm: LanguageModel, cache: AnswerCache) -> HintedWriter:
    asked = [one.text for one in run.outcome.judged.judgments if one.text is not None]
    kept_out = {
        "what users asked": LeakageFilter(asked),
        "the held-out judgments": LeakageFilter(query.text for query in run.parts.held_out),
        "the regression set": LeakageFilter(query.text for query in run.options.regression or ()),
    }
    return HintedWriter(llm, cache, n=run.settings.questions_per_chunk, kept_out=kept_out)


def _unfinished_rebuild(run: Run, live: Collection) -> str:
    ours = set(candidates_of(run.client, live))
    there = [version.collection.index for version in list_versions(run.client, run.collection)
             if version.state == "unfinished"]  # fmt: skip
    return next((index for index in there if index not in ours), "")


def _plan(run: Run, work: Worklist, known: dict[str, Known], writer: HintedWriter, details: dict[str, Any]) -> Step:
    usage = sum(
        (writer.estimate(task, known[task.chunk_id]) for task in work.tasks if task.chunk_id in known), TokenUsage()
    )
    details["would_ask"] = {"calls": len(work.tasks), "prompt_tokens": usage.prompt, "tokens": usage.completion}
    details["changes"] = [_change(task) for task in work.tasks]
    cost = Prices(run.settings.llm_price_prompt, run.settings.llm_price_completion).cost(usage)
    about = f"about {usage.prompt:,} + {usage.completion:,} tokens" + (f", cost {cost:.4g}" if cost is not None else "")
    why = f"{len(work.tasks)} chunks would get new questions ({about})"
    return Step(name="questions", state="planned", reason=why, details=details)


def _about(work: Worklist, chunks: int, at_most: int) -> dict[str, Any]:
    return {
        "chunks": chunks,
        "may_change": at_most,
        "wanted": len(work.tasks) + len(work.waiting),
        "waiting_for_a_later_run": len(work.waiting),
        "judgments_acted_on_before": work.acted_on_before,
        "judgments_without_words": work.without_words,
        "judgments_in_good_order": work.in_order,
    }


def _nothing(work: Worklist, at_most: int) -> str:
    if work.waiting:
        return f"{len(work.waiting)} chunks need new questions, and one run may change {at_most}: raise max_share"
    return (
        f"no chunk needs new questions: {work.in_order} judgments are in good order, {work.acted_on_before} were "
        f"acted on before, {work.without_words} have no words"
    )


def _rewritten(run: Run, rewriting: Rewriting) -> dict[str, Any]:
    cost = Prices(run.settings.llm_price_prompt, run.settings.llm_price_completion).cost(rewriting.usage)
    return {
        "dropped_as_copies": dict(rewriting.dropped),
        "llm": {
            "calls": rewriting.calls,
            "cached": rewriting.cached,
            "prompt_tokens": rewriting.usage.prompt,
            "completion_tokens": rewriting.usage.completion,
            "cost": cost,
        },
        "failures": [_failure(one) for one in rewriting.failures],
    }


def _measured(candidate: Candidate, live: Collection, decision: Decision, chunks: int) -> dict[str, Any]:
    return {
        "live": live.index,
        "candidate": candidate.collection.index,
        "changed": len(candidate.changed),
        "changed_share": round(len(candidate.changed) / max(1, chunks), 4),
        "encoded": candidate.encoded,
        "not_changed": [_failure(one) for one in candidate.failures],
        "gate": decision.as_dict(),
        "changes": [
            _change(one.task)
            | {"title": one.chunk.title, "before": list(one.chunk.questions), "after": list(one.questions)}
            | {"generation": one.generation}
            for one in candidate.changed
        ],
    }


def _change(task: Task) -> dict[str, Any]:
    return {
        "chunk_id": task.chunk_id,
        "reasons": list(task.reasons),
        "successful": list(task.successful),
        "failed": list(task.failed),
    }


def _failure(one: Any) -> dict[str, str]:  # noqa: ANN401
    return {"stage": one.stage, "chunk_id": one.item, "reason": one.reason}


def require_llm(run_llm: LanguageModel | None, steps: Sequence[str]) -> None:
    """Refuse a run for questions alone where nobody could write them."""
    if run_llm is None and list(steps) == ["questions"]:
        raise UsageError("New questions need a language model: set BOTHWAYS_LLM_BASE_URL or BOTHWAYS_LLM_LOCAL_MODEL.")
