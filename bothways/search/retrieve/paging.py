"""Pages that fit together: every page is cut out of the same ranking, although nothing is kept between pages.

The legs' requests do not depend on the offset, equal scores have a fixed order, and all pages of a query come from the
same copies of the index (docs/decisions/pages-facets-highlights.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bothways.core.results import Hit
from bothways.search.options import SearchOptions


def preference(text: str) -> str:
    """Return a name for the copies of the shards that answer a query: the same each time, others for other queries.

    Copies differ in their last updates and merges, and so in their scores. Elasticsearch hashes the name; it must not
    begin with `_`, which has a meaning of its own.
    """
    return "q" + hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]


def in_order(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order the server's hits of one leg by score, equal scores by id, because merges change the server's own order."""
    return sorted(found, key=lambda hit: (-float(hit["_score"]), hit["_id"]))


def cut(every: Sequence[Hit], options: SearchOptions) -> list[Hit]:
    """Return the page that the options ask for, with its ranks; empty beyond the end."""
    page = every[options.offset : options.offset + options.top_k]
    return [replace(hit, rank=rank) for rank, hit in enumerate(page, options.offset + 1)]
