"""The collections as one caller sees them: hidden documents are not there, and nothing is learnt from them."""

from __future__ import annotations

from elasticsearch import Elasticsearch

from bothways.core.access.groups import Access
from bothways.core.access.guarded import guarded
from bothways.core.collections.collection import Collection, open_collection
from bothways.core.collections.visibility import as_visible, require_known
from bothways.core.errors import IncompatibleCollectionError
from bothways.search.query.script import Scripts
from bothways.search.query.self_query.vocabularies import Vocabularies
from bothways.search.retrieve.versions import Versions


class CallerView:
    """What one caller reads through. `reader` is `client` with the deadline of searches.

    The scripts and vocabularies are learnt from documents, so each caller has its own.
    """

    def __init__(self, client: Elasticsearch, reader: Elasticsearch, access: Access) -> None:
        self.access = access
        self.client = guarded(client, access)
        self.reader = guarded(reader, access)
        self.scripts = Scripts(self.reader)
        self.vocabularies = Vocabularies(self.reader)

    def open(self, name: str, versions: Versions) -> Collection:
        """Return the version of a collection that is searched, as the caller may know it.

        Raises `CollectionNotFoundError` where the caller can see nothing, and what `Versions.open` raises.
        """
        require_known(self.reader, name)
        try:
            return as_visible(versions.open(name), self.reader)
        except IncompatibleCollectionError:
            as_visible(open_collection(self.reader, name), self.reader)  # hidden ones first: they stay unknown
            raise
