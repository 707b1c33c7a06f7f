"""Versions that nothing needs any more are deleted here, and only on what their own `_meta` says.

Neither a number nor the alias proves that a version may go: a lost alias makes every version look older or newer than
the live one. What says of itself that it never served a search, that searches were taken back from it, or that
another version took its place, may go; all else is kept, and a warning names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from elasticsearch import Elasticsearch, NotFoundError

from bothways.core.collections.alias import AliasView, number_of
from bothways.core.collections.version_state import State, as_state, state_of
from bothways.core.elastic.client import elasticsearch_errors
from bothways.indexer.changes.origins import uploads_missing_in
from bothways.indexer.versions.versions import note

log = structlog.get_logger()

_WHY: Mapping[State, str] = {
    "building": "its build was never finished, and a new one takes its place",
    "candidate": "it was a candidate that never went live",
    "failed its check": "it failed its check and was never used",
    "rolled back": "searches were taken back from it, and a new version takes its place",
    "previous": "two newer versions were live after it",
}
"""What lets a version be deleted, by its state. `live` is not among them, wherever the alias points."""


def remove_versions(client: Elasticsearch, view: AliasView, indices: Iterable[str], *, only: Iterable[State]) -> None:
    """Delete those of the indices whose `_meta`, read anew, has one of the states; keep and name all others."""
    allowed = _WHY.keys() & frozenset(only)
    for index in indices:
        body = _read(client, index)
        if body is None:
            continue
        state = state_of(body["mappings"].get("_meta", {}))
        if state not in allowed or view.alias in body.get("aliases", {}):
            _say_kept(view, index, f"nothing proves that it is not needed ({state or 'of an older Bothways'})")
        elif state == "rolled back" and (uploads := uploads_missing_in(client, view.live, of=index)):
            _say_kept(view, index, f"{uploads:,} uploaded documents are in no newer place")
        else:
            remove_version(client, index, why=_WHY[state])


def remove_version(client: Elasticsearch, index: str, *, why: str) -> int:
    """Delete one version and log how many chunks it had and why; return the number of chunks.

    The caller holds the collection's lease and has the proof.
    """
    with elasticsearch_errors(f"removing {index}"):
        try:
            client.indices.refresh(index=index)
            chunks = int(client.count(index=index)["count"])
            client.indices.delete(index=index)
        except NotFoundError:
            return 0
    log.warning("version_removed", index=index, chunks=chunks, why=why)
    return chunks


def note_states(client: Elasticsearch, view: AliasView) -> None:
    """Note in `_meta` what the alias shows: its version is live, and older ones are live no more.

    This mends what a job that was killed between moving the alias and noting it has left, and gives collections of an
    older Bothways their first state. A newer version that says it was live stays as it is: an alias that points to an
    older one without a rollback is a partial restore, and a warning names it.
    """
    live = view.live
    if live is None:
        return
    meta = view.versions[live]
    if state_of(meta) != "live":
        note(client, live, rolled_back_at=None, failed_check=None, **as_state("live"))
    newer = view.newer_once_live
    for index, other in view.versions.items():
        if index not in {live, *newer} and state_of(other) == "live":
            note(client, index, **as_state("previous"))
    for index in newer:
        log.warning(
            "newer_version_is_not_live",
            index=index,
            live=live,
            meaning="it was live, and nobody rolled back from it, as after a snapshot was restored in part",
            hint=f"bothways collections adopt {view.name} --version {number_of(index)} goes to it, "
            f"--version {number_of(live)} stays and ends this warning",
        )


def _say_kept(view: AliasView, index: str, why: str) -> None:
    log.warning(
        "version_kept",
        index=index,
        why=why,
        hint=f"bothways delete {view.name} --version {number_of(index)} removes it",
    )


def _read(client: Elasticsearch, index: str) -> dict[str, Any] | None:
    with elasticsearch_errors(f"looking at {index}"):
        try:
            found: dict[str, Any] = client.indices.get(index=index, features=["aliases", "mappings"])[index]
        except NotFoundError:
            return None
    return found
