"""Do the rules act? Asked of the server itself: each term through the analyzer that searches use.

A synonyms file that was written proves nothing: a server may read another file, or not have reloaded it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.batches import batched
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import ElasticsearchError
from bothways.core.synonyms import Rule

ANALYZER = "segmented_search"
_AT_ONCE = 200

Token = Mapping[str, Any]


def reload(client: Elasticsearch, indices: Sequence[str]) -> None:
    """Let indices read their synonyms anew; raises `ElasticsearchError` with the server's reason where one cannot."""
    with elasticsearch_errors("reloading the synonyms"):
        # An index that was deleted meanwhile, as by a rebuild, is no reason to refuse the rules.
        answer = client.indices.reload_search_analyzers(index=list(indices), ignore_unavailable=True)
        require_reloaded(answer.body)
        client.indices.clear_cache(index=list(indices), request=True, ignore_unavailable=True)


def require_reloaded(answer: Mapping[str, Any]) -> None:
    """Raise `ElasticsearchError` where a reload's answer has failures: the innermost reason says what is wrong."""
    shards = answer.get("_shards", {})
    failures = []
    for failure in shards.get("failures", []):
        cause = failure.get("reason", {})
        while isinstance(cause.get("caused_by"), Mapping):
            cause = cause["caused_by"]
        failures.append(f"{failure.get('index')}: {cause.get('reason')}")
    if failures or int(shards.get("failed", 0)):
        why = "; ".join(failures[:3]) or "no reason is given"
        raise ElasticsearchError(f"Elasticsearch does not accept the synonyms ({why}).")


def not_acting(client: Elasticsearch, index: str, rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules that have no effect, in order: a term of theirs does not find all that it should.

    None for an index that is gone. Each term is sent once, some hundreds in a request.
    """
    if not client.indices.exists(index=index):
        return []
    terms = dict.fromkeys(asked for rule in rules for asked, _ in rule.effects())
    graphs: dict[str, list[Token]] = {}
    for batch in batched(terms, _AT_ONCE):
        graphs.update(zip(batch, _analyze(client, index, batch), strict=True))

    def acts(rule: Rule) -> bool:
        return all(spells(graphs[asked], found.split()) for asked, found in rule.effects())

    return [rule for rule in rules if not acts(rule)]


def spells(tokens: Sequence[Token], words: Sequence[str]) -> bool:
    """Whether one path through a token graph, from its first position to its last, reads `words`."""
    if not tokens:
        return False
    edges: dict[int, list[tuple[str, int]]] = {}
    for token in tokens:
        start = int(token["position"])
        edges.setdefault(start, []).append((token["token"], start + int(token.get("positionLength", 1))))
    end = max(after for following in edges.values() for _, after in following)
    at = {min(edges)}
    for word in words:
        at = {after for position in at for token, after in edges.get(position, ()) if token == word}
    return end in at


def _analyze(client: Elasticsearch, index: str, texts: Sequence[str]) -> Iterator[list[Token]]:
    """Return each text's tokens. The server answers in one row, its offsets (in UTF-16) counted through all texts."""
    with elasticsearch_errors(f"asking {index} what its synonyms do"):
        tokens = client.indices.analyze(index=index, analyzer=ANALYZER, text=list(texts))["tokens"]
    ends = []
    end = 0
    for text in texts:
        end += len(text.encode("utf-16-le")) // 2 + 1
        ends.append(end)

    def number(token: Token) -> int:
        return next(at for at, limit in enumerate(ends) if token["start_offset"] < limit)

    by_text = {at: list(group) for at, group in groupby(tokens, key=number)}
    yield from (by_text.get(at, []) for at in range(len(texts)))
