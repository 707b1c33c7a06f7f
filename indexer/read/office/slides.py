"""PowerPoint (.pptx, .pptm): one document a slide, with its tables, diagrams and notes; hidden slides are left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree
from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import PythonPptxError
from pptx.oxml import parse_xml
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide
from pptx.table import _Cell

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.core.text.document_id import document_id
from bothways.indexer.read.files.archive import check_archive, reading
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.office.tables import table_blocks

_MAX_TAGS = 500_000
_MAX_TITLE = 500
"""Characters of a slide's title, which goes with every piece of it."""
_RUNNING = {PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.HEADER}
_DIAGRAM = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def read_pptx(source: Source) -> Iterator[Document]:
    """Read a presentation: a document for each slide with text, its number in `page`, its title in `section`.

    The title is that of the first slide, else the file's name. Text stands in the file's own order, which is the one
    that a screen reader follows.
    """
    check_archive(source, "PowerPoint file", max_tags=_MAX_TAGS)
    empty = hidden = again = 0
    seen: set[str] = set()
    with reading("PowerPoint file", PythonPptxError):
        slides = list(Presentation(str(source.path)).slides)
        title = (_title(slides[0]) if slides else "") or source.stem
        for page, slide in enumerate(slides, start=1):
            if slide.element.get("show") in {"0", "false"}:
                hidden += 1
                continue
            if str(slide.part.partname) in seen:
                again += 1
                continue
            seen.add(str(slide.part.partname))
            name = _title(slide)
            blocks = _blocks(slide) or ([name] if name else [])
            if not blocks:
                empty += 1
                continue
            section = name if name != title else ""
            yield Document(
                doc_id=document_id(source.relative, page=page),
                title=title,
                blocks=tuple(blocks),
                source=source.relative,
                heading=" › ".join(filter(None, [title, section])),
                metadata={"page": str(page), **({"section": section} if section else {})},
            )
    if hidden + empty == len(slides):
        raise ReadError(f"The PowerPoint file is empty: none of its {len(slides)} slides shows text.")
    if hidden:
        source.on_skip(source.relative, f"{hidden} of {len(slides)} slides are hidden.")
    if again:
        source.on_skip(source.relative, f"{again} of {len(slides)} slides are listed a second time and read once.")
    if empty:
        source.on_skip(source.relative, f"{empty} of {len(slides)} slides have no text.")


def _title(slide: Slide) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split())[:_MAX_TITLE] if shape is not None else ""


def _blocks(slide: Slide) -> list[str]:
    title = slide.shapes.title
    blocks = [block for shape in slide.shapes if shape != title for block in _shape(shape)]
    for relation in slide.part.rels.values():
        if relation.reltype == _DIAGRAM and not relation.is_external:
            blocks.extend(_diagram(relation.target_part.blob))
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        blocks.append(_lines(notes))
    return list(filter(None, blocks))


def _shape(shape: Any) -> Iterator[str]:  # noqa: ANN401  (the classes of shapes have no common type for this)
    if isinstance(shape, GroupShape):
        for inner in shape.shapes:
            yield from _shape(inner)
    elif isinstance(shape, GraphicFrame):
        if shape.has_table:
            # By the elements: each of python-pptx's own rows is looked up from the table's start on.
            rows = [[_merged(_Cell(cell, shape)) for cell in row.tc_lst] for row in shape.table._tbl.tr_lst]
            yield from table_blocks(rows, header=shape.table.first_row)
        elif shape.has_chart and shape.chart.has_title:
            yield _lines(shape.chart.chart_title.text_frame)
    elif shape.has_text_frame and not (shape.is_placeholder and shape.placeholder_format.type in _RUNNING):
        yield _lines(shape.text_frame)


def _merged(cell: Any) -> str:  # noqa: ANN401
    """Return the text of a cell; what is merged into another shows nothing of its own."""
    return "" if cell.is_spanned else str(cell.text_frame.text)


def _lines(frame: Any) -> str:  # noqa: ANN401
    """Write a text frame as one block, a paragraph a line."""
    lines = (line.strip() for paragraph in frame.paragraphs for line in paragraph.text.split("\v"))
    return "\n".join(filter(None, lines))


def _diagram(data: bytes) -> Iterator[str]:
    """Return the text of a SmartArt diagram: its points, a line each."""
    root: etree._Element = parse_xml(data)
    points = ("".join(run.text or "" for run in point.iter(f"{_A}t")).strip() for point in root.iter(f"{_A}p"))
    yield "\n".join(filter(None, points))
