"""Pages that fit together: one ranking for every page of a query, cut anew each time; nothing is kept between pages.

What a leg is asked for does not depend on the offset, equal scores have an order of their own, and all pages of a query
come from the same copies of the index (docs/decisions/pages-facets-highlights.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bothways.core.results import Hit
from bothways.search.options import SearchOptions

MOST_OFFSET = 600
"""The largest offset that a request may name: three legs of `MOST_WINDOW` hits are all the candidates there can be."""

MOST_WINDOW = 200
"""The most hits that a request may have each leg bring."""


def preference(text: str) -> str:
    """Name the copies of the shards that answer a query: the same ones each time, and other ones for other queries.

    Copies differ by what they were told last and by what they have merged, and so in their scores. Elasticsearch hashes
    the name; one that begins with `_` would mean something to it.
    """
    return "q" + hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]


def in_order(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order one leg's answer (the server's hits) by score and, of equal scores, by id: merges change the server's."""
    return sorted(found, key=lambda hit: (-float(hit["_score"]), hit["_id"]))


def cut(every: Sequence[Hit], options: SearchOptions) -> list[Hit]:
    """Cut the page out that the options ask for; empty beyond the end."""
    return list(every[options.offset : options.offset + options.top_k])
