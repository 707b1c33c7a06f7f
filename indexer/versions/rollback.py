"""The versions of a collection that are there, and going back to the one before.

In: a collection's name. A version that searches were taken back from stays until the next rebuild, so that one can go
forward again; no rebuild goes on with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.alias import view_alias
from bothways.core.collections.collection import Collection, alias_of, from_mapping, open_collection, version_of
from bothways.core.collections.lease import alone_on
from bothways.core.collections.version_state import as_state, state_of
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.counting import count_chunks
from bothways.core.errors import UsageError
from bothways.indexer.versions.acl import keep_acl
from bothways.indexer.versions.versions import note, swap_alias
from bothways.schemas.names import VersionState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a collection: what it was built with and when, how many chunks it holds, and what it is now.

    Searches go to the `live` one; `kept` and `rolled back` ones can be gone back to; an `unfinished` one is a rebuild
    that goes on or was cut off. `unknown` is one of an older Bothways in a collection whose alias is lost.
    """

    collection: Collection
    number: int
    state: VersionState
    chunks: int
    created_at: str

    @property
    def can_go_live(self) -> bool:
        """Whether it was in use before, and so can be again."""
        return self.state in {"kept", "rolled back"}


def list_versions(client: Elasticsearch, name: str) -> list[Version]:
    """List the versions of a collection, oldest first, also where its alias points to none of them."""
    alias = alias_of(name)
    view = view_alias(client, name, alias)
    with elasticsearch_errors(f"listing the versions of {alias}"):
        mappings = client.indices.get_mapping(index=f"{alias}-v*", ignore_unavailable=True)
    found = []
    for index in view.versions:
        if index not in mappings:
            continue  # a rebuild that was published this moment has removed it
        body = mappings[index]["mappings"]
        meta = body.get("_meta", {})
        state = _state(meta, index, live=view.live)
        collection = from_mapping(name, index, body)
        chunks = count_chunks(client, index)
        found.append(
            Version(
                collection=collection,
                number=version_of(index),
                state=state,
                chunks=chunks,
                created_at=str(meta.get("created_at", "")),
            )
        )
    return found


def passed_over(name: str, there: Sequence[Version]) -> str:
    """Return which newer version was live and is not, though nobody went back from it; "" where there is none.

    That is what a snapshot that was restored in part looks like.
    """
    live = next((version.number for version in there if version.state == "live"), None)
    newer = [version.number for version in there if version.state == "kept" and live and version.number > live]
    if not newer:
        return ""
    return (
        f"The alias of {name!r} points to v{live}, though v{newer[-1]} was live later and nobody went back from it, as "
        f"after a snapshot was restored in part: `bothways collections adopt {name} --version {newer[-1]}` goes to it, "
        f"--version {live} stays."
    )


def _state(meta: dict[str, Any], index: str, *, live: str | None) -> VersionState:
    if index == live:
        return "live"
    match state_of(meta):
        case "failed its check" | "rolled back" as state:
            return state
        case "live" | "previous":
            return "kept"
        case "building" | "candidate":
            return "unfinished"
        case None:
            if live is None:
                return "unknown"
            return "kept" if version_of(index) < version_of(live) else "unfinished"


def rollback(client: Elasticsearch, name: str, *, to: int | None = None) -> tuple[Version, Version]:
    """Let searches go to the version before, or to number `to`; returns the version left and the one that is live now.

    Raises `CollectionNotFoundError`, `UsageError` where there is no such version to go to, and `LeaseHeldError` while
    a job writes the collection: a rebuild would remove the version that is gone back to.
    """
    open_collection(client, name)
    with alone_on(client, name) as lease:
        open_collection(client, name)  # the job that held the lease may have deleted it
        there = list_versions(client, name)
        left = next(version for version in there if version.state == "live")
        target = _target(there, left, to, name)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        lease.check()
        # Noted before the swap: cut off between the two, a live version bears a note that nobody reads.
        is_older = target.number < left.number
        state = as_state("rolled back" if is_older else "previous")
        note(client, left.collection.index, rolled_back_at=when if is_older else None, **state)
        note(client, target.collection.index, rolled_back_at=None, **as_state("live"))
        keep_acl(client, of=left.collection.index, to=target.collection.index)
        swap_alias(client, alias_of(name), to=target.collection.index)
    log.info("rolled_back", collection=name, left=left.collection.index, live=target.collection.index)
    return left, target


def _target(there: list[Version], live: Version, to: int | None, name: str) -> Version:
    possible = [version for version in there if version.can_go_live]
    if to is None:
        older = [version for version in possible if version.number < live.number]
        if older:
            return older[-1]
        missing = "no earlier version"
    else:
        for version in possible:
            if version.number == to:
                return version
        missing = f"no version {to}"
    others = ", ".join(f"v{version.number}" for version in possible)
    raise UsageError(
        f"The collection {name!r} is at v{live.number} and has {missing} to go to"
        + (f"; there is: {others} (--to N)." if others else ": each rebuild (`--recreate`) keeps the one before it.")
    )


def advice(live: Collection, *, embedding_model: str, analyzer: str) -> str:
    """Return what has to be set for searches in a version that was gone back to; "" where it is what is in use."""
    if live.embedding_model != embedding_model:
        return (
            f"It was built with another embedding model than the one in use ({embedding_model}): set "
            f"BOTHWAYS_EMBEDDING_MODEL={live.embedding_model} and restart what serves it."
        )
    if live.analyzer != analyzer:
        return (
            f"It was built with the text analysis {live.analyzer!r}, in use is {analyzer!r}: set "
            "BOTHWAYS_USER_DICT_PATH and BOTHWAYS_STOPWORDS_PATH as they were and restart what serves it."
        )
    return ""
