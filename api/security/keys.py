"""Who calls: the API keys that the server knows, each with what it may see.

`BOTHWAYS_API_KEYS` are keys of admins; those of `BOTHWAYS_API_KEYS_FILE` (api/security/key_file.py) stand there as
hashes. The file is looked at for every request, so that a key that is taken out of it stops working at once.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog
from fastapi import HTTPException
from prometheus_client import Gauge
from starlette.datastructures import Headers

from bothways.api.security.key_file import Fingerprint, Key, fingerprint, is_settled, read_keys
from bothways.core.access.groups import ADMIN, Access
from bothways.core.errors import SettingsError
from bothways.core.settings import Settings

log = structlog.get_logger()

FEWEST_CHARS = 16
"""Of a key in `BOTHWAYS_API_KEYS`: a shorter one can be guessed. One that is made as we say has 64."""

STALE = Gauge("bothways_api_keys_stale", "1 while the file of API keys is broken and the keys before are in force")


class KeyMissingError(HTTPException):
    """The request brings no key, or several different ones."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, headers={"WWW-Authenticate": "Bearer"})


class KeyRefusedError(KeyMissingError):
    """The request has a key that the server does not know."""


class Keys:
    """The keys of one server at one time; without any key, every caller is an admin."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)
        if len({key.sha256 for key in keys}) < len(keys):
            raise SettingsError("An API key stands twice in BOTHWAYS_API_KEYS and BOTHWAYS_API_KEYS_FILE.")

    def __len__(self) -> int:
        return len(self._keys)

    def admit(self, headers: Headers) -> Access:
        """Return what the caller may see; raises `KeyMissingError`, or `KeyRefusedError` for a key that is wrong."""
        if not self._keys:
            return ADMIN
        brought = _brought(headers)
        if not brought:
            raise KeyMissingError("Bring one of the server's API keys as a bearer token or in X-API-Key.")
        if len(brought) > 1:
            raise KeyMissingError("The request brings several API keys: bring one, as a bearer token or in X-API-Key.")
        digest = hashlib.sha256(brought.pop()).hexdigest()
        # Every key is compared in full, so that time tells nothing.
        found = [key.access for key in self._keys if secrets.compare_digest(key.sha256, digest)]
        if not found:
            raise KeyRefusedError("This API key was refused: the server does not know it (any more).")
        return found[0]


class CurrentKeys:
    """The keys as they are now: those of the settings, and those of the file as it was last read without an error.

    A file that is broken, gone or open to others leaves the keys as they were, and the log says so once.
    """

    def __init__(self, plain: Sequence[Key], path: Path | None) -> None:
        self._plain = tuple(plain)
        self._path = path
        self._lock = threading.Lock()
        self._seen: Fingerprint = fingerprint(path) if path is not None else None
        self._settled = is_settled(self._seen)
        self._keys = self._read()

    def admit(self, headers: Headers) -> Access:
        """Return what the caller may see; raises as `Keys.admit` does."""
        if self._path is not None:
            self._renew()
        return self._keys.admit(headers)

    def _renew(self) -> None:
        assert self._path is not None  # noqa: S101 – for mypy
        now = fingerprint(self._path)
        if now == self._seen and self._settled:
            return
        with self._lock:
            is_new = now != self._seen
            self._seen, self._settled = now, is_settled(now)  # of before the reading: what is written meanwhile is new
            reason = self._broken()
            STALE.set(reason is not None)
            if is_new and reason is not None:
                log.error("api_keys_not_renewed", reason=reason, in_force=f"the {len(self._keys)} keys before")
            elif is_new:
                log.warning("api_keys_renewed", path=str(self._path), keys=len(self._keys))

    def _broken(self) -> str | None:
        """Read the file anew; returns why it cannot be used."""
        try:
            self._keys = self._read()
        except SettingsError as error:
            return str(error)
        return None

    def _read(self) -> Keys:
        return Keys([*self._plain, *(read_keys(self._path) if self._path is not None else ())])


def load_keys(settings: Settings) -> CurrentKeys:
    """Read the keys that are set; raises `SettingsError` for a short key or a broken file, with what to do."""
    plain = [key.get_secret_value() for key in settings.api_keys]
    if short := [key for key in plain if len(key) < FEWEST_CHARS]:
        raise SettingsError(
            f"A key in BOTHWAYS_API_KEYS has {len(short[0])} characters, {FEWEST_CHARS} are the fewest: "
            "make one with `openssl rand -hex 32`."
        )
    return CurrentKeys([Key(_sha256(key.encode()), ADMIN) for key in plain], settings.api_keys_file)


def _brought(headers: Headers) -> set[bytes]:
    """Return the different keys that a request brings, in whichever headers: two are one too many."""
    found = {key.strip() for key in headers.getlist("x-api-key")}
    for value in headers.getlist("authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            found.add(token.strip())
    return {key.encode("latin-1") for key in found if key}


def _sha256(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
