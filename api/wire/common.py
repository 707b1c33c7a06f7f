"""What goes over the wire beside searches (wire_search.py): the contract's JSON, and how results become it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bothways.core.collections.collection import Collection
from bothways.core.text.document_id import MAX_ID_BYTES
from bothways.core.text.valid import valid_text
from bothways.indexer.documents import StoredDocument
from bothways.indexer.jobs.store import Job, State
from bothways.indexer.versions.rollback import Version, passed_over
from bothways.learning.feedback.rows import Action
from bothways.search.query.filters import Scalar

FilterValues = Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=1000)]

_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}")


def _short_enough(doc_id: str) -> str:
    size = len(valid_text(doc_id).encode())
    if size > MAX_ID_BYTES:
        raise ValueError(f"an id has {MAX_ID_BYTES} bytes at most, this one has {size} in UTF-8")
    return doc_id


class FeedbackRequest(BaseModel):
    """What a user did with a hit of a search."""

    model_config = ConfigDict(extra="forbid")

    query_id: str = Field(pattern=r"^[0-9a-f]{32}$", description="the `query_id` of the search's answer")
    chunk_id: str = Field(min_length=1, max_length=600, description="the `chunk_id` of the hit")
    action: Action = Field(description="opened it, passed it over, voted for it, voted against it")


class VersionOut(BaseModel):
    """One version of a collection. `kept` and `rolled back` ones can be gone back to.

    `unknown`: one of an older Bothways in a collection whose alias is lost.
    """

    index: str
    number: int
    state: Literal["live", "kept", "rolled back", "failed its check", "unfinished", "unknown"]
    chunks: int
    embedding_model: str
    dimension: int
    chunker: str | None
    max_chars: int | None
    created_at: str


class CollectionOut(BaseModel):
    """One collection and what it was built with; `chunker` and `max_chars` are null where that was not noted.

    `acl_field`: the metadata field of the access groups, if any. `problem`: what is wrong
    with its alias, and what to do; where it cannot be searched, `index` is empty and `versions` has all that is known.
    """

    name: str
    index: str
    documents: int
    chunks: int
    embedding_model: str
    dimension: int
    analyzer: str
    chunker: str | None
    max_chars: int | None
    metadata_fields: list[str]
    acl_field: str | None
    versions: list[VersionOut]
    problem: str | None = None


class AclIn(BaseModel):
    """Which metadata field holds the access groups of a collection's documents; null: everybody may see them."""

    model_config = ConfigDict(extra="forbid")

    field: str | None = Field(max_length=200)


class RollbackOut(BaseModel):
    """Which version searches went to, which they go to now, and what has to be set for it, if anything."""

    collection: str
    left: str
    index: str
    embedding_model: str
    advice: str | None


