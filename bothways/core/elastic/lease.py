"""Leases in Elasticsearch: a name that one process holds at a time, on however many machines.

A lease is a document. It is written by compare-and-set (`if_seq_no`, `if_primary_term`) and renewed by a heartbeat
while its holder works. Others may take it once it was not renewed for its time to live, or if its holder is known to be
dead. Renewals have the time of the holder's clock, which may be wrong. So a time that is not current decides nothing by
itself: the process that wants the lease then watches the document by its own clock, since a living holder changes it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from elasticsearch import ConflictError, Elasticsearch, NotFoundError

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.mappings import create_from
from bothways.core.elastic.repeat import Repeat
from bothways.core.errors import ElasticsearchError, ElasticsearchUnavailableError, LeaseHeldError, LeaseLostError
from bothways.core.machine.holder import Holder

log = structlog.get_logger()

INDEX = "bothways-leases"
TTL_S = 30.0
"""Seconds without a heartbeat after which a holder counts as dead; heartbeats come three times as often."""

_LOOKS = 15
"""How often a watched lease is read: several times between two heartbeats."""
_WHY_WATCHED = "its holder did not renew it, or its clock is wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The document of a lease: its holder, what it is held for (`note`), since when, and when it was last renewed.

    Times are seconds since 1970 by the holder's clock.
    """

    holder: Holder
    token: str
    note: str
    since: float
    renewed: float
    ttl_s: float

    def seems_kept(self, now: float) -> bool:
        """Return whether it was renewed within its time to live, by a clock that is about right."""
        return abs(now - self.renewed) <= self.ttl_s

    def describe(self, name: str) -> str:
        """Return a sentence with the holder and since when."""
        since = datetime.fromtimestamp(self.since, UTC)
        return f"{name!r} is held by {self.holder.who} since {since:%Y-%m-%d %H:%M:%S} UTC."


@dataclass(frozen=True, slots=True)
class _Version:
    """What compare-and-set compares."""

    seq_no: int
    primary_term: int


class Lease:
    """One name that this process holds. Thread-safe. Made by `Leases.acquire`; `taken_from` is a dead holder's."""

    def __init__(self, leases: Leases, name: str, held: Held, version: _Version, taken_from: Held | None) -> None:
        self.name = name
        self.taken_from = taken_from
        self._leases = leases
        self._held = held
        self._version = version
        self._lost = False
        self._lock = threading.Lock()

    @contextmanager
    def kept(self) -> Iterator[Lease]:
        """Renew it in the background for the length of a `with`, then give it back."""
        try:
            with Repeat(self._beat, every_s=self._leases.ttl_s / 3, name=f"lease {self.name}"):
                yield self
        finally:
            self.release()

    def check(self) -> None:
        """Raise `LeaseLostError` unless the name is still ours; no request is made while the heartbeats get through.

        A process that was suspended finds its last renewal to be old, and renews before it does anything else. While
        Elasticsearch is away nothing can be asked, and nothing can be damaged either.
        """
        if self._lost:
            raise self._lost_error()
        if abs(self._leases.clock() - self._held.renewed) > self._leases.ttl_s * 2 / 3:
            with suppress(ElasticsearchUnavailableError):
                self.renew()

    def renew(self) -> None:
        """Renew the lease; raise `LeaseLostError` if another process has taken or removed it."""
        with self._lock:
            if self._lost:
                raise self._lost_error()
            wanted = self._leases.stamped(self._held)
            version = self._leases.write(self.name, wanted, self._version)
            if version is None:
                # A lost answer looks like a write of another process: the token shows whose it is.
                found = self._leases.read(self.name)
                if found is None or found[0].token != self._held.token:
                    self._lost = True
                    raise self._lost_error()
                wanted, version = found
            self._held, self._version = wanted, version

    def release(self) -> None:
        """Give the name back; a lease that is lost already is left alone."""
        with self._lock:
            self._leases.remove(self.name, self._version)
            self._lost = True

    def _beat(self) -> None:
        """Renew in the background; the next `check` notices if it failed."""
        try:
            self.renew()
        except LeaseLostError as error:
            log.warning("lease_lost", lease=self.name, reason=str(error))
        except ElasticsearchError as error:
            log.warning("lease_not_renewed", lease=self.name, reason=str(error))

    def _lost_error(self) -> LeaseLostError:
        return LeaseLostError(
            f"Another process took over {self.name!r}, because this one did not renew its lease for more than "
            f"{self._leases.ttl_s:g} s. So this one stops; what it did stays. Run it again later to complete it."
        )


