"""Log lines on stderr, so that stdout is for answers; colours and times only where a person reads them.

Text from outside (paths of requests, messages of endpoints, names of files) has its control characters escaped: it can
neither forge a line of the log nor send commands to the terminal.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict

from bothways.core.text.printable import printable, printable_line


class Escaping(logging.Formatter):
    """Writes lines of other libraries, which may quote anything."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback's line ends stay."""
        return printable(super().format(record))


def configure_logs(level: str) -> None:
    """Set the level (`debug`, `info`, `warning`, `error`) for our lines; libraries speak from `warning` on.

    Elasticsearch's client is quieter still: what it warns of, our own errors say.
    """
    number = getattr(logging, level.upper())
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso"),
            structlog.processors.format_exc_info,
            written_out,
            structlog.dev.ConsoleRenderer(colors=terminal)
            if terminal
            else structlog.processors.LogfmtRenderer(bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when the line is written
        cache_logger_on_first_use=False,
    )
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    if logging.lastResort is not None:  # writes the lines for which no handler is set
        logging.lastResort.setFormatter(Escaping())


def written_out(_: object, __: str, entry: EventDict) -> EventDict:
    """Write out control characters in a log entry; only a traceback keeps its line ends."""
    return {name: _value(name, value) for name, value in entry.items()}


def _value(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float | dict | list | tuple | set | frozenset):
        return value  # the texts inside are shown by `repr`, which writes them out
    text = value if isinstance(value, str) else str(value)
    return printable(text) if name == "exception" else printable_line(text)
