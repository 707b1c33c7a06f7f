"""Wrong API keys are counted and slowed, by the address that they come from; a right key never waits.

A key is compared before anything is looked up here, so nobody can lock others out by trying wrong ones under their
address, as behind a proxy. Addresses are those of the connection: `X-Forwarded-For` is what the caller writes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog
from prometheus_client import Counter

log = structlog.get_logger()

REFUSED = Counter("bothways_api_keys_refused", "Requests with a wrong API key")

FREE_TRIES = 10
"""Wrong keys of one address that are answered at once: a client with an old key is no attacker."""
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0
FORGOTTEN_AFTER_S = 60.0
"""Time without a wrong key after which an address begins anew."""
MOST_ADDRESSES = 4096
MOST_WAITING = 500
"""Answers that wait at once; what comes beyond is answered at once, so that no flood of them takes our memory."""


class WrongKeys:
    """Remembers who brought wrong keys. For one event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting = 0

    async def slow_down(self, address: str) -> None:
        """Count a wrong key of an address, and wait as long as its answer has to."""
        REFUSED.inc()
        delay = self.delay_of(address)
        if delay <= 0 or self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            self._waiting -= 1

    def delay_of(self, address: str) -> float:
        """Note one more wrong key of an address; returns the seconds that its answer has to wait."""
        now, known = self._clock(), _network(address)
        tries, last = self._tries.pop(known, (0, now))
        tries = 1 if now - last > FORGOTTEN_AFTER_S else tries + 1
        self._tries[known] = (tries, now)
        if len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)
        if tries <= FREE_TRIES:
            return 0.0
        if tries == FREE_TRIES + 1:
            log.warning("wrong_api_keys", address=known, tries=tries)
        return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(tries - FREE_TRIES - 1, 30)))


def _network(address: str) -> str:
    """Return what is counted as one: an IPv4 address; of an IPv6 address the network, which has 2^64 of them."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]  # as of a Unix socket
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
