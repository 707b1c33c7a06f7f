"""PDF: one document a page. Lines become paragraphs again; running headers, footers and watermarks are dropped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pymupdf

from core.datatypes import Document
from core.errors import ReadError
from indexer.read.folder import Source, document_id
from indexer.read.text import join_lines

_MARGIN = 0.1
_PAGE_NUMBER = re.compile(
    r"^[\W_]*(第|page|p\.)?\W*\d{1,4}\W*(页|頁)?(\W*(/|of|共)\W*\d{1,4}\W*(页|頁)?)?[\W_]*$", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[。！？；：.!?;:…][”’」』）)】》\]\"']*$")
_FIRST_SENTENCE = re.compile(r"^.{0,200}?(?:[。！？；…]|[.!?;](?=\s|$|[”’」』)\]\"']))[”’」』）)】》\]\"']*", re.DOTALL)
_BULLET = re.compile(
    r"^([-•·▪●◆■–]\s*\S|\d+[.、)）]\s*\D|[（(][\d一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、)"
)
_CJK = re.compile(r"[\u2e80-\u9fff]")


@dataclass(slots=True)
class _Line:
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    text: str


@dataclass(slots=True)
class _Paragraphs:
    """One page's paragraphs, and whether the first and the last are cut by the page's edges."""

    blocks: list[str]
    starts_inside: bool
    ends_inside: bool


def read_pdf(source: Source) -> Iterator[Document]:
    """Read a PDF that has text: a document for each page with text; a sentence belongs to the page it begins on."""
    pages, blank = _without_running_lines(_pages(source.data())), 0
    texts = [_paragraphs(lines) for lines in pages]
    if not any(text.blocks for text in texts):
        raise ReadError("The PDF has no text: it is probably scanned; OCR needed.")
    for here, there in pairwise(texts):
        _mend(here, there)
    for number, text in enumerate(texts, start=1):
        if not text.blocks:
            blank += 1
            continue
        yield Document(
            doc_id=document_id(source.relative, page=number),
            title=source.stem,
            blocks=tuple(text.blocks),
            source=source.relative,
            heading=source.stem,
            metadata={"page": str(number)},
        )
    if blank:
        source.on_skip(source.relative, f"{blank} of {len(texts)} pages have no text of their own.")


def _pages(data: bytes) -> list[tuple[float, list[_Line]]]:
    """Each page's height and its lines in reading order; slanted text, which is watermark, is left out."""
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    try:
        with pymupdf.open(stream=data, filetype="pdf") as pdf:
            if pdf.needs_pass:
                raise ReadError("The PDF is encrypted: a password is needed to read it.")
            if not pdf.page_count:
                raise ReadError("The PDF is corrupt: it has no pages.")
            return [(page.rect.height, _lines(page)) for page in pdf]
    except (RuntimeError, ValueError, pymupdf.mupdf.FzErrorBase) as error:
        raise ReadError(f"The PDF is corrupt: {error}.") from error


def _lines(page: Any) -> list[_Line]:  # noqa: ANN401  (pymupdf has no types)
    flags = pymupdf.TEXTFLAGS_DICT & ~pymupdf.TEXT_PRESERVE_IMAGES & ~pymupdf.TEXT_PRESERVE_LIGATURES
    lines: list[_Line] = []
    for block in page.get_text("dict", flags=flags)["blocks"]:
        for line in block.get("lines", ()):
            across, down = line["dir"]
            text = "".join(span["text"] for span in line["spans"]).replace("\0", "").strip()
            if not text or min(abs(across), abs(down)) > 0.1:
                continue
            box = pymupdf.Rect(line["bbox"]) * page.rotation_matrix
            size = max(span["size"] for span in line["spans"])
            last = lines[-1] if lines else None
            if last and abs(box.y0 - last.y0) < size * 0.4 and box.x0 >= last.x1 - 1:  # one line, in pieces
                gap = " " if box.x0 - last.x1 > size * 0.15 else ""
                lines[-1] = _Line(last.x0, last.y0, box.x1, max(last.y1, box.y1), last.size, last.text + gap + text)
            else:
                lines.append(_Line(box.x0, box.y0, box.x1, box.y1, size, text))
    return lines


