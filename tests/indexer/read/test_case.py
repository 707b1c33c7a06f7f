"""Case reports: a document a section, in whole sentences, with its pages and paragraphs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bothways.core.datatypes import Document, Failure
from bothways.core.settings import FIXED
from bothways.indexer.chunk import chunk, sentences
from bothways.indexer.read import document_id, read
from bothways.indexer.read.case import after_heading
from bothways.indexer.read.files.folder import CASE_SECTIONS
from tests.indexer.pdfs import make_case

CASES = Path(__file__).parents[3].parent / "shared" / "data" / "law" / "case"
NAMES = ("杨某海交通肇事案", "沈某帅盗窃、王某抢劫案", "唐某纯诉陈某智、陈某勇等赡养纠纷案")

HEAD = ["2024-07-2-024-001", "张某诉李某买卖合同纠纷案", "——交付瑕疵商品的责任承担"]
FACTS_1 = (
    "张某于2023年1月向李某购买二手车一辆，价款八万元，约定三日内交付。" + "双方就车况反复协商，" * 40 + "终未成立。"
)
FACTS_2 = "某区人民法院作出（2023）某01民初1号民事判决：一、解除合同；二、李某返还价款；三、驳回其他诉讼请求。"
REASONS_1 = "本案的争议焦点为：李某是否构成根本违约。"
REASONS_2 = "一、交付的标的物不符合约定的，出卖人应当承担违约责任 "
REASONS_3 = "《中华人民共和国民法典》第六百一十五条规定：“出卖人应当按照约定的质量要求交付标的物。” "
GIST = "出卖人隐瞒车况的，买受人可以解除合同。"
REFERENCES = "《中华人民共和国民法典》第615条"
PARAGRAPHS = [
    "关键词 民事 买卖合同 根本违约",
    "基本案情",
    FACTS_1,
    FACTS_2,
    "裁判理由",
    REASONS_1,
    REASONS_2,
    REASONS_3,
    "裁判要旨",
    GIST,
    "关联索引",
    REFERENCES,
]


class Reading:
    """All that reading a PDF gave."""

    def __init__(self, folder: Path, head: list[str], paragraphs: list[str], **options: object) -> None:
        folder.joinpath("案.pdf").write_bytes(make_case(head, paragraphs).tobytes())
        self.failures: list[Failure] = []
        self.skipped: list[tuple[str, str]] = []
        self.documents: list[Document] = list(
            read(
                folder / "案.pdf",
                max_file_mb=5,
                on_failure=self.failures.append,
                on_skip=lambda *what: self.skipped.append(what),
                **options,
            )
        )


def test_a_document_a_section_and_the_rest_as_metadata(tmp_path: Path) -> None:
    reading = Reading(tmp_path, HEAD, PARAGRAPHS)
    facts, reasons = reading.documents
    assert not reading.failures
    assert not reading.skipped
    assert facts.title == facts.heading == "张某诉李某买卖合同纠纷案 基本案情"
    assert facts.blocks == (FACTS_1, FACTS_2)
    assert reasons.blocks == (REASONS_1, REASONS_2.strip(), REASONS_3.strip())
    assert facts.metadata == {
        "case": "张某诉李某买卖合同纠纷案",
        "case_number": "2024-07-2-024-001",
        "subject": "交付瑕疵商品的责任承担",
        "keywords": "民事、买卖合同、根本违约",
        "gist": GIST,
        "references": REFERENCES,
        "section": "基本案情",
        "pages": "1",
        "paragraphs": "1-2",
    }
    assert (reasons.metadata["section"], reasons.metadata["paragraphs"]) == ("裁判理由", "1-3")
    assert [facts.doc_id, reasons.doc_id] == [document_id("案.pdf", record=1), document_id("案.pdf", record=2)]


def test_pages_of_a_section_are_those_it_stands_on(tmp_path: Path) -> None:
    # 24 lines a page. Head, keywords and heading are lines 1-5, the facts 6-25, the next heading 26, the reasons 27-56.
    facts = "甲" * (29 + 31 * 18) + "。"
    reasons = ["乙" * 40 + "。"] * 15
    documents = Reading(
        tmp_path, HEAD, ["关键词 民事", "基本案情", facts, "裁判理由", *reasons, "裁判要旨", GIST]
    ).documents
    assert [document.metadata["pages"] for document in documents] == ["1-2", "2-3"]
    assert [document.metadata["paragraphs"] for document in documents] == ["1", "1-15"]


@pytest.mark.parametrize("cut", ["；二、返还价款八万元", "（2023）某01民终2号判决", "，维持原判", "”据此，应予支持"])
def test_a_sentence_is_whole_whatever_the_next_page_begins_with(tmp_path: Path, cut: str) -> None:
    # 24 lines a page, 5 of them before the facts: the first page ends with the 19th line of the facts.
    before = "丙" * (29 + 31 * 18)
    text = f"{before[:-1]}丁{cut}。" if not cut.startswith("；") else f"{before[:-1]}；{cut[1:]}。"
    facts, _ = Reading(tmp_path, HEAD, ["关键词 民事", "基本案情", text, "裁判理由", REASONS_1]).documents
    assert facts.blocks == (text,)
    assert facts.metadata["pages"] == "1-2"


@pytest.mark.parametrize(
    "headings",
    [
        ("【基本案情】", "【裁判理由】"),
        ("基 本 案 情", "裁 判 理 由"),
        ("一、基本案情", "二、裁判理由"),
        ("基本案情：", "裁判理由："),
    ],
)
def test_headings_may_be_written_in_several_ways(tmp_path: Path, headings: tuple[str, str]) -> None:
    documents = Reading(tmp_path, HEAD, [headings[0], FACTS_2, headings[1], REASONS_1]).documents
    assert [document.blocks for document in documents] == [(FACTS_2,), (REASONS_1,)]


def test_text_may_stand_behind_a_heading(tmp_path: Path) -> None:
    documents = Reading(tmp_path, HEAD, [f"【基本案情】{FACTS_2}", f"裁判理由：{REASONS_1}"]).documents
    assert [document.blocks for document in documents] == [(FACTS_2,), (REASONS_1,)]


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("关键词 民事 赡养", "民事 赡养"),
        ("关联索引", ""),
        ("裁判理由认为，被告人无罪。", None),
        ("上述裁判理由", None),
        ("基本案情如下", None),
    ],
)
def test_what_is_a_heading(line: str, rest: str | None) -> None:
    assert after_heading(line) == rest


def test_the_library_s_name_is_no_part_of_the_case_s(tmp_path: Path) -> None:
    facts, _ = Reading(tmp_path, ["人民法院案例库", *HEAD], PARAGRAPHS).documents
    assert facts.metadata["case"] == "张某诉李某买卖合同纠纷案"


def test_the_setting_names_the_sections(tmp_path: Path) -> None:
    documents = Reading(tmp_path, HEAD, PARAGRAPHS, case_sections=("裁判要旨", "关联索引")).documents
    assert [document.blocks for document in documents] == [(GIST,), (REFERENCES,)]
    ids = [document_id("案.pdf", record=number) for number in (3, 4)]
    assert [document.doc_id for document in documents] == ids  # the same, whichever sections are asked for


def test_the_default_of_the_setting_is_that_of_the_reader() -> None:
    assert FIXED["case_sections"].default == CASE_SECTIONS


def test_a_report_without_its_sections_is_read_by_page_and_says_so(tmp_path: Path) -> None:
    reading = Reading(tmp_path, HEAD, [FACTS_2, "裁判理由", REASONS_1])
    [page] = reading.documents
    assert page.metadata == {"page": "1", "degraded": "sections"}
    assert FACTS_2 in page.blocks
    assert reading.skipped == [("案.pdf", "The sections of this case report were not found: it is read page by page.")]
    assert not reading.failures


def test_a_collection_of_cases_is_read_by_page(tmp_path: Path) -> None:
    reading = Reading(tmp_path, ["典型案例汇编"], ["基本案情", FACTS_2, "裁判理由", REASONS_1] * 2)
    assert [document.metadata for document in reading.documents] == [{"page": "1"}]
    assert not reading.skipped


def assert_clean(document: Document) -> None:
    """No line of the page's layout is left: neither broken sentences nor spaces nor what only the page says."""
    for block in document.blocks:
        assert "\n" not in block
        assert not re.search(r"[\u2e80-\u9fff，。；：、”）》]\s+[\u2e80-\u9fff\d“（《]", block), block
        assert not re.match(r"[，。；：、！？”’）》】]", block), block
        assert re.search(r"[。！？]”?$", block) or re.match(r"[一二三四]、", block), block
    assert "人民法院案例库" not in document.text
    assert not re.search(r"第\s*\d\s*页", document.text)


