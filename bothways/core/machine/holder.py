"""The process that holds a lease or a job: a name for people, and how to see whether it still runs."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import psutil

_SAME_START_S = 5.0
"""Start times of one process, taken twice, differ by no more: a clock that is set between moves them a little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process. `who` is user@host:pid; `machine` tells two machines (and two containers) of one name apart.

    `started` is when the process started, in seconds since 1970: a later process with the same pid is another one.
    """

    who: str
    machine: str = ""
    pid: int = 0
    started: float = 0.0

    @classmethod
    def here(cls) -> Self:
        """Return this process."""
        pid = os.getpid()
        return cls(
            who=f"{_user()}@{socket.gethostname()}:{pid}",
            machine=_machine(),
            pid=pid,
            started=psutil.Process(pid).create_time(),
        )

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Read it from a document of Elasticsearch."""
        return cls(**{name: fields[name] for name in cls.__slots__ if name in fields})

    def is_known_dead(self) -> bool:
        """Return whether the process is gone for certain. Only its own machine can know; elsewhere this is False."""
        if self.machine != _machine():
            return False
        with suppress(psutil.AccessDenied):
            try:
                process = psutil.Process(self.pid)
                if process.status() == psutil.STATUS_ZOMBIE:
                    return True
                return abs(process.create_time() - self.started) > _SAME_START_S
            except psutil.NoSuchProcess:
                return True
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a number that no name belongs to.
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


@lru_cache(maxsize=1)
def _machine() -> str:
    """Return where a pid is unique: this boot of this machine and, on Linux, this namespace of process ids."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    if len(parts) == 1:
        parts.append(f"{uuid.getnode():x}")
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 – it points to no path
    return "/".join(parts)
