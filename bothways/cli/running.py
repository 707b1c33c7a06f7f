"""The server that `bothways serve` runs on this machine: `bothways search` asks it instead of loading models.

A note is a file in the cache folder that only its owner reads, locked as long as the server lives: a lock ends with its
process, however that ends. Its name is a digest of the settings, so that a server is asked only by a command that would
search in the same way.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bothways import __version__
from bothways.core.machine.private_files import open_private, private_folder
from bothways.core.settings import Settings

if sys.platform != "win32":  # there no server is noted, and each search loads its models
    import fcntl

_OF_THE_SERVER_ALONE = frozenset(
    {"host", "port", "api_keys", "api_keys_file", "without_keys", "allowed_hosts", "cors_origins"}
    | {"server_url", "server_api_key", "log_level", "log_format"}
)
"""Settings that change no search."""


@contextmanager
def noted(settings: Settings, url: str) -> Iterator[None]:
    """Note the server's address while the block runs; a server with the same settings that was first stays noted."""
    path = _note(settings)
    private_folder(path.parent)
    with open_private(path, "a+", encoding="utf-8") as file:
        is_ours = _lock(file.fileno())
        if is_ours:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "url": url}))
            file.flush()
        try:
            yield
        finally:
            if is_ours:
                path.unlink(missing_ok=True)


def running_server(settings: Settings) -> str | None:
    """Return the address of a server of this user that lives and has the same settings; None where there is none."""
    if sys.platform == "win32":
        return None
    try:
        with _note(settings).open(encoding="utf-8") as file:
            info = os.fstat(file.fileno())
            if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o077 or _lock(file.fileno()):
                return None
            return str(json.load(file)["url"])
    except (FileNotFoundError, json.JSONDecodeError):  # one that begins has not written yet
        return None


def _lock(file: int) -> bool:
    """Lock an open file; False where another process has it locked, or where locks do not end with their process."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(settings: Settings) -> Path:
    said: dict[str, Any] = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if name not in _OF_THE_SERVER_ALONE
    }
    digest = hashlib.sha256(json.dumps([__version__, said], sort_keys=True).encode()).hexdigest()
    return settings.cache_dir / "servers" / f"{digest[:32]}.json"