class Leases:
    """All leases of one Elasticsearch.

    `clock` gives seconds since 1970, `ticks` gives monotonic seconds, and `pause` waits while a lease is watched.
    """

    def __init__(
        self,
        client: Elasticsearch,
        *,
        index: str = INDEX,
        ttl_s: float = TTL_S,
        holder: Holder | None = None,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._ticks = ticks
        self._pause = pause
        self._unchanged: dict[str, tuple[_Version, float]] = {}
        self.ttl_s = ttl_s
        self.clock = clock
        self._client = client
        self._index = index
        self._holder = holder or Holder.here()

    @contextmanager
    def hold(self, name: str, *, note: str = "") -> Iterator[Lease]:
        """Hold a name for the length of a `with`, heartbeats included; raise `LeaseHeldError` at once if it is taken.

        Call `Lease.check` before each action that only the holder may do.
        """
        with self.acquire(name, note=note).kept() as lease:
            yield lease

    def acquire(self, name: str, *, note: str = "", watch: bool = True) -> Lease:
        """Take a name that is free or has a dead holder; raise `LeaseHeldError` with the holder and since when.

        If the last renewal is not current, the lease is watched for its time to live: a holder that changes nothing in
        it is dead. Without `watch` it counts as held until calls on this object have seen it unchanged that long.
        """
        create_from(self._client, "leases.json", self._index)
        now = self.clock()
        mine = Held(
            holder=self._holder, token=secrets.token_hex(8), note=note, since=now, renewed=now, ttl_s=self.ttl_s
        )
        while True:
            found = self.read(name)
            if found is not None and found[0].token != mine.token and not self._is_over(name, *found, watch=watch):
                raise LeaseHeldError(found[0].describe(name), who=found[0].holder.who, note=found[0].note)
            # Another process may have been faster: then look again.
            if version := self.write(name, mine, found[1] if found else None):
                return Lease(self, name, mine, version, found[0] if found else None)

    def _is_over(self, name: str, held: Held, version: _Version, *, watch: bool) -> bool:
        """Return whether others may take a lease: its holder is known to be dead, or does not renew it."""
        if held.holder.is_known_dead():
            return True
        if held.seems_kept(self.clock()):
            return False
        seen, since = self._unchanged.get(name, (version, self._ticks()))
        if seen != version:
            since = self._ticks()
        self._unchanged[name] = version, since
        left = since + held.ttl_s - self._ticks()
        if left > 0 and watch:
            log.warning(
                "lease_watched", lease=name, holder=held.holder.who, seconds=round(left, 1), reason=_WHY_WATCHED
            )
        while watch and left > 0:
            self._pause(min(left, held.ttl_s / _LOOKS))
            found = self.read(name)
            if found is None or found[1] != version:
                # The holder lives, or another process was faster.
                return found is None
            left = since + held.ttl_s - self._ticks()
        if left > 0:
            return False
        del self._unchanged[name]
        return True

    def read(self, name: str) -> tuple[Held, _Version] | None:
        """Return the lease of a name with its version at this moment; None if it is free."""
        with elasticsearch_errors(f"reading the lease {name!r}"):
            try:
                found = self._client.get(index=self._index, id=name)
            except NotFoundError:
                return None
        fields: dict[str, Any] = found["_source"]
        held = Held(**(fields | {"holder": Holder.from_dict(fields["holder"])}))
        return held, _Version(found["_seq_no"], found["_primary_term"])

    def write(self, name: str, held: Held, compare: _Version | None) -> _Version | None:
        """Write a lease if its version is still `compare` (None: none yet); return None if it is another."""
        expected: dict[str, Any] = {"op_type": "create"}
        if compare is not None:
            expected = {"if_seq_no": compare.seq_no, "if_primary_term": compare.primary_term}
        with elasticsearch_errors(f"writing the lease {name!r}"):
            try:
                done = self._client.index(index=self._index, id=name, document=asdict(held), **expected)
            except ConflictError:
                return None
        return _Version(done["_seq_no"], done["_primary_term"])

    def remove(self, name: str, compare: _Version) -> None:
        """Remove a lease if its version is still `compare`."""
        try:
            with elasticsearch_errors(f"giving the lease {name!r} back"):
                self._client.delete(
                    index=self._index, id=name, if_seq_no=compare.seq_no, if_primary_term=compare.primary_term
                )
        except ElasticsearchError as error:
            log.debug("lease_not_given_back", lease=name, reason=str(error))

    def forget(self, name: str) -> None:
        """Remove the lease of a dead holder under a name that is not used again."""
        with elasticsearch_errors(f"removing the lease {name!r}"):
            self._client.options(ignore_status=404).delete(index=self._index, id=name)

    def stamped(self, held: Held) -> Held:
        """Return the same lease, renewed now."""
        return replace(held, renewed=self.clock(), ttl_s=self.ttl_s)
