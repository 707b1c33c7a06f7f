"""`/api/v1/collections/{collection}/documents`: documents as they are uploaded, listed and shown."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from pydantic import AfterValidator, AliasChoices, Field

from bothways.schemas.base import Request, Response
from bothways.schemas.bounds import MAX_ID_BYTES
from bothways.schemas.filters import Scalar, Values


def _short_enough(doc_id: str) -> str:
    size = len(doc_id.encode(errors="replace"))
    if size > MAX_ID_BYTES:
        raise ValueError(f"an id has {MAX_ID_BYTES} bytes at most, this one has {size} in UTF-8")
    return doc_id


class NewDocument(Request):
    """A document that is uploaded as JSON; one of the same id is replaced."""

    id: Annotated[str, AfterValidator(_short_enough)] = Field(
        min_length=1, max_length=MAX_ID_BYTES, pattern=r"\S", description="what it is known and replaced by"
    )
    title: str = Field("", description="its title, indexed in front of each chunk")
    text: str = Field(min_length=1, pattern=r"\S", description="its text")
    metadata: dict[str, Scalar | Values] = Field(default_factory=dict, max_length=100, description="to filter by")


class NewDocumentDict(TypedDict):
    """The same as the client takes it."""

    id: str
    text: str
    title: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


class NewDocuments(Request):
    """Documents that are uploaded as JSON."""

    documents: list[NewDocument] = Field(min_length=1, max_length=1000)


class DocumentRow(Response):
    """A document in a list."""

    doc_id: str
    title: str
    source: str
    chunks: int = Field(validation_alias=AliasChoices("chunk_count", "chunks"))


class Chunk(Response):
    """A chunk of a document, without vectors. `generation` names what wrote its questions."""

    chunk_id: str
    position: int
    heading: str = ""
    text: str
    questions: list[str]
    generation: str = ""


class Document(Response):
    """A document with its chunks in order."""

    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]
    chunks: list[Chunk]
