"""Statutes: exactly their articles, each with its place, and nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from bothways.core.datatypes import Document, Failure
from bothways.indexer.read import read
from bothways.indexer.read.statute import is_statute

LAW = Path(__file__).parents[3].parent / "shared" / "data" / "law"

SMALL = """中华人民共和国样本法

（2020年1月1日通过）

目　　录
第一编　总　　则
第一章　基本规定
　　第一节　监　　护
附　　则

第一编　总　　则

第一章　基本规定

第一条　为了示范，制定本法。
第二条　下列行为无效：
（一）恶意串通的；
（二）依照
第三百一十三条的规定应当撤销的。
第一百条　这一行是误排的引用。

第一节　监　　护

　　第三条　监护人应当履行职责。
第三条之一　前条第二款适用于本条。

附　　则

第四条　本法自公布之日起施行。
"""


def read_text(folder: Path, text: str, name: str = "law.txt") -> tuple[list[Document], dict[str, str]]:
    (folder / name).write_text(text, encoding="utf-8")
    skipped: dict[str, str] = {}
    failures: list[Failure] = []
    documents = list(
        read(folder / name, max_file_mb=1, on_failure=failures.append, on_skip=skipped.__setitem__),
    )
    assert not failures
    return documents, skipped


def squeeze(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_a_small_law(tmp_path: Path) -> None:
    documents, skipped = read_text(tmp_path, SMALL)
    assert [d.metadata["article"] for d in documents] == ["第一条", "第二条", "第三条", "第三条之一", "第四条"]
    first, second, third, inserted, last = documents
    assert first.title == "中华人民共和国样本法 第一条"
    assert first.heading == "《中华人民共和国样本法》（样本法）第一编 总则 第一章 基本规定 第一条"
    assert second.blocks == (
        "下列行为无效：",
        "（一）恶意串通的；",
        "（二）依照",
        "第三百一十三条的规定应当撤销的。",
        "第一百条　这一行是误排的引用。",
    )
    assert third.metadata == {
        "law": "中华人民共和国样本法",
        "book": "第一编 总则",
        "chapter": "第一章 基本规定",
        "section": "第一节 监护",
        "article": "第三条",
    }
    assert inserted.text == "前条第二款适用于本条。"
    assert last.metadata == {"law": "中华人民共和国样本法", "book": "附则", "article": "第四条"}
    assert not skipped


def test_a_preamble_is_reported_and_not_indexed(tmp_path: Path) -> None:
    documents, skipped = read_text(
        tmp_path,
        "样本条例\n序　言\n" + "为了示范。" * 4 + "\n" + "".join(f"第{n}条　{'内容' * 20}。\n" for n in "一二三"),
    )
    assert len(documents) == 3
    assert skipped == {"law.txt": "20 characters outside the articles (preamble) are not indexed."}
    assert documents[0].heading == "《样本条例》 第一条"


def test_a_table_of_contents_that_never_comes_again(tmp_path: Path) -> None:
    documents, _ = read_text(tmp_path, "样本法\n目录\n第一章　总则……1\n第一条　甲。\n第二条　乙。\n第三条　丙。\n")
    assert documents[0].metadata == {"law": "样本法", "article": "第一条"}


def test_a_bracketed_article_name_and_a_law_without_title(tmp_path: Path) -> None:
    documents, _ = read_text(tmp_path, "第1条【定义】甲。\n第2条 乙。\n第3条 丙。\n", "劳动合同.txt")
    assert [d.text for d in documents] == ["【定义】甲。", "乙。", "丙。"]
    assert documents[0].title == "劳动合同 第1条"


@pytest.mark.parametrize(
    "text",
    [
        "第一条　甲。\n第二条　乙。\n",
        "判决书\n"
        + "本院认为，被告人的行为构成犯罪。" * 50
        + "\n附：相关法条\n第一条　甲。\n第二条　乙。\n第三条　丙。\n",
        "说明\n第一条的规定。\n第二条的规定。\n第三条的规定。\n",
    ],
)
def test_what_is_no_statute(text: str) -> None:
    assert not is_statute(text)


@pytest.mark.skipif(not LAW.exists(), reason="the shared law texts are not on this machine")
def test_the_three_laws_article_by_article() -> None:
    """Against an older split of the same texts.

    It writes 之一 at the start of the text instead of in the article's name, and left the heading 附则 at the end of
    the article before it, twice; so name and text are compared together, and those two endings are taken off.
    """
    failures: list[Failure] = []
    skipped: dict[str, str] = {}
    documents = list(read(LAW / "raw", max_file_mb=10, on_failure=failures.append, on_skip=skipped.__setitem__))
    assert not failures
    assert set(skipped) == {"xianfa.txt"}
    laws = Counter(d.metadata["law"].removeprefix("中华人民共和国") for d in documents)
    assert laws == {"民法典": 1260, "刑法": 505, "宪法": 143}

    with (LAW / "pseudo_questions.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    expected = [(r["law"], squeeze(r["article"] + r["text"])) for r in records]
    assert sum(text.endswith("附则") for _, text in expected) == 2
    expected = [(law, text.removesuffix("附则")) for law, text in expected]
    assert sorted(expected) == sorted((d.metadata["law"], squeeze(d.metadata["article"] + d.text)) for d in documents)

    places = {(d.metadata["law"], d.metadata["article"]): d for d in documents}
    assert len(places) == 1908
    breach = places["中华人民共和国民法典", "第五百九十条"]
    assert breach.heading == "《中华人民共和国民法典》（民法典）第三编 合同 第一分编 通则 第八章 违约责任 第五百九十条"
    assert places["中华人民共和国刑法", "第一百二十条之一"].metadata["chapter"] == "第二章 危害公共安全罪"
    assert places["中华人民共和国宪法", "第一百二十四条"].metadata["section"] == "第七节 监察委员会"
