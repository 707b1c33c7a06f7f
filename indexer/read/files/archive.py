"""Files that are ZIP archives inside (Office, EPUB): refused in time where they are no such thing, locked or a bomb.

The libraries that open them unpack whatever they find and fail with whatever comes up; here both are bounded. An
archive cannot lie about the sizes it declares: `zipfile` unpacks no more of a member than that.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from bothways.core.errors import ReadError
from bothways.indexer.read.files.folder import Source

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MARKUP = (".xml", ".rels", ".vml", ".xhtml", ".html", ".htm", ".opf", ".ncx")
_STREAMED_FACTOR = 10
_MAX_LISTED = 100_000
_STRINGS, _MAX_STRINGS = "xl/sharedStrings.xml", 4_000_000  # each is kept as a text alone
_PIECE = 1_000_000
_BROKEN: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,  # a part or an attribute that has to be there is not
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,  # a member is encrypted
    NotImplementedError,
    ArithmeticError,  # a number beyond all bounds
    SyntaxError,  # both XML parsers' errors derive from it
)
"""What python-docx, python-pptx, openpyxl and the XML parsers raise where a file is not what it claims to be."""


def check_archive(
    source: Source, kind: str, *, markup_mb: float = 50.0, max_tags: int = 4_000_000, streamed: str = ""
) -> None:
    """Raise `ReadError` for what should not be unpacked. `kind` is what the file claims to be, as in "Word file".

    A member that is parsed as a whole may have `markup_mb` and `max_tags` (those that list the others a hundred
    thousand): an empty tag of five bytes takes hundreds as an object. All together may have what BOTHWAYS_MAX_FILE_MB
    allows. Members
    whose names begin with `streamed` are parsed piece by piece: they may be large, and all together ten times as much.
    """
    source.check_size()
    with source.path.open("rb") as file:
        start = file.read(len(_OLE))
    if start == _OLE:
        locked = _ENCRYPTED in source.path.read_bytes()
        why = (
            "encrypted: a password is needed to read it"
            if locked
            else "in the old binary format: save it in the new one"
        )
        raise ReadError(f"The {kind} is {why}.")
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ReadError(f"The {kind} is corrupt: {str(error).rstrip('.') or type(error).__name__}.") from error
    limit = source.max_file_mb * (_STREAMED_FACTOR if streamed else 1)
    unpacked = sum(member.file_size for member in members)
    if unpacked > limit * 1_000_000:
        raise ReadError(
            f"The {kind} unpacks to {unpacked / 1_000_000:,.0f} MB, more than the {limit:g} MB that "
            "BOTHWAYS_MAX_FILE_MB allows."
        )
    for member in members:
        whole = member.filename.lower().endswith(_MARKUP) and not (streamed and member.filename.startswith(streamed))
        if whole and member.file_size > markup_mb * 1_000_000:
            raise ReadError(
                f"The {kind} is refused: its part {member.filename!r} has {member.file_size / 1_000_000:,.0f} MB of "
                f"markup, and more than {markup_mb:g} MB are not taken into memory."
            )
        if whole:
            _check_tags(source, kind, member, max_tags)


def _check_tags(source: Source, kind: str, member: zipfile.ZipInfo, max_tags: int) -> None:
    listing = member.filename.endswith(".rels") or member.filename == "[Content_Types].xml"
    most = min(max_tags, _MAX_LISTED) if listing else _MAX_STRINGS if member.filename == _STRINGS else max_tags
    if member.file_size <= 2 * most:  # too small for so many
        return
    tags = 0
    with reading(kind), zipfile.ZipFile(source.path) as archive, archive.open(member) as data:
        while piece := data.read(_PIECE):
            tags += piece.count(b"<")
    if tags > most:
        raise ReadError(
            f"The {kind} is refused: its part {member.filename!r} has {tags:,} elements' tags, and more than {most:,} "
            "are not taken into memory."
        )


@contextmanager
def reading(kind: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise one `ReadError` for whatever a library raises over a corrupt file, `errors` of its own included."""
    try:
        yield
    except (*_BROKEN, *errors) as error:
        what = " ".join(str(error).split())[:200].rstrip(".")
        raise ReadError(f"The {kind} is corrupt: {what or type(error).__name__}.") from error
