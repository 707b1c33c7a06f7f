"""The finished site, checked without a network: links and anchors inside it are there, nothing is loaded from afar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
_LOADING_RELATIONS = {"stylesheet", "preload", "preconnect", "modulepreload", "icon"}


@dataclass(slots=True)
class Page:
    """What a page has and needs."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self.page.anchors.update(has[name] for name in ("id", "name") if name in has)
        if tag == "a" and "href" in has:
            self.page.links.append(has["href"])
        if tag in _LOADS and has.get(_LOADS[tag]):
            self.page.loads.append(has[_LOADS[tag]])
        if tag == "link" and _LOADING_RELATIONS & set(has.get("rel", "").split()):
            self.page.loads.append(has.get("href", ""))


def read_page(html: str) -> Page:
    """Read what a page has and needs."""
    reader = _Reader()
    reader.feed(html)
    return reader.page


def problems(site: Path) -> Iterator[str]:
    """Name every link of the site that leads nowhere, and everything that is loaded from elsewhere."""
    pages = {file: read_page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        if file.name == "404.html":
            continue  # served at any address, with absolute links
        here = file.relative_to(site).as_posix()
        for target in page.loads:
            if urlsplit(target).netloc:
                yield f"{here}: loads {target} from elsewhere"
            elif not _file(file, target, site).is_file():
                yield f"{here}: loads {target}, which is not there"
        for target in page.links:
            if why := _broken(file, target, site, pages):
                yield f"{here}: {target} {why}"


def _broken(file: Path, target: str, site: Path, pages: dict[Path, Page]) -> str:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return ""
    wanted = _file(file, parts.path, site) if parts.path else file
    if not wanted.is_file():
        return "is not there"
    anchor = unquote(parts.fragment)
    if anchor and wanted in pages and anchor not in pages[wanted].anchors:
        return "has no such anchor"
    return ""


def _file(file: Path, target: str, site: Path) -> Path:
    path = unquote(urlsplit(target).path)
    found = site / path.lstrip("/") if path.startswith("/") else file.parent / path
    found = found.resolve()
    return found / "index.html" if found.is_dir() else found
