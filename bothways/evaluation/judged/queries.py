"""Judged queries in: BEIR folders and JSON lines with gold by metadata, each query with its labels for slicing.

The unit of judgement is the document (an article, a page, a BEIR record): a document ranks where its best chunk does.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bothways.core.errors import EvaluationError
from bothways.evaluation.judged.qrels import lines_of, load_qrels

NOT_COMPARED = {"source_path"}
"""Keys of `gold` that name a file on another machine."""
_NO_LABELS = {"gold", "query", "text", "_id", "id", "sample_id", "metadata"}

Split = Literal["dev", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedQuery:
    """A question with what answers it: judged document ids (`relevant`), or metadata that they have (`gold`).

    `labels` are the other fields of its line (`tag`, ...), by which a report can be sliced.
    """

    query_id: str
    text: str
    relevant: Mapping[str, int] = field(default_factory=dict)
    gold: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def load_queries(path: Path, qrels: Path | None = None) -> list[JudgedQuery]:
    """Read judged queries; raise `EvaluationError` with file and line if something cannot be used.

    With `qrels`, or with a `qrels.tsv` beside a BEIR file, judgements come from there and queries without any are
    left out, as BEIR does. Else each line must have its `gold`.
    """
    if path.is_dir():
        path = path / "queries.jsonl"
    beside = path.with_name("qrels.tsv")
    rows = list(_json_lines(path))
    if qrels is None and rows and "gold" not in rows[0][1] and beside.exists():
        qrels = beside
    if qrels is None:
        return _distinct(path, [_by_metadata(row, f"{path}, line {number}", number) for number, row in rows])
    judged = load_qrels(qrels)
    queries = _distinct(path, [_beir(row, f"{path}, line {number}", judged) for number, row in rows])
    kept = [query for query in queries if query.relevant]
    if not kept:
        raise EvaluationError(f"None of the {len(queries)} queries of {path} is judged in {qrels}.")
    return kept


def load_texts(path: Path) -> list[str]:
    """Read only the texts of queries, judged or not."""
    texts = []
    for number, row in _json_lines(path / "queries.jsonl" if path.is_dir() else path):
        text = row.get("query") or row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise EvaluationError(f'{path}, line {number}: needs a "query" or a "text".')
        texts.append(text)
    return texts


def split_of(query_id: str) -> Split:
    """Return the part of a query: a fifth is `dev`, four fifths are `train`, the same on every machine.

    It is the SHA-1 of the id modulo 5, so neither order nor number of the queries matters.
    """
    digest = hashlib.sha1(query_id.encode(), usedforsecurity=False).digest()
    return "dev" if int.from_bytes(digest[:8], "big") % 5 == 0 else "train"


def take_split(queries: Sequence[JudgedQuery], split: Split | None) -> list[JudgedQuery]:
    """Return the queries of one part, or all; raise `EvaluationError` if there are none."""
    kept = [query for query in queries if split in (None, split_of(query.query_id))]
    if not kept:
        raise EvaluationError(f"None of the {len(queries)} queries is in the part {split!r}.")
    return kept


def _distinct(path: Path, queries: list[JudgedQuery]) -> list[JudgedQuery]:
    """Refuse two queries of one id: their judgements would be mixed."""
    twice = [query_id for query_id, times in Counter(query.query_id for query in queries).items() if times > 1]
    if twice:
        raise EvaluationError(f"{path}: more than one query has the id {twice[0]!r}.")
    return queries


def _by_metadata(row: dict[str, Any], where: str, number: int) -> JudgedQuery:
    gold = row.get("gold")
    text = row.get("query") or row.get("text")
    if not isinstance(text, str) or not text.strip() or not isinstance(gold, dict):
        raise EvaluationError(f'{where}: needs a "query" and a "gold" object, or a file of judgements by --qrels.')
    compared = {str(key): str(value) for key, value in gold.items() if key not in NOT_COMPARED}
    if not compared:
        raise EvaluationError(f"{where}: the gold has no key that can be compared with metadata.")
    query_id = str(row.get("sample_id") or row.get("_id") or row.get("id") or number)
    return JudgedQuery(query_id=query_id, text=text, gold=compared, labels=_labels(row))


def _beir(row: dict[str, Any], where: str, judged: Mapping[str, Mapping[str, int]]) -> JudgedQuery:
    text = row.get("text") or row.get("query")
    if "_id" not in row or not isinstance(text, str) or not text.strip():
        raise EvaluationError(f'{where}: a BEIR query needs "_id" and "text".')
    query_id = str(row["_id"])
    return JudgedQuery(query_id=query_id, text=text, relevant=judged.get(query_id, {}), labels=_labels(row))


def _labels(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields by which queries can be grouped: single values, also those of BEIR's `metadata`."""
    metadata = row.get("metadata")
    fields = {**(metadata if isinstance(metadata, dict) else {}), **row}
    return {
        str(key): str(value)
        for key, value in fields.items()
        if key not in _NO_LABELS and isinstance(value, str | int | float) and str(value).strip()
    }


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    empty = True
    for number, line in lines_of(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EvaluationError(f"{path}, line {number}: not JSON ({error}).") from error
        if not isinstance(row, dict):
            raise EvaluationError(f"{path}, line {number}: not a JSON object.")
        empty = False
        yield number, row
    if empty:
        raise EvaluationError(f"{path} holds no query.")
