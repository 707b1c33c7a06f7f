"""The collection of `benchmarks.learning`, what its users do in a week, and what the weekly job makes of it."""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from benchmarks.learning.people import Article, ScriptedModel, articles_of, judged
from benchmarks.learning.simulated_readers import Reader, simulated_rows
from benchmarks.shared.alone import say
from benchmarks.shared.corpus import LAW
from bothways.core.analysis import load_segmenter
from bothways.core.collections.collection import delete_collection, open_collection
from bothways.core.datatypes import Vector
from bothways.core.elastic.vectors import from_stored
from bothways.core.lazy import Lazy
from bothways.core.settings import Settings
from bothways.evaluation.build import by_document
from bothways.evaluation.judged.gold import resolve_gold
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.run import Answer, run_strategies
from bothways.evaluation.statistics import Values
from bothways.indexer.build import build_parts
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.learning.feedback.rows import Row
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.feedback.wording import Wording
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.history import INDEX as HISTORY
from bothways.learning.weekly.parts import RunLimits, RunOptions
from bothways.learning.weekly.run import learn_round
from bothways.models.embed.encoder import load_encoder
from bothways.models.protocols import Encoder
from bothways.node.connect import connect
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher

WEEK_S = 7 * 86_400.0
SHOWN = 10


class Remembered:
    """An encoder that knows the vectors of some texts already: those that another collection has."""

    def __init__(self, encoder: Encoder, known: Mapping[str, Vector]) -> None:
        self._encoder, self._known = encoder, known
        self.name, self.dimension = encoder.name, encoder.dimension

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Return the vectors (n, d), computing those that are not known."""
        new = [text for text in texts if text not in self._known]
        computed = iter(self._encoder.encode_documents(new) if new else ())
        return np.stack([self._known[text] if text in self._known else next(computed) for text in texts])

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Return the same: the default model has no prompt for queries."""
        return self.encode_documents(texts)


def _vectors(client: Elasticsearch, collection: str | None) -> dict[str, Vector]:
    """Read the vectors of a collection's chunks and questions, by their texts; none where none is named."""
    found: dict[str, Vector] = {}
    if collection is None:
        return found
    body = {"query": {"match_all": {}}, "_source": ["heading", "text", "text_sem", "questions"]}
    for hit in scan(client, index=open_collection(client, collection).index, query=body, size=200):
        source = hit["_source"]
        text = f"{source['heading']}\n{source['text']}" if source.get("heading") else source["text"]
        found[text] = from_stored(source["text_sem"])
        found.update((one["text"], from_stored(one["text_sem"])) for one in source["questions"])
    return found


