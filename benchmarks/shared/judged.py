"""The texts and judged questions that searching is measured on: STARD core where it is at hand, else the handbook."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elasticsearch import Elasticsearch

from benchmarks.shared.corpus import HANDBOOK, ROOT
from bothways.core.collections.collection import Collection
from bothways.evaluation.judged.gold import resolve_gold
from bothways.evaluation.judged.queries import JudgedQuery, load_queries, take_split
from bothways.evaluation.measures import evaluate, measures_of

STARD_CORE = ROOT.parent / "shared" / "data" / "stard_core"
STARD_TRAIN = ROOT.parent / "shared" / "data" / "stard" / "train"
NDCG = "ndcg@10"

Rankings = dict[str, list[str]]
"""Document ids by the text of the question, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A folder of documents, the recorded pseudo-questions for them, and judged questions to search with."""

    name: str
    documents: Path
    questions: Path
    queries: tuple[JudgedQuery, ...]

    @property
    def texts(self) -> list[str]:
        """What is asked."""
        return [query.text for query in self.queries]


def find_judged(folder: Path, *, articles: int | None, questions: int | None) -> Judged:
    """Take the first `articles` of the corpus into `folder`, and up to `questions` questions that they can answer.

    The questions are of STARD's part `dev`, which nothing here was tuned on.
    """
    target = folder / "judged"
    target.mkdir()
    if not STARD_CORE.is_dir():
        shutil.copytree(HANDBOOK / "docs", target / "docs")
        judged = load_queries(HANDBOOK / "queries.jsonl")
        return Judged(
            name="handbook",
            documents=target / "docs",
            questions=HANDBOOK / "pseudo_questions.jsonl",
            queries=tuple(judged[:questions]),
        )
    with (STARD_CORE / "corpus.jsonl").open(encoding="utf-8") as lines:
        kept = list(islice(lines, articles))
    (target / "corpus.jsonl").write_text("".join(kept), encoding="utf-8")
    there = {json.loads(line)["_id"] for line in kept}
    judged = take_split(load_queries(STARD_TRAIN / "queries.jsonl", STARD_TRAIN / "qrels.tsv"), "dev")
    answerable = [query for query in judged if there.intersection(query.relevant)]
    return Judged(
        name="STARD core",
        documents=target,
        questions=STARD_CORE / "pseudo_questions.jsonl",
        queries=tuple(answerable[:questions]),
    )


def ndcg(client: Elasticsearch, collection: Collection, queries: Sequence[JudgedQuery], ranked: Rankings) -> float:
    """Return the mean nDCG@10 of document rankings; a question without one counts 0."""
    gold = resolve_gold(client, collection, queries)
    qrels = {query.query_id: {each.doc_id: each.relevance for each in gold[query.query_id]} for query in queries}
    values = ndcg_of_each(qrels, {query.query_id: ranked.get(query.text, []) for query in queries})
    return sum(values.values()) / len(values)


def ndcg_of_each(qrels: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return nDCG@10 of document rankings, both by query id."""
    run = {
        query_id: {doc_id: 1 / place for place, doc_id in enumerate(found, start=1)}
        for query_id, found in ranked.items()
    }
    values = evaluate(qrels, run, {NDCG: measures_of([10])[NDCG]})
    return {query_id: row[NDCG] for query_id, row in values.items()}


def first_of_each(doc_ids: Sequence[str]) -> list[str]:
    """Let a document rank where its best chunk does."""
    return list(dict.fromkeys(doc_ids))
