"""A candidate: a new version of a collection that is the live one but for the chunks whose questions were rewritten.

All else is copied inside Elasticsearch, byte for byte and with its vectors: nothing is read, cut or encoded again. The
candidate is not live, and no rebuild goes on with it; a run that is cut off leaves one that the next run removes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from elasticsearch import Elasticsearch

from bothways.core.analysis import Segmenter
from bothways.core.collections.alias import AliasView, view_alias
from bothways.core.collections.collection import Collection, alias_of, open_index, version_of
from bothways.core.collections.version_state import as_state, state_of
from bothways.core.datatypes import Failure
from bothways.core.elastic.build_mode import begin_build, without_graphs
from bothways.core.elastic.client import Server, elasticsearch_errors
from bothways.core.elastic.lease import Lease
from bothways.core.elastic.vectors import to_stored
from bothways.core.errors import ElasticsearchError
from bothways.indexer.bulk import bulk
from bothways.indexer.versions.check import check_version
from bothways.indexer.versions.publish import finish
from bothways.indexer.versions.remove import remove_versions
from bothways.indexer.versions.versions import create_version, note
from bothways.learning.weekly.questions.rewriting import Known, Rewritten
from bothways.models.protocols import Encoder

log = structlog.get_logger()

LEARNT_FROM = "learnt_from"
"""Where `_meta` of a candidate names the version that it was made of."""
BUILT_FROM = "built_from"
_LEARNT = "learnt from "
_KEPT_SETTINGS = ("number_of_shards", "auto_expand_replicas", "analysis", "mapping")
_WANTED = ["title", "heading", "text", "content_hash", "generation", "questions.text"]
_AT_ONCE = 500
_LOOK_AGAIN_S = 0.5
_TEXTS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a candidate is made with."""

    client: Elasticsearch
    server: Server
    segmenter: Segmenter
    encoder: Callable[[], Encoder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A new version: what it is, the chunks that were changed in it, those that were not, and questions encoded."""

    collection: Collection
    changed: Sequence[Rewritten]
    failures: Sequence[Failure]
    encoded: int


def read_chunks(client: Elasticsearch, index: str, chunk_ids: Sequence[str]) -> dict[str, Known]:
    """Read chunks with the texts of their questions; those that are gone are left out."""
    found: dict[str, Known] = {}
    for start in range(0, len(chunk_ids), _AT_ONCE):
        ids = chunk_ids[start : start + _AT_ONCE]
        with elasticsearch_errors("reading chunks"):
            answer = client.mget(index=index, ids=list(ids), source_includes=_WANTED)
        for doc in answer["docs"]:
            if doc.get("found"):
                found[doc["_id"]] = _known(doc["_id"], doc["_source"])
    return found


def _known(chunk_id: str, source: Mapping[str, Any]) -> Known:
    return Known(
        chunk_id=chunk_id,
        title=source["title"],
        heading=source.get("heading") or "",
        text=source["text"],
        content_hash=source["content_hash"],
        generation=source["generation"],
        questions=tuple(question["text"] for question in source.get("questions", ())),
    )


def build_candidate(tools: Tools, live: Collection, rewritten: Sequence[Rewritten], *, lease: Lease) -> Candidate:
    """Make the next version of a collection of the live one, with new questions for some chunks.

    The caller holds the lease of the collection, so that nobody writes it meanwhile. A chunk whose text changed since
    its questions were written is left as it is, as a failure. Raises `ElasticsearchError` where the copy is not whole.
    """
    client = tools.client
    now = read_chunks(client, live.index, [change.chunk.chunk_id for change in rewritten])
    fresh = [change for change in rewritten if _is_same(change.chunk, now.get(change.chunk.chunk_id))]
    failures = [
        Failure(
            stage="read",
            item=change.chunk.chunk_id,
            reason="it was changed while its questions were written",
            title=change.chunk.title,
        )
        for change in rewritten
        if not _is_same(change.chunk, now.get(change.chunk.chunk_id))
    ]
    remove_candidates(client, live)
    lease.check()
    index = create_version(client, alias_of(live.name), without_graphs(_body(client, live)))
    begin_build(client, index)
    copied = _copy(client, live.index, index, lease)
    vectors = _encode([question for change in fresh for question in change.questions], tools.encoder) if fresh else None
    sent = bulk(client, _updates(tools, index, fresh, vectors))
    failed = {failure.item for failure in sent.failures}
    failures += sent.failures
    finish(client, index)
    wrong = check_version(
        client, index, chunks=copied, may_hold_more=False, encoder=tools.encoder(), segmenter=tools.segmenter
    )
    if wrong:
        note(client, index, failed_check=wrong)
        raise ElasticsearchError(f"The candidate {index} is not whole: {wrong}. The live version was left alone.")
    made = open_index(client, live.name, index)
    if made is None:
        raise ElasticsearchError(f"The candidate {index} was removed while it was made; run the same command again.")
    changed = [change for change in fresh if change.chunk.chunk_id not in failed]
    return Candidate(
        collection=made, changed=changed, failures=failures, encoded=0 if vectors is None else len(vectors)
    )


def candidates_of(client: Elasticsearch, collection: Collection) -> list[str]:
    """List the candidates that earlier runs left: cut off, refused, or made and never decided on.

    One that was live and from which searches were taken back is none, so that one can go forward again.
    """
    view = view_alias(client, collection.name, alias_of(collection.name))
    return [index for index in _newer(view, collection) if _is_candidate(view.versions[index])]


def remove_candidates(client: Elasticsearch, collection: Collection) -> None:
    """Remove the candidates that earlier runs left, those alone that say themselves that they never went live."""
    view = view_alias(client, collection.name, alias_of(collection.name))
    left = [index for index in _newer(view, collection) if _is_candidate(view.versions[index])]
    remove_versions(client, view, left, only=("candidate", "failed its check"))


def _newer(view: AliasView, collection: Collection) -> list[str]:
    return [index for index in view.versions if version_of(index) > version_of(collection.index)]


def _is_candidate(meta: Mapping[str, Any]) -> bool:
    if LEARNT_FROM not in meta:
        return False
    # One of an older Bothways wrote no state; a promotion gave it its path back.
    is_undecided = state_of(meta) is None and str(meta.get(BUILT_FROM, "")).startswith(_LEARNT)
    return state_of(meta) in {"candidate", "failed its check"} or is_undecided


def _is_same(then: Known, now: Known | None) -> bool:
    return now is not None and (now.content_hash, now.generation) == (then.content_hash, then.generation)


def _body(client: Elasticsearch, live: Collection) -> dict[str, Any]:
    """Return settings and mappings to create an index that is as the live one is."""
    with elasticsearch_errors(f"reading the settings of {live.index}"):
        settings = client.indices.get_settings(index=live.index)[live.index]["settings"]["index"]
        mappings = client.indices.get_mapping(index=live.index)[live.index]["mappings"]
    meta = {name: value for name, value in mappings.get("_meta", {}).items() if name not in {"unmerged", "when_built"}}
    # Named so that no rebuild of the documents takes it for its own that was cut off.
    meta |= {LEARNT_FROM: live.index, BUILT_FROM: f"{_LEARNT}{live.index}", "created_at": _now()}
    meta |= as_state("candidate")
    kept = {name: settings[name] for name in _KEPT_SETTINGS if name in settings}
    return {"settings": kept, "mappings": {**mappings, "_meta": meta}}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _copy(client: Elasticsearch, live: str, index: str, lease: Lease) -> int:
    """Copy all chunks inside Elasticsearch; returns their number. Ctrl-C ends the copying there, too."""
    with elasticsearch_errors(f"copying {live}"):
        client.indices.refresh(index=live)
        expected = int(client.count(index=live)["count"])
        task = client.reindex(
            source={"index": live}, dest={"index": index, "op_type": "create"}, wait_for_completion=False
        )["task"]
        try:
            while not (state := client.perform_request("GET", f"/_tasks/{task}", headers=_JSON).body)["completed"]:
                lease.check()
                time.sleep(_LOOK_AGAIN_S)
        except BaseException:
            client.options(ignore_status=404).perform_request("POST", f"/_tasks/{task}/_cancel", headers=_JSON)
            raise
        client.indices.refresh(index=index)
    done = state.get("response", {})
    if state.get("error") or done.get("failures") or done.get("created") != expected:
        told = state.get("error") or done.get("failures", [])[:1] or f"{done.get('created')} of {expected} chunks"
        raise ElasticsearchError(f"Elasticsearch failed while copying {live}: {told}. The live version was left alone.")
    return expected


_JSON = {"accept": "application/json"}


def _encode(texts: Sequence[str], encoder: Callable[[], Encoder]) -> np.ndarray[Any, np.dtype[np.float32]]:
    model = encoder()
    parts = [model.encode_documents(texts[start : start + _TEXTS]) for start in range(0, len(texts), _TEXTS)]
    return np.concatenate(parts)


def _updates(
    tools: Tools, index: str, rewritten: Sequence[Rewritten], vectors: np.ndarray[Any, np.dtype[np.float32]] | None
) -> Iterator[dict[str, Any]]:
    """Build the `_bulk` actions that replace the old generation of some chunks' questions, and touch nothing else."""
    packed = tools.server.takes_packed_vectors
    at = iter(()) if vectors is None else iter(vectors)
    for change in rewritten:
        questions = [
            {
                "text": question,
                "text_kw": tools.segmenter.segment(question),
                "text_sem": to_stored(next(at), packed=packed),
                "tag": "syn",
                "generation": change.generation,
            }
            for question in change.questions
        ]
        doc = {"generation": change.generation, "questions": questions, "question_count": len(questions)}
        yield {"_op_type": "update", "_index": index, "_id": change.chunk.chunk_id, "doc": doc}
