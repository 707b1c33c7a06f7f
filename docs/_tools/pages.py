"""Which pages there are, and where each stands in the navigation.

Sections name the pages that have a place of their own; whatever else is in docs/ comes behind them, so that a new page
is reachable without a word here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
API = "api.md"
"""The page that is made of OpenAPI."""

RENAMED: Mapping[str, str] = {
    "README.md": "reference.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    # The page about the index would be taken for the start page of its folder.
    "docs/decisions/README.md": "decisions/index.md",
    "docs/decisions/index.md": "decisions/elasticsearch-index.md",
}
"""Files of the repository that have another name in the site; the others in docs/ keep their path below it."""

NAMES: Mapping[str, str] = {"reference.md": "Commands, routes and settings", "kibana.md": "Kibana"}
"""What the navigation calls pages whose title says something else there, or is long."""

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Start": ("index.md", "zh/index.md"),
    "Guide": (
        "guide/index-your-folder.md",
        "guide/own-elasticsearch.md",
        "guide/choose-models.md",
        "guide/tune-and-evaluate.md",
        "guide/learn-from-clicks.md",
        "guide/run-on-a-cluster.md",
        "connect.md",
        "kibana.md",
    ),
    "How it works": ("architecture.md",),
    "Reference": ("reference.md", API, "search.md", "ask.md", "console.md"),
    "In depth": (),
    "Decisions": ("decisions/index.md",),
    "Project": ("changelog.md", "contributing.md"),
}
REST, DECISIONS = "In depth", "Decisions"


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the file that it comes from, and its path in the site, `/` between folders."""

    source: Path
    path: str


def find_pages(root: Path = ROOT) -> list[Page]:
    """Find all pages that come from files of the repository."""
    files = [root / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    files += sorted((root / "docs").rglob("*.md"))
    return [Page(file, site_path(file.relative_to(root).as_posix())) for file in files]


def site_path(name: str) -> str:
    """Give the path in the site of a file of the repository."""
    return RENAMED.get(name, name.removeprefix("docs/"))


def navigation(paths: Iterable[str]) -> dict[str, list[str]]:
    """Put every page into a section: in the order above, and behind that by name."""
    left = sorted(paths)
    sections = {title: [path for path in chosen if path in left] for title, chosen in SECTIONS.items()}
    named = {path for chosen in SECTIONS.values() for path in chosen}
    for path in left:
        if path not in named:
            sections[DECISIONS if path.startswith("decisions/") else REST].append(path)
    return {title: chosen for title, chosen in sections.items() if chosen}
