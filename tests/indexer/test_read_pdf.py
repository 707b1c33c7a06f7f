"""PDF: a document a page, in whole paragraphs, without what repeats on every page."""

from __future__ import annotations

from pathlib import Path

import pymupdf
import pytest

from core.datatypes import Document, Failure
from indexer.read import document_id, read

CASES = Path(__file__).parents[2].parent / "shared" / "data" / "law" / "case"


def make_pdf(pages: list[list[tuple[float, float, str]]], font: str = "helv") -> pymupdf.Document:
    pdf = pymupdf.open()
    for lines in pages:
        page = pdf.new_page(width=595, height=842)
        for x, y, text in lines:
            page.insert_text((x, y), text, fontsize=12, fontname=font)
    return pdf


def read_bytes(folder: Path, data: bytes) -> tuple[list[Document], list[Failure], dict[str, str]]:
    (folder / "a.pdf").write_bytes(data)
    failures: list[Failure] = []
    skipped: dict[str, str] = {}
    documents = read(folder / "a.pdf", max_file_mb=5, on_failure=failures.append, on_skip=skipped.__setitem__)
    return list(documents), failures, skipped


def test_latin_lines_become_paragraphs(tmp_path: Path) -> None:
    text = [
        (72, 120, "The parties shall perform their obligations fully as agreed in the con-"),
        (72, 136, "tract, and shall observe the principle of good faith in all that they do"),
        (72, 152, "for one another."),
        (72, 200, "A second paragraph stands apart."),
    ]
    [document], failures, _ = read_bytes(tmp_path, make_pdf([text]).tobytes())
    assert not failures
    assert document.blocks == (
        f"{text[0][2][:-4]}contract{text[1][2][5:]} for one another.",
        "A second paragraph stands apart.",
    )
    assert document.doc_id == document_id("a.pdf", 1)
    assert (document.title, document.metadata) == ("a", {"page": "1"})


def test_chinese_lines_are_joined_without_a_space_and_indents_begin_paragraphs(tmp_path: Path) -> None:
    text = [
        (96, 120, "合同当事人应当按照约定全面履行自己的义务，当事人应当遵循诚信原则，"),
        (72, 138, "根据合同的性质、目的和交易习惯履行通知、协助、保密等义务，不得随意违"),
        (72, 156, "反约定。"),
        (96, 174, "当事人在履行合同过程中应当避免浪费资源。"),
    ]
    [document], _, _ = read_bytes(tmp_path, make_pdf([text], "china-s").tobytes())
    assert len(document.blocks) == 2
    assert "诚信原则，根据合同" in document.blocks[0]
    assert document.blocks[0].endswith("不得随意违反约定。")


def test_running_lines_and_page_numbers_are_dropped(tmp_path: Path) -> None:
    pages = [
        [(72, 40, "Annual Report 2024"), (72, 200, f"Body of page {n} is here."), (280, 820, f"Page {n} of 3")]
        for n in (1, 2, 3)
    ]
    documents, _, _ = read_bytes(tmp_path, make_pdf(pages).tobytes())
    assert [d.blocks for d in documents] == [(f"Body of page {n} is here.",) for n in (1, 2, 3)]
    assert [d.metadata["page"] for d in documents] == ["1", "2", "3"]


def test_a_sentence_belongs_to_the_page_it_begins_on(tmp_path: Path) -> None:
    first = [(72, 700, "This sentence is cut by the end of the page and it runs on over there")]
    second = [(72, 120, "until it ends. Another one follows on the second page.")]
    documents, _, _ = read_bytes(tmp_path, make_pdf([first, second]).tobytes())
    assert [d.text for d in documents] == [
        "This sentence is cut by the end of the page and it runs on over there until it ends.",
        "Another one follows on the second page.",
    ]


def test_an_encrypted_pdf(tmp_path: Path) -> None:
    data = make_pdf([[(72, 120, "secret")]]).tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="u", owner_pw="o")
    documents, [failure], _ = read_bytes(tmp_path, data)
    assert not documents
    assert "encrypted" in failure.reason


@pytest.mark.parametrize("keep", [20, 200])
def test_a_truncated_pdf(tmp_path: Path, keep: int) -> None:
    documents, [failure], _ = read_bytes(tmp_path, make_pdf([[(72, 120, "text")]]).tobytes()[:keep])
    assert not documents
    assert "corrupt" in failure.reason


@pytest.mark.parametrize("data", [b"no pdf at all", b"%PDF-1.7\nrubbish"])
def test_what_is_no_pdf(tmp_path: Path, data: bytes) -> None:
    documents, [failure], _ = read_bytes(tmp_path, data)
    assert not documents
    assert "corrupt" in failure.reason


def test_pages_without_text(tmp_path: Path) -> None:
    _, [failure], _ = read_bytes(tmp_path, make_pdf([[], []]).tobytes())
    assert "probably scanned; OCR needed" in failure.reason
    documents, failures, skipped = read_bytes(tmp_path, make_pdf([[], [(72, 120, "text")]]).tobytes())
    assert documents[0].metadata == {"page": "2"}
    assert not failures
    assert skipped == {"a.pdf": "1 of 2 pages have no text of their own."}


@pytest.mark.skipif(not CASES.exists(), reason="the shared case files are not on this machine")
def test_the_case_files_read_without_watermark_page_numbers_and_broken_lines() -> None:
    failures: list[Failure] = []
    documents = list(read(CASES, max_file_mb=5, on_failure=failures.append))
    assert not failures
    assert len(documents) == 12
    text = "\n".join(document.text for document in documents)
    assert "人民法院案例库" not in text
    assert "第 1 页" not in text
    assert "趁机逃离现场，但是其逃跑时跑进了一个死胡同" in text
    assert "是造成事故的主要原因；" in text
