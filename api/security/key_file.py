"""The keys that stand in a file: read, checked, and known again when they have changed.

    [[keys]]
    name = "hr-portal"          # for people
    sha256 = "…"                # printf %s "$KEY" | sha256sum
    groups = ["hr", "legal"]    # sees documents of these groups, and changes nothing; an admin's: admin = true

A plain hash will do because a key is a long random text (`openssl rand -hex 32`) and no password.
"""

from __future__ import annotations

import os
import stat
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from bothways.core.access.groups import ADMIN, Access
from bothways.core.errors import SettingsError

_SETTLED_S = 0.1
"""A file that was written less than this ago may be written again within the same tick of the file system's clock."""


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


Fingerprint = tuple[int, ...] | None
"""What changes whenever a file is written, replaced or protected otherwise; None for one that is not there."""


def fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of a file by one `stat`, which costs a few microseconds."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def is_settled(seen: Fingerprint) -> bool:
    """Return whether a later change of the file is sure to change the fingerprint."""
    return seen is None or abs(time.time_ns() - seen[0]) > _SETTLED_S * 1e9


def read_keys(path: Path) -> list[Key]:
    """Read the keys of a file; raises `SettingsError`, naming the line that is wrong."""
    try:
        check_private(path)
        content = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The API keys in {path} cannot be read ({error}); see BOTHWAYS_API_KEYS_FILE.") from error
    except ValidationError as error:
        # The values stay out of the message: a key may stand where its hash belongs.
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"The API keys in {path} cannot be used: {where}: {first['msg']}.") from error
    if not content.keys:
        raise SettingsError(f"The file {path} has no API keys (BOTHWAYS_API_KEYS_FILE).")
    return [Key(one.sha256, ADMIN if one.groups is None else Access(frozenset(one.groups))) for one in content.keys]


def check_private(path: Path) -> None:
    """Raise `SettingsError` for a file that other users of the machine may read or change; `OSError` for a missing one.

    The group may read what root owns (mode 640), as PostgreSQL has it for its keys. A file on a read-only mount is
    taken as it is: so Docker and Kubernetes hand secrets to a container, whose user cannot change their mode.
    """
    found = path.stat()
    others = 0o037 if found.st_uid == 0 else 0o077
    if os.name != "posix" or not stat.S_IMODE(found.st_mode) & others or _is_on_read_only_mount(path):
        return
    raise SettingsError(
        f"The API keys in {path} may be read or changed by other users of this machine "
        f"(mode {stat.S_IMODE(found.st_mode):03o}): protect them with `chmod 600 {path}`."
    )


def _is_on_read_only_mount(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
