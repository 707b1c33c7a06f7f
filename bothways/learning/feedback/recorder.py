"""Records searches and events for the API: onto disk at once, from there to Elasticsearch in a thread of its own.

What a search pays is one line written to a file that the system buffers. However slow Elasticsearch is, or whether it
is there at all, changes nothing of that; what it cannot take waits on disk, up to a limit, and what is more is dropped
and counted.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog
from elasticsearch import Elasticsearch
from prometheus_client import Counter, Gauge

from bothways.core.errors import BothwaysError, OverloadedError
from bothways.core.results import SearchResult
from bothways.core.settings import Settings
from bothways.learning.feedback.rows import Row, event_row, query_row
from bothways.learning.feedback.spool import Spool
from bothways.learning.feedback.store import DAY_S, FeedbackStore
from bothways.learning.feedback.wording import Wording
from bothways.schemas.names import Action

log = structlog.get_logger()

ROWS = Counter(
    "bothways_feedback_rows",
    "Searches and events by what became of them: spooled, shipped, dropped, refused, torn",
    ["outcome"],
)
WAITING = Gauge("bothways_feedback_spool_bytes", "Feedback on disk that waits for Elasticsearch")

SHIP_EVERY_S = 1.0
LONGEST_PAUSE_S = 60.0
REMEMBERED = 2_000
"""Searches whose hits are remembered, so that an event can be given its rank and collection."""


class _Remembered(NamedTuple):
    """What is known of a search when an event comes: the collection, each chunk's rank, the words that are kept."""

    collection: str
    ranks: Mapping[str, int]
    asked: str | None


_FORGOTTEN = _Remembered("", {}, None)


class Recorder:
    """Takes rows from `start` to `close`; before and after, searches are answered all the same and not recorded.

    `store` is called in the thread, and may raise while Elasticsearch is away. `clock`: seconds since 1970.
    """

    def __init__(
        self,
        spool: Spool,
        wording: Wording,
        store: Callable[[], FeedbackStore],
        *,
        retention_days: int = 90,
        every_s: float = SHIP_EVERY_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._wording = wording
        self._store = store
        self._retention_days = retention_days
        self._every_s = every_s
        self._clock = clock
        self._recent: OrderedDict[str, _Remembered] = OrderedDict()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept_at = float("-inf")
        self._trouble = ""

    def start(self) -> None:
        """Open the spool and ship what an earlier process left; without a folder to write to, nothing is recorded."""
        try:
            self._spool.open()
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            log.warning("feedback_not_recorded", folder=str(self._spool.folder), reason=str(error))
            return
        self._ending.clear()
        self._thread = threading.Thread(target=self._work, name="feedback", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Ship what there is, as far as it goes in that time; the rest waits for the next start."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._spool.close()
            self._thread = None

    def searched(self, result: SearchResult, *, filtered: bool = False) -> None:
        """Record a search that was answered. It never raises and never waits for anybody."""
        if self._thread is None:
            return
        row = query_row(result, self._wording, filtered=filtered, now=self._clock())
        ranks = {hit.chunk_id: rank for rank, hit in enumerate(result.hits, result.offset + 1)}
        with self._lock:
            self._recent[result.query_id] = _Remembered(result.collection, ranks, row.source.get("user_query"))
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        self._append(row)

    def acted(self, query_id: str, chunk_id: str, action: Action) -> None:
        """Record what a user did with a hit; when this returns, no restart loses it.

        Raises `OverloadedError` where it cannot be kept.
        """
        with self._lock:
            collection, ranks, asked = self._recent.get(query_id, _FORGOTTEN)
        shown = (collection, ranks[chunk_id]) if chunk_id in ranks else None
        if not self._append(event_row(query_id, chunk_id, action, shown=shown, asked=asked, now=self._clock())):
            raise OverloadedError(
                "Feedback cannot be kept at the moment: too much of it waits for Elasticsearch, or the disk is full. "
                "Send it again later.",
                retry_after_s=int(LONGEST_PAUSE_S),
            )

    def ship(self) -> bool:
        """Send all that is on disk, here and now; False where something has to be tried again."""
        try:
            segments = self._spool.waiting()
            WAITING.set(self._spool.size)
            store = self._store() if segments or self._wants_sweep() else None
            if store is None:
                return True
            for path in segments:
                try:
                    rows, torn = self._spool.read(path)
                except FileNotFoundError:
                    continue  # another process has shipped it meanwhile
                refused = store.write(rows)
                self._spool.refuse(refused)
                self._spool.discard(path)
                _count(shipped=len(rows) - len(refused), refused=len(refused), torn=torn)
            self._sweep(store)
        except (BothwaysError, OSError) as error:
            self._trouble = str(error)
            return False
        except Exception as error:
            # Whatever it is, the thread must go on: what is recorded meanwhile waits for it.
            log.exception("feedback_not_shipped", kind=type(error).__name__)
            self._trouble = type(error).__name__
            return False
        finally:
            WAITING.set(self._spool.size)
        return True

    def _append(self, row: Row) -> bool:
        is_kept = self._spool.append(row)
        if is_kept:
            ROWS.labels("spooled").inc()
        return is_kept

    def _work(self) -> None:
        pause = 0.0
        while True:
            ends = self._ending.wait(pause)
            is_well = self.ship()
            if ends:
                return
            pause = self._every_s if is_well else min(max(2 * pause, self._every_s), LONGEST_PAUSE_S)
            if pause == LONGEST_PAUSE_S:
                log.warning("feedback_waits", bytes=self._spool.size, reason=self._trouble)

    def _wants_sweep(self) -> bool:
        return self._clock() - self._swept_at >= DAY_S

    def _sweep(self, store: FeedbackStore) -> None:
        """Remove what is too old, at the first shipment and then once a day."""
        if self._wants_sweep():
            removed = store.remove_old(now=self._clock(), days=self._retention_days)
            self._swept_at = self._clock()
            if removed:
                log.info("old_feedback_removed", indices=removed)


def build_recorder(settings: Settings, client: Callable[[], Elasticsearch]) -> Recorder | None:
    """Make the recorder as the settings say, None where feedback is switched off."""
    if not settings.feedback:
        return None
    folder = spool_folder(settings)
    limit = int(settings.feedback_spool_mb * 1_000_000)
    return Recorder(
        Spool(folder, limit=limit, dropped=ROWS.labels("dropped").inc),
        Wording(settings.feedback_query_text, folder),
        lambda: FeedbackStore(client()),
        retention_days=settings.feedback_retention_days,
    )


def spool_folder(settings: Settings) -> Path:
    """Return the folder in which feedback waits for Elasticsearch."""
    return settings.cache_dir / "feedback"


def _count(**outcomes: int) -> None:
    for outcome, rows in outcomes.items():
        if rows:
            ROWS.labels(outcome).inc(rows)
