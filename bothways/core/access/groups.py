"""Who may see what: callers with access groups, and those without such a limit.

A collection may name a metadata field that holds the groups of each document (`acl_field` in its `_meta`). Callers with
groups see the documents that have one of them, and no others; callers without (`ADMIN`) see all documents. The rule is
applied in one place, where requests leave for Elasticsearch (bothways/core/access/guarded.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may see: documents that have one of these groups; None: all documents."""

    groups: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the caller sees all documents."""
        return self.groups is None


ADMIN = Access()
"""Sees all and may change all: keys without groups, and the command line, which has Elasticsearch itself."""


def visible(acl_field: str, access: Access) -> dict[str, Any] | None:
    """Return the filter that documents have to pass; None if all may be seen.

    A document without the field has no group, so only admins see it.
    """
    if access.groups is None or not acl_field:
        return None
    if not access.groups:
        return {"match_none": {}}
    return {"terms": {f"metadata.{acl_field}": sorted(access.groups)}}