class DocumentIn(BaseModel):
    """A document that is uploaded as JSON; one of the same id is replaced."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, AfterValidator(_short_enough)] = Field(
        min_length=1, max_length=MAX_ID_BYTES, pattern=r"\S", description="what it is known and replaced by"
    )
    title: str = Field("", description="its title, indexed in front of each chunk")
    text: str = Field(min_length=1, pattern=r"\S", description="its text")
    metadata: dict[str, FilterValues] = Field(default_factory=dict, max_length=100, description="to filter by")

    @property
    def file_name(self) -> str:
        """The name of the file that it is kept in, which is its source: the id, where that can be one."""
        if _PLAIN_ID.fullmatch(self.id):
            return f"{self.id}.json"
        digest = hashlib.sha1(valid_text(self.id).encode(), usedforsecurity=False).hexdigest()
        return f"{re.sub('[^A-Za-z0-9_-]+', '-', self.id)[:60].strip('-')}-{digest[:16]}.json".lstrip("-")

    def record(self) -> str:
        """Give it as the JSON that the reader of records takes."""
        fields = {"_id": self.id, "title": self.title, "text": self.text, "metadata": self.metadata}
        return json.dumps(fields)


class DocumentsIn(BaseModel):
    """Documents that are uploaded as JSON."""

    model_config = ConfigDict(extra="forbid")

    documents: list[DocumentIn] = Field(min_length=1, max_length=1000)


class DocumentRow(BaseModel):
    """A document in a list."""

    doc_id: str
    title: str
    source: str
    chunks: int


class ChunkOut(BaseModel):
    """A chunk of a document, without vectors. `generation` names what wrote its questions."""

    chunk_id: str
    position: int
    heading: str
    text: str
    questions: list[str]
    generation: str


class DocumentOut(BaseModel):
    """A document with its chunks in order."""

    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]
    chunks: list[ChunkOut]


class JobFailure(BaseModel):
    """One thing that did not work in a job."""

    item: str
    stage: str
    reason: str
    title: str = ""


class JobOut(BaseModel):
    """An indexing job. `failures` and `skipped` have the first ones, `counts` all. Times are ISO 8601 in UTC."""

    id: str
    collection: str
    kind: Literal["path", "upload"]
    state: State
    who: str
    source: str
    files: list[str]
    options: dict[str, Any]
    index: str
    counts: dict[str, int | float]
    failures: list[JobFailure]
    skipped: list[tuple[str, str]]
    error: str
    cancel_requested: bool
    retry_of: str | None
    created: str
    started: str | None
    heartbeat: str | None
    finished: str | None
    seconds: float


class JobList(BaseModel):
    """Jobs, newest first; `total` counts all that fit."""

    total: int
    jobs: list[JobOut]


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, Any]] | None = None


def collection_out(
    collection: Collection, documents: int, chunks: int, versions: Sequence[Version] = ()
) -> CollectionOut:
    """Put a collection into the wire's shape."""
    return CollectionOut(
        name=collection.name,
        index=collection.index,
        documents=documents,
        chunks=chunks,
        embedding_model=collection.embedding_model,
        dimension=collection.dimension,
        analyzer=collection.analyzer,
        chunker=collection.chunker,
        max_chars=collection.max_chars,
        metadata_fields=sorted(collection.metadata_fields),
        acl_field=collection.acl_field or None,
        versions=[_version(version) for version in versions],
        problem=passed_over(collection.name, versions) or None,
    )


def broken_out(problem: str, versions: Sequence[Version], name: str) -> CollectionOut:
    """Put a collection whose alias points to none of its versions into the wire's shape, with what to do."""
    return CollectionOut(
        name=name,
        index="",
        documents=0,
        chunks=0,
        embedding_model="",
        dimension=0,
        analyzer="",
        chunker=None,
        max_chars=None,
        metadata_fields=[],
        acl_field=None,
        versions=[_version(version) for version in versions],
        problem=problem,
    )


def _version(version: Version) -> VersionOut:
    return VersionOut(
        index=version.collection.index,
        number=version.number,
        state=version.state,
        chunks=version.chunks,
        embedding_model=version.collection.embedding_model,
        dimension=version.collection.dimension,
        chunker=version.collection.chunker,
        max_chars=version.collection.max_chars,
        created_at=version.created_at,
    )


def rollback_out(left: Version, live: Version, advice: str) -> RollbackOut:
    """Put a rollback into the wire's shape."""
    return RollbackOut(
        collection=live.collection.name,
        left=left.collection.index,
        index=live.collection.index,
        embedding_model=live.collection.embedding_model,
        advice=advice or None,
    )


def document_row(document: StoredDocument) -> DocumentRow:
    """Put a document of a list into the wire's shape."""
    return DocumentRow(
        doc_id=document.doc_id, title=document.title, source=document.source, chunks=document.chunk_count
    )


def document_out(document: StoredDocument) -> DocumentOut:
    """Put a document and its chunks into the wire's shape."""
    return DocumentOut(
        doc_id=document.doc_id,
        title=document.title,
        source=document.source,
        metadata=dict(document.metadata),
        chunks=[
            ChunkOut(
                chunk_id=chunk.chunk_id,
                position=chunk.position,
                heading=chunk.heading,
                text=chunk.text,
                questions=list(chunk.questions),
                generation=chunk.generation,
            )
            for chunk in document.chunks
        ],
    )


def job_out(job: Job) -> JobOut:
    """Put a job's record into the wire's shape."""
    fields = {name: getattr(job, name) for name in JobOut.model_fields if name != "who"}
    return JobOut.model_validate(fields | {"who": job.holder.who})
