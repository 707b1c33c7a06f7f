"""`bothways collections`: the listing, its versions, and going back to one."""

from __future__ import annotations

import json

import pytest

from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from tests.fakes import HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def rebuilt(es, segmenter, collection, tmp_path):
    """A collection that was rebuilt with another model."""
    client, server = es
    (tmp_path / "a.txt").write_text("员工请假应当提前三天提交申请。", encoding="utf-8")
    for encoder in (HashEncoder(name="fake/old"), HashEncoder(dimension=32, name="fake/new")):
        parts = make_parts(
            (client, server), segmenter, encoder=lambda encoder=encoder: encoder, embedding_model=encoder.name
        )
        assert index_path(
            tmp_path, JobOptions(collection=collection, recreate=encoder.dimension == 32), parts
        ).succeeded
    return collection


def test_the_listing_names_all_versions(run, rebuilt):
    code, out, _ = run("collections", "--json")
    (row,) = [row for row in json.loads(out) if row["name"] == rebuilt]
    assert code == 0
    assert [(v["number"], v["state"], v["chunks"], v["embedding_model"], v["dimension"]) for v in row["versions"]] == [
        (1, "kept", 1, "fake/old", 64),
        (2, "live", 1, "fake/new", 32),
    ]
    assert {(v["chunker"], v["max_chars"]) for v in [row, *row["versions"]]} == {("sentence", 300)}
    code, out, _ = run("collections")
    assert code == 0
    assert "v1 kept" in next(line for line in out.splitlines() if rebuilt in line)


def test_rollback_says_what_to_set(run, rebuilt):
    code, out, err = run("collections", "rollback", rebuilt, BOTHWAYS_EMBEDDING_MODEL="fake/new")
    assert (code, out) == (0, "")
    assert f"go to bothways-{rebuilt}-v1 now (1 chunks)" in err
    assert "set BOTHWAYS_EMBEDDING_MODEL=fake/old and restart" in err
    code, _, err = run("collections", "rollback", rebuilt)
    assert code == 2
    assert "no earlier version" in err

    code, out, err = run("collections", "rollback", rebuilt, "--to", 2, "--json", BOTHWAYS_EMBEDDING_MODEL="fake/new")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "collection": rebuilt,
        "left": f"bothways-{rebuilt}-v1",
        "index": f"bothways-{rebuilt}-v2",
        "embedding_model": "fake/new",
        "advice": None,
    }


def test_rollback_of_nothing(run):
    code, _, err = run("collections", "rollback", "no-such-thing")
    assert code == 1
    assert "There is no collection 'no-such-thing'" in err
