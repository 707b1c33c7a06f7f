"""What all rooms name, and what text passes through when it is indexed, one frozen type a stage.

`Document` → `Chunk` → `ExpandedChunk` → `EmbeddedChunk`. What a search gives is in bothways/core/results.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bothways.core.text.passage import passage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]
else:
    Vector = Any  # settings are read without numpy, whose import takes a tenth of a second
"""One L2-normalised embedding, shape (dimension,), or a batch of them, shape (n, dimension)."""

Metadata = Mapping[str, str | Sequence[str]]
"""What a document is filtered by: a text a field, or several, as with tags and access groups."""

Leg = Literal["bm25", "text_sem", "questions"]
"""One ranking that Elasticsearch gives: by words, by the chunk's vector, by the best vector of its questions."""

ChunkerName = Literal["sentence", "statute", "section", "semantic"]
"""Where documents are cut into chunks."""

QueryText = Literal["plain", "hashed", "none"]
"""What is kept of a question's words in the record of searches."""

CaseSection = Literal["关键词", "基本案情", "裁判结果", "裁判理由", "裁判要旨", "裁判要点", "相关法条", "关联索引"]
"""A section of a report of a court's case, by its heading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One record that a reader found: a file, a page of a PDF, an article of a statute, a line of JSON lines.

    `heading` is the line that names the text in full (heading path, short title); it is put in front of every chunk
    where text is indexed, and kept out of the text that is shown. `blocks` are the paragraphs of the text in order.
    """

    doc_id: str
    title: str
    blocks: tuple[str, ...]
    source: str
    heading: str = ""
    metadata: Metadata = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole text, one block a line."""
        return "\n".join(self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document that is indexed and found as one. `position` counts from 0 within the document."""

    chunk_id: str
    doc_id: str
    position: int
    title: str
    heading: str
    text: str
    source: str
    metadata: Metadata = field(default_factory=dict)

    @property
    def indexed_text(self) -> str:
        """What is embedded and searched by words: the heading line, then the text."""
        return passage(self.heading, self.text)

    @property
    def content_hash(self) -> str:
        """SHA-1 over all that a reader took from the source: equal hashes mean that nothing has to be done again."""
        return _sha1([self.title, self.heading, self.text, self.source, sorted(self.metadata.items())])

    @property
    def is_named_after_file(self) -> bool:
        """Whether the title is only the file's name, for want of one in the text."""
        return self.title == self.source.rsplit("/", 1)[-1].rsplit(".", 1)[0]

    @property
    def text_hash(self) -> str:
        """SHA-1 over what is embedded and asked about, without the file's name: chunks of a renamed file keep it."""
        return self.text_hashes[-1] if self.is_named_after_file else self.text_hashes[0]

    @property
    def text_hashes(self) -> tuple[str, str]:
        """The hash with the title as it is, and the one without it, which is stored where it is the file's name."""
        heading = self.heading or self.title
        return _sha1([heading, self.text]), _sha1([heading.removeprefix(self.title), self.text])


@dataclass(frozen=True, slots=True)
class ExpandedChunk:
    """A chunk with the pseudo-questions it answers.

    `generation` names what wrote the questions (prompt version, model and number). It is "" when nothing was asked,
    "failed" when the language model could not be reached, and "refused:" with the name when it had no answer to this
    chunk, so that a later run knows what is left to do.
    """

    chunk: Chunk
    questions: tuple[str, ...] = ()
    generation: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """An expanded chunk with its vectors: `vector` of shape (d,), `question_vectors` of shape (questions, d)."""

    expanded: ExpandedChunk
    vector: Vector
    question_vectors: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One thing that did not work in a job: which stage, which item (a file, a chunk id), and why in a sentence.

    `title` names a chunk to people. `refuse`: the language model has no answer to this chunk; it is indexed all the
    same, without questions.
    """

    stage: Literal["read", "expand", "refuse", "bulk"]
    item: str
    reason: str
    title: str = ""


def _sha1(fields: list[object]) -> str:
    return hashlib.sha1(json.dumps(fields, ensure_ascii=False).encode(), usedforsecurity=False).hexdigest()
