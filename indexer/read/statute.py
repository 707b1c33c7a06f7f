"""Chinese statutes (and contracts written alike): one document an article, with its place in 编/分编/章/节.

An article is what people cite, so it is what is found; its heading names the law in full and in short, and the parts
it stands in, so that "民法典第五百九十条" finds it by words. What stands before the first article (title, notes,
table of contents, preamble) is no article: the preamble is reported as skipped. What follows the last article
(annexes) belongs to it, as it does in the law: 刑法第四百五十二条 speaks of its annexes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bothways.core.datatypes import Document
from bothways.core.text.document_id import document_id
from bothways.core.text.numerals import parse_number
from bothways.indexer.read.files.folder import Source

_NUMBER = "[零〇一二三四五六七八九十百千\\d]{1,16}"
"""A numeral. No law has one of more than 16 characters: what is longer is no article."""

_ARTICLE = re.compile(rf"^\s*(第({_NUMBER})条(?:之({_NUMBER}))?)(?:\s+|(?=【)|$)(.*)$")
_HEADING = re.compile(rf"^\s*(第{_NUMBER}(分编|编|章|节))\s+(\S.{{0,40}})$")
_CONTENTS = re.compile(r"^\s*目\s*[录錄次]\s*$")
_CLOSING = re.compile(r"^\s*附\s*则\s*$")
_LAW_NAME = re.compile(r"(法|法典|条例|规定|办法|细则|解释|规则|章程|合同|协议)(（[^）]*）)?$")
_NOTE = re.compile(r"（\d{4}年[^（）]*）")
_LEADER = re.compile(r"(（第.{1,12}条.*）)?[.·…\s\d]*$")
_LEVELS = {"编": "book", "分编": "subbook", "章": "chapter", "节": "section"}
_STATE = "中华人民共和国"
_MIN_ARTICLES = 3


@dataclass(slots=True)
class _Article:
    name: str
    parts: dict[str, str]
    lines: list[str] = field(default_factory=list)


def is_statute(text: str) -> bool:
    """Return whether a text is a statute: three or more articles, which make up at least half of it."""
    lines = text.split("\n")
    starts = article_starts(lines)
    if len(starts) < _MIN_ARTICLES:
        return False
    body = sum(map(len, lines[min(starts) :]))
    return body * 2 >= sum(map(len, lines))


def read_statute(source: Source, text: str) -> Iterator[Document]:
    """Split the text of a statute into its articles, in order; the record index counts them from 0."""
    lines = text.split("\n")
    law = _law_name(lines, source.stem)
    articles, skipped = _articles(lines, law)
    if skipped:
        source.on_skip(source.relative, f"{skipped:,} characters outside the articles (preamble) are not indexed.")
    short = law.removeprefix(_STATE)
    named = f"《{law}》" + (f"（{short}）" if short != law else "")
    for record, article in enumerate(articles):
        parts = " ".join(article.parts.values())
        yield Document(
            doc_id=document_id(source.relative, record=record),
            title=f"{law} {article.name}",
            blocks=tuple(article.lines) or (article.name,),
            source=source.relative,
            heading=f"{named}{parts} {article.name}",
            metadata={"law": law, **article.parts, "article": article.name},
        )


def article_name(line: str) -> str:
    """Return the name of the article that a line starts, "" if it starts none: 第三条之一."""
    match = _ARTICLE.match(line)
    return match[1] if match else ""


def is_part_heading(line: str) -> bool:
    """Return whether a line is the heading of a part (编, 分编, 章, 节, 附则) of a law."""
    return _heading(line, books=False) is not None


def _articles(lines: Sequence[str], law: str) -> tuple[list[_Article], int]:
    """All articles, and the number of characters that belong to none (the note on adoption does not count)."""
    starts = article_starts(lines)
    books = any(match[2] == "编" for line in lines if (match := _HEADING.match(line)))
    parts: dict[str, str] = {}
    articles: list[_Article] = []
    outside: list[str] = []
    inside = False
    for number in range(_body_start(lines, min(starts)), len(lines)):
        line = lines[number].strip()
        if heading := _heading(line, books=books):
            level, name = heading
            order = list(_LEVELS.values())
            parts = {key: value for key, value in parts.items() if order.index(key) < order.index(level)}
            parts[level] = name
            inside = False
        elif number in starts and (match := _ARTICLE.match(line)):
            articles.append(_Article(match[1], parts))
            articles[-1].lines.extend([match[4]] if match[4] else [])
            inside = True
        elif line and inside:
            articles[-1].lines.append(line)
        elif line and _squeeze(line) != law:
            outside.append(_squeeze(line))
    preamble = _NOTE.sub("", "".join(outside)).removeprefix("序言")
    return articles, len(preamble)


def article_starts(lines: Sequence[str]) -> set[int]:
    """Find the lines that start an article: of those that look so, the longest run whose numbers increase.

    A cross-reference that happens to begin a line breaks the order and is left out, whichever way it jumps.
    """
    tails: list[tuple[int, int]] = []
    ends: list[int] = []
    previous: dict[int, int | None] = {}
    for number, line in enumerate(lines):
        match = _ARTICLE.match(line)
        article, inserted = (parse_number(match[2]), parse_number(match[3] or "0")) if match else (None, None)
        if article is None or inserted is None:
            continue
        key = (article, inserted)
        place = bisect_left(tails, key)
        if place < len(tails) and tails[place] == key:
            continue
        previous[number] = ends[place - 1] if place else None
        tails[place : place + 1] = [key]
        ends[place : place + 1] = [number]
    starts: set[int] = set()
    current = ends[-1] if ends else None
    while current is not None:
        starts.add(current)
        current = previous[current]
    return starts


def _heading(line: str, *, books: bool) -> tuple[str, str] | None:
    """Return the level and the name of a heading; 附则 has no number and stands on the law's highest level."""
    if _CLOSING.match(line):
        return ("book" if books else "chapter"), "附则"
    match = _HEADING.match(line)
    if match is None or line.endswith(("。", "；", "，", "：")):
        return None
    return _LEVELS[match[2]], f"{match[1]} {_squeeze(match[3])}"


def _body_start(lines: Sequence[str], first_article: int) -> int:
    """Return the line after the table of contents: where its first entry comes again, else the first article."""
    contents = next((n for n in range(first_article) if _CONTENTS.match(lines[n])), None)
    if contents is None:
        return 0
    entries = [n for n in range(contents + 1, first_article) if lines[n].strip()]
    if not entries:
        return first_article
    first = _entry(lines[entries[0]])
    return next((n for n in entries[1:] if _entry(lines[n]) == first), first_article)


def _law_name(lines: Sequence[str], stem: str) -> str:
    """Return the first line above the body that ends like a law's name, else the first line, else `stem`."""
    names: list[str] = []
    for line in lines:
        if _ARTICLE.match(line) or _HEADING.match(line) or _CONTENTS.match(line):
            break
        if name := _squeeze(line):
            names.append(name)
    if not names or len(names[0]) > 60:
        return stem
    return next((name for name in names[:5] if len(name) <= 60 and _LAW_NAME.search(name)), names[0])


def _entry(line: str) -> str:
    return _squeeze(_LEADER.sub("", line[:200]))


def _squeeze(text: str) -> str:
    """Drop white space, except between Latin words."""
    return re.sub(r"(?<![A-Za-z0-9])\s+|\s+(?![A-Za-z0-9])", "", text)
