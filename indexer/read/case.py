"""Case reports of the 人民法院案例库: one document a section, of those sections that are to be searched.

The facts and the reasons are what a question about a case is about; keywords, gist and references are few words that
would rank high for everything, so they go along as metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

from bothways.core.datatypes import CaseSection, Document
from bothways.core.text.document_id import document_id
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.pdf.lines import Page
from bothways.indexer.read.pdf.paragraphs import Paragraph, whole_paragraphs

LIBRARY = "人民法院案例库"
MAX_PAGES = 100
"""A longer PDF is no report of one case."""
FACTS, REASONS = "基本案情", "裁判理由"
_NAME = "|".join(r"\s*".join(name) for name in get_args(CaseSection))
_ITEM = r"(?:[（(]?[一二三四五六七八九十\d]{1,3}[）)、.．]\s*)?"
_HEADING = re.compile(
    rf"^\s*{_ITEM}(?:[【\[〔［]\s*({_NAME})\s*[】\]〕］]|({_NAME})(?=\s|[:：]|$))\s*[:：]?\s*(.*)$", re.DOTALL
)
_NUMBER = re.compile(r"(?<!\d)20\d{2}-\d{1,2}-\d-\d{3}-\d{3}(?!\d)")
_NUMBER_LABEL = re.compile(r"^(?:入库|案例)?编号\s*[:：]\s*")
_DASHES = re.compile(r"[—－–-]{2,}")
_WIDE = r"\u2e80-\u9fff\uff00-\uffef“”‘’—…·"
_SPACE = re.compile(rf"(?<=[{_WIDE}])\s+|(?<!\s)\s+(?=[{_WIDE}])")
_MAX_VALUE = 2_000
_MAX_NAME = 200


@dataclass(slots=True)
class _Section:
    name: str
    paragraphs: list[Paragraph] = field(default_factory=list)


def after_heading(line: str) -> str | None:
    """Return what stands behind the name of a section at the start of a line; None where there is no such name."""
    match = _HEADING.match(line)
    return match[3].strip() if match else None


def is_case(pages: Sequence[Page], title: str) -> bool:
    """Return whether a PDF calls itself a report of the case library, by its title or by a case number on page 1."""
    first = [_squeeze(line.text) for line in pages[0].lines] if pages else []
    return LIBRARY in title or LIBRARY in first or any(_number(text) for text in first)


def has_sections(pages: Sequence[Page]) -> bool:
    """Return whether facts and reasons stand under headings of their own, once each: one case, not a collection."""
    lines = (line.text for page in pages for line in page.lines)
    names = [_section_name(line) for line in lines]
    return names.count(FACTS) == 1 and names.count(REASONS) == 1


def read_case(source: Source, pages: Sequence[Page]) -> Iterator[Document]:
    """Yield the sections of a case report that `source.case_sections` names; the record index counts all from 0.

    The paragraphs of a section are counted from 1, as `paragraphs` "1-6" of the metadata; `pages` are those on which
    it stands.
    """
    for page in pages:
        page.lines = [line for line in page.lines if _squeeze(line.text) != LIBRARY]
    head, sections = _sections(whole_paragraphs(pages, after_heading))
    name, subject, number = _head(head)
    name = name or source.stem
    about = {"case": name, "case_number": number, "subject": subject}
    about |= {"keywords": _keywords(sections), "gist": _text(sections, "裁判要旨") or _text(sections, "裁判要点")}
    about["references"] = _text(sections, "关联索引") or _text(sections, "相关法条")
    known = {key: value for key, value in about.items() if value}
    if any(page.ocr for page in pages):
        known["ocr"] = "true"
    for record, section in enumerate(sections):
        if section.name not in source.case_sections or not section.paragraphs:
            continue
        first, last = section.paragraphs[0].first_page, section.paragraphs[-1].last_page
        yield Document(
            doc_id=document_id(source.relative, record=record),
            title=f"{name} {section.name}",
            blocks=tuple(_squeeze(paragraph.text) for paragraph in section.paragraphs),
            source=source.relative,
            heading=f"{name} {section.name}",
            metadata={
                **known,
                "section": section.name,
                "pages": _range(first, last),
                "paragraphs": _range(1, len(section.paragraphs)),
            },
        )


def _sections(paragraphs: Sequence[Paragraph]) -> tuple[list[str], list[_Section]]:
    """Split paragraphs at the headings; the first list is what stands above them all."""
    head: list[str] = []
    sections: list[_Section] = []
    for paragraph in paragraphs:
        rest = after_heading(paragraph.text)
        if rest is not None:
            sections.append(_Section(_section_name(paragraph.text)))
            if rest:
                sections[-1].paragraphs.append(Paragraph(rest, paragraph.first_page, paragraph.last_page))
        elif sections:
            sections[-1].paragraphs.append(paragraph)
        else:
            head.append(paragraph.text)
    return head, sections


def _head(lines: Sequence[str]) -> tuple[str, str, str]:
    """Return the case's name, the subject behind the dashes, and its number; "" for what is not there."""
    squeezed = [_squeeze(line) for line in lines]
    number = next((found for line in squeezed if (found := _number(line))), "")
    name, *rest = _DASHES.split("".join(line for line in squeezed if not _number(line)), maxsplit=1)
    return (name if len(name) <= _MAX_NAME else ""), "".join(rest)[:_MAX_VALUE], number


def _number(line: str) -> str:
    """Return the case number that a line consists of, or ""."""
    match = _NUMBER.fullmatch(_NUMBER_LABEL.sub("", line))
    return match[0] if match else ""


def _section_name(line: str) -> str:
    match = _HEADING.match(line)
    return re.sub(r"\s", "", match[1] or match[2]) if match else ""


def _keywords(sections: Sequence[_Section]) -> str:
    words = [p.text for section in sections if section.name == "关键词" for p in section.paragraphs]
    return "、".join(re.split(r"[\s、；;/，,]+", " ".join(words).strip()))[:_MAX_VALUE]


def _text(sections: Sequence[_Section], name: str) -> str:
    lines = [_squeeze(p.text) for section in sections if section.name == name for p in section.paragraphs]
    return "\n".join(lines)[:_MAX_VALUE]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _squeeze(text: str) -> str:
    """Drop spaces beside Chinese characters: they come from the layout."""
    return _SPACE.sub("", text.strip())
