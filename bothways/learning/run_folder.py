"""A folder that a long run writes into: begun once, resumed with the same arguments and data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The folder `out` of a run of some `kind`, whose state is the JSON file `state` in it.

    `hint` says what to do where none was begun.
    """

    out: Path
    state: str
    kind: str
    hint: str = "leave --resume away"

    @property
    def path(self) -> Path:
        """The state's file."""
        return self.out / self.state

    def begin(self, *, beside: frozenset[str] = frozenset()) -> None:
        """Make the folder; raise `UsageError` where it has anything in it but what is named `beside`."""
        if self.out.exists() and (not self.out.is_dir() or any(path.name not in beside for path in self.out.iterdir())):
            raise UsageError(
                f"{self.out} is not empty: name another folder, or add --resume to go on with a {self.kind} in it."
            )
        private_folder(self.path.parent, narrow=False)

    def read(self) -> dict[str, Any]:
        """Return the state; raise `UsageError` where there is none, or none that can be read."""
        try:
            state = dict(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError as error:
            raise UsageError(f"No {self.kind} was begun in {self.out}: {self.hint}.") from error
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{self.path} cannot be read: {error}.") from error
        return state

    def write(self, state: Mapping[str, Any]) -> None:
        """Write the state, whole or not at all."""
        private_folder(self.path.parent, narrow=False)
        write_json(self.path, state)

    def require_same(self, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Raise `UsageError` naming the arguments and data that differ from those the run was begun with."""
        given = json.loads(json.dumps(given))  # as the file returns it: a tuple is a list there
        differing = [
            f"{name} was {known.get(name)!r}, is {given.get(name)!r}"
            for name in sorted(known.keys() | given.keys())
            if known.get(name) != given.get(name)
        ]
        if differing:
            raise UsageError(
                f"{self.out} was begun with other arguments or data: {'; '.join(differing)}. Name those again, or "
                "begin anew in another folder."
            )


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256; raise `UsageError` where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
