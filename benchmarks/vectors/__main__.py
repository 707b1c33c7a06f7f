"""Recall, latency, disk and memory of vector indices, on a collection's own vectors: `python -m benchmarks.vectors`.

QUERIES are queries as `bothways eval` reads them, judged or not. Each way of building an index is tried on a temporary
copy of the collection's vectors; `vectors.json`, `vectors.md` and `vectors.svg` go into the folder `--out`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.shared.alone import say
from benchmarks.shared.corpus import ROOT
from benchmarks.vectors.index import builds_of
from benchmarks.vectors.plot import plot_study
from benchmarks.vectors.report import VectorStudy
from benchmarks.vectors.study import study_vectors
from bothways.core.collections.collection import open_collection
from bothways.core.errors import BothwaysError
from bothways.core.machine.private_files import private_folder, write_json, write_private
from bothways.core.settings import settings
from bothways.evaluation.judged.queries import load_texts
from bothways.models.embed.encoder import load_encoder
from bothways.node.connect import connect


def main(given: Sequence[str] | None = None) -> int:
    """Run the study, print its table and keep it; return the exit code."""
    wanted = _options().parse_args(given)
    try:
        found = _study(wanted)
    except BothwaysError as error:
        print(error, file=sys.stderr)
        return 1
    private_folder(wanted.out, narrow=False)
    write_json(wanted.out / "vectors.json", found.as_dict())
    write_private(wanted.out / "vectors.md", found.markdown())
    write_private(wanted.out / "vectors.svg", plot_study(found))
    print(found.markdown(), end="")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vectors", description=__doc__)
    parser.add_argument("queries", type=Path, metavar="QUERIES", help="queries as JSON lines")
    parser.add_argument("--collection", "-c", required=True, help="the collection whose vectors are tried")
    parser.add_argument("--types", type=_list(str), default=["hnsw", "int8_hnsw", "bbq_hnsw"], help="index types")
    parser.add_argument("--m", type=_list(int), default=[16], help="neighbours a node of the graph [16]")
    parser.add_argument("--ef-construction", type=_list(int), default=[100], help="candidates of the build [100]")
    parser.add_argument("--num-candidates", type=_list(int), default=[50, 100, 200, 400], help="of a search")
    parser.add_argument("--oversample", type=_list(float), default=[], help="rescoring of quantised types; 0: none")
    parser.add_argument("--k", type=int, default=10, help="hits whose recall is measured [10]")
    parser.add_argument("--at-most", type=int, default=200, help="queries that are used, evenly drawn [200]")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="folder for results [bench-results]")
    return parser


def _list(kind: Callable[[str], object]) -> Callable[[str], list[object]]:
    def values(text: str) -> list[object]:
        return [kind(word.strip()) for word in text.split(",")]

    return values


def _study(wanted: argparse.Namespace) -> VectorStudy:
    chosen = settings()
    client, _ = connect(chosen)
    opened = open_collection(client, wanted.collection)
    opened.require(embedding_model=chosen.embedding_model, analyzer=opened.analyzer)
    texts = load_texts(wanted.queries)
    step = max(1, len(texts) / wanted.at_most)
    drawn = [texts[int(at * step)] for at in range(min(wanted.at_most, len(texts)))]
    return study_vectors(
        client,
        opened,
        load_encoder(chosen).encode_queries(drawn),
        builds=builds_of(wanted.types, wanted.m, wanted.ef_construction),
        num_candidates=wanted.num_candidates,
        oversample=wanted.oversample,
        k=wanted.k,
        progress=say,
    )


if __name__ == "__main__":
    sys.exit(main())
