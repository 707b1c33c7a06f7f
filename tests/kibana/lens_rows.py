"""What Lens does with a panel: aggregations of its columns, run on a real Elasticsearch, and rows of their results."""

from __future__ import annotations

import operator

from tests.kibana.kql import to_query

HIDDEN = {"math", "formula"}
FUNCTIONS = {"subtract": operator.sub, "divide": lambda a, b: a / b if b else None}


def layer_of(attributes):
    (layer,) = attributes["state"]["datasourceStates"]["formBased"]["layers"].values()
    return layer


def rows(client, index, attributes, *, only):
    """Run a panel's aggregations over an index pattern, on documents that match `only`; a dict of columns a row."""
    layer = layer_of(attributes)
    columns = layer["columns"]
    buckets = [name for name in layer["columnOrder"] if columns[name]["isBucketed"]]
    metrics = [name for name, one in columns.items() if not one["isBucketed"] and one["operationType"] not in HIDDEN]
    aggregations = {name: _metric(columns[name]) for name in metrics}
    for name in reversed(buckets):
        aggregations = {name: {**_bucket(columns[name]), "aggs": aggregations}}
    query = {"bool": {"filter": [to_query(attributes["state"]["query"]["query"]), only]}}
    found = client.search(index=index, size=0, query=query, aggregations=aggregations)
    return list(_rows(found["aggregations"], buckets, columns))


def _metric(column):
    field, params = column["sourceField"], column["params"]
    inner = {
        "count": None,
        "unique_count": {"cardinality": {"field": field}},
        "average": {"avg": {"field": field}},
        "sum": {"sum": {"field": field}},
        "percentile": {"percentiles": {"field": field, "percents": [params.get("percentile")]}},
    }[column["operationType"]]
    chosen = {"filter": to_query(column.get("filter", {}).get("query", ""))}
    return chosen if inner is None else {**chosen, "aggs": {"value": inner}}


def _bucket(column):
    field, params = column["sourceField"], column["params"]
    if column["operationType"] == "date_histogram":
        return {"date_histogram": {"field": field, "fixed_interval": "1h", "min_doc_count": 1}}
    assert column["operationType"] == "terms"
    order = {"_count": "desc"} if params["orderBy"]["type"] == "column" else {"_key": params["orderDirection"]}
    return {"terms": {"field": field, "size": params["size"], "order": order}}


def _rows(found, buckets, columns, above=None):
    if buckets:
        name, *rest = buckets
        for bucket in found[name]["buckets"]:
            yield from _rows(bucket, rest, columns, {**(above or {}), name: bucket["key"]})
        return
    row = dict(above or {})
    for name, column in columns.items():
        if not column["isBucketed"] and column["operationType"] not in HIDDEN:
            row[name] = _value(found[name], column["operationType"])
    for name, column in columns.items():
        if column["operationType"] == "math":
            row[name] = _calculated(column["params"]["tinymathAst"], row)
    for name, column in columns.items():
        if column["operationType"] == "formula":
            (inner,) = column["references"]
            row[name] = row[inner]
    yield row


def _value(found, operation):
    if operation == "count":
        return found["doc_count"]
    if operation == "percentile":
        (value,) = found["value"]["values"].values()
        return value
    return found["value"]["value"]


def _calculated(tree, row):
    return FUNCTIONS[tree["name"]](*(row[argument] for argument in tree["args"]))
