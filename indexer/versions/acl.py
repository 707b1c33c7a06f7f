"""Which metadata field of a collection holds the access groups: set, taken off, and carried from version to version.

It stands in the `_meta` of every version, so that neither a rebuild nor a rollback opens what was closed.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.collection import ACL_FIELD, alias_of, no_collection, open_collection
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import CollectionGoneError, ElasticsearchError, UsageError
from bothways.indexer.versions.versions import note, versions

log = structlog.get_logger()

_TRIES = 5
_LOOK_AGAIN_S = 0.2
_FIELD = re.compile(r"[^\s.*?,_\x00-\x1f][^\s.*?,\x00-\x1f]{0,199}")


def set_acl(client: Elasticsearch, name: str, field: str | None) -> None:
    """Name the field of a collection's access groups in all its versions; None: everybody may see everything.

    Raises `CollectionNotFoundError`, and `UsageError` for what cannot be the name of a metadata field.
    """
    open_collection(client, name)
    write_acl(client, name, checked(field) if field is not None else None)


def checked(field: str) -> str:
    """Return a name of a metadata field (with or without `metadata.` in front) as the readers write it."""
    plain = field.strip().removeprefix("metadata.")
    if not _FIELD.fullmatch(plain):
        raise UsageError(f"{field[:80]!r} cannot be the metadata field of the access groups: name one as documents do.")
    return plain


def write_acl(client: Elasticsearch, name: str, field: str | None) -> None:
    """Write the field into every version, and look that it stays: another process may write its own notes meanwhile."""
    alias = alias_of(name)
    for _ in range(_TRIES):
        wrong = [index for index, has in acl_fields(client, alias).items() if has != (field or "")]
        for index in wrong:
            with suppress(CollectionGoneError):  # a version that a rebuild, or somebody who deletes, has removed since
                note(client, index, **{ACL_FIELD: field})
        time.sleep(_LOOK_AGAIN_S)
        now = acl_fields(client, alias)
        if not now:
            raise no_collection(name)
        if all(has == (field or "") for has in now.values()):
            log.info("acl_set", collection=name, field=field)
            return
    raise ElasticsearchError(f"The access groups of {name!r} could not be set: another process keeps changing them.")


def acl_fields(client: Elasticsearch, alias: str) -> dict[str, str]:
    """Return the field of each version, oldest first; "" for one that is not protected."""
    with elasticsearch_errors(f"reading the access groups of {alias}"):
        existing = versions(client, alias)
        found = client.indices.get_mapping(index=f"{alias}-v*", ignore_unavailable=True)
    return {
        index: str(found[index]["mappings"].get("_meta", {}).get(ACL_FIELD) or "")
        for index in existing
        if index in found
    }


def acl_to_keep(client: Elasticsearch, alias: str, live: str | None) -> str:
    """Return the field that a new version of a collection has to have: the live one's, else that of any version."""
    fields = acl_fields(client, alias)
    return fields.get(live or "", "") or next((field for field in fields.values() if field), "")


def keep_acl(client: Elasticsearch, *, of: str, to: str) -> None:
    """Return a version that is to go live the field of the one that is: it must not open what was closed."""
    alias = re.sub(r"-v\d+$", "", of)
    fields = acl_fields(client, alias)
    if fields.get(of) and fields.get(to) != fields[of]:
        note(client, to, **{ACL_FIELD: fields[of]})
