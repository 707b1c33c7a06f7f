"""What one run of the benchmarks works on: the texts, the node, the names of what it makes, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `documents` and `texts` hold the same texts, as our reader and as Haystack want them."""

    settings: Settings
    es_url: str
    corpus: Corpus
    units: int
    documents: Path
    texts: Path
    queries: tuple[str, ...]
    sample: tuple[str, ...]
    model_folder: str
    query_prompt: str
    name: str
    repeat: int
    passes: int

    @property
    def collection(self) -> str:
        """The collection that both benchmarks use; removed at the end."""
        return f"bench-{self.name}"

    @property
    def haystack_index(self) -> str:
        """Haystack's index; removed at the end."""
        return f"bench-haystack-{self.name}"

    def haystack_job(self) -> dict[str, Any]:
        """Give what both of Haystack's tasks need to know."""
        return {"es_url": self.es_url, "index": self.haystack_index, "model_folder": self.model_folder}
