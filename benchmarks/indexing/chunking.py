"""Which chunker? Indexes long documents once an arm, and asks questions.

`python -m benchmarks.indexing.chunking FOLDER`. The documents are DRCD's paragraphs put together again by article. A
hit is the chunk that holds the sentence that answers: of the paragraph a question was written from, the one that shares
most of its bigrams, rare ones first. FOLDER gets a TREC run an arm and strategy, and qrels in which that chunk is
called `answer`, so that `bothways eval trec` compares the arms. Train questions only.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch.helpers import scan

from bothways.core.datatypes import ChunkerName, Vector
from bothways.core.lazy import Lazy
from bothways.core.settings import Settings, load_settings
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.judged.qrels import run_lines
from bothways.indexer.build import build_parts
from bothways.indexer.chunk import sentences
from bothways.indexer.chunk.semantic import Breakpoints, breakpoints_by_vectors
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions, Parts
from bothways.models.protocols import Encoder
from bothways.schemas.names import Strategy
from bothways.search.build import build_searcher
from bothways.search.pipeline import Searcher

DATA = Path(__file__).parents[3] / "shared" / "data"
STRATEGIES: tuple[Strategy, ...] = ("bm25", "dense", "hybrid")
MAX_CHARACTERS = 150_000
QUESTIONS = 250
READ = 1_000
"""Characters of hits that are read: how much an arm finds depends on the length of its chunks, this does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, the title of the document that answers it, and the sentence in it that does."""

    question_id: str
    text: str
    title: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to cut; `percentile` and `window` are those of `semantic`."""

    chunker: ChunkerName
    max_chars: int = 300
    percentile: float | None = None
    window: int = 1

    @property
    def name(self) -> str:
        """What the table and the run files call it."""
        turns = f"-p{self.percentile:g}-w{self.window}" if self.percentile else ""
        return f"{self.chunker}-{self.max_chars}{turns}"


