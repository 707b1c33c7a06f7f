"""Synonyms on the server: where its indices read them (`sources`), a new set of rules put there, loaded and proved.

`apply` is the way in: rules in, an `Applied` for each place out; a place that does not take them is put back as it was.
"""

from bothways.indexer.synonyms.apply import Applied, InForce, apply, in_force
from bothways.indexer.synonyms.sources import IndexSynonyms, SynonymFile, SynonymSet, SynonymSource, find_sources

__all__ = [
    "Applied",
    "InForce",
    "IndexSynonyms",
    "SynonymFile",
    "SynonymSet",
    "SynonymSource",
    "apply",
    "find_sources",
    "in_force",
]
