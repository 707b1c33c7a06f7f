"""The versions of a collection that are there, and going back to the one before.

In: a collection's name. A version that searches were taken back from stays until the next rebuild, so that one can go
forward again; no rebuild goes on with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from elasticsearch import Elasticsearch

from core.collection import Collection, alias_of, from_mapping, open_collection, version_of
from core.collection_lease import alone_on
from core.elastic import elasticsearch_errors
from core.errors import UsageError
from indexer.acl import keep_acl
from indexer.versions import note, swap_alias, versions

log = structlog.get_logger()

State = Literal["live", "kept", "rolled back", "failed its check", "unfinished"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a collection: what it was built with and when, how many chunks it holds, and what it is now.

    Searches go to the `live` one; `kept` and `rolled back` ones can be gone back to; an `unfinished` one is a rebuild
    that goes on or was cut off.
    """

    collection: Collection
    number: int
    state: State
    chunks: int
    created_at: str

    @property
    def can_go_live(self) -> bool:
        """Whether it was in use before, and so can be again."""
        return self.state in {"kept", "rolled back"}


def list_versions(client: Elasticsearch, name: str) -> list[Version]:
    """List the versions of a collection, oldest first."""
    alias = alias_of(name)
    with elasticsearch_errors(f"listing the versions of {alias}"):
        existing = versions(client, alias)
        mappings = client.indices.get_mapping(index=f"{alias}-v*", ignore_unavailable=True)
    live = next((version_of(index) for index, is_live in existing.items() if is_live), 0)
    found = []
    for index, is_live in existing.items():
        if index not in mappings:
            continue  # a rebuild that was published this moment has removed it
        body = mappings[index]["mappings"]
        meta = body.get("_meta", {})
        state: State = "live" if is_live else _state(meta, is_older=version_of(index) < live)
        collection = from_mapping(name, index, body)
        with elasticsearch_errors(f"counting the chunks of {index}"):
            chunks = int(client.count(index=index, ignore_unavailable=True)["count"])
        found.append(Version(collection, version_of(index), state, chunks, str(meta.get("created_at", ""))))
    return found


def _state(meta: dict[str, Any], *, is_older: bool) -> State:
    if meta.get("failed_check"):
        return "failed its check"
    if meta.get("rolled_back_at"):
        return "rolled back"
    return "kept" if is_older else "unfinished"


def rollback(client: Elasticsearch, name: str, *, to: int | None = None) -> tuple[Version, Version]:
    """Let searches go to the version before, or to number `to`; gives the version left and the one that is live now.

    Raises `CollectionNotFoundError`, `UsageError` where there is no such version to go to, and `LeaseHeldError` while
    a job writes the collection: a rebuild would remove the version that is gone back to.
    """
    open_collection(client, name)
    with alone_on(client, name) as lease:
        there = list_versions(client, name)
        left = next(version for version in there if version.state == "live")
        target = _target(there, left, to, name)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        lease.check()
        # Noted before the swap: cut off between the two, a live version bears a note that nobody reads.
        note(client, left.collection.index, rolled_back_at=when if left.number > target.number else None)
        note(client, target.collection.index, rolled_back_at=None)
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
        wanted = "no earlier version"
    else:
        for version in possible:
            if version.number == to:
                return version
        wanted = f"no version {to}"
    others = ", ".join(f"v{version.number}" for version in possible)
    raise UsageError(
        f"The collection {name!r} is at v{live.number} and has {wanted} to go to"
        + (f"; there is: {others} (--to N)." if others else ": each rebuild (`--recreate`) keeps the one before it.")
    )


def advice(live: Collection, *, embedding_model: str, analyzer: str) -> str:
    """Say what has to be set for searches in a version that was gone back to; "" where it is what is in use."""
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
