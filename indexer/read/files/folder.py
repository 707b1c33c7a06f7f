"""From a path to the files below it: what is to be read, in which order, and under which name it is known.

The order and the names are the same on every machine, because the ids of documents are made from them.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bothways.core.datatypes import CaseSection, Failure
from bothways.core.errors import ReadError

_NOT_DOCUMENTS = frozenset({"queries.jsonl", "pseudo_questions.jsonl", "pseudo_docs.jsonl"})
_JUDGED = (*sorted(_NOT_DOCUMENTS), "qrels", "qrels.tsv")
"""What stands beside the corpus of a BEIR data set, or one folder below (`test/queries.jsonl`)."""
_PROBE_BYTES = 1_000_000
_LOCK = "~$"  # Office puts such a file beside each that is open; it holds the user's name and nothing else

CASE_SECTIONS: tuple[CaseSection, ...] = ("基本案情", "裁判理由")
"""The sections of a case report that are read unless others are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file that a reader is given: where it is, the name it goes by, and whom to tell about what is left out.

    A reader whose next document may take long calls `alive` meanwhile, as after each page of a scan.
    """

    path: Path
    relative: str
    max_file_mb: float
    on_failure: Callable[[Failure], None]
    on_skip: Callable[[str, str], None]
    case_sections: Collection[str] = CASE_SECTIONS
    alive: Callable[[], None] = lambda: None

    @property
    def stem(self) -> str:
        """The file's name without its extension, for a document that has no title of its own."""
        return self.relative.rsplit("/", 1)[-1].rsplit(".", 1)[0]

    def data(self) -> bytes:
        """All bytes of the file; an empty or too large one is a `ReadError`."""
        self.check_size()
        data = self.path.read_bytes()
        if not data.strip():
            raise ReadError("The file is empty.")
        return data

    def check_size(self) -> None:
        """Raise `ReadError` for an empty or too large file, before it is opened."""
        size = self.path.stat().st_size
        if not size:
            raise ReadError("The file is empty.")
        if size > self.max_file_mb * 1_000_000:
            raise ReadError(
                f"The file has {size / 1_000_000:.1f} MB, more than the {self.max_file_mb:g} MB that "
                "BOTHWAYS_MAX_FILE_MB allows."
            )

    def fail(self, reason: str) -> None:
        """Report one thing in the file that cannot be read, while the rest of the file goes on."""
        self.on_failure(Failure(stage="read", item=self.relative, reason=reason))


def walk(
    path: Path, *, on_failure: Callable[[Failure], None], on_skip: Callable[[str, str], None]
) -> Iterator[tuple[Path, str]]:
    """Yield each file to read with its relative name: `path` itself if it is a file, else all below it, sorted.

    Hidden names are passed over silently; a folder is entered once, however many links lead to it. In a BEIR
    folder (see `is_beir`) only `corpus.jsonl` is yielded; files that hold questions are skipped in any folder.
    """
    if not path.is_dir():
        yield path, relative_name(path, path.parent)
        return
    seen: set[tuple[int, int]] = set()

    def entries_of(folder: Path, only: Path | None) -> Iterator[tuple[Path, Path | None]]:
        """Return what stands in a folder, each with the one file that is to be read there, if there is one."""
        try:
            status = folder.stat()
            entries = sorted(folder.iterdir(), key=lambda entry: relative_name(entry, folder))
            if (status.st_dev, status.st_ino) in seen:
                return iter(())
            seen.add((status.st_dev, status.st_ino))
            only = only or is_beir(folder)
        except OSError as error:
            on_failure(
                Failure(
                    stage="read",
                    item=relative_name(folder, path),
                    reason=f"The folder cannot be read: {error.strerror}.",
                )
            )
            return iter(())
        return iter([(entry, only) for entry in entries if not entry.name.startswith(".")])

    # A stack and no recursion: folders may be nested as deep as a path is long.
    open_folders = [entries_of(path, None)]
    while open_folders:
        entry, only = next(open_folders[-1], (None, None))
        if entry is None:
            open_folders.pop()
            continue
        relative = relative_name(entry, path)
        try:
            is_dir, is_file = _kind(entry)
        except OSError as error:
            on_failure(Failure(stage="read", item=relative, reason=f"The file cannot be opened: {error.strerror}."))
            continue
        if is_dir:
            open_folders.append(entries_of(entry, only))
        elif reason := _why_not(entry, only, is_file=is_file):
            on_skip(relative, reason)
        else:
            yield entry, relative


def relative_name(path: Path, folder: Path) -> str:
    """Return a path relative to a folder: POSIX, NFC; bytes that are not UTF-8 become hexadecimal escapes."""
    name = os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", name)


def is_beir(folder: Path) -> Path | None:
    """Return the `corpus.jsonl` of a BEIR data set: all else there is judgements, questions and what is said of them.

    Its first record has `_id` and `text`, and queries, qrels or our own files of questions stand beside it or one
    folder below. Without them it is a file of records like others, as in an upload of several files.
    """
    corpus = folder / "corpus.jsonl"
    try:
        with corpus.open("rb") as lines:
            record = json.loads(lines.readline(_PROBE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    is_corpus = isinstance(record, dict) and "_id" in record and "text" in record
    return corpus if is_corpus and _is_judged(folder) else None


def _is_judged(folder: Path) -> bool:
    """Return whether judgements or questions belong to the folder's corpus, and not to one that stands beside them."""
    below = (path for name in _JUDGED for path in folder.glob(f"*/{name}"))
    return any((folder / name).exists() for name in _JUDGED) or any(
        not (path.parent / "corpus.jsonl").exists() for path in below
    )


def _kind(entry: Path) -> tuple[bool, bool]:
    entry.stat()  # a broken or circular link fails here, where `is_dir` would only say no
    return entry.is_dir(), entry.is_file()


def _why_not(entry: Path, only: Path | None, *, is_file: bool) -> str:
    if not is_file:
        return "It is not a regular file."
    if only is not None and entry != only:
        return "It lies beside a BEIR corpus.jsonl, and only that file holds documents."
    if entry.name.startswith(_LOCK):
        return "It is the lock file of an open Office document."
    if entry.name in _NOT_DOCUMENTS:
        return "It holds questions or queries, not documents."
    return ""
