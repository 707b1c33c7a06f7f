"""Access groups on the command line, which is an admin and can look through a key's eyes."""

from __future__ import annotations

import json

import pytest

from bothways.core.collections.collection import open_collection
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from tests.fakes import make_parts

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {"_id": "leave", "text": "员工请假应当提前申请。", "metadata": {"groups": ["hr", "staff"]}},
    {"_id": "suit", "text": "员工请假纠纷的和解金额。", "metadata": {"groups": "legal"}},
    {"_id": "loose", "text": "员工请假的无主文件。"},
]


@pytest.fixture
def filled(es, segmenter, collection, tmp_path):
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    assert index_path(
        tmp_path,
        JobOptions(collection=collection),
        make_parts(es, segmenter),
    ).succeeded
    return collection


def test_the_way_of_a_field(run, filled, es):
    assert "Every key sees every document" in run("collections", "acl", filled)[2]
    code, _, err = run("collections", "acl", filled, "--field", "groups")
    assert code == 0
    assert "by their groups; 1 chunks have none" in err
    assert open_collection(es[0], filled).acl_field == "groups"
    assert run("collections", "acl", filled, "--off", "--field", "groups")[0] == 2
    assert run("collections", "acl", filled, "--field", "*")[0] == 2
    assert run("collections", "acl", "no-such-thing", "--field", "groups")[0] == 1

    def found(*more):
        words = ("search", "员工请假", "-c", filled, "--strategy", "bm25", "--json", *more)
        code, out, err = run(*words, BOTHWAYS_EMBEDDING_MODEL="fake/hash")
        return {hit["doc_id"] for hit in json.loads(out)["hits"]} if code == 0 else err

    assert found() == {"leave", "suit", "loose"}
    assert found("--as-groups", "hr, legal") == {"leave", "suit"}
    assert found("--as-groups", "legal") == {"suit"}
    assert "There is no collection" in found("--as-groups", "")
    code, out, _ = run("documents", filled, "--as-groups", "staff", "--json")
    assert [row["doc_id"] for row in json.loads(out)] == ["leave"]
    assert run("collections", "acl", filled, "--off")[0] == 0
    assert found("--as-groups", "nobody") == {"leave", "suit", "loose"}


def test_a_dry_run_with_a_field_that_cannot_be_one(run, filled, tmp_path):
    code, _, err = run("index", tmp_path, "-c", filled, "--acl-field", "a.b", "--no-questions", "--dry-run")
    assert code == 2
    assert "cannot be the metadata field" in err
