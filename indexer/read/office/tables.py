"""Tables as text: a row a line, its cells joined; a long table is several blocks, each under the header row."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCK_CHARS = 280  # with its header a block then fits a chunk of the default size
_MAX_HEADER = 120


def table_blocks(rows: Sequence[Sequence[str]], *, header: bool) -> list[str]:
    """Write a table as blocks of text. With `header`, its first row is repeated wherever the table is cut.

    Empty rows are dropped; white space within a cell becomes one space.
    """
    lines = [" | ".join(_inline(cell) for cell in row) for row in rows if any(map(_inline, row))]
    top = lines[:1] if header and len(lines) > 1 and len(lines[0]) <= _MAX_HEADER else []
    blocks: list[list[str]] = []
    size = 0
    for line in lines[len(top) :]:
        if not blocks or (top and size + len(line) > _BLOCK_CHARS):
            blocks.append([*top])
            size = sum(map(len, top))
        blocks[-1].append(line)
        size += len(line) + 1
    return ["\n".join(block) for block in blocks]


def _inline(text: str) -> str:
    return " ".join(text.split())
