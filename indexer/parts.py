"""What a job is told, and what it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from elasticsearch import Elasticsearch

from bothways.core.analysis import Segmenter
from bothways.core.datatypes import CaseSection, ChunkerName
from bothways.core.elastic.client import Server
from bothways.indexer.chunk.semantic import Breakpoints
from bothways.indexer.doc2query.expand import Writer
from bothways.indexer.doc2query.filter import QuestionFilter
from bothways.indexer.read.files.folder import CASE_SECTIONS
from bothways.models.llm.usage import Prices
from bothways.models.protocols import Encoder

UPLOADED = "upload"
"""What uploaded documents come from, where indexed ones have a folder: no path is without a slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a user may choose for one job. `origin` names where an upload comes from, in place of its folder.

    `without_others` lets a rebuild leave out what was indexed from other folders; uploads are kept in any case.
    `acl_field` is the metadata field of the access groups, for the whole collection; "": what it is already.
    """

    collection: str
    recreate: bool = False
    dry_run: bool = False
    retry_failed: bool = False
    chunker: ChunkerName = "sentence"
    max_chars: int = 300
    max_file_mb: float = 200.0
    read_timeout_s: float = 60.0
    read_memory_mb: float = 2000.0
    case_sections: tuple[CaseSection, ...] = CASE_SECTIONS
    concurrency: int = 8
    origin: str = ""
    acl_field: str = ""
    without_others: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a job works with. `encoder` is called only when there is something to encode: loading it takes time.

    `segmentation` says where semantic chunks are cut; None: the encoder's vectors do.
    """

    client: Elasticsearch
    server: Server
    segmenter: Segmenter
    encoder: Callable[[], Encoder]
    embedding_model: str
    writer: Writer | None = None
    synonyms: Callable[[], str] = str
    segmentation: Callable[[], Breakpoints] | None = None
    question_filter: QuestionFilter | None = None
    prices: Prices = field(default_factory=Prices)
