"""Which pages there are, and where each stands in the navigation.

Sections name the pages that have a place of their own; whatever else is in docs/ comes behind them, so that a new page
is reachable without a word here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RENAMED: Mapping[str, str] = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "docs/decisions/README.md": "decisions/index.md",
}
"""Files of the repository that have another name in the site; the others in docs/ keep their path below it."""

NAMES: Mapping[str, str] = {"overview.md": "Overview", "decisions/index.md": "All decisions"}
"""Names in the navigation of pages whose title is long or says something else there."""

USE, IMPROVE, RUN = "Use it", "Make it better", "Run it"
REFERENCE, INTERNALS, CHINESE, PROJECT = "Reference", "Internals", "中文", "Project"

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Start": ("index.md", "overview.md"),
    USE: (
        "guide/index-your-folder.md",
        "guide/add-one-document.md",
        "guide/search.md",
        "guide/ask.md",
        "guide/console.md",
        "guide/connect.md",
        "guide/access.md",
        "guide/synonyms.md",
        "guide/english-documents.md",
    ),
    IMPROVE: (
        "guide/choose-models.md",
        "guide/tune-and-evaluate.md",
        "guide/read-a-report.md",
        "guide/feedback.md",
        "guide/learn-from-clicks.md",
        "guide/weekly-learning.md",
        "guide/train-a-reranker.md",
        "guide/distill-models.md",
        "guide/learn-when-to-rewrite.md",
    ),
    RUN: (
        "guide/docker.md",
        "guide/own-elasticsearch.md",
        "guide/elastic-cloud.md",
        "guide/run-on-a-cluster.md",
        "guide/kibana.md",
        "guide/upgrade.md",
        "guide/backup-and-restore.md",
        "guide/troubleshooting.md",
        "guide/uninstall.md",
    ),
    REFERENCE: (
        "reference/cli.md",
        "reference/http.md",
        "reference/settings.md",
        "reference/filters.md",
        "reference/formats.md",
        "reference/benchmarks.md",
    ),
    INTERNALS: ("architecture.md", "decisions/index.md"),
    CHINESE: ("zh/index.md",),
    PROJECT: ("changelog.md", "contributing.md", "security.md"),
}
"""The navigation: tasks first, then reference, then how it works inside."""

FOLDERS: Mapping[str, str] = {
    "guide/": USE,
    "reference/": REFERENCE,
    "decisions/": INTERNALS,
    "zh/": CHINESE,
}
"""Where a page goes that no section names; pages of no folder go to the project's."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the file that it comes from, and its path in the site, `/` between folders."""

    source: Path
    path: str


def find_pages(root: Path = ROOT) -> list[Page]:
    """Find all pages that come from files of the repository."""
    files = [root / name for name in RENAMED if "/" not in name]
    files += sorted((root / "docs").rglob("*.md"))
    return [Page(file, site_path(file.relative_to(root).as_posix())) for file in files]


def site_path(name: str) -> str:
    """Return the path in the site of a file of the repository."""
    return RENAMED.get(name, name.removeprefix("docs/"))


def navigation(paths: Iterable[str]) -> dict[str, list[str]]:
    """Put every page into a section: in the order above, and behind that by name."""
    remaining = sorted(paths)
    sections = {title: [path for path in named if path in remaining] for title, named in SECTIONS.items()}
    placed = {path for named in SECTIONS.values() for path in named}
    for path in remaining:
        if path not in placed:
            sections[next((title for start, title in FOLDERS.items() if path.startswith(start)), PROJECT)].append(path)
    return {title: chosen for title, chosen in sections.items() if chosen}
