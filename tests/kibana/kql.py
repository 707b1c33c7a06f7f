"""The part of the Kibana Query Language that our panels use, as the queries that Kibana makes of it."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(r'\s*(?:(?P<text>"[^"]*")|(?P<mark>[(){}:])|(?P<op>[<>]=?)|(?P<word>[^\s(){}:<>"]+))')
_RANGE = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def to_query(kql):
    """Give the query of a KQL expression; "" matches all."""
    if not kql:
        return {"match_all": {}}
    tokens = _tokens(kql)
    query = _either(tokens, "")
    assert not tokens, f"cannot be read from {tokens[0]!r} on: {kql}"
    return query


def fields_of(kql):
    """Name the fields that an expression asks for, in full."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            for name, value in node.items():
                if name == "exists":
                    found.append(value["field"])
                elif name in {"match", "range", "match_phrase"}:
                    found.extend(value)
                else:
                    walk(value)
        elif isinstance(node, list):
            for one in node:
                walk(one)

    walk(to_query(kql))
    return found


def _tokens(kql):
    tokens, at = [], 0
    while kql[at:].strip():
        match = _TOKEN.match(kql, at)
        assert match, f"no KQL: {kql[at:]!r}"
        tokens.append(match[match.lastgroup])
        at = match.end()
    return tokens


def _either(tokens, prefix):
    parts = [_both(tokens, prefix)]
    while tokens and tokens[0] == "or":
        tokens.pop(0)
        parts.append(_both(tokens, prefix))
    return parts[0] if len(parts) == 1 else {"bool": {"should": parts, "minimum_should_match": 1}}


def _both(tokens, prefix):
    parts = [_not(tokens, prefix)]
    while tokens and tokens[0] == "and":
        tokens.pop(0)
        parts.append(_not(tokens, prefix))
    return parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}


def _not(tokens, prefix):
    if tokens[0] == "not":
        tokens.pop(0)
        return {"bool": {"must_not": [_not(tokens, prefix)]}}
    if tokens[0] == "(":
        tokens.pop(0)
        query = _either(tokens, prefix)
        assert tokens.pop(0) == ")"
        return query
    return _is(tokens, prefix)


def _is(tokens, prefix):
    field, operator = prefix + tokens.pop(0), tokens.pop(0)
    if operator in _RANGE:
        return {"range": {field: {_RANGE[operator]: tokens.pop(0)}}}
    assert operator == ":"
    if tokens[0] == "{":
        tokens.pop(0)
        inner = _either(tokens, f"{field}.")
        assert tokens.pop(0) == "}"
        return {"nested": {"path": field, "query": inner, "score_mode": "none"}}
    value = tokens.pop(0)
    if value == "*":
        return {"exists": {"field": field}}
    return {"match_phrase": {field: json.loads(value)}} if value.startswith('"') else {"match": {field: value}}
