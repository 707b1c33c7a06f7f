"""Explicit filters against a real Elasticsearch: numbers compare as numbers, dates as dates."""

from __future__ import annotations

import json

import pytest

from bothways.core.errors import UsageError
from bothways.search.options import SearchOptions

pytestmark = pytest.mark.elasticsearch

ROWS = {
    "a": {"n": 9, "day": "2020-9-1", "law": "民法典"},
    "b": {"n": 10, "day": "2020-10-01", "law": "刑法"},
    "c": {"n": "-1.5e2", "day": "2021年3月5日", "law": "宪法"},
    "d": {"n": "many", "day": "someday", "law": "刑法"},
    "e": {"day": "2020-05-01T23:30:00-02:00"},
    "f": {"n": 2020, "day": "2020"},
}


@pytest.fixture
def found(tmp_path, build, searcher, collection):
    """Ids that a filter leaves, in every strategy the same."""
    rows = [{"_id": name, "title": name, "text": f"条文 {name}", "metadata": row} for name, row in ROWS.items()]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    build(tmp_path)

    def ask(**filters):
        options = [SearchOptions(strategy=name, top_k=50, filters=filters) for name in ("bm25", "dense", "hybrid")]
        bm25, dense, hybrid = (
            "".join(sorted(hit.doc_id for hit in searcher.search("条文", collection, each).hits)) for each in options
        )
        assert bm25 == dense == hybrid
        return hybrid

    return ask


def test_numbers_compare_as_numbers(found):
    assert found(n={"lt": 10}) == "ac"
    assert found(n={"gte": "9", "lte": 10}) == "ab"
    assert found(n={"gt": 10}) == "f"
    assert found(n={"lte": -150}) == "c"


def test_dates_compare_as_dates_and_a_year_is_all_of_it(found):
    assert found(day={"lt": "2020-10-01"}) == "aef"
    assert found(day={"gt": "2020-9-1"}) == "bc"
    assert found(day={"gte": 2020, "lte": 2020}) == "abef"
    assert found(day={"gt": 2020}) == "c"
    # Half past one in the morning of the second, in UTC.
    assert found(day={"gte": "2020-05-02", "lt": "2020-05-03"}) == "e"
    assert found(day={"gt": "2020-05-02T01:29:59Z", "lte": "2020-05-02T01:30:00Z"}) == "e"


def test_the_rest_of_the_operators(found):
    assert found(law={"not": "刑法"}) == "acef"
    assert found(law={"exists": True, "not": ["刑法", "宪法"]}) == "a"
    assert found(n={"exists": False}) == "e"
    assert found(law={"any": ["民法典", {"exists": False}]}) == "aef"
    assert found(n={"any": [{"lt": 0}, {"gte": 10, "not": 2020}]}) == "bc"
    assert found(n={"not": {"lt": 10}}, law={"exists": True}) == "bd"
    assert found(n="many") == "d"


def test_text_in_a_filter_is_only_text(found):
    assert found(law='* OR "刑法"') == ""
    assert found(law={"not": "*"}) == "abcdef"


def test_an_index_from_before_ranges_has_terms_and_says_so(build, tmp_path, es, searcher, collection, found):
    client, _ = es
    old = f"bothways-{collection}-v7"
    mapping = client.indices.get_mapping(index=f"bothways-{collection}")[f"bothways-{collection}-v1"]["mappings"]
    mapping["dynamic_templates"][0]["metadata"]["mapping"].pop("fields")
    for field in mapping["properties"]["metadata"]["properties"].values():
        field.pop("fields")
    settings = client.indices.get_settings(index=f"bothways-{collection}-v1")[f"bothways-{collection}-v1"]["settings"]
    client.indices.create(index=old, mappings=mapping, settings={"analysis": settings["index"]["analysis"]})
    client.reindex(source={"index": f"bothways-{collection}-v1"}, dest={"index": old}, refresh=True)
    client.indices.update_aliases(
        actions=[
            {"remove": {"index": f"bothways-{collection}-v1", "alias": f"bothways-{collection}"}},
            {"add": {"index": old, "alias": f"bothways-{collection}"}},
        ]
    )
    assert found(law=["民法典", "宪法"]) == "ac"
    assert found(law={"exists": False}) == "ef"
    with pytest.raises(UsageError, match=r"built before .*--recreate"):
        found(n={"lt": 10})
