"""The home folder of a whole JDK that can run Elasticsearch, found in the usual places.

A JRE is not enough: Elasticsearch attaches an agent to itself and computes with the vector module.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bothways.core.errors import NodeError

OLDEST = 21
NEWEST_TRIED = 25
MODULES = frozenset({"jdk.attach", "jdk.jlink", "jdk.incubator.vector"})
PLACES = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/usr/local/openjdk-*",
    "/opt/java/*",
    "/opt/jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
    "~/.asdf/installs/java/*",
    "~/.local/share/mise/installs/java/*",
)
"""Where package managers and users install JDKs, as glob patterns."""


@dataclass(frozen=True, slots=True)
class Java:
    """One Java installation: its home folder, its feature version (25) and the names of its modules."""

    home: Path
    version: int
    modules: frozenset[str]

    @property
    def fits(self) -> bool:
        """Whether Elasticsearch can run on it."""
        return self.version >= OLDEST and self.modules >= MODULES


def find_jdk(distribution: Path | None = None, *, usable: Callable[[Path], bool] = lambda _: True) -> Path:
    """Return the home of the JDK to run Elasticsearch with.

    The distribution's own comes first, then `ES_JAVA_HOME` (an error if it does not fit), then `JAVA_HOME`, then the
    best of `java` on the PATH and the usual folders: the newest that was tried with Elasticsearch, else the oldest of
    the newer ones. `usable` may refuse a home, for instance one that another user cannot read.
    """
    if distribution and (own := bundled_jdk(distribution)):
        return own
    if said := os.environ.get("ES_JAVA_HOME"):
        java = read_java(Path(said).expanduser())
        if java and java.fits and usable(java.home):
            return java.home
        raise NodeError(f"ES_JAVA_HOME is {said}, which is not a whole JDK {OLDEST} or newer that can be read here.")
    found = [java for home in _homes() if (java := read_java(home)) and java.fits and usable(home)]
    if found and (home := os.environ.get("JAVA_HOME")) and found[0].home == Path(home).expanduser():
        return found[0].home
    if not found:
        raise NodeError(
            f"No JDK {OLDEST} or newer was found (a whole JDK: a JRE is not enough). Install one, for instance Temurin"
            " 25 or openjdk-21-jdk, or set ES_JAVA_HOME to its folder."
        )
    tried = [java for java in found if java.version <= NEWEST_TRIED]
    best = max(tried, key=_version) if tried else min(found, key=_version)
    return best.home


def bundled_jdk(distribution: Path) -> Path | None:
    """Return the JDK that came with an Elasticsearch distribution, if it has one."""
    for folder in ("jdk", "jdk.app/Contents/Home"):
        if os.access(distribution / folder / "bin/java", os.X_OK):
            return distribution / folder
    return None


def read_java(home: Path) -> Java | None:
    """Read which Java is in a folder, from its `release` file, else by running it; None if there is none."""
    try:
        if not os.access(home / "bin/java", os.X_OK):
            return None
        release = (home / "release").read_text(encoding="utf-8") if (home / "release").is_file() else ""
    except (OSError, UnicodeDecodeError):
        return None
    fields = dict(re.findall(r'^(\w+)="(.*)"$', release, flags=re.MULTILINE))
    modules = frozenset(fields.get("MODULES", "").split()) or frozenset(f.stem for f in home.glob("jmods/*.jmod"))
    version = _feature(fields.get("JAVA_VERSION", ""))
    return Java(home, version, modules) if version and modules else _ask(home)


def _version(java: Java) -> int:
    return java.version


def _feature(version: str) -> int:
    """Return 25 for `25.0.3` or `25-ea`, 8 for `1.8.0_402`, 0 if it is not a version."""
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match[1]) if match else 0


def _ask(home: Path) -> Java | None:
    command = [str(home / "bin/java"), "--list-modules"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    modules = dict(line.strip().split("@", 1) for line in listed.splitlines() if "@" in line)
    return Java(home, _feature(modules.get("java.base", "")), frozenset(modules))


def _homes() -> Iterator[Path]:
    seen: set[Path] = set()
    for home in _places():
        if (real := home.resolve()) not in seen and real != Path("/usr"):
            seen.add(real)
            yield home


def _places() -> Iterator[Path]:
    if said := os.environ.get("JAVA_HOME"):
        yield Path(said).expanduser()
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    for pattern in PLACES:
        path = Path(pattern).expanduser()
        yield from sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
