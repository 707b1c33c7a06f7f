"""The state of a started node (`node.json`), and whether its processes still run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import psutil

from bothways.core.errors import NodeError
from bothways.core.machine.private_files import write_private

_CLOCK_SLACK_S = 2.0
"""A start time is counted from the boot time, which moves a little when the clock is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A node that was started here.

    `processes` are (pid, start time in seconds since the epoch) pairs, the launcher first and the server last: a
    number alone could belong to another program by now. A Docker node has `container` instead, and no `home`.
    `config` holds the synonyms file, `logs` is the log file. The login is `user` with the password in `password_file`;
    nodes of earlier versions have neither and need no password.
    """

    kind: Literal["local", "docker"]
    url: str
    port: int
    version: str
    config: Path
    data: Path
    logs: Path
    started_at: str
    home: Path | None = None
    processes: tuple[tuple[int, float], ...] = ()
    container: str | None = None
    user: str | None = None
    password_file: Path | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id; None for a container."""
        return self.processes[-1][0] if self.processes else None

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the pid as plain JSON values."""
        values = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return values | {"pid": self.pid}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> NodeInfo:
        """Read the result of `to_json`; raise `KeyError` or `TypeError` for missing or unknown fields."""
        values = {"user": None, "password_file": None, **values}
        known = {field.name: values[field.name] for field in fields(cls)}
        known |= {key: Path(known[key]) for key in ("config", "data", "logs")}
        known |= {key: Path(known[key]) if known[key] else None for key in ("home", "password_file")}
        known["processes"] = tuple((int(pid), float(started)) for pid, started in known["processes"])
        return cls(**known)


def read_state(folder: Path) -> NodeInfo | None:
    """Read the state; None if nothing was started, or if the file cannot be understood."""
    try:
        return NodeInfo.from_json(json.loads((folder / "node.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise NodeError(f"What is known of the local node cannot be read: {error}.") from error
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(folder: Path, info: NodeInfo) -> None:
    """Write the state atomically."""
    write_private(folder / "node.json", json.dumps(info.to_json(), indent=2) + "\n")


def forget_state(folder: Path) -> None:
    """Remove the state."""
    (folder / "node.json").unlink(missing_ok=True)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, itself first; an empty list if it has ended."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def started_times(processes: Sequence[psutil.Process]) -> tuple[tuple[int, float], ...]:
    """Return (pid, start time) of the processes that still run."""
    pairs = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            pairs.append((process.pid, process.create_time()))
    return tuple(pairs)


def living(processes: Sequence[tuple[int, float]]) -> list[psutil.Process]:
    """Return the recorded processes that still run, without others that got the same number."""
    found = []
    for pid, started in processes:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            same = abs(process.create_time() - started) < _CLOCK_SLACK_S
            if same and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
