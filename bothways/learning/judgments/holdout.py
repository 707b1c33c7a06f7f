"""Judgments in two parts: one is learnt from, the other only tells whether what was learnt does any good.

The part goes by the words of the question, so that a question is on the same side in every run and on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bothways.evaluation.judged.queries import JudgedQuery
from bothways.learning.hash_split import in_share
from bothways.learning.judgments.files import documents_of, query_id
from bothways.learning.judgments.judge import Judgment
from bothways.learning.leakage import LeakageFilter


@dataclass(frozen=True, slots=True)
class Parts:
    """What is learnt from, and the questions that are held out; `near` judgments are of neither.

    They are of questions that nearly are one that is held out: learning from them would be learning the test.
    """

    learn: Sequence[Judgment]
    held_out: Sequence[JudgedQuery]
    near: int


def is_held_out(query: str, share: float) -> bool:
    """Return whether a question (in the form in which equal ones meet) belongs to the part that is held out."""
    # SHA-1, as ever: another hash would hold out questions that an earlier run has learnt from.
    return in_share(query_id(query), share, digest="sha1")


def split(judgments: Iterable[Judgment], *, share: float) -> Parts:
    """Part judgments by their questions. A question whose words are not kept can be learnt from and not held out."""
    learn: list[Judgment] = []
    held: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        if judgment.verdict == "undecided":
            continue
        if judgment.text is not None and is_held_out(judgment.query, share):
            held.setdefault(judgment.query, []).append(judgment)
        else:
            learn.append(judgment)
    queries = [_judged(query, own) for query, own in sorted(held.items())]
    kept_out = LeakageFilter(query.text for query in queries)
    near = {judgment.query for judgment in learn if judgment.text is not None and kept_out.match(judgment.text)}
    kept = [judgment for judgment in learn if judgment.query not in near]
    return Parts(kept, [query for query in queries if any(query.relevant.values())], len(learn) - len(kept))


def _judged(query: str, judgments: Sequence[Judgment]) -> JudgedQuery:
    return JudgedQuery(query_id=query_id(query), text=judgments[0].text or "", relevant=documents_of(judgments))
