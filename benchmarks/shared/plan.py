"""What the benchmarks of one run work on: the texts, the node, the names of what is made, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.shared.corpus import Corpus
from benchmarks.shared.judged import Judged
from bothways.core.settings import Settings

TOP_K = 10
"""Hits that a search returns: nDCG@10 looks at as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What indexing works on. `documents` and `texts` hold the same texts, as our reader and as Haystack want them."""

    settings: Settings
    es_url: str
    corpus: Corpus
    units: int
    documents: Path
    texts: Path
    sample: tuple[str, ...]
    model_folder: str
    name: str
    repeat: int

    @property
    def collection(self) -> str:
        """Our collection; removed at the end."""
        return f"bench-{self.name}"

    @property
    def haystack_index(self) -> str:
        """Haystack's index; removed at the end."""
        return f"bench-haystack-{self.name}"

    def haystack_job(self) -> dict[str, Any]:
        """Return what Haystack's task needs to know."""
        return {"es_url": self.es_url, "index": self.haystack_index, "model_folder": self.model_folder}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What searching, serving and the footprint work on: one collection of ours and copies of it for the others."""

    settings: Settings
    es_url: str
    folder: Path
    judged: Judged
    model_folder: str
    query_prompt: str
    reranker_folder: str
    name: str
    timed: int
    passes: int
    requests: int

    @property
    def collection(self) -> str:
        """Our collection; removed at the end."""
        return f"bench-search-{self.name}"

    def index(self, whose: str, *, questions: bool) -> str:
        """Another side's index, of the chunks alone or with their questions beside them; removed at the end."""
        return f"bench-{whose}-{'questions' if questions else 'chunks'}-{self.name}"

    def job(self, whose: str, *, questions: bool) -> dict[str, Any]:
        """Return what all tasks of another side need to know. Questions crowd chunks out, so more hits are taken."""
        return {
            "es_url": self.es_url,
            "index": self.index(whose, questions=questions),
            "folder": str(self.folder),
            "questions": questions,
            "model_folder": self.model_folder,
            "query_prompt": self.query_prompt,
            "reranker_folder": self.reranker_folder,
            "leg_k": self.settings.leg_k,
            "candidates": self.settings.rerank_top_n,
            "top_k": self.settings.leg_k if questions else TOP_K,
            "queries": self.judged.texts,
            "timed": self.timed,
        }

    def server_environment(self) -> dict[str, str]:
        """Return what our server needs beside this process's settings, so that it reranks as much as the others do.

        The same reranker, no scores kept from an earlier asking of the same question, and time for all candidates,
        waiting for a turn included.
        """
        return {
            "BOTHWAYS_RERANKER_MODEL": self.reranker_folder,
            "BOTHWAYS_RERANK_BUDGET_MS": "600000",
            "BOTHWAYS_FIXED": json.dumps({"rerank_cache_size": 0, "search_timeout_ms": 600_000}),
        }