def test_sections_that_a_page_cut_are_clean(tmp_path: Path) -> None:
    for document in Reading(tmp_path, HEAD, PARAGRAPHS).documents:
        assert_clean(document)


@pytest.mark.skipif(not CASES.exists(), reason="the shared case files are not on this machine")
def test_the_real_reports() -> None:
    failures: list[Failure] = []
    skipped: list[tuple[str, str]] = []
    documents = list(read(CASES, max_file_mb=5, on_failure=failures.append, on_skip=lambda *what: skipped.append(what)))
    assert not failures
    assert not skipped
    found = {d.title: (d.metadata["pages"], d.metadata["paragraphs"]) for d in documents}
    assert found == {
        f"{NAMES[0]} 基本案情": ("1-2", "1-5"),
        f"{NAMES[0]} 裁判理由": ("2-4", "1-5"),
        f"{NAMES[1]} 基本案情": ("1-2", "1-3"),
        f"{NAMES[1]} 裁判理由": ("2-3", "1-3"),
        f"{NAMES[2]} 基本案情": ("1-2", "1-2"),
        f"{NAMES[2]} 裁判理由": ("2-4", "1-7"),
    }
    for document in documents:
        assert_clean(document)
        text = document.text
        assert [s for line in text.split("\n") for s in sentences(line)]
        assert document.metadata["case_number"].startswith("2026-0")
        assert "、" in document.metadata["keywords"]
        assert document.metadata["gist"].endswith("。")
        assert "关联索引" not in text
    assert len(list(chunk(documents, max_chars=300))) > len(documents)


@pytest.mark.skipif(not CASES.exists(), reason="the shared case files are not on this machine")
def test_no_word_of_the_real_reports_is_lost_or_added() -> None:
    """Sections in order, without white space, are what the PDF's own text has between its first and last heading."""
    import pymupdf

    sections = ("基本案情", "裁判理由", "裁判要旨", "关联索引")
    for file in sorted(CASES.glob("*.pdf")):
        with pymupdf.open(file) as pdf:
            lines = [line.strip() for page in pdf for line in page.get_text().split("\n")]
        kept = [line for line in lines if line != "人民法院案例库" and not re.fullmatch(r"第 \d+ 页", line)]
        whole = re.sub(r"\s", "", "".join(kept))
        read_again = read(file, max_file_mb=5, on_failure=pytest.fail, case_sections=sections)
        rebuilt = "".join(document.metadata["section"] + "".join(document.blocks) for document in read_again)
        assert re.sub(r"\s", "", rebuilt) == whole[whole.index("基本案情") :]
