"""What an encoder learns from: questions with candidates and their scores; and benches that tell what it is worth.

Questions are searched for as users do; the answer and some of what the search brings are the candidates, with the
search's own scores. A bench is a corpus, or a part of it, with judged queries: measured in memory, nothing is indexed.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.datatypes import Vector
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import UsageError
from bothways.core.results import Hit
from bothways.core.text.passage import passage
from bothways.indexer.workers.overlap import overlapped
from bothways.learning.hash_split import in_share
from bothways.learning.leakage import LeakageFilter, letters_of
from bothways.learning.rank_measures import measured
from bothways.learning.reranker.data.groups import Group, Part, Question, draw
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher

Encode = Callable[[Sequence[str]], Vector]
"""Texts to L2-normalised vectors, in their order."""
Retrieve = Callable[[Question], Sequence[Hit]]
Progress = Callable[[int, int], None]

QUESTION = "\0question\0"
"""Before a question among texts by which vectors are found: it may stand in the corpus as a text too."""

_PAGE, _THREADS, _AHEAD, _RANKED = 500, 2, 16, 100


@dataclass(frozen=True, slots=True)
class Corpus:
    """The chunks of a collection: id, document, and the text that is embedded, in one order."""

    chunk_ids: Sequence[str]
    doc_ids: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Judged queries over texts: `judged` says which documents answer; a document ranks where its best text does."""

    name: str
    doc_ids: Sequence[str]
    texts: Sequence[str]
    queries: Mapping[str, str]
    judged: Mapping[str, Mapping[str, int]]

    def measure(self, encode_texts: Encode, encode_queries: Encode) -> dict[str, float]:
        """Return MAP, MRR@10 and nDCG@10 of a search by cosine over all texts."""
        texts, queries = encode_texts(self.texts), encode_queries(list(self.queries.values()))
        ranked: dict[str, dict[str, float]] = {}
        for query_id, vector in zip(self.queries, queries, strict=True):
            scores = texts @ vector
            documents: dict[str, float] = {}
            for place in np.argsort(-scores, kind="stable"):
                documents.setdefault(self.doc_ids[place], float(scores[place]))
                if len(documents) == _RANKED:
                    break
            ranked[query_id] = documents
        return measured(self.judged, ranked)


