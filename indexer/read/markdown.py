"""Markdown: one document a section, named by its path of headings, so that a hit says where in the file it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bothways.core.datatypes import Document, Metadata
from bothways.core.errors import ReadError
from bothways.core.text.document_id import document_id
from bothways.indexer.read.files.encoding import decode
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.files.metadata import to_metadata
from bothways.indexer.read.text import append_line

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_SECTION_LEVELS = {"h1": 1, "h2": 2, "h3": 3}
_MAX_NESTING = 100
"""Levels of lists and quotations, of which a list takes two. What is deeper is not read."""


@dataclass(slots=True)
class Section:
    """The headings that lead to a piece of text, by level (1 to 3), the text's blocks, and what else is known of it."""

    headings: dict[int, str] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    def below(self, level: int, name: str) -> Section:
        """Open the section that a heading of that level starts."""
        return Section({**{k: v for k, v in self.headings.items() if k < level}, level: name})


def read_markdown(source: Source) -> Iterator[Document]:
    """Read a Markdown file: a document for each h1 to h3 with text below it, and one for text before the first.

    The title is the front matter's, else the first h1, else the file's name; other `key: value` lines of the front
    matter become metadata.
    """
    front, body = _front_matter(decode(source.data()))
    tokens = _parser().parse(body)
    if any(token.level >= _MAX_NESTING - 1 for token in tokens):
        source.fail(f"Text nested more than {_MAX_NESTING} levels deep is not read.")
    sections = _sections(tokens)
    title = front.pop("title", "") or first_heading(sections) or source.stem
    yield from section_documents(source, title, sections, to_metadata(front))


def markdown_sections(text: str) -> list[Section]:
    """Take a Markdown text apart into its sections, the first without headings."""
    return _sections(_parser().parse(text))


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")


def first_heading(sections: Sequence[Section]) -> str:
    """Return the first heading of the highest level, "" if there is none."""
    return next((section.headings[1] for section in sections if 1 in section.headings), "")


def section_documents(
    source: Source, title: str, sections: Sequence[Section], metadata: Metadata
) -> Iterator[Document]:
    """Make a document of each section that has text; the record index is the section's number, with empty ones."""
    if not any(section.blocks for section in sections):
        raise ReadError("The file is empty: it has no text below its headings.")
    for record, section in enumerate(sections):
        if not section.blocks:
            continue
        path = [name for name in section.headings.values() if name and name != title]
        yield Document(
            doc_id=document_id(source.relative, record=record),
            title=title,
            blocks=tuple(section.blocks),
            source=source.relative,
            heading=" › ".join([title, *path]),
            metadata={**metadata, **section.metadata, **({"section": " › ".join(path)} if path else {})},
        )


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    pairs = (line.partition(":") for line in match[1].split("\n") if re.match(r"[\w-]+:", line))
    front = {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    return front, text[match.end() :]


def _sections(tokens: Sequence[Token]) -> list[Section]:
    sections = [Section()]
    position = 0
    while position < len(tokens):
        token = tokens[position]
        end = _closing(tokens, position)
        group = tokens[position : end + 1]
        block = _text(group)
        if token.tag in _SECTION_LEVELS and token.type == "heading_open":
            sections.append(sections[-1].below(_SECTION_LEVELS[token.tag], block))
        elif block:
            sections[-1].blocks.append(block)
        position = end + 1
    return sections


def _closing(tokens: Sequence[Token], start: int) -> int:
    """Return the index of the token that closes the block which `start` opens."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    return len(tokens) - 1


def _text(group: Sequence[Token]) -> str:
    """One block as plain text: list items and table rows a line each, code as it is."""
    if group[0].type == "table_open":
        return _table(group)
    lines: list[str] = []
    marker = ""
    for token in group:
        if token.type == "list_item_open":
            indent = "  " * (token.level // 2)
            marker = f"{indent}{token.info}{token.markup} " if token.info else f"{indent}- "
        elif content := _content(token):
            lines.append(marker + content)
            marker = " " * len(marker)
    return "\n".join(lines).strip("\n")


def _content(token: Token) -> str:
    if token.type == "inline":
        return _inline(token.children or ())
    if token.type in {"fence", "code_block"}:
        return token.content.rstrip()
    if token.type == "html_block":
        return _without_tags(token.content).strip()
    return ""


def _inline(children: Sequence[Token]) -> str:
    pieces: list[str] = []
    pending = False
    for child in children:
        if child.type == "softbreak":
            pending = True
            continue
        piece = "\n" if child.type == "hardbreak" else child.content
        if child.type == "html_inline" or not piece:
            continue
        if pending and pieces:
            append_line(pieces, piece)
        else:
            pieces.append(piece)
        pending = False
    return "".join(pieces).strip()


def _without_tags(markup: str) -> str:
    """Drop comments and tags; what begins like one and has no end is text."""
    kept: list[str] = []
    start = 0
    last = {end: markup.rfind(end) for end in ("-->", ">")}  # so that no search is begun in vain, again and again
    while (at := markup.find("<", start)) >= 0:
        end = "-->" if markup.startswith("<!--", at) and last["-->"] >= at + 4 else ">"
        if last[end] < at:
            break
        kept.append(markup[start:at])
        start = markup.index(end, at + 4 if end == "-->" else at) + len(end)
    return "".join([*kept, markup[start:]])


def _table(group: Sequence[Token]) -> str:
    rows: list[list[str]] = []
    for token in group:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_inline(token.children or ()))
    return "\n".join(" | ".join(row) for row in rows)
