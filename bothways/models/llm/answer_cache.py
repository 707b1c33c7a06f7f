"""Answers of the language model on disk: what was asked once is never asked (or paid for) again.

One SQLite file, used by several threads and processes at once. It is a cache: losing it costs calls and nothing else,
so a broken file is put aside and a full disk is warned about, and neither ends a job.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import structlog

from bothways.core.errors import SettingsError
from bothways.core.machine.private_files import FILE, narrow_mode, private_file, private_folder

log = structlog.get_logger()

_BUSY_S = 30.0
_BESIDE = ("-wal", "-shm")
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def cache_key(*parts: str) -> str:
    """SHA-256 over the parts in order, as hexadecimal text; ("ab", "c") and ("a", "bc") differ."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class AnswerCache:
    """Text by key in a SQLite file. A file that is not one, or is damaged, is renamed to `…broken-TIME`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._warned = False
        self._closed = False
        self._connection = self._open_or_replace()

    def get(self, key: str) -> str | None:
        """Return the answer kept under `key`, or None."""
        with self._lock:
            rows = self._execute("SELECT value FROM answers WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def put(self, key: str, value: str) -> None:
        """Keep an answer, replacing what was there; where that fails (full disk) it is not kept, and said once."""
        with self._lock:
            self._execute("INSERT OR REPLACE INTO answers (key, value) VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _execute(self, statement: str, values: tuple[str, ...]) -> list[tuple[object, ...]]:
        """Run one statement (the lock is held); what goes wrong makes it a miss. A damaged file is replaced."""
        if self._closed:
            return []
        try:
            return self._connection.execute(statement, values).fetchall()
        except (sqlite3.DatabaseError, UnicodeEncodeError) as error:  # the latter: half a surrogate pair
            if _is_broken(error):
                self._connection.close()
                self._connection = self._replace(error)
            elif not self._warned:
                self._warned = True
                log.warning("answer_cache.not_kept", path=str(self._path), reason=str(error), hint="the work goes on")
            return []

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            private_folder(self._path.parent, narrow=False)
            return self._open()
        except sqlite3.DatabaseError as error:
            if _is_broken(error):
                return self._replace(error)
            raise self._unusable(error) from error
        except OSError as error:
            raise self._unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        private_file(self._path)  # SQLite gives its other files the mode of this one, when it makes them
        for suffix in _BESIDE:
            with suppress(FileNotFoundError):
                narrow_mode(self._path.with_name(self._path.name + suffix), FILE)
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
            connection.execute("SELECT key, value FROM answers LIMIT 1").fetchall()
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _replace(self, error: Exception) -> sqlite3.Connection:
        """Put the damaged file aside, where its owner can look at it, and begin a new one."""
        aside = self._path.with_name(f"{self._path.name}.broken-{time.time_ns()}")
        try:
            self._path.rename(aside)
            for suffix in _BESIDE:
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            fresh = self._open()
        except (OSError, sqlite3.DatabaseError) as second:
            raise self._unusable(second) from second
        log.warning("answer_cache.started_anew", path=str(self._path), moved_to=str(aside), reason=str(error))
        return fresh

    def _unusable(self, error: Exception) -> SettingsError:
        return SettingsError(
            f"The cache of answers {self._path} cannot be used ({error}); set BOTHWAYS_CACHE_DIR to a folder that can "
            "be written."
        )


def _is_broken(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN
