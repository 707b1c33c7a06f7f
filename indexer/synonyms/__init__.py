"""Synonyms on the server: where its indices read them (`places`), a new set of rules put there, loaded and proved.

`apply` is the way in: rules in, an `Applied` for each place out; a place that does not take them is put back as it was.
"""

from bothways.indexer.synonyms.apply import Applied, InForce, apply, in_force
from bothways.indexer.synonyms.places import FilePlace, IndexPlace, Place, SetPlace, find_places

__all__ = ["Applied", "FilePlace", "InForce", "IndexPlace", "Place", "SetPlace", "apply", "find_places", "in_force"]
