"""The texts that both sides get: the law corpus where it is at hand, else the repository's sample handbook."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAW = ROOT.parent / "shared" / "data" / "law"
HANDBOOK = ROOT / "samples" / "handbook"

_ARTICLE = re.compile(r"^[\s　]*第[零〇一二三四五六七八九十百千]+条[\s　]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A folder of documents, the recorded pseudo-questions for them, and questions to search with."""

    name: str
    unit: str
    documents: Path
    questions: Path
    queries: Path


def find_corpus() -> Corpus:
    """Choose the law corpus if the shared folder is there, else the sample handbook."""
    if (LAW / "raw").is_dir():
        return Corpus(
            name="law",
            unit="articles",
            documents=LAW / "raw",
            questions=LAW / "pseudo_questions.jsonl",
            queries=LAW / "eval_example.jsonl",
        )
    questions, queries = HANDBOOK / "pseudo_questions.jsonl", HANDBOOK / "queries.jsonl"
    return Corpus(name="handbook", unit="files", documents=HANDBOOK / "docs", questions=questions, queries=queries)


def read_queries(path: Path) -> list[str]:
    """Read the questions of an evaluation file, in either format (`query`, or BEIR's `text`)."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [str(row.get("query") or row["text"]) for row in rows]


def copy_limited(corpus: Corpus, to: Path, *, limit: int | None) -> int:
    """Copy the first `limit` articles (of law) or files (else) of a corpus into the folder `to`; None copies all.

    Gives how many that were.
    """
    files = sorted(path for path in corpus.documents.rglob("*") if path.is_file() and not path.name.startswith("."))
    left = limit if limit is not None else 10**9
    copied = 0
    for source in files:
        if copied >= left:
            break
        target = to / source.relative_to(corpus.documents)
        target.parent.mkdir(parents=True, exist_ok=True)
        if corpus.unit == "articles":
            lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
            kept, articles = first_articles(lines, left - copied)
            target.write_text("".join(kept), encoding="utf-8")
            copied += articles
        else:
            shutil.copyfile(source, target)
            copied += 1
    return copied


def first_articles(lines: Sequence[str], most: int) -> tuple[list[str], int]:
    """Cut a statute before its article number `most` + 1; gives the lines kept and the number of articles in them."""
    articles = 0
    for place, line in enumerate(lines):
        if _ARTICLE.match(line):
            if articles == most:
                return list(lines[:place]), articles
            articles += 1
    return list(lines), articles
