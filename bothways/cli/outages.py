"""How long work on the command line waits while Elasticsearch is away, said on stderr."""

from __future__ import annotations

from bothways.cli.output import err
from bothways.core.settings import Settings
from bothways.indexer.jobs.outage import Patience


def patience_of(chosen: Settings) -> Patience:
    """Return the patience that the settings give a job; that it waits, and why, is one line on stderr."""
    return Patience(chosen.es_wait_s, lambda said: err.print(said, markup=False))
