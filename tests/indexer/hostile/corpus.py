"""The whole corpus, by name."""

from __future__ import annotations

from tests.indexer.hostile.hostile_file import Hostile
from tests.indexer.hostile.office import all_office
from tests.indexer.hostile.pages import all_pages
from tests.indexer.hostile.pdfs import pdfs
from tests.indexer.hostile.texts import all_texts

CORPUS: dict[str, Hostile] = {}
for _file in (*all_texts(), *all_pages(), *all_office(), *pdfs()):
    assert _file.name not in CORPUS, _file.name
    CORPUS[_file.name] = _file
