"""What a distillation brought: the student before and after beside its teacher, in quality and in time.

On groups kept aside (an answer among mined passages), and in searches of judged queries, where the first stage without
a reranker is what both have to be better than. The student is run as it is served; so is the teacher where it can be.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bothways.core.settings import Settings
from bothways.learning.pages import render
from bothways.learning.rank_measures import MEASURES, measured, measured_groups
from bothways.learning.reranker.data.groups import Group, JudgedSet
from bothways.models.protocols import CrossEncoder
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.search.build import build_searcher
from bothways.search.pipeline import Searcher

_TIMED_GROUPS = 60
_ENOUGH_MS = 60_000.0
_DEPTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Student (a folder) and teacher (folder or name). `untrained`: what the student's groups gave before.

    `serves`: whether the teacher is of a kind that searches could be reranked with; one that is not is never loaded.
    `teacher_ms`: what a pair took it in the step `logits`.
    """

    student: str
    teacher: str
    serves: bool
    untrained: dict[str, float]
    teacher_ms: float


def evaluate_rerankers(
    settings: Settings, models: Models, groups: Sequence[Group], judged: Sequence[JudgedSet]
) -> dict[str, Any]:
    """Measure both on groups with the teacher's scores, then in searches; raises `ModelError` as loading does."""
    student = _load(settings, models.student)
    teacher = _load(settings, models.teacher) if models.serves else None
    scores = [student.score(group.query, group.passages) for group in groups]
    times = _ms_a_pair({"student": student, **({"teacher": teacher} if teacher else {})}, groups[:_TIMED_GROUPS])
    report: dict[str, Any] = {
        "teacher": models.teacher,
        "groups": {
            "number": len(groups),
            "student_before": models.untrained,
            "student": measured_groups(groups, scores),
            "teacher": measured_groups(groups, [group.scores for group in groups]),
        },
        "ms_a_pair": {"teacher": round(models.teacher_ms, 3), **times},
        "teacher_timed": "as it is served" if teacher else "in the step `logits`",
    }
    report["time_share"] = _share(report["ms_a_pair"]["student"], report["ms_a_pair"]["teacher"])
    report["searches"] = [_in_searches(settings, models, one, served=teacher is not None) for one in judged]
    return report


def _load(settings: Settings, name: str) -> CrossEncoder:
    model = load_cross_encoder(_with(settings, name))
    assert model is not None  # noqa: S101 - it is named
    return model


def _with(settings: Settings, name: str | None) -> Settings:
    return settings.model_copy(update={"reranker_model": name, "reranker_url": None})


def _ms_a_pair(models: dict[str, CrossEncoder], groups: Sequence[Group]) -> dict[str, float]:
    """Return the median ms that a pair took each model over the same groups, which take turns in going first."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn, group in enumerate(groups):
        for name in sorted(models, reverse=bool(turn % 2)):
            begun = time.perf_counter()
            models[name].score(group.query, group.passages)
            times[name].append(1000 * (time.perf_counter() - begun) / len(group.passages))
    return {name: round(median(found), 3) for name, found in times.items() if found}


def _in_searches(settings: Settings, models: Models, judged: JudgedSet, *, served: bool) -> dict[str, Any]:
    rerankers = {"student": models.student, **({"teacher": models.teacher} if served else {})}
    first, _ = build_searcher(_with(settings, None))
    rows = {"first stage": _searched(first, settings, judged, reranked=False)}
    for name, model in rerankers.items():
        searcher, _ = build_searcher(_with(settings, model))
        rows[name] = _searched(searcher, settings, judged, reranked=True)
    gains = {name: {m: round(rows[name][m] - rows["first stage"][m], 4) for m in MEASURES} for name in rerankers}
    kept = {
        m: _share(gains["student"][m], gains["teacher"][m]) if "teacher" in gains and gains["teacher"][m] > 0 else None
        for m in MEASURES
    }
    return {
        "name": f"{judged.name}@{judged.collection}",
        "queries": len(judged.queries),
        "alpha": "each model's own" if settings.rerank_alpha is None else f"{settings.rerank_alpha:g}",
        "measures": rows,
        "gains": gains,
        "gain_kept": kept,
    }


def _searched(searcher: Searcher, settings: Settings, judged: JudgedSet, *, reranked: bool) -> dict[str, float]:
    """Search every query as the settings say, without a limit of time; a document ranks where its best chunk does."""
    options = settings.search.replace(
        strategy="hybrid_rerank" if reranked else "hybrid",
        top_k=_DEPTH,
        rerank_budget_ms=_ENOUGH_MS,
    )
    ranked: dict[str, dict[str, float]] = {}
    for query_id, text, _ in judged.queries:
        documents: dict[str, float] = {}
        for rank, hit in enumerate(searcher.search(text, judged.collection, options).hits, start=1):
            documents.setdefault(hit.doc_id, -float(rank))
        ranked[query_id] = documents
    return measured({query_id: dict.fromkeys(relevant, 1) for query_id, _, relevant in judged.queries}, ranked)


def _share(part: float, whole: float) -> float:
    return round(part / whole, 3) if whole else math.nan


def evaluation_page(report: dict[str, Any]) -> str:
    """Return evaluation.md."""
    return render("distillation.md", report=report, groups=report["groups"], names=list(MEASURES), depth=_DEPTH)
