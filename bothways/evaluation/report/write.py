"""A report's folder: a row a query and TREC files while the evaluation runs, then report.json, .md and .html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from bothways.core.machine.private_files import private_folder
from bothways.evaluation.judged.gold import relevance_of
from bothways.evaluation.judged.qrels import qrels_lines, run_lines
from bothways.evaluation.report.html import html_page
from bothways.evaluation.report.markdown import markdown_page
from bothways.evaluation.report.values import Report
from bothways.evaluation.run import QueryRow, Scored

ROWS = "per_query.jsonl"
"""One line a query: its judged documents, and each strategy's measures, rank of the first one, and first hits."""

_REPORTS = ("report.json", "report.md", "report.html")


class ReportFolder:
    """Writes into a folder, made if need be: `add` each query as it is finished, `finish` once."""

    def __init__(self, folder: Path, strategies: Sequence[str], depth: int) -> None:
        self._folder = folder
        self._strategies = list(strategies)
        self._depth = depth
        self._stack = ExitStack()

    def __enter__(self) -> ReportFolder:
        private_folder(self._folder, narrow=False)
        for name in _REPORTS:  # those of an earlier run would not belong to the rows that are written now
            (self._folder / name).unlink(missing_ok=True)
        self._rows = self._open(ROWS)
        self._qrels = self._open("qrels.trec")
        self._runs = {name: self._open(f"run-{name}.trec") for name in self._strategies}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _open(self, name: str) -> TextIO:
        return self._stack.enter_context((self._folder / name).open("w", encoding="utf-8"))

    def add(self, row: QueryRow) -> None:
        """Write one query's row, judgements and rankings."""
        query_id = row.query.query_id
        self._rows.write(json.dumps(self._row(row), ensure_ascii=False) + "\n")
        self._qrels.writelines(qrels_lines(query_id, relevance_of(row.gold)))
        for name, scored in row.scored.items():
            self._runs[name].writelines(run_lines(query_id, scored.answer.ranking, f"bothways-{name}"))

    def finish(self, report: Report) -> None:
        """Write the report itself."""
        text = json.dumps(report.as_dict(), ensure_ascii=False, indent=1)
        for name, content in zip(_REPORTS, (text + "\n", markdown_page(report), html_page(report)), strict=True):
            (self._folder / name).write_text(content, encoding="utf-8")

    def _row(self, row: QueryRow) -> dict[str, Any]:
        relevant = {document.doc_id for document in row.gold if document.relevance > 0}
        return {
            "query_id": row.query.query_id,
            "query": row.query.text,
            "labels": row.query.labels,
            "gold": [
                {"doc_id": d.doc_id, "relevance": d.relevance, "title": d.title, "in_index": d.in_index}
                for d in row.gold
            ],
            "strategies": {
                name: self._scored(scored, relevant, failed=row.failed(name, self._depth))
                for name, scored in row.scored.items()
            },
        }

    def _scored(self, scored: Scored, relevant: set[str], *, failed: bool) -> dict[str, Any]:
        row: dict[str, Any] = {**scored.values, "first_gold": scored.first_gold}
        if scored.answer.ms is not None:
            row["ms"] = scored.answer.ms
        if scored.answer.degraded:
            row["degraded"] = list(scored.answer.degraded)
        if failed:
            row["found_instead"] = [
                {"doc_id": document, "title": title, "text": text}
                for document, (title, text) in scored.answer.shown.items()
                if document not in relevant
            ]
        return row
