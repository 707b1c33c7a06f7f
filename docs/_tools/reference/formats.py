"""docs/reference/formats.md: what files are read, and what becomes of each; complete, or not made."""

from __future__ import annotations

from collections.abc import Mapping

from bothways.core.text.markdown import markdown_table
from bothways.indexer.read import READERS

FORMATS: Mapping[str, str] = {
    "txt text log": "one document a file; a Chinese statute becomes one document an article",
    "md markdown": "one document a section, named by its path of headings",
    "html htm xhtml": "one document a section; scripts, navigation and footers are left out",
    "docx docm": "one document a section, with page numbers, lists as Word numbers them, tables and text boxes",
    "epub": "one document a section, in reading order",
    "pdf": "one document a page; tables as text; case reports by their sections; scanned pages by OCR "
    '(`pip install "bothways[ocr]"`)',
    "pptx pptm": "one document a slide, with notes, tables and diagrams",
    "xlsx xlsm csv tsv": 'one document for twenty rows, each row as "column: value", with sheet and row numbers',
    "eml": "one document for the text, and those of each attachment that can be read",
    "json jsonl ndjson": "one document a record; of a BEIR folder only the corpus",
    "xls msg ipynb rss atom": 'by markitdown: `pip install "bothways[markitdown]"`',
}
"""File name extensions, and what a file of this kind becomes."""

INTRODUCTION = """# File formats

`bothways index` and uploads read these files. A file that is locked, broken or too large is listed with the reason, and
the others are indexed. What is left out on purpose (hidden sheets and slides, formulas without values, other file
types) is listed, too. [samples/formats](../../samples/formats) has one small file of each kind.
"""

RECORDS = """## Fields of a record

JSON, JSON lines and CSV files with these columns are read as records:

| field | holds |
|---|---|
| `_id` or `id` | the document's id; a record with the same id replaces it |
| `title` | the title; it stands in front of every chunk |
| `text` | the text, required |
| `metadata` | an object of texts, numbers, dates or lists of them, to [filter](filters.md) by |
"""


def formats_page() -> str:
    """Return the page as Markdown. Raise `ValueError` where the table and the readers differ."""
    named = {f".{suffix}" for suffixes in FORMATS for suffix in suffixes.split()}
    if named != READERS.keys():
        raise ValueError(f"FORMATS and the readers differ in {sorted(named ^ READERS.keys())}")
    rows = ((", ".join(f"`.{suffix}`" for suffix in suffixes.split()), text) for suffixes, text in FORMATS.items())
    return "\n".join([INTRODUCTION, markdown_table(("extensions", "become"), rows), "", RECORDS])
