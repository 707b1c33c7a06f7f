"""Plain text: one document a file, whose blocks are its paragraphs; a statute becomes one document an article."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from bothways.core.datatypes import Document
from bothways.core.text.document_id import document_id
from bothways.indexer.read.files.encoding import decode
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.statute import is_statute, read_statute

_CJK = r"\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff“”‘’—…·"
_CJK_END = re.compile(rf"[{_CJK}]$")
_CJK_START = re.compile(rf"^[{_CJK}]")
_SENTENCE_END = re.compile(r"[。！？；：.!?;:…][”’」』）)】》\]\"']*$")
_BULLET = re.compile(r"^\s*([-*•·–]\s|\d+[.、)）]|[（(][\d一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、)")
_MAX_TITLE = 40
_MAX_PARAGRAPH = 10_000
_WRAPPED = range(40, 201)


def read_text(source: Source) -> Iterator[Document]:
    """Read a text file in any common encoding. Its title is a short first line, else the file's name."""
    text = decode(source.data())
    if is_statute(text):
        yield from read_statute(source, text)
        return
    is_log = source.path.suffix.lower() == ".log"  # a line an entry
    blocks = tuple(filter(None, map(str.strip, text.split("\n")))) if is_log else paragraphs(text)
    first = blocks[0]
    own_title = len(blocks) > 1 and len(first) <= _MAX_TITLE and not _SENTENCE_END.search(first)
    title = first if own_title else source.stem
    yield Document(
        doc_id=document_id(source.relative), title=title, blocks=blocks, source=source.relative, heading=title
    )


def paragraphs(text: str) -> tuple[str, ...]:
    """Split text into paragraphs: a line each, with lines that were broken at a fixed width joined again."""
    lines = text.split("\n")
    widest = max(map(_width, lines))
    blocks: list[str] = []
    open_line = False
    for raw in lines:
        line = raw.strip()
        if not line:
            open_line = False
            continue
        if open_line and len(blocks[-1]) < _MAX_PARAGRAPH and not raw[0].isspace() and not _BULLET.match(line):
            blocks[-1] = join_lines(blocks[-1], line)
        else:
            blocks.append(line)
        open_line = widest in _WRAPPED and _width(raw) >= 0.75 * widest and not _SENTENCE_END.search(line[-20:])
    return tuple(blocks)


def join_lines(left: str, right: str) -> str:
    """Join two lines of one paragraph: without a space where Chinese meets, without the hyphen of a split word."""
    pieces = [left]
    append_line(pieces, right)
    return "".join(pieces)


def append_line(pieces: list[str], line: str) -> None:
    """Add a line to a paragraph that grows as pieces, of which "".join makes the text that `join_lines` would make.

    Thousands of lines take time in proportion to their length; each `join_lines` copies all that is there.
    """
    end = "".join(piece[-2:] for piece in pieces[-2:])[-2:]
    if re.search(r"[^\W\d_][-\u00ad]$", end) and line[:1].islower():
        pieces[-1] = pieces[-1][:-1]
        pieces.append(line)
    elif _CJK_END.search(end[-1:]) or _CJK_START.search(line):
        pieces.append(line)
    else:
        pieces.append(f" {line}")


def _width(line: str) -> int:
    """Return the columns on a terminal: a wide character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line[:300])
