"""The words of a question, as far as they may be kept: as they are, as a keyed hash, or not at all."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from pathlib import Path

from bothways.core.datatypes import QueryText
from bothways.core.errors import SettingsError
from bothways.core.machine.private_files import private_folder

_KEY_BYTES = 32
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def normalised(text: str) -> str:
    """Return a question in the form in which equal ones meet: NFKC, lower case, single blanks, no marks at the ends."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _EDGES.sub("", folded) or folded


class Wording:
    """Gives what is kept of a question. The key of hashes is made at the first use and kept in `folder`."""

    def __init__(self, kept: QueryText, folder: Path) -> None:
        self.kept = kept
        self._key = _key(folder) if kept == "hashed" else b""

    def of(self, text: str) -> str | None:
        """Return the text, the HMAC-SHA256 of its normalised form in hexadecimal, or None."""
        if self.kept == "plain":
            return text
        if self.kept == "hashed":
            return hmac.new(self._key, normalised(text).encode(), hashlib.sha256).hexdigest()
        return None


def _key(folder: Path) -> bytes:
    """Read the key, making it where there is none: readable for its owner alone, the same for all processes."""
    path = folder / "query-text.key"
    try:
        private_folder(folder)
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"The key of hashed queries cannot be kept in {path} ({error}): see BOTHWAYS_CACHE_DIR, "
            "or set BOTHWAYS_FEEDBACK_QUERY_TEXT=none."
        ) from error
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{path} is not a key of {_KEY_BYTES} bytes: remove it, and a new one is made.")
    return key


def _make(path: Path) -> None:
    """Put a new key in place whole; where two processes make one, both use the first."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