class World:
    """A collection, its users, and what they do in a week."""

    def __init__(self, options: argparse.Namespace, chosen: Settings, folder: Path) -> None:
        self.wanted, self.settings, self.folder = options, chosen, folder
        self.name = f"bench-learn-{uuid.uuid4().hex[:8]}"
        self.chance = np.random.default_rng(options.seed)
        self.articles = articles_of(self.chance, with_first=options.first == 1, weak=options.weak)
        client, self.server = connect(chosen)
        encoder = Lazy(lambda: Remembered(load_encoder(chosen), _vectors(client, options.vectors)))
        self.searcher = Searcher(client, load_segmenter(chosen), encoder, embedding_model=chosen.embedding_model)
        self.options = chosen.search.replace(strategy="hybrid", self_query=False)
        self.store = FeedbackStore(self.client)
        self.began = time.time() - 8 * WEEK_S
        order = [self.articles[int(at)] for at in self.chance.permutation(len(self.articles))]
        self.popular = order[: options.popular]
        half = options.evaluated // 2
        rest = order[options.popular :]
        self.evaluated = [judged(one) for one in (*self.popular[:half], *rest[:half])]
        others = (*self.popular[half:], *rest[half : half + options.regression])
        self.regression = [judged(one) for one in others][: options.regression]

    @property
    def client(self) -> Elasticsearch:
        """The client of everything."""
        return self.searcher.client

    def index(self) -> None:
        """Index the statutes with the first generation of questions, if any."""
        path = self.folder / "first.jsonl"
        rows = [{"text": one.text, "questions": [one.first]} for one in self.articles]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        writer = RecordedQuestions(path) if self.wanted.first == 1 else None
        parts = build_parts(self.settings, writer=writer)
        parts = replace(parts, encoder=self.searcher.encoder)
        report = index_path(LAW / "raw", JobOptions(collection=self.name), parts)
        say(f"{report.chunks} chunks, {report.questions} questions, {report.seconds:.0f} s")

    def chunks_of(self) -> dict[tuple[str, str], list[str]]:
        """Return the chunks of each article."""
        found: dict[tuple[str, str], list[str]] = {}
        answer = self.client.search(
            index=f"bothways-{self.name}", size=10_000, query={"match_all": {}}, source_includes=["metadata"]
        )
        for hit in answer["hits"]["hits"]:
            metadata = hit["_source"]["metadata"]
            found.setdefault((metadata["law"], metadata["article"]), []).append(hit["_id"])
        return found

    def use(self, week: int, draw: Callable[[], Reader], *, at: Sequence[Article]) -> int:
        """Let users ask questions for a week and record it; gives the searches."""
        chunks = self.chunks_of()
        wording = Wording("plain", self.folder)
        options = self.options.replace(top_k=SHOWN)
        self.searcher.versions.forget(self.name)
        batch: list[Row] = []
        searches = 0
        for article in at:
            result = self.searcher.search(article.asked, self.name, options)
            relevant = dict.fromkeys(chunks.get(article.key, ()), 1)
            for _ in range(self.wanted.sessions):
                searches += 1
                again = replace(result, query_id=uuid.uuid4().hex)
                now = self.began + (week + self.chance.random() * 0.99) * WEEK_S
                batch += simulated_rows(again, draw(), relevant, self.chance, wording=wording, now=now)
            if len(batch) > 2000:
                self.store.write(batch)
                batch = []
        self.store.write(batch)
        self.client.indices.refresh(index="bothways-feedback-*.*")
        return searches

    def forget_week(self, week: int) -> None:
        """Remove what was recorded in a week."""
        since, until = (int(1000 * (self.began + number * WEEK_S)) for number in (week, week + 1))
        during = {"range": {"timestamp": {"gte": since, "lt": until, "format": "epoch_millis"}}}
        self._remove([{"term": {"application": self.name}}, during])

    def learn(self, week: int, llm: ScriptedModel, **other: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run the weekly job at the end of a week."""
        options = RunOptions(
            search=self.options,
            steps=["questions"],
            regression=self.regression,
            demands=Demands(margin=self.wanted.margin),
            limits=RunLimits(max_share=self.wanted.max_share, held_out=self.wanted.held_out),
            **other,
        )
        report = learn_round(
            self.settings.model_copy(update={"cache_dir": self.folder}),
            self.searcher,
            self.server,
            self.name,
            options,
            self.folder / "learnt",
            llm=llm,
            now=self.began + (week + 1) * WEEK_S,
        )
        self.searcher.versions.forget(self.name)
        return report

    def measure(self) -> dict[str, Values]:
        """Measure what is live on the questions that were never asked nor indexed."""
        self.searcher.versions.forget(self.name)
        live = open_collection(self.client, self.name)
        asks = {"live": partial(_ask, self.searcher, self.name, self.options.replace(top_k=30))}
        tally = run_strategies(self.evaluated, asks, partial(resolve_gold, self.client, live), ks=(1, 10))
        return tally.values["live"]

    def close(self) -> None:
        """Remove all that was made."""
        delete_collection(self.client, self.name)
        self._remove([{"term": {"application": self.name}}])
        self.client.options(ignore_status=404).delete_by_query(
            index=HISTORY, query={"term": {"collection": self.name}}, conflicts="proceed", refresh=True
        )

    def _remove(self, filters: list[dict[str, Any]]) -> None:
        self.client.options(request_timeout=120).delete_by_query(
            index="bothways-feedback-*.*", query={"bool": {"filter": filters}}, conflicts="proceed", refresh=True
        )


def _ask(searcher: Searcher, name: str, options: SearchOptions, query: JudgedQuery) -> Answer:
    return Answer(ranking=by_document(searcher.search(query.text, name, options).hits))
