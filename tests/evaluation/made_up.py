"""Strategies that answer by rule, and judgements that need no index."""

from __future__ import annotations

from bothways.evaluation.judged.gold import GoldDocument
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.run import Answer


def queries(n):
    """`n` questions whose right document is named after them."""
    return [
        JudgedQuery(query_id=f"q{at}", text="字" * (1 + at % 40), relevant={f"d{at}": 1}, labels={"tag": f"t{at % 2}"})
        for at in range(n)
    ]


def gold_of(batch):
    return {
        q.query_id: [
            GoldDocument(doc_id=d, relevance=relevance, in_index=True, title=f"Title {d}")
            for d, relevance in q.relevant.items()
        ]
        for q in batch
    }


def finds_at(rank_of, *, ms=None, depth=30, degraded=()):
    """A strategy that places the right document of query number n at `rank_of(n)` (None: not at all)."""

    def ask(query):
        number = int(query.query_id[1:])
        documents = [f"x{number}-{place}" for place in range(1, depth + 1)]
        rank = rank_of(number)
        if rank is not None:
            documents[rank - 1] = f"d{number}"
        ranking = {document: 1 / place for place, document in enumerate(documents, start=1)}
        shown = {document: (f"<b>{document}</b>", "文" * 200) for document in documents[:5]}
        return Answer(ranking=ranking, shown=shown, ms=ms, degraded=degraded)

    return ask
