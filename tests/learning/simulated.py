"""Questions whose answers are known, behind a ranking that is biased on purpose: a bait on top, an answer buried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bothways.learning.judgments.clicks import Seen, Session
from bothways.learning.judgments.evidence import gather

CHUNKS = 10
BAIT = "bait"
"""Not relevant, and shown first nearly always."""
BURIED = "buried"
"""Relevant, and shown far down nearly always."""
FOUND = "found"
"""Relevant, and shown somewhere in the upper half."""
RELEVANT = {BURIED: 1, FOUND: 1}


@dataclass(kw_only=True)
class World:
    """Searches of `questions` questions, `searches` times each, by readers who are drawn with their shares.

    `spread`: how much a ranking differs from the next; 0: it never does.
    """

    readers: list
    shares: list
    questions: int = 40
    searches: int = 60
    spread: float = 2.0
    seed: int = 0
    top_k: int = CHUNKS

    def sessions(self):
        """Give the sessions to which somebody reacted; ten an hour of each question."""
        chance = np.random.default_rng(self.seed)
        others = [f"other{number}" for number in range(CHUNKS - 3)]
        chunks = [BAIT, FOUND, *others, BURIED]
        usual = np.array([0.0, 3.0, *range(1, CHUNKS - 2), 7.0])
        for question in range(self.questions):
            for search in range(self.searches):
                order = np.argsort(usual + self.spread * chance.standard_normal(CHUNKS))
                shown = [chunks[place] for place in order[: self.top_k]]
                reader = self.readers[chance.choice(len(self.readers), p=self.shares)]
                actions = {}
                for chunk, action in reader.react(shown, RELEVANT, chance):
                    actions.setdefault(chunk, set()).add(action)
                if actions:
                    seen = tuple(Seen(chunk_id=chunk, doc_id=chunk, rank=rank) for rank, chunk in enumerate(shown, 1))
                    done = {chunk: frozenset(kinds) for chunk, kinds in actions.items()}
                    session = Session(
                        query=f"q{question}", text=f"q{question}", hour=f"h{search // 10:03d}", shown=seen, actions=done
                    )
                    if not session.is_indiscriminate:
                        yield session

    def ledger(self):
        return gather(self.sessions())


def wrong(judged, verdict):
    """Give the judgments of one verdict, and those of them that are wrong."""
    found = judged.having(verdict)
    is_answer = verdict == "positive"
    return found, [one for one in found if (one.chunk_id in RELEVANT) != is_answer]
