"""Who calls: the API keys that the server knows, each with what it may see.

`BOTHWAYS_API_KEYS` are keys of admins. `BOTHWAYS_API_KEYS_FILE` is a TOML file that holds no key, only SHA-256 hashes:

    [[keys]]
    name = "hr-portal"          # for people
    sha256 = "…"                # printf %s "$KEY" | sha256sum
    groups = ["hr", "legal"]    # sees documents of these groups, and changes nothing; an admin's: admin = true

A plain hash will do because a key is a long random text (`openssl rand -hex 32`) and no password.
"""

from __future__ import annotations

import hashlib
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from starlette.datastructures import Headers

from core.access import ADMIN, Access
from core.errors import SettingsError
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Key:
    """A key by its SHA-256 in hexadecimal, and what it may see."""

    sha256: str
    access: Access


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = ""
    sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")]
    groups: list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]] | None = (
        Field(None, max_length=1000)
    )
    admin: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> _Entry:
        # A forgotten line must not make an admin of a key.
        if self.admin == (self.groups is not None):
            raise ValueError("a key has either `groups = [...]` or `admin = true`")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[_Entry]


class Keys:
    """The keys of one server; without any, whoever reaches it is taken for an admin."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)
        if len({key.sha256 for key in keys}) < len(keys):
            raise SettingsError("An API key stands twice in BOTHWAYS_API_KEYS and BOTHWAYS_API_KEYS_FILE.")

    def admit(self, headers: Headers) -> Access:
        """Give what the caller may see; raises `HTTPException` 401 where no key is brought, or more than one."""
        if not self._keys:
            return ADMIN
        brought = _brought(headers)
        if len(brought) == 1:
            digest = hashlib.sha256(brought.pop()).hexdigest()
            # Every key is compared in full, so that time tells nothing.
            found = [key.access for key in self._keys if secrets.compare_digest(key.sha256, digest)]
            if found:
                return found[0]
        raise HTTPException(
            401,
            "Bring one of the server's API keys as a bearer token or in X-API-Key.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def load_keys(settings: Settings) -> Keys:
    """Read the keys that are set; raises `SettingsError`, naming the line of the file that is wrong."""
    plain = [Key(_sha256(key.get_secret_value().encode()), ADMIN) for key in settings.api_keys]
    return Keys([*plain, *(_from_file(settings.api_keys_file) if settings.api_keys_file else ())])


def _from_file(path: Path) -> list[Key]:
    try:
        content = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The API keys in {path} cannot be read ({error}); see BOTHWAYS_API_KEYS_FILE.") from error
    except ValidationError as error:
        # The values stay out of the message: somebody may have put a key where its hash belongs.
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"The API keys in {path} cannot be used: {where}: {first['msg']}.") from error
    if not content.keys:
        raise SettingsError(f"The file {path} has no API keys (BOTHWAYS_API_KEYS_FILE).")
    return [Key(one.sha256, ADMIN if one.groups is None else Access(frozenset(one.groups))) for one in content.keys]


def _brought(headers: Headers) -> set[bytes]:
    """Give the different keys that a request brings, in whichever headers: two are one too many."""
    found = {key.strip() for key in headers.getlist("x-api-key")}
    for value in headers.getlist("authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            found.add(token.strip())
    return {key.encode("latin-1") for key in found if key}


def _sha256(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
