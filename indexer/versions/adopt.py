"""A person says which version of a collection is live, or that one may be deleted, where the alias does not show it.

In: a collection's name and the number of one of its versions. After a lost alias or a restore without aliases,
`adopt` lets searches go to that version again; nothing is deleted by it.
"""

from __future__ import annotations

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.alias import AliasView, is_version, number_of, view_alias
from bothways.core.collections.collection import alias_of, no_collection, open_index
from bothways.core.collections.lease import alone_on
from bothways.core.collections.version_state import as_state, now, state_of
from bothways.core.elastic.build_mode import end_build
from bothways.core.errors import AliasError, UsageError
from bothways.indexer.versions.acl import acl_to_keep, write_acl
from bothways.indexer.versions.remove import remove_version
from bothways.indexer.versions.rollback import Version, list_versions
from bothways.indexer.versions.versions import note, swap_alias

log = structlog.get_logger()


def adopt(client: Elasticsearch, name: str, number: int) -> tuple[Version, str]:
    """Point a collection's alias to one of its versions; returns that version and the state it had before.

    Raises `CollectionNotFoundError`, `UsageError` where there is no such version or it holds no chunks of ours,
    `AliasError` where an index has the alias's name, and `LeaseHeldError` while a job writes the collection.
    """
    alias = alias_of(name)
    _index_of(view_alias(client, name, alias), number)
    with alone_on(client, name) as lease:
        view = view_alias(client, name, alias)
        index = _index_of(view, number)
        if view.in_the_way:
            raise AliasError(view.problem())
        version = open_index(client, name, index)
        if version is None or not version.schema_version:
            raise UsageError(f"{index} holds no chunks of Bothways (its mapping has no `_meta`), so it is not adopted.")
        before = next(other.state for other in list_versions(client, name) if other.number == number)
        lease.check()
        field = acl_to_keep(client, alias, view.live)
        if field and version.acl_field != field:
            write_acl(client, name, field)  # what was closed must not be opened by a version of before that
        note(client, index, rolled_back_at=None, failed_check=None, **as_state("live"))
        swap_alias(client, alias, to=index, away_from=[i for i in view.behind if not is_version(i, alias)])
        _pass_over(client, view, index)
        end_build(client, index)
    log.warning("version_adopted", collection=name, index=index, was=before, instead_of=list(view.behind))
    return next(version for version in list_versions(client, name) if version.number == number), before


def delete_version(client: Elasticsearch, name: str, number: int) -> tuple[str, int]:
    """Delete one version of a collection, on a person's word; returns its index and how many chunks it held.

    Raises `UsageError` for the version that searches go to, and otherwise as `adopt` does.
    """
    alias = alias_of(name)
    _index_of(view_alias(client, name, alias), number)
    with alone_on(client, name) as lease:
        view = view_alias(client, name, alias)
        index = _index_of(view, number)
        if index in view.behind:
            raise UsageError(
                f"{index} is the version that searches in {name!r} go to, so it stays: go to another one first "
                f"(`bothways collections rollback {name}`), or delete the whole collection."
            )
        lease.check()
        return index, remove_version(client, index, why="a person asked for it")


def _index_of(view: AliasView, number: int) -> str:
    if view.is_missing:
        raise no_collection(view.name)
    for index in view.versions:
        if number_of(index) == number:
            return index
    there = ", ".join(f"v{number_of(index)}" for index in view.versions)
    raise UsageError(f"The collection {view.name!r} has no version {number}; there is: {there or 'none'}.")


def _pass_over(client: Elasticsearch, view: AliasView, chosen: str) -> None:
    """Note of other versions that say they are live what they are now; newer ones as after a rollback."""
    for index, meta in view.versions.items():
        if index == chosen or state_of(meta) not in {"live", "previous"}:
            continue
        if number_of(index) > number_of(chosen):
            note(client, index, rolled_back_at=now(), **as_state("rolled back"))
        elif state_of(meta) == "live":
            note(client, index, **as_state("previous"))
