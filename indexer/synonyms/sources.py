"""Where indices have their synonyms: a file of the server, a set of its synonyms API, or the index itself.

An index says so in the settings of its filter `bothways_synonyms`. Several indices share one file or one set, so rules
are applied to places and not to collections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from elasticsearch import ApiError, Elasticsearch, NotFoundError

from bothways.core.collections.collection import alias_of, version_of
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import CollectionNotFoundError, SynonymsError
from bothways.core.machine.private_files import write_shared
from bothways.core.settings import Settings
from bothways.core.synonyms import Rule
from bothways.node import NodeInfo, is_at, status
from bothways.node.config import SYNONYMS

FILTER = "bothways_synonyms"
"""The token filter's name in es_mappings/chunks.json."""

SET = "bothways"
"""The id of the synonyms set that new indices use where the server has the API and no file."""

_PAGE = 1000


class SynonymSource(Protocol):
    """Where some indices have their rules."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def indices(self) -> Sequence[str]:
        """All versions that read it, those of unfinished rebuilds included."""
        ...

    @property
    def live(self) -> Sequence[str]:
        """Those of them that are searched."""
        ...

    def read(self) -> str | None:
        """Return the rules that are there as text, None where there is nothing yet."""
        ...


@dataclass(frozen=True, slots=True)
class SynonymFile:
    """A file below the server's config folder; indices take it when they are told to reload."""

    path: Path
    indices: Sequence[str] = ()
    live: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The file's path on this machine."""
        return str(self.path)

    def read(self) -> str | None:
        """Return the file's content; raises `SynonymsError` where it cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise SynonymsError(f"The server's synonyms {self.path} cannot be read: {error}.") from error

    def write(self, content: str | None) -> None:
        """Replace the file in one step, owner and permissions kept; None removes it."""
        try:
            if content is None:
                self.path.unlink(missing_ok=True)
            else:
                write_shared(self.path, content)
        except OSError as error:
            raise SynonymsError(
                f"The server's synonyms {self.path} cannot be written ({error}): run this as a user who may, with the "
                "folder mounted writable (a file that is mounted alone cannot be replaced)."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SynonymSet:
    """A set of the server's synonyms API, which reloads the indices that use it by itself."""

    client: Elasticsearch
    set_id: str
    indices: Sequence[str] = ()
    live: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The set's id."""
        return f"synonyms set {self.set_id}"

    def read(self) -> str | None:
        """Return the set's rules, one a line."""
        lines: list[str] = []
        with elasticsearch_errors(f"reading the synonyms set {self.set_id}"):
            try:
                while True:
                    page = self.client.synonyms.get_synonym(id=self.set_id, from_=len(lines), size=_PAGE)
                    lines += [f"{rule['synonyms']}\n" for rule in page["synonyms_set"]]
                    if not page["synonyms_set"] or len(lines) >= int(page["count"]):
                        return "".join(lines)
            except NotFoundError:
                return None

    def write(self, rules: Iterable[Rule]) -> dict[str, Any]:
        """Replace the set; returns what the server says of the reload (`_shards`, `reload_details`)."""
        body = [{"id": f"rule-{number}", "synonyms": str(rule)} for number, rule in enumerate(rules, start=1)]
        with elasticsearch_errors(f"writing the synonyms set {self.set_id}"):
            answer = self.client.synonyms.put_synonym(id=self.set_id, synonyms_set=body)
        return dict(answer.get("reload_analyzers_details") or {})


@dataclass(frozen=True, slots=True)
class IndexSynonyms:
    """Rules in the settings of an index, which only its next version can change."""

    rules: Sequence[str]
    indices: Sequence[str] = ()
    live: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The index's name."""
        return f"index {', '.join(self.indices)}"

    def read(self) -> str | None:
        """Return the rules, one a line."""
        return "".join(f"{rule}\n" for rule in self.rules)


