"""What the verbs print: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from bothways.core.text.printable import printable as printable

PIPE_WIDTH = 10_000
"""Columns of what is no terminal: programs that read a table cannot put folded cells together again."""
_ID_CHARS = 40
"""Length of the ids that we make of paths; up to it ids stay on one line on a terminal, too."""


_UNESCAPED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Guarded(Console):
    """Prints whatever text there is, in lines, cells and bars, without obeying any of it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with control characters of foreign text written out; rich's own are no text."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)


class _Out(Guarded):
    """Is as wide as the terminal, and in a pipe as wide as it takes, unless COLUMNS says how wide."""

    @property
    def options(self) -> ConsoleOptions:
        """What tables are laid out by."""
        usual = super().options
        return usual if self.is_terminal or "COLUMNS" in os.environ else usual.update_width(PIPE_WIDTH)


out = _Out(highlight=False, soft_wrap=True)
err = Guarded(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str, code: int) -> NoReturn:
    """Print one clear line on stderr and leave."""
    err.print(f"bothways: {message}", style="red" if err.is_terminal else None, markup=False)
    sys.exit(code)


def plain(text: str) -> Text:
    """Return foreign text as a cell of a table that shows it as it is: brackets are no markup, controls no commands."""
    return Text(printable(text))


def listing(ids: Iterable[str], first: str, *columns: str | Column) -> Table:
    """Make a table whose first column has ids: nothing is cut off, and ids, which are copied, are folded last."""
    longest = max((len(one) for one in ids), default=0)
    fits = longest <= _ID_CHARS
    whole = Column(first, overflow="fold", no_wrap=fits, min_width=longest if fits else None)
    others = (Column(one, overflow="fold") if isinstance(one, str) else one for one in columns)
    return Table(whole, *others, box=box.SIMPLE_HEAD)


def print_json(data: object) -> None:
    """Print data, or models of bothways/schemas, as JSON: readable on a terminal and one line in a pipe.

    Besides the control characters that JSON escapes, those are escaped that a terminal obeys, and half surrogates.
    """
    indent = 2 if sys.stdout.isatty() else None
    text = json.dumps(data, ensure_ascii=False, indent=indent, default=_fields)
    sys.stdout.write(_UNESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n")


def _fields(model: object) -> dict[str, Any]:
    if hasattr(model, "model_dump"):  # pydantic takes long to import, and help needs none
        return dict(model.model_dump())
    raise TypeError(f"{type(model).__name__} is no JSON.")
