"""Pages as they are written for a reader of the repository, made into pages of the site.

Links between pages follow their renaming; what a link names outside the pages (code, samples) is a name and no link in
the site. A link to nothing is a problem, and the site is not built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from posixpath import relpath
from urllib.parse import unquote

from docs._tools.pages import NAMES, ROOT, Page, find_pages, navigation, site_path

PAGES_MARK = "<!-- all pages -->"
"""Stands in the start page where the list of all pages is put."""

_FENCE = re.compile(r"^\s*(```|~~~)")
_CODE = re.compile(r"(`+)(?:(?!\n\n).)*?\1", re.DOTALL)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")
_ELSEWHERE = re.compile(r"[a-z]+:|#")


def stage() -> tuple[dict[str, str], list[str]]:
    """Return the text of every page by its path in the site, and all problems."""
    pages = find_pages()
    texts = {page.path: page.source.read_text(encoding="utf-8") for page in pages}
    known = set(texts)
    problems: list[str] = []
    staged = {page.path: _page(page, texts[page.path], known, problems) for page in pages}
    staged["index.md"] = staged["index.md"].replace(PAGES_MARK, _listed(staged))
    return staged, problems


def title_of(text: str) -> str:
    """Return a page's title: its first heading."""
    match = re.search(r"^# (.+)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _page(page: Page, text: str, known: set[str], problems: list[str]) -> str:
    here = page.source.relative_to(ROOT).as_posix()

    def linked(match: re.Match[str]) -> str:
        target, label = match["target"], match["text"]
        if _ELSEWHERE.match(target):
            return match[0]
        place, _, anchor = target.partition("#")
        file = (page.source.parent / unquote(place)).resolve()
        if not file.is_relative_to(ROOT) or not file.exists():
            problems.append(f"{here}: {target} is not there")
            return match[0]
        name = file.relative_to(ROOT).as_posix()
        path = site_path(f"{name}/README.md" if file.is_dir() else name)
        if path not in known and not name.startswith("docs/pictures/"):
            return label
        way = relpath(path, page.path.rpartition("/")[0] or ".")
        return f"{match['image']}[{label}]({way}{'#' + anchor if anchor else ''})"

    return "".join(part if is_code else _prose(part, linked) for is_code, part in _parts(text))


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Part a text into what is between fences and what is not."""
    lines: list[str] = []
    is_code = False
    for line in text.splitlines(keepends=True):
        if not _FENCE.match(line):
            lines.append(line)
        elif is_code:
            yield True, "".join([*lines, line])
            lines, is_code = [], False
        else:
            yield False, "".join(lines)
            lines, is_code = [line], True
    yield is_code, "".join(lines)


def _prose(text: str, linked: Callable[[re.Match[str]], str]) -> str:
    """Rewrite links, those in code spans excepted; part lists from the paragraph before, as Python-Markdown wants."""
    spans = [match.span() for match in _CODE.finditer(text)]

    def chosen(match: re.Match[str]) -> str:
        is_code = any(start <= match.start() < end for start, end in spans)
        return match[0] if is_code else linked(match)

    lines: list[str] = []
    for line in _LINK.sub(chosen, text).splitlines(keepends=True):
        before = lines[-1].rstrip("\n") if lines else ""
        if _ITEM.match(line) and before and not _ITEM.match(before) and not before.startswith(" "):
            lines.append("\n")
        lines.append(line)
    return "".join(lines)


def _listed(staged: Mapping[str, str]) -> str:
    lines = []
    for title, paths in navigation(staged).items():
        lines.append(f"**{title}**\n")
        lines += [
            f"- [{NAMES.get(path) or title_of(staged[path]) or path}]({path})" for path in paths if path != "index.md"
        ]
        lines.append("")
    return "\n".join(lines)
