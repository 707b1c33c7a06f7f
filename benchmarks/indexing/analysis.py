"""Which analysis for BM25? Indexes the shared sets once an arm and measures each field.

`python -m benchmarks.indexing.analysis`.

Only the words matter here, so that the vectors are of two numbers. Train queries only; nothing is tuned on others.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import numpy as np
from elasticsearch import Elasticsearch

from bothways.core.analysis import Segmenter, read_stopwords
from bothways.core.collections.collection import Collection, open_collection
from bothways.core.settings import load_settings
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.build import by_document
from bothways.evaluation.judged.gold import resolve_gold
from bothways.evaluation.judged.queries import JudgedQuery, load_queries
from bothways.evaluation.report.values import figure
from bothways.evaluation.run import Answer, run_strategies
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions, Parts
from bothways.node.connect import connect
from bothways.search.retrieve.bodies import bm25_body
from bothways.search.retrieve.msearch import retrieve

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = {
    "STARD core": ("stard_core", "stard/train/queries.jsonl", "stard/train/qrels.tsv", "stard_core"),
    "law examples": ("law/raw", "law/eval_example.jsonl", None, "law"),
}
MEASURES = ["hit@10", "mrr@10", "ndcg@10", "map"]
FIELDS = {"text_kw": [0], "text_cjk": [1], "both": [0, 1]}


class NoVectors:
    """An encoder that gives the same two numbers for every text."""

    name = "none"
    dimension = 2

    def encode_documents(self, texts: list[str]) -> np.ndarray:
        """Return constant vectors."""
        return np.full((len(texts), 2), np.sqrt(0.5), dtype=np.float32)

    encode_queries = encode_documents


def main() -> int:
    """Print a table of nDCG@10 and MRR@10 by set, analysis and fields."""
    if not DATA.exists():
        print("The shared data sets are not beside this checkout.", file=sys.stderr)
        return 1
    settings = load_settings()
    client, server = connect(settings)
    cache = settings.cache_dir / "jieba"
    stopwords = read_stopwords(Path("es_mappings/stopwords.txt"))
    arms = {
        "cut": Segmenter(cache_dir=cache),
        "cut_for_search": Segmenter(mode="cut_for_search", cache_dir=cache),
        "cut, no stop words": Segmenter(stopwords=stopwords, cache_dir=cache),
    }
    rows = []
    for title, (corpus, queries, qrels, recorded) in SETS.items():
        judged = load_queries(DATA / queries, DATA / qrels if qrels else None)
        for questions in (True, False):
            writer = RecordedQuestions(DATA / recorded / "pseudo_questions.jsonl") if questions else None
            for arm, segmenter in arms.items():
                name = f"bench-{uuid.uuid4().hex}"
                parts = Parts(
                    client=client,
                    server=server,
                    segmenter=segmenter,
                    encoder=NoVectors,
                    embedding_model="none",
                    writer=writer,
                )
                index_path(DATA / corpus, JobOptions(collection=name), parts)
                opened = open_collection(client, name)
                fields = [field for field in FIELDS if field != "text_cjk" or arm == "cut"]
                asks = {field: partial(ask, client, opened, segmenter, FIELDS[field]) for field in fields}
                tally = run_strategies(judged, asks, partial(resolve_gold, client, opened), ks=[10])
                for field, values in tally.values.items():
                    how = f"{title}, {'with' if questions else 'without'} questions: {field}"
                    cells = [figure(measure, float(values[measure].mean())) for measure in MEASURES]
                    rows.append([f"{how} ({arm})", *cells, figure("p50_ms", float(np.median(tally.times[field])))])
                client.indices.delete(index=opened.index)
    print(markdown_table(["", *MEASURES, "p50_ms"], rows))
    return 0


def ask(
    client: Elasticsearch, collection: Collection, segmenter: Segmenter, used: list[int], query: JudgedQuery
) -> Answer:
    """Ask by words in some of the two fields."""
    body = bm25_body(segmenter.words(query.text), query.text, k=30)
    should = body["query"]["bool"]["should"]
    body["query"]["bool"]["should"] = [should[i] for i in used if i < len(should)]
    started = time.perf_counter()
    hits = retrieve(client, {"bm25": body}, index=collection.index).legs["bm25"]
    return Answer(ranking=by_document(hits), ms=1000 * (time.perf_counter() - started))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.indexing.analysis", description=__doc__).parse_args()
    sys.exit(main())
