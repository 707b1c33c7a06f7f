"""What a job is told, and what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from core.analysis import Segmenter
from core.elastic import Server
from core.models.protocols import Encoder
from indexer.expand import Writer


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a user may choose for one job."""

    collection: str
    recreate: bool = False
    dry_run: bool = False
    retry_failed: bool = False
    max_chars: int = 300
    max_file_mb: float = 200.0
    concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """What a job works with. `encoder` is called only when there is something to encode: loading it takes time."""

    client: Elasticsearch
    server: Server
    segmenter: Segmenter
    encoder: Callable[[], Encoder]
    embedding_model: str
    writer: Writer | None = None
    synonyms: Callable[[], str] = str
