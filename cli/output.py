"""What the verbs print: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
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


def print_json(data: object) -> None:
    """Print data as JSON, readable on a terminal and one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=indent) + "\n")