def read_corpus(client: Elasticsearch, index: str) -> Corpus:
    """Read the chunks of an index with the texts that were embedded (heading, line break, text)."""
    body = {"query": {"match_all": {}}, "_source": ["doc_id", "heading", "text"]}
    rows = []
    with elasticsearch_errors("reading the texts of a collection"):
        for found in scan(client, index=index, query=body, size=_PAGE):
            source = found["_source"]
            rows.append((found["_id"], source["doc_id"], passage(source.get("heading"), source["text"])))
    rows.sort()
    return Corpus([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def searching_whole(searcher: Searcher, *, depth: int) -> Retrieve:
    """Return what searches by `hybrid`, fused scores and all, without what depends on metadata or a language model."""
    options = SearchOptions(strategy="hybrid", top_k=depth, leg_k=depth, self_query=False)
    return lambda question: searcher.search(question.text, question.collection, options).hits


def held_out(text: str, *, share: float = 0.1) -> bool:
    """Return whether a question is kept for choosing between models, by its letters: the same wherever it stands."""
    return in_share(letters_of(text), share)


def allowed(questions: Iterable[Question], leakage: LeakageFilter, counts: Counter[str]) -> Iterator[Question]:
    """Leave out the questions that models are judged by, and count."""
    for question in questions:
        how = leakage.match(question.text)
        counts["read" if how is None else f"kept out: {how}"] += 1
        if how is None:
            yield question


def mine_candidates(
    questions: Sequence[Question],
    retrieve: Retrieve,
    texts: Mapping[str, str],
    *,
    number: int,
    seed: int,
    progress: Progress = lambda _done, _of: None,
) -> list[Group]:
    """Make groups of an answer and up to `number` candidates, with the search's scores, upper ranks more often.

    `texts` by chunk id. An answer that the search does not bring counts as its last hit; other answers that are known
    are left out, and questions without candidates.
    """

    def mine(question: Question) -> Group | None:
        rng = random.Random(f"{seed}/{question.key}")  # noqa: S311
        return _candidates(question, retrieve(question), texts, number, rng)

    found = overlapped(mine, questions, threads=_THREADS, ahead=_AHEAD, stop=threading.Event(), name="mine")
    groups = []
    for done, group in enumerate(found, start=1):
        progress(done, len(questions))
        if group is not None:
            groups.append(group)
    return groups


def _candidates(
    question: Question, hits: Sequence[Hit], texts: Mapping[str, str], number: int, rng: random.Random
) -> Group | None:
    scores = {hit.chunk_id: hit.score for hit in hits}
    others = [
        (rank, hit)
        for rank, hit in enumerate(hits, start=1)
        if hit.chunk_id in texts
        and hit.chunk_id != question.positive.chunk_id
        and hit.chunk_id not in question.relevant
        and hit.doc_id not in question.relevant
    ]
    if not others or question.positive.chunk_id not in texts:
        return None
    chosen: list[Hit] = []
    while others and len(chosen) < number:
        place = rng.choices(range(len(others)), weights=[rank**-0.5 for rank, _ in others])[0]
        chosen.append(others.pop(place)[1])
    answered = scores.get(question.positive.chunk_id, min(scores.values()))
    part: Part = "dev" if held_out(question.text) else "train"
    return Group(
        key=question.key,
        query=question.text,
        positive=texts[question.positive.chunk_id],
        negatives=tuple(texts[hit.chunk_id] for hit in chosen),
        source=question.source,
        part=part,
        scores=(answered, *(hit.score for hit in chosen)),
    )


def choose(questions: Iterable[Question], *, at_most: int | None, seed: int) -> tuple[list[Question], list[Question]]:
    """Divide questions into those that are learnt (drawn) and those that are held out."""
    every = list(questions)
    kept = [question for question in every if held_out(question.text)]
    learnt = draw((question for question in every if not held_out(question.text)), at_most=at_most, seed=seed)
    return learnt, kept


def bench_of_questions(
    name: str, corpus: Corpus, questions: Sequence[Question], *, queries: int, texts: int, seed: int
) -> Bench:
    """Make a bench of questions that were held out: people's where there are some, else pseudo-questions."""
    people = [question for question in questions if question.kind != "questions"]
    documents = dict(zip(corpus.chunk_ids, corpus.doc_ids, strict=True))
    by_text: dict[str, set[str]] = {}
    for question in people or questions:
        relevant = {documents.get(answer, answer) for answer in question.relevant}
        by_text.setdefault(question.text, set()).update(relevant)
    return make_bench(name, corpus, list(by_text.items()), queries=queries, texts=texts, seed=seed)


def make_bench(
    name: str, corpus: Corpus, questions: Sequence[tuple[str, Iterable[str]]], *, queries: int, texts: int, seed: int
) -> Bench:
    """Make a bench of (question, documents that answer), of at most so many queries and texts, all answers among them.

    Raises `UsageError` where no document that answers is in the corpus.
    """
    rng = random.Random(f"{seed}/{name}")  # noqa: S311 - no secret
    known = frozenset(corpus.doc_ids)
    judged = [(text, answers) for text, every in sorted(questions) if (answers := known & frozenset(every))]
    if not judged:
        raise UsageError(f"{name}: none of the {len(questions)} questions has its answer in the collection.")
    chosen = rng.sample(judged, min(queries, len(judged)))
    answering = frozenset[str]().union(*(answers for _, answers in chosen))
    places = list(range(len(corpus.texts)))
    if len(places) > texts:
        needed = [place for place in places if corpus.doc_ids[place] in answering]
        rest = [place for place in places if corpus.doc_ids[place] not in answering]
        places = sorted([*needed, *rng.sample(rest, max(0, min(len(rest), texts - len(needed))))])
    return Bench(
        name=name,
        doc_ids=[corpus.doc_ids[place] for place in places],
        texts=[corpus.texts[place] for place in places],
        queries={str(number): text for number, (text, _) in enumerate(chosen)},
        judged={str(number): dict.fromkeys(answers, 1) for number, (_, answers) in enumerate(chosen)},
    )
