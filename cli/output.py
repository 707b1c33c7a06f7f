"""What the verbs print: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

from rich import box
from rich.console import Console, ConsoleOptions
from rich.table import Column, Table
from rich.text import Text

PIPE_WIDTH = 10_000
"""Columns of what is no terminal: programs that read a table cannot put folded cells together again."""
_ID_CHARS = 40
"""Length of the ids that we make of paths; up to it ids stay on one line on a terminal, too."""


class _Out(Console):
    """Is as wide as the terminal, and in a pipe as wide as it takes, unless COLUMNS says how wide."""

    @property
    def options(self) -> ConsoleOptions:
        """What tables are laid out by."""
        usual = super().options
        return usual if self.is_terminal or "COLUMNS" in os.environ else usual.update_width(PIPE_WIDTH)


out = _Out(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str, code: int) -> NoReturn:
    """Print one clear line on stderr and leave."""
    err.print(f"bothways: {message}", style="red" if err.is_terminal else None, markup=False)
    sys.exit(code)


def printable(text: str) -> str:
    """Give text that a terminal prints and does not obey: control characters of foreign names are written out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def plain(text: str) -> Text:
    """Give foreign text as a cell of a table that shows it as it is: brackets are no markup, controls no commands."""
    return Text(printable(text))


def listing(ids: Iterable[str], first: str, *columns: str | Column) -> Table:
    """Make a table whose first column has ids: nothing is cut off, and ids, which are copied, are folded last."""
    longest = max((len(one) for one in ids), default=0)
    fits = longest <= _ID_CHARS
    whole = Column(first, overflow="fold", no_wrap=fits, min_width=longest if fits else None)
    others = (Column(one, overflow="fold") if isinstance(one, str) else one for one in columns)
    return Table(whole, *others, box=box.SIMPLE_HEAD)


def print_json(data: object) -> None:
    """Print data as JSON, readable on a terminal and one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=indent) + "\n")
