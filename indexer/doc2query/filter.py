"""Doc2Query--: pseudo-questions that miss their own chunk are dropped again, from chunks that are in the index.

Gospodinov, MacAvaney, Macdonald 2023, "Doc2Query--: When Less is More": a model also writes questions that its passage
does not answer; they bring other people's questions to the wrong chunk. What tells them apart is either a round trip
(does the question find its own chunk among all?) or a cross-encoder (how well does the chunk answer it?).

The round trip needs the whole collection in the index, so filtering is a pass of its own after the build. It searches
with the vectors that are there and writes a chunk again with fewer questions, so that all that is made of them
(`text_kw` and `text_cjk` by `copy_to`) stays in step. A chunk's `generation` says that it has been filtered, and how:
a pass that is cut off goes on where it stopped, and the next run looks at new chunks only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.batches import batched
from bothways.core.datatypes import Failure
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.vectors import stored_again
from bothways.core.errors import ElasticsearchError
from bothways.core.text.passage import passage
from bothways.indexer.bulk import bulk
from bothways.models.protocols import CrossEncoder

WINDOW = 50
"""Chunks that are looked at in one request; with five questions each, 250 searches in one `_msearch`."""

STORED = ["title", "text", *(f"questions.{name}" for name in ("text", "text_kw", "text_sem", "tag"))]
"""What a chunk that is filtered is read with. Named, vectors come although servers from 9.2 leave them out."""


class QuestionFilter(Protocol):
    """Whatever tells which questions of stored chunks are worth keeping."""

    @property
    def name(self) -> str:
        """What it does and its threshold: stands in the generation of what it has filtered."""
        ...

    def keep(self, client: Elasticsearch, index: str, chunks: Sequence[Mapping[str, Any]]) -> list[list[bool]]:
        """Tell for every question of every chunk (hits with `_id` and `STORED`) whether it stays."""
        ...


@dataclass(slots=True, kw_only=True)
class FilterReport:
    """What a pass did: chunks and questions looked at, questions dropped, and what could not be written."""

    chunks: int = 0
    questions: int = 0
    dropped: int = 0
    failures: list[Failure] = field(default_factory=list)


def filtered(generation: str, by: QuestionFilter) -> str:
    """Return the generation of questions that a filter has looked at."""
    return f"{generation}|{by.name}"


def filter_questions(
    client: Elasticsearch,
    index: str,
    by: QuestionFilter,
    *,
    generation: str,
    packed: bool,
    progress: Callable[[FilterReport], None] = lambda _: None,
) -> FilterReport:
    """Drop the questions of `generation` that the filter does not keep, and note in all their chunks that it looked.

    `packed` sends vectors as base64 text. A chunk that somebody else changes meanwhile is left to them, and is a
    failure in the report. Raises `ElasticsearchError` where a search fails: then nothing is dropped by mistake.
    """
    report = FilterReport()
    with elasticsearch_errors("filtering questions"):
        client.indices.refresh(index=index)
        sent = bulk(client, _updates(client, index, by, generation, packed, report, progress), chunk_size=WINDOW)
        client.indices.refresh(index=index)
    report.failures += sent.failures
    return report


def _updates(
    client: Elasticsearch,
    index: str,
    by: QuestionFilter,
    generation: str,
    packed: bool,
    report: FilterReport,
    progress: Callable[[FilterReport], None],
) -> Iterator[dict[str, Any]]:
    name = filtered(generation, by)
    for chunks in batched(_with_questions(client, index, generation), WINDOW):
        for chunk, verdicts in zip(chunks, by.keep(client, index, chunks), strict=True):
            questions = chunk["_source"]["questions"]
            kept = [_stored(q, name, packed) for q, stays in zip(questions, verdicts, strict=True) if stays]
            report.chunks += 1
            report.questions += len(questions)
            report.dropped += len(questions) - len(kept)
            yield {
                "_op_type": "update",
                "_index": index,
                "_id": chunk["_id"],
                "if_seq_no": chunk["_seq_no"],
                "if_primary_term": chunk["_primary_term"],
                "doc": {"questions": kept, "question_count": len(kept), "generation": name},
            }
        progress(report)


def _with_questions(client: Elasticsearch, index: str, generation: str) -> Iterator[dict[str, Any]]:
    query = {
        "query": {
            "bool": {
                "filter": [
                    {"term": {"generation": generation}},
                    {"nested": {"path": "questions", "query": {"exists": {"field": "questions.text_sem"}}}},
                ]
            }
        },
        "_source": STORED,
        "seq_no_primary_term": True,
    }
    yield from scan(client, index=index, query=query, size=WINDOW)


def _stored(question: Mapping[str, Any], generation: str, packed: bool) -> dict[str, Any]:
    vector = stored_again(question["text_sem"], packed=packed)
    return {**question, "text_sem": vector, "generation": generation}


class RoundTrip:
    """Keeps a question that finds its own chunk among the first `k` of the collection, by the chunks' own vectors.

    Not by words: `text_kw` and `text_cjk` hold each question in its own chunk, so that it would always find it.
    """

    def __init__(self, k: int, *, num_candidates: int = 100) -> None:
        self._k = k
        self._num_candidates = max(k, num_candidates)

    @property
    def name(self) -> str:
        """As in "round-trip/10"."""
        return f"round-trip/{self._k}"

    def keep(self, client: Elasticsearch, index: str, chunks: Sequence[Mapping[str, Any]]) -> list[list[bool]]:
        """Ask for the nearest chunks of all questions in one request."""
        questions = [question for chunk in chunks for question in chunk["_source"]["questions"]]
        answers = client.msearch(searches=[line for q in questions for line in ({"index": index}, self._body(q))])
        found = iter([_ids(answer) for answer in answers["responses"]])
        return [[chunk["_id"] in next(found) for _ in chunk["_source"]["questions"]] for chunk in chunks]

    def _body(self, question: Mapping[str, Any]) -> dict[str, Any]:
        knn = {
            "field": "text_sem",
            "query_vector": question["text_sem"],
            "k": self._k,
            "num_candidates": self._num_candidates,
        }
        return {"knn": knn, "size": self._k, "_source": False, "track_total_hits": False}


def _ids(answer: Mapping[str, Any]) -> set[str]:
    if "error" in answer:
        (first, *_) = answer["error"].get("root_cause") or [answer["error"]]
        raise ElasticsearchError(f"Elasticsearch failed while filtering questions: {first.get('reason')}")
    return {hit["_id"] for hit in answer["hits"]["hits"]}


class Answerable:
    """Keeps a question whose chunk a cross-encoder finds relevant: a score (raw logit) of `min_score` or more.

    `load` is called once a question and should remember the model; `model` is the name that it is set by.
    """

    def __init__(self, model: str, load: Callable[[], CrossEncoder], min_score: float) -> None:
        self._model = model
        self._load = load
        self._min_score = min_score

    @property
    def name(self) -> str:
        """As in "cross-encoder/BAAI/bge-reranker-base/0.5"."""
        return f"cross-encoder/{self._model}/{self._min_score:g}"

    def keep(
        self,
        client: Elasticsearch,  # noqa: ARG002 – part of the interface
        index: str,  # noqa: ARG002
        chunks: Sequence[Mapping[str, Any]],
    ) -> list[list[bool]]:
        """Score each question with its chunk, as reranking does: the title in front of the text."""
        return [
            [self._score(q["text"], chunk["_source"]) >= self._min_score for q in chunk["_source"]["questions"]]
            for chunk in chunks
        ]

    def _score(self, question: str, source: Mapping[str, Any]) -> float:
        return self._load().score(question, [passage(source["title"], source["text"])])[0]