def find_sources(client: Elasticsearch, settings: Settings, collection: str | None = None) -> list[SynonymSource]:
    """List the places that the collections read their synonyms from, or those of one collection.

    A place comes with all indices that share it, whatever `collection` says. Where no collection is there yet, the
    file that the first one will read is given.
    """
    shared = _shared(client)
    keys = [key for key in shared if collection is None or _is_of(shared[key], collection)]
    if collection is not None and not keys:
        raise CollectionNotFoundError(f"There is no collection {collection!r}; see `bothways collections`.")
    if not keys:
        return [SynonymFile(server_file(settings, SYNONYMS))]
    return [_place(client, settings, key, shared[key]) for key in keys]


def server_file(settings: Settings, relative: str) -> Path:
    """Return the path on this machine of a file below the server's config folder, `analysis/...`.

    It is that of the node that `bothways es up` started where that one is in use, else `BOTHWAYS_SYNONYMS_PATH` where
    that has the same file name, as in the compose file's containers.
    """
    node = status(settings)
    if node is not None and _same_server(settings, node):
        path = (node.config / relative).resolve()
        if path.is_relative_to(node.config.resolve()):
            return path
    mounted = settings.synonyms_path
    if mounted is not None and mounted.name == Path(relative).name:
        return mounted.absolute()
    raise SynonymsError(
        f"The server reads its synonyms from the file config/{relative}, which is not on this machine: run this where "
        f"its folder is mounted, with BOTHWAYS_SYNONYMS_PATH=…/{Path(relative).name}."
    )


def set_for_new_index(client: Elasticsearch, rules: Sequence[str]) -> str | None:
    """Return the id of the synonyms set for new indices, made of `rules` if it is missing; None without the API."""
    try:
        try:
            client.synonyms.get_synonym(id=SET, size=0)
        except NotFoundError:
            client.synonyms.put_synonym(id=SET, synonyms_set=[{"synonyms": rule} for rule in rules])
    except ApiError:
        # No API (before 8.10, or a distribution without its field type), or no right to use it.
        return None
    return SET


_Key = tuple[str, str]
_Shared = tuple[dict[str, Any], list[str], list[str]]


def _shared(client: Elasticsearch) -> dict[_Key, _Shared]:
    """Group the collections' indices by where they have their rules: filter, all indices, live indices."""
    with elasticsearch_errors("reading the collections' synonyms"):
        found = client.indices.get(index="bothways-*", expand_wildcards="open", features=["aliases", "settings"])
    groups: dict[_Key, _Shared] = {}
    for index, body in sorted(found.body.items()):
        filters = body["settings"]["index"].get("analysis", {}).get("filter", {})
        if not version_of(index) or FILTER not in filters:
            continue
        group = groups.setdefault(_key(index, filters[FILTER]), (filters[FILTER], [], []))
        group[1].append(index)
        if body.get("aliases"):
            group[2].append(index)
    return groups


def _key(index: str, its_filter: dict[str, Any]) -> _Key:
    for kind in ("synonyms_path", "synonyms_set"):
        if kind in its_filter:
            return kind, str(its_filter[kind])
    return "synonyms", index


def _is_of(shared: _Shared, collection: str) -> bool:
    alias = alias_of(collection)
    return any(index.rpartition("-v")[0] == alias for index in shared[2])


def _place(client: Elasticsearch, settings: Settings, key: _Key, shared: _Shared) -> SynonymSource:
    kind, value = key
    its_filter, indices, live = shared
    if kind == "synonyms_path":
        return SynonymFile(server_file(settings, value), tuple(indices), tuple(live))
    if kind == "synonyms_set":
        return SynonymSet(client=client, set_id=value, indices=tuple(indices), live=tuple(live))
    rules = its_filter.get("synonyms", [])
    return IndexSynonyms(tuple([rules] if isinstance(rules, str) else rules), tuple(indices), tuple(live))


def _same_server(settings: Settings, node: NodeInfo) -> bool:
    return settings.es_url is None or is_at(node, settings.es_url)
