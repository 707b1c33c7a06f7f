"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, longest: int | None = None) -> str:
    """Return a table without a line break at its end.

    Cells come from strangers, too: each is written on one line, its bars are escaped so that it stays one cell, and it
    is cut after `longest` characters.
    """
    lines = [_line(header, None), "|" + "---|" * len(header)]
    lines += [_line(row, longest) for row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[object], longest: int | None) -> str:
    return f"| {' | '.join(one_line(str(cell), longest=longest) for cell in cells)} |"


def one_line(text: str, *, longest: int | None = None) -> str:
    """Return text for a cell or a list item: blanks and line breaks become one blank, bars are escaped."""
    return " ".join(text.split())[:longest].replace("|", "\\|")
