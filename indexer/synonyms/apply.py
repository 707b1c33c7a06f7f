"""New rules into force: written, loaded, proved by asking the server, and put back as they were if that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from filelock import FileLock

from bothways.core.errors import BothwaysError, ElasticsearchError
from bothways.core.machine.private_files import FILE
from bothways.core.synonyms import Rule, rules_text, split_rules
from bothways.indexer.synonyms.acting import not_acting, reload, require_reloaded
from bothways.indexer.synonyms.sources import IndexSynonyms, SynonymFile, SynonymSet, SynonymSource

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of one source: the rules that came, went and stayed, and the indices in which they were proved.

    `in_force` is False for rules that are part of an index: those wait for its next version.
    """

    place: str
    added: Sequence[Rule]
    removed: Sequence[Rule]
    kept: Sequence[Rule]
    proved_in: Sequence[str]
    in_force: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "place": self.place,
            "in_force": self.in_force,
            "added": [str(rule) for rule in self.added],
            "removed": [str(rule) for rule in self.removed],
            "unchanged": len(self.kept),
            "proved_in": list(self.proved_in),
        }


def apply(client: Elasticsearch, source: SynonymSource, rules: Sequence[Rule], *, add: bool, lock: Path) -> Applied:
    """Put checked rules in the place of those that are there, or with `add` beside them.

    Each of `rules` is proved in every live index that reads the source. Raises `ElasticsearchError` when the server
    does not take the rules or a rule does not act; the place is then as it was. `lock` keeps a second `apply` waiting.
    """
    with FileLock(lock, mode=FILE):
        before = split_rules(source.read() or "")
        known = {rule.meaning: rule for rule in before}
        by_meaning = {rule.meaning: rule for rule in (*(before if add else ()), *rules)}
        now = list(by_meaning.values())
        change = Applied(
            place=source.name,
            added=[rule for meaning, rule in by_meaning.items() if meaning not in known],
            removed=[rule for meaning, rule in known.items() if meaning not in by_meaning],
            kept=[rule for meaning, rule in by_meaning.items() if meaning in known],
            proved_in=source.live,
            in_force=not isinstance(source, IndexSynonyms),
        )
        if isinstance(source, SynonymFile):
            _apply_file(client, source, now, rules)
        elif isinstance(source, SynonymSet):
            _apply_set(client, source, now, rules)
    return change


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What a place holds: its rules, the live indices that use it, and the rules that do not act in all of them."""

    place: str
    rules: Sequence[Rule]
    used_by: Sequence[str]
    idle: Sequence[Rule]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "place": self.place,
            "used_by": list(self.used_by),
            "rules": [str(rule) for rule in self.rules],
            "idle": [str(rule) for rule in self.idle],
        }


def in_force(client: Elasticsearch, source: SynonymSource) -> InForce:
    """Read a source, and ask every live index that uses it which of the rules do not act there."""
    rules = split_rules(source.read() or "")
    idle = {rule: None for index in source.live for rule in not_acting(client, index, rules)}
    return InForce(place=source.name, rules=rules, used_by=source.live, idle=list(idle))


def _apply_file(client: Elasticsearch, source: SynonymFile, now: Sequence[Rule], given: Sequence[Rule]) -> None:
    before = source.read()
    source.write(rules_text(now))

    def put_back() -> None:
        source.write(before)
        if source.indices and before is not None:
            reload(client, source.indices)

    with _or_as_before(source, put_back):
        if source.indices:
            reload(client, source.indices)
        _prove(client, source, given)


def _apply_set(client: Elasticsearch, source: SynonymSet, now: Sequence[Rule], given: Sequence[Rule]) -> None:
    before = split_rules(source.read() or "")

    def put_back() -> None:
        require_reloaded(source.write(before))

    with _or_as_before(source, put_back):
        require_reloaded(source.write(now))
        _prove(client, source, given)


@contextmanager
def _or_as_before(source: SynonymSource, put_back: Callable[[], None]) -> Iterator[None]:
    """Put the old rules back when the new ones fail, whatever stopped them."""
    try:
        yield
    except BaseException as error:
        try:
            put_back()
        except BothwaysError as second:
            raise ElasticsearchError(
                f"{error} Restoring the previous rules in {source.name} failed, too: {second}"
            ) from error
        if isinstance(error, BothwaysError):
            raise ElasticsearchError(f"{error} The previous rules are in force again.") from error
        raise


def _prove(client: Elasticsearch, source: SynonymSource, rules: Sequence[Rule]) -> None:
    for index in source.live:
        if idle := not_acting(client, index, rules):
            named = "; ".join(str(rule) for rule in idle[:_NAMED])
            raise ElasticsearchError(
                f"{len(idle)} of {len(rules)} rules have no effect in {index} ({named}): does "
                f"the server read {source.name}?"
            )
