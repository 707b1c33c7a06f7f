"""A node in a Docker container: the commands as pure functions, and the functions that run them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import structlog

from bothways.core.errors import NodeError
from bothways.node.config import DISK, SECURITY
from bothways.node.distribution.fetch import VERSION

IMAGE = f"docker.elastic.co/elasticsearch/elasticsearch:{VERSION}"
CONFIG = "/usr/share/elasticsearch/config"
"""Where the image reads its configuration."""
_DATA = "/usr/share/elasticsearch/data"
_PULL_TIMEOUT_S = 1800

log = structlog.get_logger(__name__)


def docker_available() -> bool:
    """Return whether there is a Docker client and an engine that answers."""
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=8, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def container_name(port: int) -> str:
    """Return the container's name; every port but the default one is part of it."""
    return "bothways-es" if port == 9200 else f"bothways-es-{port}"


def run_command(*, port: int, heap: str, config: Path) -> list[str]:
    """Return the command that starts the container, published on loopback alone.

    The folder of the synonyms is mounted, not the file: a mounted file would stay the old one when it is replaced. The
    files of `bothways/node/login.py` are written into, not replaced; they bring the password's hash, not the password.
    The data is in a volume of the container's name and outlives it.
    """
    name = container_name(port)
    return [
        *("docker", "run", "-d", "--name", name),
        *("-p", f"127.0.0.1:{port}:9200"),
        *("-e", "discovery.type=single-node"),
        *(part for name, on in SECURITY.items() for part in ("-e", f"{name}={str(on).lower()}")),
        *("-e", "action.destructive_requires_name=true"),
        *(part for name, value in DISK.items() for part in ("-e", f"{name}={value}")),
        *("-e", f"ES_JAVA_OPTS=-Xms{heap} -Xmx{heap}"),
        *("-v", f"{config / 'analysis'}:{CONFIG}/analysis:ro"),
        *(part for name in ("users", "users_roles") for part in ("-v", f"{config / name}:{CONFIG}/{name}:ro")),
        *("-v", f"{name}-data:{_DATA}"),
        IMAGE,
    ]


def start_container(*, port: int, heap: str, config: Path) -> str:
    """Start the container, remove an ended one of the same name, and return the name."""
    name = container_name(port)
    if _docker(["docker", "image", "inspect", IMAGE], check=False).returncode != 0:
        log.info("pulling the Docker image, which takes a while", image=IMAGE)
        _docker(["docker", "pull", "--quiet", IMAGE], timeout_s=_PULL_TIMEOUT_S)
    _docker(["docker", "rm", "--force", name], check=False)
    _docker(run_command(port=port, heap=heap, config=config))
    return name


def is_running(container: str) -> bool:
    """Return whether a container runs."""
    if shutil.which("docker") is None:
        return False
    done = _docker(["docker", "inspect", "--format", "{{.State.Running}}", container], check=False)
    return done.returncode == 0 and done.stdout.strip() == "true"


def last_words(container: str) -> str:
    """Return the last line that a container printed."""
    done = _docker(["docker", "logs", "--tail", "1", container], check=False)
    return (done.stdout.strip() or done.stderr.strip())[:400]


def stop_container(container: str) -> None:
    """Stop and remove a container; its data stays in the volume."""
    _docker(["docker", "stop", "-t", "30", container], timeout_s=60, check=False)
    _docker(["docker", "rm", "--force", container])


def remove_data(container: str) -> None:
    """Remove the volume with a container's data."""
    _docker(["docker", "volume", "rm", "--force", f"{container}-data"], check=False)


def _docker(command: Sequence[str], *, timeout_s: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
    what = " ".join(command[:2])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise NodeError(f"`{what}` failed: {error}.") from error
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise NodeError(f"`{what}` failed: {said[:400]}")
    return done
