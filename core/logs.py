"""Log lines on stderr, so that stdout is for answers; colours and times only where a person reads them."""

from __future__ import annotations

import logging
import sys

import structlog


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
            structlog.dev.ConsoleRenderer(colors=terminal)
            if terminal
            else structlog.processors.LogfmtRenderer(bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when the line is written
        cache_logger_on_first_use=False,
    )
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
