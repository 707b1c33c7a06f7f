"""A collection that version 0.1.0 indexed, index, `_meta` and documents as they were, is opened and searched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bothways.core.collections.collection import open_collection

pytestmark = pytest.mark.elasticsearch

FORMER = json.loads(Path(__file__).with_name("former_version.json").read_text(encoding="utf-8"))


@pytest.fixture
def former(es, collection):
    """The index under a name of this test, filled with what was in it."""
    client, _ = es
    index = f"bothways-{collection}-v1"
    client.indices.create(
        index=index,
        settings=FORMER["settings"],
        mappings=FORMER["mappings"],
        aliases={f"bothways-{collection}": next(iter(FORMER["aliases"].values()))},
    )
    for number, document in FORMER["documents"].items():
        client.index(index=index, id=number, document=document)
    client.indices.refresh(index=index)
    return collection


def test_its_meta_is_read(es, former):
    opened = open_collection(es[0], former)
    assert opened.index == f"bothways-{former}-v1"
    assert (opened.schema_version, opened.embedding_model) == (1, "BAAI/bge-small-zh-v1.5")
    assert (opened.dimension, opened.analyzer) == (512, "jieba-cut")


@pytest.mark.parametrize("strategy", ["bm25", "dense", "questions", "hybrid"])
def test_each_leg_finds_what_is_in_it(run, former, strategy):
    code, out, err = run("search", "什么时候发工资", "-c", former, "--strategy", strategy, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["hits"][0]["source"] == "pay.txt"
    assert answer["degraded"] == []


def test_it_is_indexed_further(run, former, tmp_path):
    (tmp_path / "tea.txt").write_text("茶水间在三楼，每天下午四点补充茶叶。", encoding="utf-8")
    code, _, err = run("index", tmp_path, "-c", former, "--no-questions")
    assert code == 0, err
    code, out, _ = run("search", "茶叶", "-c", former, "--strategy", "bm25", "--json")
    assert (code, json.loads(out)["hits"][0]["source"]) == (0, "tea.txt")
