"""Case reports all the way: the sections asked for are chunks, and what else is known of a case filters them."""

from __future__ import annotations

import pytest

from tests.indexer.pdfs import make_case

pytestmark = pytest.mark.elasticsearch

HEAD = ["2024-07-2-024-001", "张某诉李某买卖合同纠纷案"]
PARAGRAPHS = ["关键词 民事 买卖合同", "基本案情", "张某购车。", "裁判理由", "李某违约。", "裁判要旨", "可以解除。"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "案.pdf").write_bytes(make_case(HEAD, PARAGRAPHS).tobytes())
    return tmp_path


def test_facts_and_reasons_are_indexed_and_the_rest_filters(build, stored, folder, es, collection):
    report = build(folder)
    assert report.succeeded
    assert {chunk["text"] for chunk in stored().values()} == {"张某购车。", "李某违约。"}
    client, _ = es
    query = {
        "bool": {
            "filter": [{"term": {"metadata.keywords": "民事、买卖合同"}}, {"term": {"metadata.section": "裁判理由"}}]
        }
    }
    [hit] = client.search(index=f"bothways-{collection}", query=query)["hits"]["hits"]
    assert hit["_source"]["metadata"]["gist"] == "可以解除。"
    assert (hit["_source"]["metadata"]["pages"], hit["_source"]["metadata"]["paragraphs"]) == ("1", "1")


def test_other_sections_replace_them(build, stored, folder):
    build(folder)
    report = build(folder, case_sections=("裁判要旨",))
    assert (report.new, report.removed) == (1, 2)
    assert [chunk["text"] for chunk in stored().values()] == ["可以解除。"]
