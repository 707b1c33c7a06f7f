"""Judgments on disk: BEIR's two files for `bothways eval`, all pairs for training, and a report for people.

`queries.jsonl` and `qrels.tsv` hold the questions with a certain answer: their documents, 1 for an answer and 0 for
what certainly is none. `judgments.jsonl` holds every pair of question and chunk with its numbers and its reason.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder, write_json
from bothways.learning.judgments.click_randomness import ClickRandomness
from bothways.learning.judgments.clicks import Tally
from bothways.learning.judgments.judge import JudgedPairs, Judgment, JudgmentThresholds, Verdict
from bothways.learning.judgments.propensity import as_table
from bothways.learning.pages import render

_NAMED = 20
"""Judgments of each kind that the report for people names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was learnt from a collection's feedback, and from what. `since` and `until` are ISO 8601.

    `click_randomness` is None where there are too few clicks to measure it.
    """

    collection: str
    since: str
    until: str
    judged: JudgedPairs
    tally: Tally
    too_many: int
    thresholds: JudgmentThresholds
    click_randomness: ClickRandomness | None = None


def write_judgments(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Write all files into a folder, over those of before; returns the report."""
    try:
        private_folder(folder, narrow=False)
        queries, lines, left_out = _beir(outcome.judged.judgments)
        _write(folder / "queries.jsonl", queries)
        _write(folder / "qrels.tsv", lines)
        _write(folder / "judgments.jsonl", (_json(judgment.as_dict()) for judgment in outcome.judged.judgments))
        report = report_of(outcome, queries=len(queries), left_out=left_out)
        write_json(folder / "report.json", report, indent=2)
        (folder / "report.md").write_text(_page(report, outcome.judged), "utf-8")
    except OSError as error:
        raise UsageError(f"The judgments cannot be written to {folder}: {error}.") from error
    return report


def query_id(query: str) -> str:
    """Return the id of a question: the same in every run, since splits go by it."""
    return f"clicks-{hashlib.sha1(query.encode(), usedforsecurity=False).hexdigest()[:16]}"


def documents_of(judgments: Iterable[Judgment]) -> dict[str, int]:
    """Return a question's judged documents: 1 where a chunk is an answer, 0 where one is none and no other is."""
    judged: dict[str, int] = {}
    for judgment in judgments:
        if judgment.verdict != "undecided":
            judged[judgment.doc_id] = max(judged.get(judgment.doc_id, 0), int(judgment.verdict == "positive"))
    return judged


def report_of(outcome: Outcome, *, queries: int, left_out: Mapping[str, int]) -> dict[str, Any]:
    """Return all numbers: what was read, what it is worth, what was taken and what was left, by reason."""
    judged = outcome.judged
    left = Counter(judgment.reason.split(":")[0] for judgment in judged.having("undecided"))
    return {
        "collection": outcome.collection,
        "since": outcome.since,
        "until": outcome.until,
        "read": asdict(outcome.tally) | {"sessions_over_an_hours_share": outcome.too_many},
        "thresholds": outcome.thresholds.model_dump(),
        "clicks": None if outcome.click_randomness is None else asdict(outcome.click_randomness),
        "propensities": {
            "learnt": judged.propensities.is_learnt,
            "by_accident": round(judged.propensities.by_accident, 4),
            "by_rank": as_table(judged.propensities),
        },
        "positives": len(judged.having("positive")),
        "negatives": len(judged.having("negative")),
        "undecided": dict(left.most_common()),
        "queries": queries,
        "not_in_qrels": dict(left_out),
    }


def _page(report: Mapping[str, Any], judged: JudgedPairs) -> str:
    """Return report.md."""
    kinds: tuple[tuple[Verdict, str], ...] = (("positive", "Answers"), ("negative", "Non-answers"))
    verdicts = [(title, judged.having(verdict)) for verdict, title in kinds]
    ranks = report["propensities"]
    return render(
        "judgments.md",
        report=report,
        read=[(name.replace("_", " "), times) for name, times in report["read"].items()],
        ranks=ranks,
        by_rank=[list(row.values()) for row in ranks["by_rank"]],
        verdicts=[(title, len(found), [_row(judgment) for judgment in found[:_NAMED]]) for title, found in verdicts],
    )


def _row(judgment: Judgment) -> tuple[str, ...]:
    interval = f"{judgment.relevance:.2f} [{judgment.low:.2f}, {judgment.high:.2f}]"
    return judgment.text or judgment.query, judgment.chunk_id, interval, judgment.reason


def _beir(judgments: Sequence[Judgment]) -> tuple[list[str], list[str], Counter[str]]:
    """Return the lines of both files, and count what they cannot hold."""
    by_query: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        by_query.setdefault(judgment.query, []).append(judgment)
    queries, lines, left_out = [], ["query-id\tcorpus-id\tscore"], Counter[str]()
    for query, own in by_query.items():
        judged = documents_of(own)
        blank = [doc_id for doc_id in judged if len(doc_id.split()) != 1]
        left_out["documents whose id has blanks"] += len(blank)
        judged = {doc_id: relevance for doc_id, relevance in judged.items() if doc_id not in blank}
        if not any(judged.values()):
            left_out["questions with non-answers alone"] += bool(judged)
        elif own[0].text is None:
            left_out["questions whose words are not kept"] += 1
        else:
            queries.append(_json({"_id": query_id(query), "text": own[0].text, "metadata": {"from": "clicks"}}))
            lines += [f"{query_id(query)}\t{doc_id}\t{relevance}" for doc_id, relevance in judged.items()]
    return queries, lines, +left_out


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
