"""PDFs made for tests: laid out as real ones are, so that what a reader has to undo is in them."""

from __future__ import annotations

import pymupdf

SIZE = 16.5
LEFT, INDENT, TOP, STEP = 36, 69, 60, 30
PER_LINE, PER_PAGE = 31, 24


def make_pdf(pages: list[list[tuple[float, float, str]]], font: str = "helv") -> pymupdf.Document:
    """A PDF of lines, each at (x, y), in 12 point."""
    pdf = pymupdf.open()
    for lines in pages:
        page = pdf.new_page(width=595, height=842)
        for x, y, text in lines:
            page.insert_text((x, y), text, fontsize=12, fontname=font)
    return pdf


def make_case(head: list[str], paragraphs: list[str]) -> pymupdf.Document:
    """A report as the case library prints it: slanted watermarks, page numbers, lines broken anywhere.

    Paragraphs begin with an indent of two characters; those that end with a space begin at the left edge.
    """
    lines = [(120, line, False) for line in head]
    for paragraph in paragraphs:
        text = paragraph.strip()
        first = PER_LINE if paragraph.endswith(" ") else PER_LINE - 2
        parts = [text[:first], *(text[i : i + PER_LINE] for i in range(first, len(text), PER_LINE))]
        for number, part in enumerate(parts):
            left = LEFT if number or paragraph.endswith(" ") else INDENT
            lines.append((left, part, paragraph.endswith(" ") and number == len(parts) - 1))
    pdf = pymupdf.open()
    for start in range(0, len(lines), PER_PAGE):
        page = pdf.new_page(width=595, height=842)
        page.insert_text((280, 823), f"第 {start // PER_PAGE + 1} 页", fontsize=9, fontname="china-s")
        for y in (200, 400, 600):
            point = pymupdf.Point(250, y)
            page.insert_text(
                point, "人民法院案例库", fontsize=20, fontname="china-s", morph=(point, pymupdf.Matrix(58))
            )
        for number, (left, text, ends) in enumerate(lines[start : start + PER_PAGE]):
            shown = text + " " if ends else text
            page.insert_text((left, TOP + number * STEP), shown, fontsize=SIZE, fontname="china-s")
    return pdf


def make_scan(lines: list[str], pdf: pymupdf.Document | None = None) -> pymupdf.Document:
    """A small page that is an image of text, added to `pdf`."""
    drawn = pymupdf.open()
    for number, line in enumerate(lines):
        page = drawn[0] if number else drawn.new_page(width=300, height=160)
        page.insert_text((30, 50 + 24 * number), line, fontsize=12, fontname="china-s")
    pdf = pdf or pymupdf.open()
    page = pdf.new_page(width=300, height=160)
    page.insert_image(page.rect, stream=drawn[0].get_pixmap(dpi=150).tobytes("jpeg"))
    return pdf


def draw_table(
    page: pymupdf.Page, rows: list[list[str]], *, x: float = 72, y: float = 150, font: str = "china-s"
) -> None:
    """A ruled table with rows of 24 points and columns of 110."""
    for number in range(len(rows) + 1):
        page.draw_line((x, y + 24 * number), (x + 110 * len(rows[0]), y + 24 * number))
    for number in range(len(rows[0]) + 1):
        page.draw_line((x + 110 * number, y), (x + 110 * number, y + 24 * len(rows)))
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            page.insert_text((x + 110 * column + 4, y + 24 * number + 16), cell, fontsize=11, fontname=font)
