"""Judgements in two parts: one is learnt from, the other only tells whether what was learnt does any good.

The part goes by the words of the question, so that a question is on the same side in every run and on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bothways.evaluation.judged.queries import JudgedQuery
from bothways.learning.judgments.files import documents_of, query_id
from bothways.learning.judgments.judge import Judgement
from bothways.learning.leakage import KeptOut


@dataclass(frozen=True, slots=True)
class Parts:
    """What is learnt from, and the questions that are held out; `near` judgements are of neither.

    They are of questions that nearly are one that is held out: learning from them would be learning the test.
    """

    learn: Sequence[Judgement]
    held_out: Sequence[JudgedQuery]
    near: int


def is_held_out(query: str, share: float) -> bool:
    """Tell whether a question (in the form in which equal ones meet) belongs to the part that is held out."""
    digest = hashlib.sha1(query_id(query).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def split(judgements: Iterable[Judgement], *, share: float) -> Parts:
    """Part judgements by their questions. A question whose words are not kept can be learnt from and not held out."""
    learn: list[Judgement] = []
    held: dict[str, list[Judgement]] = {}
    for one in judgements:
        if one.verdict == "left":
            continue
        if one.text is not None and is_held_out(one.query, share):
            held.setdefault(one.query, []).append(one)
        else:
            learn.append(one)
    queries = [_judged(query, own) for query, own in sorted(held.items())]
    kept_out = KeptOut(query.text for query in queries)
    near = {one.query for one in learn if one.text is not None and kept_out.finds(one.text)}
    kept = [one for one in learn if one.query not in near]
    return Parts(kept, [query for query in queries if any(query.relevant.values())], len(learn) - len(kept))


def _judged(query: str, judgements: Sequence[Judgement]) -> JudgedQuery:
    return JudgedQuery(query_id=query_id(query), text=judgements[0].text or "", relevant=documents_of(judgements))
