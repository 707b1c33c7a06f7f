"""What the alias of a collection points to, and what to do where that is not exactly one of its versions.

An alias is lost when a user removes it, or when a snapshot is restored without aliases; after a partial restore it may
point to two versions, or to an index that is not a version. Such a collection is neither searched nor written until a
person has said which version is the right one: a guess could choose an empty version instead of a full one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.version_state import state_of
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import AliasError

_NUMBER = re.compile(r"-v(\d+)$", re.ASCII)


def number_of(index: str) -> int:
    """Return the number of a version from the name of its index; 0 for other indices."""
    match = _NUMBER.search(index)
    return int(match.group(1)) if match else 0


def is_version(index: str, alias: str) -> bool:
    """Return whether an index is a version behind an alias, by its name."""
    return number_of(index) > 0 and _NUMBER.sub("", index) == alias


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasView:
    """A collection's versions with their `_meta`, oldest first, and the indices that its alias points to.

    `in_the_way`: there is an index of the alias's own name, as Elasticsearch makes one for a write to a lost alias.
    """

    name: str
    alias: str
    versions: Mapping[str, Mapping[str, Any]]
    behind: Sequence[str]
    in_the_way: bool = False

    @property
    def live(self) -> str | None:
        """The version that searches go to; None if there is not exactly one."""
        if len(self.behind) != 1 or not is_version(self.behind[0], self.alias):
            return None
        return self.behind[0]

    @property
    def is_missing(self) -> bool:
        """Whether nothing of the collection is there."""
        return not (self.versions or self.behind or self.in_the_way)

    @property
    def is_unfinished_first_build(self) -> bool:
        """Whether there is no alias because the first build was interrupted before it set one.

        Then no version was ever live, and none is a candidate, since candidates are made from a live version.
        """
        states = {state_of(meta) for meta in self.versions.values()}
        return states == {"building"} and not self.behind and not self.in_the_way

    @property
    def is_broken(self) -> bool:
        """Whether there are versions, or an index in the way, and no version that searches go to.

        An unfinished first build is not broken: it may continue.
        """
        return self.live is None and not self.is_missing and not self.is_unfinished_first_build

    @property
    def newer_once_live(self) -> list[str]:
        """Versions newer than the live one that were live and were not rolled back."""
        live = number_of(self.live or "")
        return [
            index
            for index, meta in self.versions.items()
            if live and number_of(index) > live and state_of(meta) in {"live", "previous"}
        ]

    def require_live(self) -> str:
        """Return the version that searches go to; raise `AliasError` with what to do if there is none."""
        if self.live is None:
            raise AliasError(self.problem())
        return self.live

    def problem(self, chunks: Mapping[str, int] | None = None) -> str:
        """Return what is wrong and what to do; "" where the alias points to one version or nothing is there."""
        if self.live is not None or self.is_missing:
            return ""
        there = ", ".join(_describe(index, meta, chunks) for index, meta in self.versions.items())
        newest = max(map(number_of, self.versions), default=0)
        adopt = f"`bothways collections adopt {self.name} --version {newest or 'N'}`"
        choose = f"choose one with {adopt}" if newest else "it has no version to go to"
        if self.in_the_way:
            return (
                f"An index is named {self.alias}, as the alias of the collection {self.name!r} should be; versions: "
                f"{there or 'none'}. Look at what it holds, remove it in Elasticsearch, then {choose}."
            )
        foreign = [index for index in self.behind if not is_version(index, self.alias)]
        if foreign:
            return (
                f"The alias {self.alias} points to {', '.join(foreign)}, which is no version of the collection "
                f"{self.name!r}; versions: {there or 'none'}. To use that index, copy it in Elasticsearch to "
                f"{self.alias}-v{newest + 1} (_clone or _reindex) and adopt this version; else {choose}."
            )
        if self.behind:
            return (
                f"The alias {self.alias} points to {' and '.join(self.behind)} at once, so it is not known which "
                f"version of {self.name!r} is the right one: {choose}."
            )
        return (
            f"The collection {self.name!r} has versions but no alias ({there}), as after a snapshot was restored "
            f"without aliases; nothing was changed. Say which one is the right one: {adopt}, or remove all of them "
            f"with `bothways delete {self.name}`."
        )


def view_alias(client: Elasticsearch, name: str, alias: str) -> AliasView:
    """Look at a collection's alias and all its versions, in one request."""
    with elasticsearch_errors(f"listing the versions of {alias}"):
        found = client.indices.get(
            index=f"{alias},{alias}-v*",
            features=["aliases", "mappings"],
            expand_wildcards="all",
            ignore_unavailable=True,
        ).body
    return view_of(found, name, alias)


def view_of(found: Mapping[str, Any], name: str, alias: str) -> AliasView:
    """Read what is known of a collection out of the server's answer on indices, others among them."""
    versions = sorted((index for index in found if is_version(index, alias)), key=number_of)
    return AliasView(
        name=name,
        alias=alias,
        versions={index: found[index].get("mappings", {}).get("_meta", {}) for index in versions},
        behind=sorted(index for index, body in found.items() if alias in body.get("aliases", {})),
        in_the_way=alias in found,
    )


def _describe(index: str, meta: Mapping[str, Any], chunks: Mapping[str, int] | None) -> str:
    facts: list[str] = [state_of(meta) or "of an older Bothways"]
    if chunks and index in chunks:
        facts.append(f"{chunks[index]:,} chunks")
    return f"v{number_of(index)}: {', '.join(facts)}"