def _without_running_lines(pages: Sequence[tuple[float, list[_Line]]]) -> list[list[_Line]]:
    """Drop lines in the upper and lower margin that are page numbers, or come, but for digits, on most pages."""

    def key(line: _Line) -> str:
        return re.sub(r"\d+", "#", line.text)

    def in_margin(line: _Line, height: float) -> bool:
        return line.y1 <= height * _MARGIN or line.y0 >= height * (1 - _MARGIN)

    counts = Counter(name for height, lines in pages for name in {key(ln) for ln in lines if in_margin(ln, height)})
    running = {name for name, count in counts.items() if count >= 2 and count * 2 > len(pages)}
    return [
        [ln for ln in lines if not (in_margin(ln, height) and (key(ln) in running or _PAGE_NUMBER.match(ln.text)))]
        for height, lines in pages
    ]


def _paragraphs(lines: Sequence[_Line]) -> _Paragraphs:
    """Join lines until the next begins a paragraph: by an indent, a gap, another size, or after a short line."""
    blocks: list[str] = []
    previous: _Line | None = None
    for line in lines:
        if previous is None or _begins(line, previous, lines):
            blocks.append(line.text)
        else:
            blocks[-1] = join_lines(blocks[-1], line.text)
        previous = line
    if previous is None:
        return _Paragraphs([], starts_inside=False, ends_inside=False)
    left, _ = _edges(lines[0], lines)
    return _Paragraphs(
        blocks,
        starts_inside=lines[0].x0 - left < lines[0].size and not _BULLET.match(lines[0].text),
        ends_inside=not _SENTENCE_END.search(previous.text) and not _is_short(previous, lines),
    )


def _begins(line: _Line, previous: _Line, lines: Sequence[_Line]) -> bool:
    """Whether a line begins a paragraph. In a new column the gap says nothing."""
    left, _ = _edges(line, lines)
    indented = line.x0 - left > line.size
    same_column = line.y0 > previous.y0
    gap = same_column and line.y0 - previous.y1 > 1.2 * line.size
    other_size = abs(line.size - previous.size) > 0.15 * max(line.size, previous.size)
    return indented or gap or other_size or bool(_BULLET.match(line.text)) or _is_short(previous, lines)


def _is_short(line: _Line, lines: Sequence[_Line]) -> bool:
    """Whether a line stops well before the right edge: Chinese fills its lines, Latin text is ragged."""
    left, right = _edges(line, lines)
    missing = right - line.x1
    if _CJK.search(line.text):
        return missing > 3.5 * line.size
    return missing > 0.3 * (right - left) and bool(_SENTENCE_END.search(line.text) or len(line.text) < 30)


def _edges(line: _Line, lines: Sequence[_Line]) -> tuple[float, float]:
    """Return the left and right edge of the column that a line stands in."""
    column = [other for other in lines if abs(other.x0 - line.x0) < 4 * line.size]
    ends = sorted(other.x1 for other in column)
    return min(other.x0 for other in column), ends[int(len(ends) * 0.9)] if len(ends) > 9 else ends[-1]


def _mend(here: _Paragraphs, there: _Paragraphs) -> None:
    """Bring the rest of a sentence back from the next page, where it runs on there."""
    if not (here.blocks and there.blocks and here.ends_inside and there.starts_inside):
        return
    if rest := _FIRST_SENTENCE.match(there.blocks[0]):
        here.blocks[-1] = join_lines(here.blocks[-1], rest[0])
        there.blocks[0] = there.blocks[0][rest.end() :].strip()
        if not there.blocks[0]:
            del there.blocks[0]
