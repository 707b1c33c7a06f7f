"""What searching needs in place: our collection, and the same texts with the same vectors in the others' indices."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from elasticsearch import Elasticsearch

from benchmarks.models.untrained_reranker import reranker_folder
from benchmarks.search.copied import copy_texts
from benchmarks.shared.judged import find_judged
from benchmarks.shared.plan import SearchPlan
from benchmarks.sides.run import run_bothways, run_theirs
from bothways.core.collections.collection import delete_collection, open_collection
from bothways.core.errors import CollectionNotFoundError
from bothways.core.settings import Settings
from bothways.models.files.folder import read_query_prompt
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.weights import ensure_torch_weights

FILLED = (
    ("haystack", "haystack_search", False),
    ("haystack", "haystack_search", True),
    ("langchain", "langchain", False),
)
"""Whose indices are made, by which module, and whether the questions stand in them beside the chunks."""


def plan_search(
    chosen: Settings,
    es_url: str,
    folder: Path,
    *,
    articles: int | None,
    questions: int | None,
    timed: int,
    passes: int,
    requests: int,
) -> SearchPlan:
    """Choose texts, questions, models and names."""
    model = resolve_model(chosen.embedding_model, cache_dir=chosen.cache_dir, weights="torch")
    ensure_torch_weights(model)
    return SearchPlan(
        settings=chosen,
        es_url=es_url,
        folder=folder,
        judged=find_judged(folder, articles=articles, questions=questions),
        model_folder=str(model),
        query_prompt=read_query_prompt(model) if chosen.query_prompt is None else chosen.query_prompt,
        reranker_folder=str(reranker_folder(chosen)),
        name=uuid.uuid4().hex[:12],
        timed=timed,
        passes=passes,
        requests=requests,
    )


def set_up(plan: SearchPlan, client: Elasticsearch, say: Callable[[str], None], *, others: bool) -> dict[str, int]:
    """Index our collection and, where `others` are to be searched too, copy it for them; gives the counts."""
    say(f"searching: indexing {plan.judged.name} …")
    job = {
        "documents": str(plan.judged.documents),
        "questions": str(plan.judged.questions),
        "collection": plan.collection,
        "sample": ["样"],
    }
    done = run_bothways("index", job)
    if others:
        counts = copy_texts(client, open_collection(client, plan.collection), plan.folder)
        for whose, module, questions in FILLED:
            say(f"searching: copying into {plan.index(whose, questions=questions)} …")
            run_theirs(module, "fill", plan.job(whose, questions=questions), plan.settings)
            client.indices.refresh(index=plan.index(whose, questions=questions))
        return counts
    return {"chunks": done["chunks"], "questions": done["questions"]}


def remove(plan: SearchPlan, client: Elasticsearch) -> None:
    """Remove what `set_up` has made in Elasticsearch, if it is there."""
    try:
        delete_collection(client, plan.collection)
    except CollectionNotFoundError:
        pass
    for whose, _, questions in FILLED:
        client.indices.delete(index=plan.index(whose, questions=questions), ignore_unavailable=True)