def articles(folder: Path) -> list[Question]:
    """Write DRCD's articles of 4 to 20 paragraphs, and give the questions about them."""
    paragraphs = {row["_id"]: row for row in read_rows("drcd_hans/corpus.jsonl")}
    by_title = defaultdict(list)
    for row in paragraphs.values():
        by_title[row["title"]].append(row["text"].replace("\n", ""))
    kept: dict[str, list[str]] = {}
    for title, texts in by_title.items():
        if 4 <= len(texts) <= 20 and sum(len(t) for old in kept.values() for t in old) < MAX_CHARACTERS:
            kept[title] = texts
    with (folder / "articles.jsonl").open("w", encoding="utf-8") as lines:
        for number, (title, texts) in enumerate(kept.items()):
            row = {"_id": f"a{number}", "title": title, "text": "\n".join(texts)}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    qrels = (DATA / "drcd_hans/train/qrels.tsv").read_text("utf-8").splitlines()[1:]
    gold = dict(line.split("\t")[:2] for line in qrels)
    rarity = rarities([row["text"] for row in paragraphs.values()])
    asked = []
    for row in read_rows("drcd_hans/train/queries.jsonl"):
        paragraph = paragraphs[gold[row["_id"]]]
        if paragraph["title"] in kept:
            answer = answering(row["text"], paragraph["text"], rarity)
            asked.append(Question(question_id=row["_id"], text=row["text"], title=paragraph["title"], answer=answer))
    return asked[:: max(1, len(asked) // QUESTIONS)]


class Remembering:
    """An encoder that keeps what it has encoded: the arms of `semantic` ask for the same sentences."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.dimension = encoder.name, encoder.dimension
        self._encoder = encoder
        self._known: dict[str, Vector] = {}

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Encode what is new."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.encode_documents(new), strict=True))
        return np.stack([self._known[text] for text in texts])

    encode_queries = encode_documents


ARMS = [
    Arm(chunker="sentence"),
    Arm(chunker="sentence", max_chars=200),
    Arm(chunker="section"),
    *(
        Arm(chunker="semantic", max_chars=300, percentile=percentile, window=window)
        for percentile, window in ((50, 1), (50, 2), (75, 2))
    ),
]


def main(out: Path) -> int:
    """Print the table, and write what `bothways eval trec` reads."""
    if not DATA.exists():
        print("The shared data sets are not beside this checkout.", file=sys.stderr)
        return 1
    settings = load_settings()
    parts = build_parts(settings, writer=None)
    remembered = Lazy(lambda: Remembering(parts.encoder()))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder)
        questions = articles(documents)
        (out / "qrels.trec").write_text("".join(f"{q.question_id} 0 answer 1\n" for q in questions), "utf-8")
        rows = [row for arm in ARMS for row in run_arm(arm, documents, questions, out, settings, parts, remembered)]
    print(
        markdown_table(
            [f"{len(questions)} questions", "chunks", "characters", "hit@1", "mrr@10", f"in {READ} characters"], rows
        )
    )
    return 0


def run_arm(
    arm: Arm,
    documents: Path,
    questions: Sequence[Question],
    out: Path,
    settings: Settings,
    parts: Parts,
    encoder: Callable[[], Remembering],
) -> Iterator[list[str]]:
    """Index with one chunker, ask with each strategy, and remove the collection again."""
    collection = f"bench-{uuid.uuid4().hex}"
    options = JobOptions(collection=collection, chunker=arm.chunker, max_chars=arm.max_chars)
    index_path(documents, options, replace(parts, segmentation=turns_of(arm, encoder)))
    try:
        fields = ["chunk_id", "title", "position", "text"]
        chunks = [hit["_source"] for hit in scan(parts.client, index=f"bothways-{collection}", _source=fields)]
        answers = answer_chunks(chunks, questions)
        searcher, _ = build_searcher(settings)
        length = sum(len(chunk["text"]) for chunk in chunks) / len(chunks)
        for strategy in STRATEGIES:
            ranks, read = ask(searcher, collection, strategy, questions, answers, out / f"{arm.name}-{strategy}.trec")
            found = [sum(rank == 1 for rank in ranks), sum(1 / rank for rank in ranks if rank), read]
            figures = [f"{value / len(questions):.3f}" for value in found]
            row = [f"{arm.name} {strategy}", str(len(chunks)), f"{length:.0f}", *figures]
            print(*row, file=sys.stderr, flush=True)
            yield row
    finally:
        for version in parts.client.indices.get(index=f"bothways-{collection}-v*").body:
            parts.client.indices.delete(index=version)


def turns_of(arm: Arm, encoder: Callable[[], Remembering]) -> Callable[[], Breakpoints] | None:
    """Cut by the vectors, with the arm's own percentile and window."""
    percentile = arm.percentile
    if percentile is None:
        return None
    return lambda: partial(breakpoints_by_vectors, encoder=encoder(), percentile=percentile, window=arm.window)


def ask(
    searcher: Searcher,
    collection: str,
    strategy: Strategy,
    questions: Sequence[Question],
    answers: Mapping[str, str],
    run: Path,
) -> tuple[list[int], int]:
    """Return the rank of each answer (0: not in the first ten), and how many stand in the first `READ` characters."""
    options = load_settings().search.replace(strategy=strategy, top_k=10)
    ranks: list[int] = []
    read = 0
    with run.open("w", encoding="utf-8") as lines:
        for question in questions:
            hits = searcher.search(question.text, collection, options).hits
            names = ["answer" if hit.chunk_id == answers[question.question_id] else hit.chunk_id for hit in hits]
            rank = names.index("answer") + 1 if "answer" in names else 0
            ranks.append(rank)
            read += 0 < sum(len(hit.text) for hit in hits[:rank]) <= READ
            scores = {name: float(len(names) - place) for place, name in enumerate(names)}
            lines.writelines(run_lines(question.question_id, scores, strategy))
    return ranks, read


def answer_chunks(chunks: Sequence[Mapping[str, Any]], questions: Sequence[Question]) -> dict[str, str]:
    """Find for each question the chunk that holds the most of the sentence that answers it, by place in the text."""
    by_title: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for chunk in sorted(chunks, key=lambda chunk: chunk["position"]):
        by_title[chunk["title"]].append(chunk)
    found = {}
    for question in questions:
        parts = [(chunk["chunk_id"], squeezed(chunk["text"])) for chunk in by_title[question.title]]
        answer = squeezed(question.answer)
        start = "".join(text for _, text in parts).index(answer)
        shares: list[tuple[int, str]] = []
        for chunk_id, text in parts:
            shares.append((min(len(text), start + len(answer)) - max(0, start), chunk_id))
            start -= len(text)
        found[question.question_id] = max(shares)[1]
    return found


def answering(question: str, text: str, rarity: Mapping[str, float]) -> str:
    """Guess the sentence of a text that answers a question: the one that shares most bigrams, weighed by rarity."""
    asked = bigrams(question)
    return max(sentences(text), key=lambda sentence: sum(rarity.get(b, 0.0) for b in asked & bigrams(sentence)))


def rarities(texts: Sequence[str]) -> dict[str, float]:
    """Inverse document frequency of each bigram."""
    counts = Counter(bigram for text in texts for bigram in bigrams(text))
    return {bigram: math.log(len(texts) / count) for bigram, count in counts.items()}


def bigrams(text: str) -> set[str]:
    """Return the pairs of neighbouring characters."""
    return {text[i : i + 2] for i in range(len(text) - 1)}


def squeezed(text: str) -> str:
    """Drop white space, which chunkers may change."""
    return "".join(text.split())


def read_rows(name: str) -> Iterator[dict[str, Any]]:
    """Read JSON lines of the shared data."""
    with (DATA / name).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indexing.chunking", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the runs and qrels go")
    sys.exit(main(parser.parse_args().folder))
