"""The fixed words of requests and answers."""

from __future__ import annotations

from typing import Literal

Strategy = Literal[
    "bm25", "dense", "questions", "hybrid", "hybrid_rerank", "dense_q2d", "hybrid_q2d", "hybrid_q2d_rerank", "dedup"
]
"""How a search is made: which legs it asks, and what is done with what they return."""

Fusion = Literal["convex", "rrf"]
"""How the rankings of BM25 and of the dense legs become one: by their scores or by their ranks."""

Rewrite = Literal["none", "query2doc", "auto"]
"""Whether a question is rewritten: never, always, or where the first pass answers it weakly."""

Role = Literal["user", "assistant"]
"""Who wrote a message of a conversation."""

AnswerStatus = Literal["answered", "uncited", "unknown", "cut", "failed", "no_model"]
"""How an answer went: with citations, or without a single valid one; the passages do not hold the answer; the language
model stopped in the middle, returned nothing usable, or none is set."""

Action = Literal["click", "skip", "up", "down"]
"""What a user did with a hit: opened it, passed it over, voted for it, voted against it."""

JobKind = Literal["path", "upload"]
"""Where an indexing job has its documents from: a path of the command line, or files that came over HTTP."""

JobState = Literal["queued", "running", "done", "failed", "cancelled", "lost"]

ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "lost"})
"""States of a job to which nothing happens any more."""

VersionState = Literal["live", "kept", "rolled back", "failed its check", "unfinished", "unknown"]
"""What a version of a collection is now. `kept` and `rolled back` ones can go live again; `unknown` is a version of an
older Bothways in a collection whose alias is lost."""
