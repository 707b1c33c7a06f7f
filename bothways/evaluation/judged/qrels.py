"""Judgments and runs, read and written in the formats of TREC and BEIR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bothways.core.errors import EvaluationError

Qrels = Mapping[str, Mapping[str, int]]
"""`{query: {document: relevance}}`"""
Run = Mapping[str, Mapping[str, float]]
"""`{query: {document: score}}`"""


def load_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgements from BEIR's three columns or TREC's four; raise `EvaluationError` naming file and line."""
    judged: dict[str, dict[str, int]] = {}
    for number, line in lines_of(path):
        columns = line.split()
        if number == 1 and not columns[-1].lstrip("-").isdigit():
            continue
        try:
            query_id, document, relevance = columns if len(columns) == 3 else (columns[0], columns[2], columns[3])
            judged.setdefault(query_id, {})[document] = int(relevance)
        except (IndexError, ValueError) as error:
            raise EvaluationError(
                f"{path}, line {number}: not a judgement (query-id, corpus-id, score): {line[:80]!r}."
            ) from error
    if not judged:
        raise EvaluationError(f"{path} holds no judgement.")
    return judged


def load_run(path: Path) -> dict[str, dict[str, float]]:
    """Read a TREC run (query Q0 document rank score tag); raise `EvaluationError` naming file and line."""
    run: dict[str, dict[str, float]] = {}
    for number, line in lines_of(path):
        columns = line.split()
        try:
            query_id, _, document, _, score, _ = columns
            run.setdefault(query_id, {})[document] = float(score)
        except ValueError as error:
            raise EvaluationError(
                f"{path}, line {number}: not a line of a TREC run (query Q0 document rank score tag): {line[:80]!r}."
            ) from error
    if not run:
        raise EvaluationError(f"{path} holds no ranking.")
    return run


def qrels_lines(query_id: str, relevant: Mapping[str, int]) -> Iterator[str]:
    """Write one query's judgements as TREC's four columns."""
    for document, relevance in relevant.items():
        yield f"{one_word(query_id)} 0 {one_word(document)} {relevance}\n"


def run_lines(query_id: str, ranking: Mapping[str, float], tag: str) -> Iterator[str]:
    """Write one query's ranking (best first) as TREC's six columns."""
    for rank, (document, score) in enumerate(ranking.items(), start=1):
        yield f"{one_word(query_id)} Q0 {one_word(document)} {rank} {score:.6f} {tag}\n"


def one_word(identifier: str) -> str:
    """Return an id as one word, so that TREC's columns stay apart."""
    return "_".join(identifier.split())


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file that are not blank, stripped, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}.") from error
