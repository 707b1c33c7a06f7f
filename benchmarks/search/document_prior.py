"""What a reranker has to beat: how often each work's passages were the answer, and nothing read at all.

`python -m benchmarks.search.document_prior FOLDER --collection NAME`. FOLDER is a judged set in BEIR's form. From the
candidates of its train part it counts, for each work (a title without the article's number), how often a passage of it
was shown and how often it was an answer. The smoothed log share is added to `hybrid`'s scores; its weight is chosen on
the train part too, each query left out of the counts that score it. Measured on the dev part, beside `hybrid` and,
where BOTHWAYS_RERANKER_MODEL is set, `hybrid_rerank`.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.shared.judged import NDCG, first_of_each, ndcg_of_each
from bothways.core.results import Hit
from bothways.core.settings import settings
from bothways.core.text.markdown import markdown_table
from bothways.core.text.numerals import NUMERALS
from bothways.evaluation.judged.queries import JudgedQuery, load_queries, take_split
from bothways.evaluation.statistics import confidence
from bothways.search.build import build_searcher
from bothways.search.pipeline import Searcher

WEIGHTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15)
_ARTICLE = re.compile(rf"第[{NUMERALS}\d]+条.*$")


@dataclass(frozen=True, slots=True)
class Asked:
    """A judged query with its candidates, best first."""

    query: JudgedQuery
    hits: Sequence[Hit]


@dataclass(slots=True)
class Prior:
    """How often passages of a work were shown, and how often they were the answer."""

    shown: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)

    def add(self, one: Asked, times: int = 1) -> None:
        """Count the candidates of a query; with `times` -1 they are taken out again."""
        for hit in one.hits:
            self.shown[work_of(hit)] += times
            self.answered[work_of(hit)] += times * (one.query.relevant.get(hit.doc_id, 0) > 0)

    def of(self, hit: Hit) -> float:
        """Return the log of the smoothed share: a work that was never shown has .05."""
        return math.log((self.answered[work_of(hit)] + 0.5) / (self.shown[work_of(hit)] + 10))


def work_of(hit: Hit) -> str:
    """Return the work of a hit: its title up to the article's number."""
    return _ARTICLE.sub("", hit.title) or hit.doc_id


def ranked(one: Asked, prior: Prior, weight: float) -> list[str]:
    """Return document ids in the order of the score's share of the best, plus `weight` times the prior."""
    best = max((hit.score for hit in one.hits), default=1.0) or 1.0
    order = sorted(one.hits, key=lambda hit: -(hit.score / best + weight * prior.of(hit)))
    return first_of_each([hit.doc_id for hit in order])


def choose_weight(asked: Sequence[Asked], prior: Prior) -> float:
    """Choose the weight by nDCG@10, each query scored by what the others tell."""
    rankings: dict[float, dict[str, list[str]]] = {weight: {} for weight in WEIGHTS}
    for one in asked:
        prior.add(one, -1)
        for weight in WEIGHTS:
            rankings[weight][one.query.query_id] = ranked(one, prior, weight)
        prior.add(one)
    return max(WEIGHTS, key=lambda weight: values(asked, rankings[weight]).mean())


def values(asked: Sequence[Asked], rankings: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return nDCG@10 of each query."""
    found = ndcg_of_each({one.query.query_id: one.query.relevant for one in asked}, rankings)
    return np.array([found[one.query.query_id] for one in asked])


def candidates(searcher: Searcher, collection: str, queries: Sequence[JudgedQuery], *, strategy: str) -> list[Asked]:
    """Search for each query; as many candidates as are reranked."""
    options = settings().search.replace(strategy=strategy, top_k=settings().rerank_top_n)
    found = []
    for number, query in enumerate(queries, start=1):
        found.append(Asked(query, searcher.search(query.text, collection, options).hits))
        if number % 100 == 0:
            print(f"{strategy}: {number} of {len(queries)}", file=sys.stderr, flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.document_prior", description=__doc__)
    parser.add_argument("folder", type=Path, help="queries.jsonl and qrels.tsv")
    parser.add_argument("--collection", required=True)
    wanted = parser.parse_args(arguments)
    chosen = settings()
    searcher, _ = build_searcher(chosen)
    queries = load_queries(wanted.folder)
    train, dev = take_split(queries, "train"), take_split(queries, "dev")
    prior, learnt = Prior(), candidates(searcher, wanted.collection, train, strategy="hybrid")
    for one in learnt:
        prior.add(one)
    weight = choose_weight(learnt, prior)
    first = candidates(searcher, wanted.collection, dev, strategy="hybrid")
    sides = {"hybrid": (first, 0.0), f"hybrid + {weight:g} · prior": (first, weight)}
    if chosen.reranker_model:
        sides["hybrid_rerank"] = (candidates(searcher, wanted.collection, dev, strategy="hybrid_rerank"), 0.0)
    found = {
        name: values(asked, {one.query.query_id: ranked(one, prior, share) for one in asked})
        for name, (asked, share) in sides.items()
    }
    rows = []
    for name, got in found.items():
        change = confidence(got - found["hybrid"])
        rows.append([name, f"{got.mean():.4f}", f"{change.mean:+.4f} [{change.low:+.3f}, {change.high:+.3f}]"])
    print(markdown_table([f"{len(dev)} queries", NDCG, "difference"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
