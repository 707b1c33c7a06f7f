"""All that reading a file or folder gave: what the tests of the readers look at."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bothways.core.datatypes import Document
from bothways.indexer.read import read


class Reading:
    """The documents, the reasons of failures, and what was left out, each in order."""

    def __init__(self, path: Path, max_file_mb: float = 5.0) -> None:
        self.failures: list[str] = []
        self.skipped: list[str] = []
        self.documents: list[Document] = list(
            read(
                path,
                max_file_mb=max_file_mb,
                on_failure=lambda failure: self.failures.append(failure.reason),
                on_skip=lambda _, reason: self.skipped.append(reason),
            )
        )
        assert {document.source for document in self.documents} <= {path.name}
        assert len({document.doc_id for document in self.documents}) == len(self.documents)

    @property
    def blocks(self) -> list[tuple[str, ...]]:
        return [document.blocks for document in self.documents]

    @property
    def headings(self) -> list[str]:
        return [document.heading for document in self.documents]

    @property
    def failure(self) -> str:
        """The one reason for which nothing at all could be read."""
        assert not self.documents
        [reason] = self.failures
        return reason


@contextmanager
def members(path: Path) -> Iterator[dict[str, bytes]]:
    """Change what a ZIP archive holds: its members by name, written back at the end."""
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    yield found
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in found.items():
            archive.writestr(name, data)


OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
ENCRYPTED_OFFICE = OLD_OFFICE + "EncryptedPackage".encode("utf-16-le")
