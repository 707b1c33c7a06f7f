"""What an encoder is worth: how much of what it learnt to keep, and searches before and after.

Everything is measured in memory; nothing is indexed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bothways.core.collections.collection import open_collection
from bothways.core.datatypes import Vector
from bothways.core.settings import Settings
from bothways.learning.encoder.data import Bench, Corpus, make_bench, read_corpus
from bothways.learning.encoder.train import interpolate, weights_of
from bothways.learning.reranker.data.groups import JudgedSet
from bothways.models.embed.encoder import load_encoder
from bothways.node.connect import connect

SHARES = (0.33, 0.67, 1.0)
JudgedParts = tuple[Sequence[JudgedSet], Sequence[JudgedSet]]
"""Judged queries of the domain, and general ones."""
Measured = dict[str, list[dict[str, Any]]]


class StudentEncoder:
    """The student as an encoder, with the length that it reads in training; it changes as the student learns."""

    def __init__(self, student: Any, tokenizer: Any, *, prompt: str, max_length: int) -> None:  # noqa: ANN401
        self._student, self._tokenizer = student, tokenizer
        self._prompt, self._max_length = prompt, max_length

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Return vectors of passages, in the order of `texts`."""
        from bothways.learning.encoder.trainer import encode_texts

        return encode_texts(self._student, self._tokenizer, texts, max_length=self._max_length)

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Return vectors of questions, the prompt in front of each."""
        return self.encode_documents([self._prompt + text for text in texts])


def tune(
    student: Any,  # noqa: ANN401
    encoder: StudentEncoder,
    base: Mapping[str, Any],
    benches: tuple[Sequence[Bench], Sequence[Bench]],
    *,
    max_loss: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Leave the student between base and learnt where the domain gains most and the general questions lose little."""
    learnt = weights_of(student)
    rows = []
    for share in (0.0, *SHARES):
        interpolate(student, base, learnt, share)
        domain, general = (
            _mean([bench.measure(encoder.encode_documents, encoder.encode_queries)["ndcg@10"] for bench in some])
            for some in benches
        )
        rows.append({"share": share, "domain": domain, "general": general})
        say(f"share {share:g} of what was learnt: {rows[-1]}")
    best = chosen_share(rows, max_loss=max_loss)
    interpolate(student, base, learnt, best)
    return {"rows": rows, "share": best, "max_loss": max_loss}


def chosen_share(rows: Sequence[Mapping[str, Any]], *, max_loss: float) -> float:
    """Choose the share by which the domain gains most, of those that lose at most `max_loss` of the general nDCG@10.

    The smaller of equals; 0, the base itself, where nothing else qualifies.
    """
    floor = (rows[0]["general"] or 0.0) * (1 - max_loss)
    allowed = [row for row in rows if row["general"] is None or row["general"] >= floor]
    best = max(allowed, key=lambda row: (row["domain"] or 0.0, -row["share"]))
    return float(best["share"])


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def measure_dev(settings: Settings, model: str, judged: JudgedParts, *, texts: int, seed: int) -> Measured:
    """Measure an encoder by judged queries over at most so many texts, all answers among them."""
    client, _ = connect(settings)
    encoder = load_encoder(settings.model_copy(update={"embedding_model": model}))
    corpora: dict[str, Corpus] = {}
    rows: Measured = {"domain": [], "general": []}
    for part, some in zip(rows.values(), judged, strict=True):
        for judged_set in some:
            if judged_set.collection not in corpora:
                corpora[judged_set.collection] = read_corpus(
                    client, open_collection(client, judged_set.collection).index
                )
            queries = [(text, relevant) for _, text, relevant in judged_set.queries]
            name = f"{judged_set.name}@{judged_set.collection}"
            bench = make_bench(
                name, corpora[judged_set.collection], queries, queries=len(queries), texts=texts, seed=seed
            )
            measures = bench.measure(encoder.encode_documents, encoder.encode_queries)
            part.append({"name": name, "queries": len(bench.queries), "texts": len(bench.texts), **measures})
    return rows
