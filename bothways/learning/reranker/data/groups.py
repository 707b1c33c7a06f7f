"""What a reranker is trained on: questions with passages that answer them and passages that do not.

Questions come from a collection (its pseudo-questions), from BEIR folders, or from judgments that clicks gave in the
same form. `Asked` is a question that is not mined yet, `Group` is what the training reads, one JSON line each.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.batches import batched
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import UsageError
from bothways.core.machine.private_files import write_private
from bothways.core.results import Hit
from bothways.core.text.passage import passage
from bothways.learning.hash_split import in_share
from bothways.search.rank.window import terms

Kind = Literal["questions", "judged", "clicks"]
Part = Literal["train", "dev"]

_PAGE = 500
_SHOWN = ["doc_id", "position", "title", "text", "source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSet:
    """Judged queries and the collection that they are asked of: (id, text, ids of documents that answer)."""

    name: str
    collection: str
    queries: Sequence[tuple[str, str, frozenset[str]]]
    kind: Kind = "judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question and the passage that answers it. `relevant`: all ids, of chunks or documents, that are answers."""

    key: str
    text: str
    kind: Kind
    source: str
    collection: str
    relevant: frozenset[str]
    positive: Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One question with the passage that answers it and some that do not, as the model reads them.

    `scores`: a teacher's, of the answer and then of the negatives; empty where nobody taught. `first`: what the first
    stage says of them (`bothways.learning.reranker.data.first_stage`); empty where nobody searched.
    """

    key: str
    query: str
    positive: str
    negatives: tuple[str, ...]
    source: str
    part: Part = "train"
    scores: tuple[float, ...] = ()
    first: tuple[float, ...] = ()
    kind: Kind = "questions"

    @property
    def passages(self) -> list[str]:
        """All passages, the answer first."""
        return [self.positive, *self.negatives]


def pseudo_questions(client: Elasticsearch, index: str, *, collection: str) -> Iterator[Question]:
    """Stream the questions of an index with their chunks."""
    having = {"nested": {"path": "questions", "query": {"exists": {"field": "questions.text_kw"}}}}
    body = {"query": having, "_source": [*_SHOWN, "questions.text"]}
    with elasticsearch_errors("reading chunks and their questions"):
        for found in scan(client, index=index, query=body, size=_PAGE):
            hit = _to_hit(found)
            for number, question in enumerate(found["_source"].get("questions", ())):
                key = f"{collection}/{hit.chunk_id}/{number}"
                yield Question(
                    key=key,
                    text=question["text"],
                    kind="questions",
                    source=collection,
                    collection=collection,
                    relevant=frozenset({hit.chunk_id}),
                    positive=hit,
                )


def judged_questions(client: Elasticsearch, index: str, judged: JudgedSet) -> Iterator[Question]:
    """Return judged queries with their documents' chunks, one `Asked` a document that answers.

    Of a document of several chunks the one that shares most words with the question is the answer. A document that is
    not in the collection gives nothing.
    """
    doc_ids = sorted({document for _, _, documents in judged.queries for document in documents})
    chunks: dict[str, list[Hit]] = {}
    for hit in _chunks_of(client, index, doc_ids):
        chunks.setdefault(hit.doc_id, []).append(hit)
    for query_id, text, documents in judged.queries:
        for document in sorted(documents):
            if hits := chunks.get(document):
                key = f"{judged.name}/{query_id}/{document}"
                positive = answering(text, hits)
                yield Question(
                    key=key,
                    text=text,
                    kind=judged.kind,
                    source=judged.name,
                    collection=judged.collection,
                    relevant=documents,
                    positive=positive,
                )


def answering(query: str, hits: Sequence[Hit]) -> Hit:
    """Return the chunk that shares most words (pairs of characters in Chinese) with a question, the first of equals."""
    words = terms(query)
    return max(
        sorted(hits, key=lambda hit: hit.position), key=lambda hit: len(words & terms(passage(hit.title, hit.text)))
    )


def draw(
    questions: Iterable[Question],
    *,
    at_most: int | None,
    seed: int,
    general: frozenset[str] = frozenset(),
    general_share: float = 0.0,
) -> list[Question]:
    """Shuffle the questions; where there are more than `at_most`, those of people fill up to half of it.

    People's questions are few beside pseudo-questions, and nearer to what will be asked. Of the sources named
    `general` come at most `general_share` of all.
    """
    every = sorted(questions, key=lambda question: question.key)
    random.Random(seed).shuffle(every)  # noqa: S311 - no secret
    if not general:
        return _shared(every, at_most)
    own = [question for question in every if question.source not in general]
    own = _shared(own, None if at_most is None else round(at_most * (1 - general_share)))
    room = round(len(own) * general_share / (1 - general_share))
    beside = [question for question in every if question.source in general][:room]
    chosen = {question.key for question in (*own, *beside)}
    return [question for question in every if question.key in chosen]


def _shared(every: list[Question], at_most: int | None) -> list[Question]:
    if at_most is None or len(every) <= at_most:
        return every
    people = [question for question in every if question.kind != "questions"]
    others = [question for question in every if question.kind == "questions"]
    from_people = min(len(people), max(at_most // 2, at_most - len(others)))
    kept = {question.key for question in [*people[:from_people], *others[: at_most - from_people]]}
    return [question for question in every if question.key in kept]


def part_of(question: Question, *, dev_share: float) -> Part:
    """Return whether a question's group is trained on or measured.

    Pseudo-questions of one answer stay together, and so do all answers to one question of people, in all collections.
    """
    of_chunk = f"{question.collection}/{question.positive.chunk_id}"
    together = of_chunk if question.kind == "questions" else question.text
    return "dev" if in_share(together, dev_share) else "train"


def write_groups(path: Path, groups: Iterable[Group]) -> None:
    """Write groups as JSON lines; the file is there whole or not at all."""
    write_private(path, (json.dumps(asdict(group), ensure_ascii=False) + "\n" for group in groups))


def read_groups(path: Path) -> list[Group]:
    """Read the groups of a file that `write_groups` wrote; raises `UsageError` where it is none."""
    groups = []
    try:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            numbers = {name: tuple(row.get(name, ())) for name in ("scores", "first")}
            groups.append(Group(**{**row, "negatives": tuple(row["negatives"]), **numbers}))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as groups of a reranker's training: {error}.") from error
    return groups


def _chunks_of(client: Elasticsearch, index: str, documents: Sequence[str]) -> Iterator[Hit]:
    for page in batched(documents, _PAGE):
        body = {"query": {"terms": {"doc_id": list(page)}}, "_source": _SHOWN}
        with elasticsearch_errors("reading judged documents"):
            yield from (_to_hit(found) for found in scan(client, index=index, query=body, size=_PAGE))


def _to_hit(found: Mapping[str, Any]) -> Hit:
    source = found["_source"]
    return Hit(
        chunk_id=found["_id"],
        score=0.0,
        doc_id=source["doc_id"],
        position=source["position"],
        title=source["title"],
        text=source["text"],
        source=source["source"],
    )
