"""From the types of the rooms to the models of bothways/schemas, for HTTP and for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bothways.core.collections.collection import Collection
from bothways.core.results import SearchResult
from bothways.indexer.versions import rollback
from bothways.schemas import ask, collections, search
from bothways.search.answering.types import Answer


def search_result(result: SearchResult, *, explain: bool) -> search.SearchResult:
    """Return a search's result; without `explain` it does not say what each stage did."""
    return search.SearchResult.model_validate(result, context={"explain": explain})


def answer(answered: Answer, *, explain: bool = False) -> ask.Answer:
    """Return an answer with its passages."""
    result = search_result(answered.result, explain=explain)
    contexts = [
        {**dict(result.hits[passage.rank - 1]), "n": passage.n, "text": passage.text}
        | {"chunk_id": passage.chunk_id, "chunk_ids": passage.chunk_ids}
        for passage in answered.passages
    ]
    return ask.Answer.model_validate(
        {
            **dict(result),
            "query": answered.query,
            "standalone": answered.standalone,
            "pseudo_doc": result.rewritten,
            "contexts": contexts,
            "answer": answered.text,
            "status": answered.status,
            "note": answered.note,
            "citations": answered.citations,
            "removed_citations": answered.removed,
            "degraded": answered.degraded,
            "timings_ms": {**result.timings_ms, **answered.timings_ms},
        }
    )


def plain_answer(answered: Answer, *, explain: bool = False) -> ask.PlainAnswer:
    """Return an answer whose passages are their texts alone."""
    whole = answer(answered, explain=explain)
    return ask.PlainAnswer.model_validate({**dict(whole), "contexts": [passage.text for passage in whole.contexts]})


def collection(
    there: Collection, documents: int, chunks: int, versions: Sequence[rollback.Version] = ()
) -> collections.Collection:
    """Return a collection that can be searched."""
    fields = asdict(there) | {
        "documents": documents,
        "chunks": chunks,
        "metadata_fields": sorted(there.metadata_fields),
        "acl_field": there.acl_field or None,
        "versions": _versions(versions),
        "problem": rollback.passed_over(there.name, versions) or None,
    }
    return collections.Collection.model_validate(fields)


def broken_collection(problem: str, versions: Sequence[rollback.Version], name: str) -> collections.Collection:
    """Return a collection whose alias does not point to one of its versions; the problem says what to do."""
    return collections.Collection(name=name, versions=_versions(versions), problem=problem)


def _versions(versions: Sequence[rollback.Version]) -> list[collections.Version]:
    return [collections.Version.model_validate(asdict(version.collection) | asdict(version)) for version in versions]


def rolled_back(left: rollback.Version, live: rollback.Version, advice: str) -> collections.Rollback:
    """Return what a rollback did."""
    return collections.Rollback(
        collection=live.collection.name,
        left=left.collection.index,
        index=live.collection.index,
        embedding_model=live.collection.embedding_model,
        advice=advice or None,
    )
