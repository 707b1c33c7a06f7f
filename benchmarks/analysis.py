"""Which analysis for BM25? `python -m benchmarks.analysis` indexes the shared sets once an arm and measures each field.

Only the words matter here, so that the vectors are of two numbers. Train queries only; nothing is tuned on others.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import numpy as np

from core.analysis import Segmenter, read_stopwords
from core.collection import open_collection
from core.elastic import connect
from core.settings import load_settings
from evaluation.measures import evaluate
from evaluation.qrels import load_queries, resolve_gold
from evaluation.strategies import by_document, markdown_table
from indexer.expand import RecordedQuestions
from indexer.job import index_path
from indexer.parts import JobOptions, Parts
from search.bodies import bm25_body
from search.retrieve import retrieve

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = {
    "STARD core": ("stard_core", "stard/train/queries.jsonl", "stard/train/qrels.tsv", "stard_core"),
    "law examples": ("law/raw", "law/eval_example.jsonl", None, "law"),
}
FIELDS = {"text_kw": [0], "text_cjk": [1], "both": [0, 1]}


class NoVectors:
    """An encoder that gives the same two numbers for every text."""

    name = "none"
    dimension = 2

    def encode_documents(self, texts: list[str]) -> np.ndarray:
        """Give constant vectors."""
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
    rows = {}
    for title, (corpus, queries, qrels, recorded) in SETS.items():
        judged = load_queries(DATA / queries, DATA / qrels if qrels else None)
        for questions in (True, False):
            writer = RecordedQuestions(DATA / recorded / "pseudo_questions.jsonl") if questions else None
            for arm, segmenter in arms.items():
                name = f"bench-{uuid.uuid4().hex}"
                parts = Parts(client, server, segmenter, NoVectors, "none", writer)
                index_path(DATA / corpus, JobOptions(name), parts)
                opened = open_collection(client, name)
                index, gold = opened.index, resolve_gold(client, opened, judged)
                for field, used in FIELDS.items():
                    if field == "text_cjk" and arm != "cut":
                        continue
                    started, run = time.perf_counter(), {}
                    for query in judged:
                        body = bm25_body(segmenter.words(query.text), query.text, k=30)
                        should = body["query"]["bool"]["should"]
                        body["query"]["bool"]["should"] = [should[i] for i in used if i < len(should)]
                        hits = retrieve(client, {"bm25": body}, index=index).legs["bm25"]
                        run[query.query_id] = by_document(hits)
                    means, _ = evaluate(gold, run, [10])
                    ms = 1000 * (time.perf_counter() - started) / len(judged)
                    how = f"{title}, {'with' if questions else 'without'} questions: {field}"
                    rows[f"{how} ({arm})" if field != "text_cjk" else how] = {**means, "mean_ms": ms}
                client.indices.delete(index=index)
    print(markdown_table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
