"""Foreign text for logs and terminals: characters that move a cursor, forge a line or reverse text are escaped."""

from __future__ import annotations

import re
import unicodedata

_SUSPECT = re.compile(
    r"[^\n -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u3000-\u303f\u3041-\u3096\u30a0-\u30ff\u3400-\u9fff\uff01-\uff60]"
)
"""Characters that need a closer look; all others can be printed."""


def printable(text: str) -> str:
    """Return text that is safe to print: control characters are escaped, except line ends."""
    return _SUSPECT.sub(_written_out, text)


def printable_line(text: str) -> str:
    """Return `printable` text on one line: its line ends are escaped, too."""
    return printable(text).replace("\n", "\\n")


def _written_out(found: re.Match[str]) -> str:
    char = found.group()
    prints = char.isprintable() or unicodedata.category(char) == "Zs"
    return char if prints else repr(char)[1:-1]
